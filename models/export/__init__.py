"""models/export."""
