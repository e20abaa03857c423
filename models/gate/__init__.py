"""models/gate."""
