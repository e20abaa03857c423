"""Processes beside the HTTP worker for what would hold its event loop: each is asked, and answers in order.

A process is `python -m <module> <socket> …`. It sends one message when it is ready and then one per question, as
pickles behind their length (only these processes hold the socket). It ends when its asker closes the socket or is gone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import signal
import socket
import struct
import subprocess
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, cast

from headrace.errors import HeadraceError
from headrace.machine.subprocesses import module_command

LOG = logging.getLogger(__name__)
_LENGTH = struct.Struct("!I")
_END_SECONDS = 5.0


class ProcessEndedError(Exception):
    """The process ended before it answered."""


class AskedProcess(asyncio.Protocol):
    """One running process; made by `start_process`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._received = bytearray()
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._transport: asyncio.WriteTransport | None = None
        self._closing = False
        self.ended = False
        self.pid = process.pid
        self.first: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        """What the process says when it is ready."""
        self._waiting.append(self.first)
        self.on_end: Callable[[], None] = lambda: None
        """Called when the process ends unasked."""

    def __len__(self) -> int:
        """Questions that are not answered yet."""
        return len(self._waiting)

    async def ask(self, question: Any) -> Any:
        """The answer; what the process raised is raised here. Raises ProcessEndedError.

        Whoever stops waiting gives up the answer, not the order of the others.
        """
        if self.ended or self._closing or self._transport is None:
            raise ProcessEndedError
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self._transport.write(_frame(question))
        return await answer

    def close(self) -> None:
        """End the process once it has answered everything."""
        self._closing = True
        if not self._waiting and self._transport is not None:
            self._transport.close()

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
        while len(received) >= (start := _LENGTH.size):
            end = start + _LENGTH.unpack_from(received)[0]
            if len(received) < end:
                break
            content = pickle.loads(received[start:end])  # noqa: S301 - our own child
            del received[:end]
            self._answered(content)
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
        answer = self._waiting.popleft()
        if answer.done():
            return
        if isinstance(content, Exception):
            answer.set_exception(content)
        else:
            answer.set_result(content)


async def start_process(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> AskedProcess:
    """`python -m module <socket> arguments…`, whose standard error is this process's."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        process = subprocess.Popen(
            module_command(module, str(theirs.fileno()), *arguments),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
    asked = AskedProcess(process)
    await asyncio.get_running_loop().create_connection(lambda: asked, sock=ours)
    return asked


def answer_questions(number: int, ready: Callable[[], Any], answer: Callable[[Any], Any]) -> None:
    """The other end: say what `ready` returns, then `answer` one question after the other until nobody asks any more.

    `number` is the socket's. What either raises goes to the asker; after a `ready` that raises, the process ends.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the asker says when to end
    with (
        suppress(ConnectionError),  # whoever asked is gone
        socket.socket(fileno=number) as connection,
        connection.makefile("rb", 1 << 16) as questions,
    ):
        said = _outcome(ready)
        connection.sendall(_frame(said))
        while not isinstance(said, Exception) and len(head := questions.read(_LENGTH.size)) == _LENGTH.size:
            question = pickle.loads(questions.read(_LENGTH.unpack(head)[0]))  # noqa: S301 - our own parent
            connection.sendall(_frame(_outcome(lambda asked=question: answer(asked))))  # type: ignore[misc]


def _outcome(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except HeadraceError as error:
        return error
    except Exception as error:
        LOG.exception("this should not happen")
        return RuntimeError(f"{type(error).__name__}: {error}")


def _frame(content: Any) -> bytes:
    body = pickle.dumps(content, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


def _reap(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
