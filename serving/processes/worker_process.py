"""Child processes of the HTTP worker for work that would hold its event loop: each is called, and answers in order.

A process is `python -m <module> <socket> …`. It sends one message when it is ready and then one per request: a head
and MessagePack, decoded into the types that the caller expects. It ends when its caller closes the socket or is gone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import struct
import subprocess
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, cast

import msgspec

from headrace import errors
from headrace.errors import HeadraceError
from headrace.machine.subprocesses import module_command

LOG = logging.getLogger(__name__)
_HEAD = struct.Struct("!I?")
"""Length of the body, and whether it is an error: class, problem and hint."""
_ERRORS: dict[str, type[HeadraceError]] = {
    each.__name__: each
    for each in (errors.HeadraceError, errors.BadInputError, errors.ReleaseError, errors.ServiceError)
}
_END_SECONDS = 5.0


class ProcessEndedError(Exception):
    """The process ended before it answered."""


class WorkerProcess(asyncio.Protocol):
    """One running process; made by `start_process`."""

    def __init__(self, process: subprocess.Popen[bytes], ready: Any, answers: Any) -> None:
        """`ready` is the type of the first message, `answers` that of the others."""
        self._process = process
        self._decoder = msgspec.msgpack.Decoder(ready)
        self._answers = msgspec.msgpack.Decoder(answers)
        self._received = bytearray()
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._transport: asyncio.WriteTransport | None = None
        self._closing = False
        self.ended = False
        self.answered = 0
        """Answers so far, and the first message."""
        self.pid = process.pid
        self.first: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        """What the process says when it is ready."""
        self._waiting.append(self.first)
        self.on_end: Callable[[], None] = lambda: None
        """Called when the process ends unasked."""

    def __len__(self) -> int:
        """Questions that are not answered yet."""
        return len(self._waiting)

    async def call(self, request: Any) -> Any:
        """The answer; what the process raised is raised here. Raises ProcessEndedError.

        Whoever stops waiting gives up the answer, not the order of the others.
        """
        if self.ended or self._closing or self._transport is None:
            raise ProcessEndedError
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self._transport.write(_frame(request))
        return await answer

    def close(self) -> None:
        """End the process once it has answered everything."""
        self._closing = True
        if not self._waiting and self._transport is not None:
            self._transport.close()

    def kill(self) -> None:
        """End a process that hangs: for whoever waits it ended by itself."""
        self._process.kill()

    async def stop(self) -> None:
        """End the process now."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()
        self._process.terminate()
        await asyncio.to_thread(_reap, self._process)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Of asyncio.Protocol."""
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one, though not by its class

    def data_received(self, data: bytes) -> None:
        """Of asyncio.Protocol."""
        received = self._received
        received += data
        while len(received) >= (start := _HEAD.size):
            length, failed = _HEAD.unpack_from(received)
            if len(received) < start + length:
                break
            body = bytes(received[start : start + length])
            del received[: start + length]
            self._answered(_error(body) if failed else self._decoder.decode(body))
            self._decoder = self._answers
        if self._closing:
            self.close()

    def connection_lost(self, _: Exception | None) -> None:
        """Of asyncio.Protocol."""
        self.ended = True
        while self._waiting:
            if not (answer := self._waiting.popleft()).done():
                answer.set_exception(ProcessEndedError())
                answer.exception()  # whoever waited may have given up: that is no error
        if self._closing:
            asyncio.get_running_loop().run_in_executor(None, _reap, self._process)
            return
        LOG.error("process %d (%s) ended by itself: %s", self.pid, self._process.args[-2], self._process.poll())  # type: ignore[index]
        self.on_end()

    def _answered(self, content: Any) -> None:
        self.answered += 1
        answer = self._waiting.popleft()
        if answer.done():
            return
        if isinstance(content, Exception):
            answer.set_exception(content)
        else:
            answer.set_result(content)


async def start_process(
    module: str, *arguments: str, ready: Any, answers: Any, environment: Mapping[str, str] | None = None
) -> WorkerProcess:
    """`python -m module <socket> arguments…`, whose standard error is this process's.

    `ready` and `answers` are the types of its first message and of its answers, as `msgspec` decodes them.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        process = subprocess.Popen(
            module_command(module, str(theirs.fileno()), *arguments),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
    worker = WorkerProcess(process, ready, answers)
    await asyncio.get_running_loop().create_connection(lambda: worker, sock=ours)
    return worker


def serve_calls(number: int, ready: Callable[[], Any], requests: Any, answer: Callable[[Any], Any]) -> None:
    """The other end: send what `ready` returns, then `answer` one request after the other until the caller is gone.

    `number` is the socket's, `requests` the type of a request. What either function raises goes to the caller; after a
    `ready` that raises, the process ends.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the caller says when to end
    decoder = msgspec.msgpack.Decoder(requests)
    with (
        suppress(ConnectionError),  # the caller is gone
        socket.socket(fileno=number) as connection,
        connection.makefile("rb", 1 << 16) as stream,
    ):
        first = _outcome(ready)
        connection.sendall(_frame(first))
        while not isinstance(first, Exception) and len(head := stream.read(_HEAD.size)) == _HEAD.size:
            body = stream.read(_HEAD.unpack(head)[0])
            connection.sendall(_frame(_outcome(lambda sent=body: answer(decoder.decode(sent)))))  # type: ignore[misc]


def _outcome(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except HeadraceError as error:
        return error
    except Exception as error:
        LOG.exception("unexpected error")
        return RuntimeError(f"{type(error).__name__}: {error}")


def _frame(content: Any) -> bytes:
    failed = isinstance(content, Exception)
    if isinstance(content, HeadraceError):
        content = (type(content).__name__, content.problem, content.hint)
    elif failed:
        content = ("", str(content), "")
    body = msgspec.msgpack.encode(content)
    return _HEAD.pack(len(body), failed) + body


def _error(body: bytes) -> Exception:
    name, problem, hint = msgspec.msgpack.decode(body, type=tuple[str, str, str])
    return _ERRORS[name](problem, hint) if name in _ERRORS else RuntimeError(problem)


def _reap(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
