"""The release: the bundle of everything serving needs, its item catalogue, and which one is live."""

__all__ = ["bundle", "catalogue", "code_version", "neighbours", "registry"]
