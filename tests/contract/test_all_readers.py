"""One message, one meaning: files, Kafka, HTTP and the stream give the same verdict and the same values.

What equality means: a message (JSON Lines, Kafka, HTTP, stream) is compared as it was sent, byte for byte. A table
(CSV, Parquet, JSON of a data frame) can't tell a missing value from an empty text, and CSV no number from a text: there
a row means the message of its non-empty values, and the test's ids are texts. NUL is left out of tables, because not
every writer of CSV can write it. The stream keeps events of interest only.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import Row, SparkSession

from headrace.events import INTEREST_TYPES, Event, EventType, Rejection, judge_event
from headrace.events.subjects import subject_key
from headrace.features.user_row import HistoryEvent
from headrace.tables import BRONZE_EVENTS
from jobs.batch.clean.event_rules import checked
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.personal_rows import with_subjects
from jobs.batch.ingest.files_job import Inputs, ingest_files
from jobs.batch.ingest.readers.file_parts import Expected, parts_of
from jobs.batch.ingest.readers.files import find_files
from jobs.batch.ingest.topic import from_kafka
from jobs.streaming.recent_events import unpack_events
from jobs.streaming.valid_events import valid_events
from serving.intake.checks import check_events

RECEIVED = datetime(2026, 11, 23, 12, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RECORD = "value binary, topic string, partition int, offset bigint, timestamp timestamp"
Verdict = str | tuple[Any, ...]
"""The reason of a refusal, or the values of the contract's fields in order."""

FEW = settings(
    max_examples=3,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate],  # of some hundred rows, those that differ are shown; to make them fewer takes minutes
    suppress_health_check=list(HealthCheck),
)

ODD_IDS = [
    *("007", "1e2", "123.0", "-0", "true", "null", "NaN", "NA", "None", "session:abc", "user:abc", "user:session:abc"),
    *(" a ", "\t", 'say "hi"', "a,b;c\td", "line\nbreak", "a\r\nb", "a\x85b\u2028c", "\x1e\x1f", "é" * 256, "x" * 257),
]
LEXEMES = [
    *("123.0", "1e2", "-0", "-0.0", "1E-2", "1.5", "true", "null", "{}", '["a"]', '{"a": 1}', "1e400", "NaN"),
    *("12345678901234567891", "9" * 30, "9" * 400, '"a\\ud83d"', '"\\u0000"', '"\\ud83d\\ude00"', '""'),
    '"2026-11-20T10:00:00Z"',
]
TIMES = [
    *("2026-11-20T10:00:00Z", "2026-11-20 10:00", "2026-11-20T10:00:00.123456789+0530", "2026-11-20", "1795168800123"),
    *("2026-11-20T10:00:00.000001Z", "2026-11-23T12:05:00.000001Z", "1999-12-31T23:59:59Z", "2026-02-30", "yesterday"),
    "0001-01-01T00:00:00+14:00",
]
KINDS = [kind.value for kind in EventType]

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ids = st.one_of(text, st.sampled_from(ODD_IDS))
values = st.one_of(ids, st.integers(), st.floats(allow_nan=False), st.dictionaries(text, text, max_size=2))
lines = st.binary(min_size=1, max_size=20).filter(lambda raw: raw.strip() and not set(raw) & set(b"\r\n"))
seeds = st.integers(1, 2**32)


