"""What this machine has: Java, jars, ports, running processes and children."""

__all__ = ["jars", "java", "last_resort", "ports", "run_records", "spark_jars", "stream_state", "subprocesses"]
