"""Maintenance of the lake, and forget requests."""

__all__ = ["forget", "forget_check", "maintenance"]
