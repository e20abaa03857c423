"""One run of the job: submitted, watched until it ends, stopped by Ctrl-C or SIGTERM."""

from __future__ import annotations

import json
import logging
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import redis

from headrace.errors import HeadraceError
from headrace.forgotten import FORGOTTEN_KEY
from headrace.machine.stream_state import READY_FILE, checkpoint_folder, state_in_use
from headrace.settings import Settings
from jobs.streaming import query
from jobs.streaming.configuration import prepare_java, table_environment, temporary_folder
from jobs.streaming.forgetting import Forgetting, Requests
from jobs.streaming.topic_offsets import committed_offsets, topic_ends
from jobs.streaming.user_store import READY_KEY

POLL_S = 0.25
END_WAIT_S = 10.0
Say = Callable[[str], None]


def run_job(settings: Settings, start: str, say: Say) -> None:
    """Run the stream until SIGINT or SIGTERM.

    `start` is `committed` (what the consumer group committed; else the beginning), `earliest` or `latest`. Flink's
    state, a user's last few seconds, outlives no run. After a forget request the job restarts from the committed
    offsets. Raises HeadraceError if the job ends by itself, or another one runs.
    """
    ready_file = settings.home_folder / "run" / READY_FILE
    with state_in_use(settings), _stop_signals() as stop_requested, _own_processes():
        shutil.rmtree(temporary_folder(settings), ignore_errors=True)  # of a run that was killed
        log = prepare_java(settings)
        while not stop_requested():
            shutil.rmtree(checkpoint_folder(settings), ignore_errors=True)
            say(f"starting, from the {start} offsets; log: {log}")
            ready_file.unlink(missing_ok=True)
            run = uuid.uuid4().hex
            job = _submit(settings, start, run)
            try:
                _watch(job, settings, run, ready_file, say, stop_requested, log)
            finally:
                ready_file.unlink(missing_ok=True)
                _cancel(job)
            start = "committed"
    say("stopped; the next start continues from here")


def _submit(settings: Settings, start: str, run: str) -> Any:
    from jobs.streaming.valid_events import valid_event_function
    from jobs.streaming.write_users import write_users_function

    environment = table_environment(settings)
    environment.create_temporary_function("valid_event", valid_event_function())
    environment.create_temporary_function("write_users", write_users_function(settings, run))
    for statement in query.statements(settings, start):
        environment.execute_sql(statement)
    return environment.execute_sql(query.insertion()).get_job_client()


def _watch(
    job: Any,
    settings: Settings,
    run: str,
    ready_file: Path,
    say: Say,
    stop_requested: Callable[[], bool],
    log: Path,
) -> None:
    """Returns at a stop signal, or when the job has to restart because of a forget request."""
    state = ""
    with redis.Redis.from_url(settings.store.url) as store:
        forgetting = Forgetting(
            lambda: _forget_requests(store), lambda: topic_ends(settings), lambda: committed_offsets(settings)
        )
        while not stop_requested():
            new = _state(job)
            if new == "running" and (state != "ready" or not _ready_release(store, run)):
                release = _ready_release(store, run)
                new = "ready" if release else new
                if release:
                    ready_file.parent.mkdir(parents=True, exist_ok=True)
                    ready_file.write_text(json.dumps({"run": run, "release": release}), encoding="utf-8")
            elif new == "running":
                new = state
            if new != state:
                say(new)
                state = new
            if state == "ready" and forgetting.is_due():
                say("forget request: restarting without Flink's state")
                return
            if new in ("failed", "finished", "canceled"):
                raise HeadraceError(f"The stream ended by itself ({new})", f"The cause is in {log}")
            time.sleep(POLL_S)


def _state(job: Any) -> str:
    return str(job.get_job_status().result().name).lower()


def _ready_release(store: Any, run: str) -> str:
    """Release that this run's function works with; empty if it is not ready (or the store is unavailable)."""
    with suppress(redis.RedisError, ValueError, TypeError):
        sign = json.loads(store.get(READY_KEY))
        if sign["run"] == run:
            return str(sign["release"])
    return ""


def _forget_requests(store: Any) -> Requests | None:
    """Forget requests, hashes of the subjects with their moments; None while the store is unavailable."""
    with suppress(redis.RedisError):
        return dict(store.hgetall(FORGOTTEN_KEY))
    return None


def _cancel(job: Any) -> None:
    with suppress(Exception):  # Java may have ended already; its processes are ended in any case
        job.cancel().result()


@contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """A function that returns True after SIGINT or SIGTERM."""
    signals: list[int] = []
    before = {
        number: signal.signal(number, lambda n, _: signals.append(n)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield lambda: bool(signals)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _own_processes() -> Iterator[None]:
    """Ends the engine and its Python worker, by process id, when the block ends."""
    try:
        yield
    finally:
        logging.disable(logging.CRITICAL)  # else every Java object referenced here logs that Java has ended
        children = psutil.Process().children(recursive=True)
        for child in children:
            with suppress(psutil.Error):
                child.terminate()
        _, alive = psutil.wait_procs(children, timeout=END_WAIT_S)
        for child in alive:
            with suppress(psutil.Error):
                child.kill()