def many(each: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Some dozens: an example of hundreds of rows is put together from them, a hundred times as fast."""
    return st.lists(each, min_size=30)


FIELDS = ("event_id", "event_type", "user_id", "session_id", "item_id", "timestamp", "value", "price", "query")
FIELDS += ("request_id", "position", "context", "note")
COUNT = 250
PLAIN = b'{"event_id":"e","event_type":"view","user_id":"u","item_id":"i","timestamp":"2026-11-20T10:00:00Z"}'


def messages(seed: int, some_ids: Sequence[str], some_values: Sequence[Any], garbage: Sequence[bytes]) -> list[bytes]:
    """Mostly events of which a field or two are odd, written by hand; a few are no JSON at all."""
    choose = random.Random(seed)
    some_ids = [*some_ids, *ODD_IDS, *(f"id{number}" for number in range(400))]

    def message() -> bytes:
        if choose.random() < 0.05:
            return choose.choice(garbage)
        event = {name: choose.choice(some_ids) for name in ("event_id", "user_id", "item_id")}
        event |= {"event_type": choose.choice(KINDS), "timestamp": choose.choice([*TIMES[:5] * 3, *TIMES])}
        ascii_only = choose.random() < 0.5
        written = {name: json.dumps(value, ensure_ascii=ascii_only) for name, value in event.items()}
        for name in choose.sample(FIELDS, choose.choice([0, 1, 1, 2])):
            written[name] = choose.choice(LEXEMES) if choose.random() < 0.5 else json.dumps(choose.choice(some_values))
        if choose.random() < 0.2:
            written.pop(choose.choice(list(written)))
        return ("{" + ", ".join(f'"{name}":{value}' for name, value in written.items()) + "}").encode()

    return [PLAIN, *(message() for _ in range(COUNT))]


@FEW
@given(
    st.builds(messages, seeds, st.lists(ids, min_size=40), st.lists(values, min_size=20), st.lists(lines, min_size=3))
)
def test_a_message_means_the_same_from_a_file_from_kafka_over_http_and_in_the_stream(
    spark: SparkSession, tmp_path_factory: Any, sent: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("messages")
    lake = Lake(spark, str(folder / "lake"))
    file = folder / "events.jsonl"
    file.write_bytes(b"\n".join(sent) + b"\n")
    ingest_files(lake, Inputs(events=[file]), RECEIVED)
    records = [(message, "events", 0, offset, RECEIVED) for offset, message in enumerate(sent, 1)]
    lake.append_delivery(
        with_subjects(from_kafka(spark.createDataFrame(records, RECORD)), BRONZE_EVENTS, {}), BRONZE_EVENTS
    )
    expected = dict(enumerate(map(by_contract, sent), 1))
    by_source = judged(lake)
    assert differing(sent, by_source["kafka:events"], expected) == []
    assert (
        differing(sent, by_source[next(source for source in by_source if source.startswith("file:"))], expected) == []
    )
    assert differing(sent, dict(enumerate(map(by_http, sent), 1)), expected) == []
    assert differing(sent, in_stream(sent), {place: of_interest(each) for place, each in expected.items()}) == []
    refused = sum(isinstance(each, str) for each in expected.values())
    assert 20 < refused < len(sent) - 20  # both kinds are well represented


def by_contract(message: bytes) -> Verdict:
    return verdict(judge_event(message, RECEIVED))


def verdict(fields: Mapping[str, Any] | Rejection) -> Verdict:
    if isinstance(fields, Rejection):
        return str(fields.reason)
    moment = (fields["timestamp"] - EPOCH) // timedelta(microseconds=1)
    key = subject_key(fields["user_id"], fields["session_id"])
    names = ("event_id", "user_id", "session_id", "item_id", "value", "price", "query", "request_id", "position")
    return (str(fields["event_type"]), key, moment, *(fields[name] for name in names), fields["context"])


def by_http(message: bytes) -> Verdict:
    """What the service says, and means by what it writes to the topic."""
    accepted, rejected = check_events(message, 10, RECEIVED)
    if rejected:
        return str(rejected[0].rejection.reason)
    ((event, on_topic),) = accepted
    assert verdict(vars(event)) == by_contract(on_topic)
    return verdict(vars(event))


def judged(lake: Lake) -> dict[str, dict[int, Verdict]]:
    """By source and place, what `clean` makes of the rows in bronze."""
    found: dict[str, dict[int, Verdict]] = {}
    for row in checked(lake.read(BRONZE_EVENTS)).collect():
        found.setdefault(row["source"], {})[row["source_offset"]] = (
            row["refused"]["reason"] if row["refused"] else by_spark(row)
        )
    return found


def by_spark(row: Row) -> Verdict:
    fields = row.asDict()
    return verdict({**fields, "timestamp": fields["timestamp"].replace(tzinfo=UTC)})


def in_stream(sent: Sequence[bytes]) -> dict[int, Any]:
    received = f"{RECEIVED:%Y-%m-%d %H:%M:%S.000}"
    subjects, packed = valid_events(sent, [received] * len(sent))
    return {
        place: (subject, *unpack_events([event])) if subject and event else None
        for place, (subject, event) in enumerate(zip(subjects, packed, strict=True), 1)
    }


def of_interest(expected: Verdict) -> tuple[str, HistoryEvent] | None:
    if isinstance(expected, str) or expected[0] not in INTEREST_TYPES:
        return None
    kind, subject, moment, event_id, _, _, item_id = expected[:7]
    return subject, HistoryEvent(moment, event_id, item_id, kind)


def differing(sent: Sequence[Any], found: Mapping[int, Any], expected: Mapping[int, Any]) -> list[Any]:
    """The first few that are not as expected: what was sent, what came of it, what should have."""
    places = sorted(found.keys() | expected.keys())
    wrong = [place for place in places if found.get(place, "lost") != expected.get(place, "never sent")]
    return [(sent[place - 1], found.get(place), expected.get(place)) for place in wrong[:3]]


table_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


def events(seed: int, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of a table, of texts and numbers, some of them missing."""
    choose = random.Random(seed)
    some = [*texts, *ODD_IDS, *(f"id{number}" for number in range(40))]

    def event() -> dict[str, Any]:
        row: dict[str, Any] = {name: choose.choice(some) for name in ("event_id", "user_id", "item_id")}
        row |= {"session_id": choose.choice(texts), "query": choose.choice(some), "event_type": choose.choice(KINDS)}
        row |= {"timestamp": choose.choice(TIMES), "value": choose.randrange(-4, 4000) / 4}
        row["price"] = choose.randrange(4000) / 4
        return row | dict.fromkeys(choose.sample(list(row), choose.choice([0, 1, 2])))

    return [event() for _ in range(COUNT)]


def by_csv(table: pa.Table, file: Path) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(table.column_names)
        writer.writerows(zip(*table.to_pydict().values(), strict=True))


def by_json(table: pa.Table, file: Path) -> None:
    file.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in table.to_pylist()), encoding="utf-8")


