"""The vectorised function of the query: Flink hands it batches of (subject, recent events) as pandas columns."""

from __future__ import annotations

import json
import time
from typing import Any

import pandas as pd
from pyflink.table import DataTypes
from pyflink.table.udf import FunctionContext, ScalarFunction, udf

from headrace.release.registry import resolve_release
from headrace.settings import Settings
from jobs.streaming.live_users import LiveUsers
from jobs.streaming.recent_events import HEARTBEAT
from jobs.streaming.release_watch import ReleaseWatch
from jobs.streaming.user_store import UserStore
from jobs.streaming.valid_events import valid_events

READY_LAPSES_S = 15


class WriteUsers(ScalarFunction):
    """Writes the users' vectors and histories to the online store; returns how many users each batch wrote."""

    def __init__(self, settings: Settings, run: str) -> None:
        self._settings_json = settings.model_dump_json()
        self._run = run
        self._reported = 0.0

    def open(self, function_context: FunctionContext) -> None:  # noqa: ARG002
        """Load the release and connect, in the worker and before the first event."""
        settings = Settings(**json.loads(self._settings_json))
        length = settings.features.history_length
        self._store = UserStore(settings.store, length)
        self._watch = ReleaseWatch(lambda: resolve_release(settings))
        self._watch.start()
        valid_events([], [])  # the other function lives in the same worker: its first event waits for no import either
        self._users = LiveUsers(self._store, self._watch.current, length)

    def close(self) -> None:
        """Stop the release watch and disconnect."""
        self._watch.close()
        self._store.close()

    def is_deterministic(self) -> bool:
        """False, because it writes: Flink must call it once for each row."""
        return False

    def eval(self, subject: Any, recent: Any) -> Any:
        """One batch. Raises ServiceError if the store stays unavailable: the task restarts from its checkpoint."""
        subjects, recents = subject.tolist(), recent.tolist()
        if HEARTBEAT in subjects:
            recents = [packed for name, packed in zip(subjects, recents, strict=True) if name != HEARTBEAT]
            subjects = [name for name in subjects if name != HEARTBEAT]
        written = self._users.take(subjects, recents)
        self._report_ready()
        return pd.Series([written] * len(subject), dtype="int32")

    def _report_ready(self) -> None:
        now = time.monotonic()
        if now - self._reported > 1:
            self._reported = now
            text = json.dumps({"run": self._run, "release": self._watch.current().release_id})
            self._store.write_ready(text, READY_LAPSES_S)


def write_users_function(settings: Settings, run: str) -> Any:
    """The function to register as `write_users`."""
    return udf(WriteUsers(settings, run), result_type=DataTypes.INT(), func_type="pandas", deterministic=False)
