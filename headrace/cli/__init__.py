"""The command line: `headrace COMMAND`. Other packages run as subprocesses and are never imported."""

__all__ = ["app"]
