"""Silver → gold: features of users, items and their pairs, by day."""

__all__ = ["earlier_holdouts", "item_content", "job", "users"]
