"""How the service's processes write their log: one line per thing that happened."""

from __future__ import annotations

import logging


def write_log_lines() -> None:
    """Lines to stderr; a client's line about each of its own requests is nothing that happened to the service."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
