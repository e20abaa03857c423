"""Expectations, volume, freshness and drift, with the report page."""

__all__ = ["drift", "job"]
