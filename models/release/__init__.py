"""models/release."""
