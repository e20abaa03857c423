"""What the towers learn from: sequences, windows, the item table, the holdout."""

__all__ = ["holdout", "inputs", "item_table", "parts", "sequences", "windows"]
