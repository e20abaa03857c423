"""Ids from columns of any type as exact texts, whatever program wrote the file."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import BadInputError
from headrace.events.contract import WHITESPACE

ID_COLUMNS = ("event_id", "user_id", "session_id", "item_id")
_EXACT_BITS = {64: 53, 32: 24, 16: 11}
"""Bits of exact integers of a float, by its width: above them, several integers have the same float value."""


def id_texts(column: pa.ChunkedArray, name: str, file: str) -> pa.ChunkedArray:
    """[rows] texts: integers as their digits, also where a missing value turned the column into floats.

    Surrounding spaces are removed, and an empty text is missing, as in the contract. Raises BadInputError naming
    `file`, column and value for a number with a fraction or too large for its type, and for an unsuitable type.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_null(kind) or pa.types.is_integer(kind):
        return column.cast(pa.string())
    if pa.types.is_floating(kind):
        return (
            _whole(column.cast(pa.float64()), 2.0 ** _EXACT_BITS[kind.bit_width], name, file)
            .cast(pa.int64())
            .cast(pa.string())
        )
    if pa.types.is_decimal(kind):
        texts = column.cast(pa.string())
        _refuse(column, pc.invert(pc.match_substring_regex(texts, r"^-?[0-9]+(\.0*)?$")), name, file)
        return pc.replace_substring_regex(texts, r"\..*$", "")
    if kind in (pa.string(), pa.large_string(), pa.binary(), pa.large_binary()):
        try:
            texts = pc.utf8_trim(column.cast(pa.string()), WHITESPACE)
        except pa.ArrowInvalid:
            raise BadInputError(f"{file}: column '{name}' has bytes that are not text", "Write ids as text") from None
        return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    raise BadInputError(f"{file}: column '{name}' is of type {kind}, which cannot be an id", "Write ids as text")


def with_id_texts(table: pa.Table, file: str) -> pa.Table:
    """The table with its columns of ids as text. Raises as `id_texts`."""
    for name in ID_COLUMNS:
        if name in table.column_names:
            index = table.column_names.index(name)
            table = table.set_column(index, name, id_texts(table.column(name), name, file))
    return table


def _whole(numbers: pa.ChunkedArray, below: float, name: str, file: str) -> pa.ChunkedArray:
    given = pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)  # how pandas writes a missing one
    exact = pc.and_(pc.equal(given, pc.floor(given)), pc.less(pc.abs(given), below))
    _refuse(given, pc.invert(exact), name, file)
    return given


def _refuse(column: pa.ChunkedArray, wrong: pa.ChunkedArray, name: str, file: str) -> None:
    row = pc.index(wrong, True).as_py()
    if row >= 0:
        raise BadInputError(
            f"{file}, row {row + 1}: '{name}' is the number {column[row].as_py()!s}, which is not an exact id",
            "Write ids as text or as whole numbers",
        )