def by_pandas_csv(table: pa.Table, file: Path) -> None:
    # With its own line ends, pandas writes a carriage return within a value as one between rows.
    table.to_pandas().to_csv(file, index=False, lineterminator="\r\n")


def by_pandas_json(table: pa.Table, file: Path) -> None:
    table.to_pandas().to_json(file, orient="records", lines=True)


WRITERS: dict[str, Callable[[pa.Table, Path], Any]] = {
    "csv.csv": by_csv,
    "pandas.csv": by_pandas_csv,
    "pyarrow.csv": pyarrow.csv.write_csv,
    "pandas.parquet": lambda table, file: table.to_pandas().to_parquet(file),
    "pyarrow.parquet": pq.write_table,
    "polars.csv": lambda table, file: polars.DataFrame(table).write_csv(file),
    "polars.parquet": lambda table, file: polars.DataFrame(table).write_parquet(file),
    "polars.jsonl": lambda table, file: polars.DataFrame(table).write_ndjson(file),
    "json.jsonl": by_json,
    "pandas.jsonl": by_pandas_json,
}
"""By file name. What writes JSON writes a message; what writes a table writes columns."""


def packed(files: Iterable[Path]) -> list[Path]:
    """The text files once more, by gzip and by zstd."""
    more = []
    for file in files:
        if file.suffix != ".parquet":
            data = file.read_bytes()
            for ending, pack in (
                (".gz", gzip.compress),
                (".zst", lambda data: pa.compress(data, "zstd", asbytes=True)),
            ):
                more.append(file.with_name(f"packed-{file.name}{ending}"))
                more[-1].write_bytes(pack(data))
    return more


def from_file(file: Path) -> list[Verdict]:
    """What the contract says of the rows in a file, in order."""
    expected = Expected("event_type", set(Event.model_fields) - {"context"}, ("value", "price", "position"))
    (found,) = find_files([file])
    rows = [rows for part in parts_of(found, expected) for rows in part.rows()]
    numbered = [row for raws, numbers in rows for row in zip(numbers.to_pylist(), raws.to_pylist(), strict=True)]
    return [by_contract(raw.encode()) for _, raw in sorted(numbered)]


@FEW
@given(st.builds(events, seeds, many(table_text)))
def test_a_row_means_the_same_whatever_wrote_the_file(tmp_path_factory: Any, given_rows: list[dict[str, Any]]) -> None:
    folder = tmp_path_factory.mktemp("tables")
    table = pa.Table.from_pylist(given_rows)
    files = [folder / name for name in WRITERS]
    for file in files:
        WRITERS[file.name](table, file)
    meant = [{name: value for name, value in row.items() if value not in (None, "")} for row in given_rows]
    expected = dict(enumerate((verdict(judge_event(row, RECEIVED)) for row in meant), 1))
    for file in [*files, *packed(files)]:
        assert differing(given_rows, dict(enumerate(from_file(file), 1)), expected) == [], file.name
