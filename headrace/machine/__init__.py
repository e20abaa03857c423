"""headrace/machine."""
