"""A column encoded at once has the same bytes as its values encoded one by one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.features.columns import encode_column, encode_times, row_keys, varints
from headrace.features.rows import encode_time, encode_value, row_key, value_kind

COLUMNS: dict[pa.DataType, list[Any]] = {
    pa.string(): ["milk", "", None, "brød" * 100],
    pa.int32(): [0, -1, 2**31 - 1, None],
    pa.int64(): [0, -1, 2**62, None],
    pa.float64(): [0.0, -1.5, None, 1e300],
    pa.float32(): [0.0, None, 1.25, -3.0],
    pa.bool_(): [True, False, None, True],
    pa.list_(pa.string()): [["milk", "ø" * 200], [], None, [""]],
    pa.list_(pa.int64()): [[0, -1, 1795168800000001], [], None, [300]],
    pa.list_(pa.float32()): [[1.5] * 100, [], None, [0.0]],
}


@pytest.mark.parametrize("kind", COLUMNS, ids=str)
@pytest.mark.parametrize("part", [slice(0, 4), slice(1, 3), slice(3, 4), slice(0, 0)], ids=str)
def test_every_kind_of_column_is_encoded_as_its_values_are_also_where_it_is_a_slice(
    kind: pa.DataType, part: slice
) -> None:
    column = pa.array(COLUMNS[kind], kind)[part]
    one_by_one = [encode_value(value, value_kind(kind)) for value in column.to_pylist()]
    assert encode_column(column, value_kind(kind)).to_pylist() == one_by_one


def test_times_and_keys_are_encoded_as_one_by_one() -> None:
    times = [datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)]
    times.append(datetime(2026, 11, 20, 10, 30, 15, 456789, tzinfo=UTC))
    assert encode_times(pa.array(times, pa.timestamp("us", "UTC"))).to_pylist() == [encode_time(each) for each in times]
    users = ["ann", "session:é", ""]
    assert row_keys("user_id", pa.array(users)).to_pylist() == [row_key("user_id", user) for user in users]


def test_varints_have_seven_bits_a_byte() -> None:
    encoded = varints(np.array([1, 127, 128, 300]))
    assert encoded.to_pylist() == [b"\x01", b"\x7f", b"\x80\x01", b"\xac\x02"]


def test_a_list_with_a_null_inside_is_refused() -> None:
    with pytest.raises(ValueError, match="null inside"):
        encode_column(pa.array([["milk", None]]), "string_list_val")
