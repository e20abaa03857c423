"""Bronze → silver: typed events once each, items and users with their history, the bot filter."""

__all__ = ["bots", "event_rules", "item_rules", "item_states", "job", "profiles", "versions"]
