"""This machine: Java, jars, ports, running processes and subprocesses."""

__all__ = ["jars", "java", "ports", "run_records", "spark_jars", "stream_state", "subprocesses"]
