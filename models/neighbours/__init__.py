"""The release's table of item neighbours."""

__all__ = ["table"]
