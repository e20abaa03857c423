"""Job `forget`: removes a user from every table and its older versions, online store, topics and files.

First pending records on the topics and in bronze are ingested and cleaned, so that no job needs a removed record or
file. The request is stored before any data is removed: an interrupted run is completed by the next one, or by
`maintenance`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from delta.tables import DeltaTable
from pyspark.sql import functions as F

from headrace.forgotten import subject_hash
from headrace.settings import Settings
from headrace.tables import BRONZE_EVENTS, FORGET_REQUESTS, QUALITY_RESULTS, TABLES
from jobs.batch.clean.job import clean
from jobs.batch.engine.lake import Lake, spark_schema
from jobs.batch.engine.personal_rows import PERSONAL, requests, sessions_of
from jobs.batch.keeping.forget_files import remove_from_files
from jobs.batch.keeping.forget_online import connected, mark_forgotten, remove_online, renew_files
from jobs.batch.keeping.forget_rows import remove_rows
from jobs.batch.keeping.forget_state import remove_checkpoints
from jobs.batch.keeping.forget_topics import ingest_pending, remove_from_compacted, remove_from_topics
from jobs.batch.keeping.maintenance import vacuum


def forget(lake: Lake, settings: Settings, subject: str, at: datetime) -> dict[str, int]:
    """Remove a subject (a user with the sessions seen); returns the rows, keys and lines removed by location.

    Events from before `at` that arrive later are ignored. Older versions of the tables are removed for all users, and
    training sets of these versions can't be built again. Raises ServiceError, before any data is removed, where the
    online store is not reachable, or the broker becomes unavailable while its topics are ingested.
    """
    store = connected(settings)
    held = ingest_pending(lake, settings, at.date())
    if lake.exists(BRONZE_EVENTS):
        clean(lake, settings.clean)
    subjects = [subject, *sessions_of(lake, subject_hash(subject))]
    _store_requests(lake, subjects, at)
    asked = requests(lake)
    mark_forgotten(store, asked)
    removed = remove_rows(lake, asked)
    for table in filter(lake.exists, (*PERSONAL, QUALITY_RESULTS)):
        vacuum(lake, table, at_once=True)
    removed |= remove_from_topics(lake, settings, asked, held)
    removed |= remove_from_compacted(lake, settings, subjects)
    removed |= remove_from_files(settings, subjects)
    removed |= remove_checkpoints(settings, subjects)
    if keys := remove_online(store, subjects):  # after the stream has seen the request
        removed["online store"] = keys
    renew_files(store, settings)
    return removed


def repeat_requests(lake: Lake, settings: Settings, day_end: datetime) -> dict[str, int]:
    """Remove rows that arrived since the requests, and drop requests that late arrivals can no longer concern.

    A request is stored for `maintenance.requests_days`. Returns the rows removed by table.
    """
    if not lake.exists(FORGET_REQUESTS):
        return {}
    oldest = day_end - timedelta(days=settings.maintenance.requests_days)
    if not lake.read(FORGET_REQUESTS).where(F.col("requested_at") < F.lit(oldest)).isEmpty():
        DeltaTable.forPath(lake.spark, lake.path(FORGET_REQUESTS)).delete(F.col("requested_at") < F.lit(oldest))
    asked = requests(lake)
    held = ingest_pending(lake, settings, day_end.date()) if asked else {}
    if lake.exists(BRONZE_EVENTS):
        clean(lake, settings.clean)
    removed = remove_rows(lake, asked)
    for table in TABLES:
        if f"{table.layer}.{table.name}" in removed:
            vacuum(lake, table, at_once=True)
    remove_from_topics(lake, settings, asked, held)
    mark_forgotten(connected(settings), asked)
    return removed


def _store_requests(lake: Lake, subjects: Iterable[str], at: datetime) -> None:
    rows = [(subject_hash(subject), at.astimezone(UTC)) for subject in subjects]
    lake.append(lake.spark.createDataFrame(rows, spark_schema(FORGET_REQUESTS.schema)).coalesce(1), FORGET_REQUESTS)
