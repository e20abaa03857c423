"""This machine: Java, jars, ports, running processes and subprocesses."""

__all__ = ["jars", "java", "last_resort", "ports", "run_records", "spark_jars", "stream_state", "subprocesses"]
