"""`python -m serving.processes.release_watcher`: says, whenever it is asked, which release is the one to serve.

A process of its own, because it waits while a bundle is downloaded and reads all of it to verify it.
"""

from __future__ import annotations

import os
import sys

from headrace.machine.last_resort import reporting_errors
from headrace.release.bundle import read_manifest
from headrace.release.registry import resolve_release
from headrace.settings import load_settings
from serving.log.log_lines import write_log_lines
from serving.processes.worker_process import serve_calls


def wanted_release(_: object = None) -> tuple[str, str]:
    """Folder and content hash of the bundle to serve, as named by the settings or the registry now.

    It is downloaded if it was not on this machine, or not whole. Raises ReleaseError or ServiceError.
    """
    folder = resolve_release(load_settings())
    return str(folder), read_manifest(folder).content_hash


def main() -> int:
    """`<socket>`."""
    write_log_lines()
    return reporting_errors(lambda: serve_calls(int(sys.argv[1]), os.getpid, None, wanted_release))


if __name__ == "__main__":
    sys.exit(main())
