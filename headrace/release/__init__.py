"""The release: the bundle that serving loads, its item catalogue, and which one is live."""

__all__ = ["bundle", "catalogue", "code_version", "neighbours", "registry"]
