"""The global-time split, with leaks planted in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from headrace.errors import BadInputError
from headrace.tables import TIME
from models.evaluation.splits import require_no_leak, split_at

AT = datetime(2026, 10, 19, tzinfo=UTC)
HOUR = timedelta(hours=1)


def events(*times: datetime) -> pa.Table:
    return pa.table({"timestamp": pa.array(times, TIME), "item_id": [f"item-{n}" for n in range(len(times))]})


def features(event: datetime, created: datetime) -> pa.Table:
    return pa.table({"event_timestamp": pa.array([event], TIME), "created_timestamp": pa.array([created], TIME)})


def test_an_event_at_the_moment_of_the_split_is_evaluated_and_not_trained_on():
    split = split_at(events(AT - HOUR, AT, AT + HOUR), AT)
    assert split.train.column("item_id").to_pylist() == ["item-0"]
    assert split.test.column("item_id").to_pylist() == ["item-1", "item-2"]
    require_no_leak(split, features(AT, AT))


def test_a_train_event_after_the_split_is_refused_with_its_row_and_what_to_do():
    split = replace(split_at(events(AT - HOUR, AT), AT), train=events(AT - HOUR, AT, AT + HOUR))
    with pytest.raises(BadInputError, match=r"leak: train, row 1: timestamp .* is not before .*2 such rows") as refused:
        require_no_leak(split)
    assert refused.value.hint


def test_a_test_event_before_the_split_is_refused():
    split = replace(split_at(events(AT - HOUR, AT), AT), test=events(AT - HOUR))
    with pytest.raises(BadInputError, match="leak: test, row 0"):
        require_no_leak(split)


@pytest.mark.parametrize(
    ("rows", "column"),
    [(features(AT + HOUR, AT), "event_timestamp"), (features(AT, AT + HOUR), "created_timestamp")],
)
def test_features_that_speak_of_or_were_made_in_the_future_are_refused(rows: pa.Table, column: str):
    with pytest.raises(BadInputError, match=f"leak: features, row 0: {column}"):
        require_no_leak(split_at(events(AT - HOUR, AT), AT), rows)


def test_a_split_that_leaves_nothing_on_a_side_is_refused():
    with pytest.raises(BadInputError, match="there is no event before"):
        split_at(events(AT), AT)
