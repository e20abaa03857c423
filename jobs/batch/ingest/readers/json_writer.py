"""Writes rows as JSON text, column by column, with every value exactly as it was."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from jobs.batch.ingest.readers.json_values import NOT_UTF8, joined, json_values, unsliced

NOT_TEXT = "not UTF-8: "
"""Prefix of a row with bytes that are not text: it makes the row invalid JSON, which every reader refuses as malformed.
The bytes themselves are written as backslash escapes (`caf\\xe9`), so that users can see them."""
IDS = frozenset({"event_id", "user_id", "session_id", "item_id", "request_id"})
"""Fields that are always text: integers are written as their digits, in quotes."""
TIME = "timestamp"
_NUMBER = r"\A-?(0|[1-9][0-9]{0,14})([.][0-9]{1,9})?\z"


def json_objects(columns: Mapping[str, pa.Array], numbers: Collection[str] = ()) -> pa.Array:
    """A JSON object of each row, as text; missing values (null, NaN, an empty text) are left out.

    Texts of the columns `numbers` are written as numbers where they can be parsed as such. A row with bytes that are
    not text begins with `NOT_TEXT` and is not JSON.
    """
    rows = joined(
        {
            name: _number_values(values) if name in numbers else json_values(_normalised(name, values))
            for name, values in columns.items()
        }
    )
    bad = pc.match_substring(rows, NOT_UTF8)
    if not pc.any(bad).as_py():
        return rows
    marked = pc.binary_join_element_wise(NOT_TEXT, pc.replace_substring(rows, NOT_UTF8, ""), "")
    return pc.if_else(bad, marked, rows)


def _number_values(texts: pa.Array) -> pa.Array:
    """Texts as JSON, without quotes where one is a number: it need not be converted one by one then."""
    texts = unsliced(texts)
    values = json_values(texts)
    if texts.type != pa.string():
        return values
    plain = pc.match_substring_regex(texts, _NUMBER)
    return pc.if_else(plain, texts, values)


def _normalised(name: str, values: pa.Array) -> pa.Array:
    """Integer ids as text, and event times without a zone as UTC."""
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if name in IDS and (pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0)):
        return json_values(values)
    if name == TIME and pa.types.is_timestamp(kind) and kind.tz is None:
        return values.cast(pa.timestamp(kind.unit, "UTC"))
    return values
