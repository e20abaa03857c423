"""Searches for better training settings, within a budget, on the holdout."""
