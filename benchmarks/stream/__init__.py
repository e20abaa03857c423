"""Benchmark of the user stream against a per-event PyFlink job."""
