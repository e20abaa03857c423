"""Ports of this machine: which one a setting names, whether it is free, and which process uses it."""

from __future__ import annotations

import errno
import socket
from urllib.parse import urlsplit

import psutil

from headrace.errors import BadInputError, HeadraceError
from headrace.settings import Settings

LOOPBACK = "127.0.0.1"


def local_port(setting: str, address: str) -> int:
    """Port of an address on this machine (`host:port` or a URL).

    Raises BadInputError if it names another machine or no port: services are started on loopback only.
    """
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host not in (LOOPBACK, "localhost") or not port:
        raise BadInputError(
            f"setting '{setting}' is {address!r}, which is not an address of this machine",
            f"Use an address such as {LOOPBACK}:12345, or start that service on its own machine",
        )
    return port


def free_port() -> int:
    """A free port, chosen by the system."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            return error.errno not in (errno.EADDRINUSE, errno.EACCES)
    return True


def owner(port: int) -> str:
    """The process that listens on a port, as `name (process 123)`; `another process` if the system does not show it."""
    try:
        for connection in psutil.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass
    return "another process"


def port_hint(setting: str, example: str) -> str:
    """Advice for a port in use: end the process, or choose another port with the setting's variable."""
    variable = "HEADRACE_" + setting.upper().replace(".", "__")
    return f"End that process, or choose another port, for example {variable}={example}"


def require_free(port: int, setting: str, address: str) -> None:
    """Raises HeadraceError with port, setting and advice if another process listens there."""
    if not is_free(port):
        example = address.replace(str(port), str(free_port()))
        raise HeadraceError(
            f"Port {port} of setting '{setting}' is in use by {owner(port)}", port_hint(setting, example)
        )


def service_address(settings: Settings) -> str:
    """URL of the service on this machine."""
    host = settings.serving.host
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{settings.serving.port}"  # noqa: S104
