"""Files of users as rows of bronze: CSV, JSON Lines and Parquet, each in parts, each part read by one task."""

__all__ = ["file_parts", "files"]
