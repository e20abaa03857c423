"""The lists that the service would give, written to files."""
