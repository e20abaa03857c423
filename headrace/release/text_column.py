"""A column of texts that stays in its file: read where it lies, shared by all processes that map it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import pyarrow as pa


class TextColumn(Sequence[str]):
    """The texts of an Arrow column; each is decoded when it is asked for. A missing one is ""."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        texts = column.cast(pa.string())
        self._texts: Any = texts.chunk(0) if texts.num_chunks == 1 else texts.combine_chunks()

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [text or "" for text in self._texts[row].to_pylist()]
        return self._texts[row].as_py() or ""

    def __iter__(self) -> Iterator[str]:
        return iter(self[:])

    def __arrow_array__(self, type: Any = None) -> Any:
        """Of pyarrow: itself, without a copy."""
        return self._texts if type is None else self._texts.cast(type)
