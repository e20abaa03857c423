"""Files and topics → bronze, append only; the dry run."""

__all__ = ["file_arguments", "files_job", "topic", "topic_place"]
