"""Gold → online store."""

__all__ = ["materialise"]
