"""What this machine has: Java, jars, ports, running processes and children."""

__all__ = ["jars", "java", "ports", "run_records", "spark_jars", "stream_state", "subprocesses"]
