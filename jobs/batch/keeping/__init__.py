"""The lake kept in order: maintenance, and people forgotten."""

__all__ = ["forget", "forget_check", "maintenance"]
