"""headrace/features."""
