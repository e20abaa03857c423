"""Benchmark of the feature job against DuckDB."""
