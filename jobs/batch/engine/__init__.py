"""Spark as every job uses it: session, lake, locks, retries, error messages, the broker's admin side."""

__all__ = [
    "broker",
    "lake",
    "parallel",
    "personal_rows",
    "received_people",
    "retries",
    "row_positions",
    "run_locks",
    "session",
    "spark_errors",
    "verified",
]
