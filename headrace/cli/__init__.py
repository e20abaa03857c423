"""The command line: `headrace COMMAND`. Rooms run as child processes and are never imported."""

__all__ = ["app"]
