"""headrace/release."""
