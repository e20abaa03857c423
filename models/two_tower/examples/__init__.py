"""Training data of the towers: sequences, windows, the item table, the holdout."""

__all__ = ["holdout", "inputs", "item_table", "parts", "sequences", "windows"]
