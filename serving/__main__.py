"""`python -m serving`: the service on Granian, on the address and port of the settings, until it is stopped."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from headrace.errors import ServiceError
from headrace.machine.last_resort import reporting_errors
from headrace.settings import Settings, load_settings
from serving.log.log_lines import write_log_lines

_METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable that prometheus-client reads when it is imported: where workers share their counts."""

_CONNECTIONS = 8192
"""Most connections of a worker at once: who waits, and for what, is decided by the service and said in its answers."""


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. Raises ServiceError if the port is taken."""
    from granian import Granian
    from granian.constants import Interfaces, Loops

    serving = settings.serving
    _require_free(serving.host, serving.port)
    with _metrics_folder(serving.workers):
        Granian(
            "serving.api.app:create_app",
            factory=True,
            address=serving.host,
            port=serving.port,
            workers=serving.workers,
            interface=Interfaces.ASGI,
            loop=Loops.uvloop,
            backlog=_CONNECTIONS,
            backpressure=_CONNECTIONS,
            log_access=False,
        ).serve()


@contextmanager
def _metrics_folder(workers: int) -> Iterator[None]:
    """A folder in which several workers count together, unless one is given; removed at the end."""
    if workers == 1 or _METRICS_FOLDER in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="headrace-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[_METRICS_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[_METRICS_FOLDER]


def _require_free(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServiceError(
                f"the service cannot listen on {host}:{port} ({error.strerror})",
                "Stop what runs there, or set HEADRACE_SERVING__PORT",
            ) from None


def main() -> int:
    """Run the service; 1 with a sentence on stderr if it cannot start."""
    write_log_lines()
    return reporting_errors(lambda: serve(load_settings()))


if __name__ == "__main__":
    sys.exit(main())
