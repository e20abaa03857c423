"""Small worlds for the tests of the batch jobs: events that can be checked by eye."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from headrace.settings.jobs import CleanSettings
from headrace.tables import (
    REJECTED_EVENTS,
    SILVER_BOTS,
    SILVER_EVENTS,
    SILVER_ITEM_STATES,
    SILVER_ITEMS,
    SILVER_USERS,
)
from jobs.batch.clean.job import Cleaned, clean
from jobs.batch.engine.lake import Lake
from jobs.batch.ingest.files_job import Inputs, ingest_files

DAY = date(2026, 11, 20)
AS_OF = datetime(2026, 11, 21, tzinfo=UTC)
SILVER = (SILVER_EVENTS, SILVER_BOTS, SILVER_USERS, SILVER_ITEMS, SILVER_ITEM_STATES)


def days_before(days: float, hour: int = 12) -> str:
    """Noon (or another hour) so many days before the day of the tests, as an event's timestamp."""
    moment = datetime(DAY.year, DAY.month, DAY.day, hour, tzinfo=UTC) - timedelta(days=days)
    return moment.isoformat()


def purchase(event_id: str, user: str, item: str, when: str, **more: Any) -> dict[str, Any]:
    who = {"event_id": event_id, "event_type": "purchase", "user_id": user}
    return {**who, "item_id": item, "timestamp": when, "value": 1, **more}


def json_lines(path: Path, rows: Iterable[dict[str, Any] | str]) -> Path:
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def take_in(lake: Lake, folder: Path, name: str, received: datetime = AS_OF, **rows: list[Any]) -> Cleaned:
    """Write `events`, `items` and `users` as JSON Lines, ingest and clean them."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {kind: [json_lines(folder / f"{name}-{kind}.jsonl", given)] for kind, given in rows.items()}
    ingest_files(lake, Inputs(**files), received)
    return clean(lake, CleanSettings())


def collected(lake: Lake, table: Any, *order: str) -> list[dict[str, Any]]:
    """Every row of a table as a dictionary."""
    return [row.asDict(recursive=True) for row in lake.read(table).orderBy(*(order or table.key)).collect()]


def silver(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """Every row of silver and of quarantine, by table."""
    refused = lake.read(REJECTED_EVENTS).select("raw", "reason", "message").orderBy("raw", "message").collect()
    rows = {table.path: collected(lake, table) for table in SILVER}
    return rows | {REJECTED_EVENTS.path: [row.asDict() for row in refused]}
