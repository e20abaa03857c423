"""From a user's row to a ranked, explained list."""
