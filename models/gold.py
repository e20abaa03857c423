"""Reads one day of a gold table from Delta, with the table's version, without Spark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa
import pyarrow.dataset
import pyarrow.fs

from headrace.errors import BadInputError
from headrace.tables import Table


@dataclass
class Lake:
    """The Delta tables below `root`. Remembers the version of each table it read."""

    root: str
    versions: dict[str, int] = field(default_factory=dict)
    """Delta version by table path, pinned at the first read: one training sees one state of the lake."""

    def read(self, table: Table, day: date | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of `table`, of one `day` where it is partitioned by day; none where the whole table is empty.

        Raises BadInputError if the table, or that day of it, is missing.
        """
        files = self._files(table, day)
        if not files:
            empty = _stored(table).empty_table()
            return empty.select(list(columns)) if columns else empty
        # Pyarrow's own file systems: reading through deltalake's is 40 times slower and can abort the process at exit.
        filesystem, _ = pyarrow.fs.FileSystem.from_uri(_uri(files[0]))
        paths = [pyarrow.fs.FileSystem.from_uri(_uri(file))[1] for file in files]
        dataset = pyarrow.dataset.dataset(paths, format="parquet", filesystem=filesystem, schema=_stored(table))
        return dataset.to_table(columns=list(columns) if columns else None)

    def _files(self, table: Table, day: date | None) -> list[str]:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        place = f"{self.root}/{table.path}"
        try:
            delta = DeltaTable(place, version=self.versions.get(table.path))
        except (TableNotFoundError, DeltaError, OSError):
            raise BadInputError(
                f"table {table.path} is not in {self.root}", "Run the batch jobs first: `headrace run daily`"
            ) from None
        self.versions[table.path] = delta.version()
        wanted = [("day", "=", day.isoformat())] if day else None
        files: list[str] = delta.file_uris(file_pruning_predicate=wanted)
        if day and not files:
            raise BadInputError(
                f"table {table.path} has no rows for {day}",
                f"Compute them: python -m jobs.batch features,training_sets --day {day}",
            )
        return files


def _stored(table: Table) -> pa.Schema:
    """Columns inside the files: the partition column is in the folder's name only."""
    return pa.schema([column for column in table.schema if column.name != table.partition])


def _uri(file: str) -> str:
    return file.replace("s3a://", "s3://", 1) if "://" in file else f"file://{file}"
