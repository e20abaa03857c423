"""Spark and a lake for the generator's tests."""

from __future__ import annotations

from tests.jobs.batch.conftest import lake, settings, spark

__all__ = ["lake", "settings", "spark"]
