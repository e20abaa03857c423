"""Reads one day of a gold table from Delta, whole or in parts, with the table's version, without Spark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.fs

from headrace.errors import BadInputError
from headrace.tables import Table


@dataclass
class Lake:
    """The Delta tables below `root`. Records the version of each table it read."""

    root: str
    versions: dict[str, int] = field(default_factory=dict)
    """Delta version by table path, pinned at the first read: one training sees one state of the lake."""

    def read(self, table: Table, day: date | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of `table`, of one `day` where it is partitioned by day; none where the whole table is empty.

        The column of the partition comes only where `columns` names it.

        Raises BadInputError if the table, or that day of it, is missing.
        """
        files = self._files(table, day)
        wanted = list(columns or _stored(table).names)
        if not files:
            return table.schema.empty_table().select(wanted)
        return _dataset(table, files).to_table(columns=wanted)

    def of_users(self, table: Table, day: date, user_ids: Sequence[str]) -> pa.Table:
        """Rows of a day of these users, in the order of their ids; other rows are not kept in memory."""
        files = self._files(table, day)
        wanted = pc.field("user_id").isin(pa.array(user_ids, pa.string()))
        return _dataset(table, files).to_table(columns=_stored(table).names, filter=wanted).sort_by("user_id")

    def files(self, table: Table, day: date) -> int:
        """Number of files of a day."""
        return len(self._files(table, day))

    def parts(
        self,
        table: Table,
        day: date,
        rows: int,
        columns: Sequence[str] | None = None,
        shard: int = 0,
        shards: int = 1,
    ) -> Iterator[pa.Table]:
        """About `rows` rows of a day at a time, only those in memory: of every `shards`-th file, `shard` the first."""
        files = sorted(self._files(table, day))[shard::shards]
        if not files:
            return
        wanted = list(columns or _stored(table).names)
        held: list[pa.RecordBatch] = []
        options = {"batch_size": rows, "batch_readahead": 1, "fragment_readahead": 1}
        for batch in _dataset(table, files).to_batches(columns=wanted, **options):
            held.append(batch)
            if sum(len(each) for each in held) >= rows:
                yield pa.Table.from_batches(held)
                held = []
        if held:
            yield pa.Table.from_batches(held)

    def _files(self, table: Table, day: date | None) -> list[str]:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        path = f"{self.root}/{table.path}"
        try:
            delta = DeltaTable(path, version=self.versions.get(table.path))
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


def _dataset(table: Table, files: Sequence[str]) -> pyarrow.dataset.Dataset:
    """Through pyarrow's own file systems: deltalake's are 40 times slower and can abort the process at exit."""
    filesystem, _ = pyarrow.fs.FileSystem.from_uri(_uri(files[0]))
    paths = [pyarrow.fs.FileSystem.from_uri(_uri(file))[1] for file in files]
    folders = pa.schema([table.schema.field(table.partition)] if table.partition else [])
    by_folder = pyarrow.dataset.partitioning(folders, flavor="hive")
    return pyarrow.dataset.dataset(
        paths, format="parquet", filesystem=filesystem, schema=table.schema, partitioning=by_folder
    )


def _stored(table: Table) -> pa.Schema:
    """Columns inside the files: the partition column is in the folder's name only."""
    return pa.schema([column for column in table.schema if column.name != table.partition])


def _uri(file: str) -> str:
    return file.replace("s3a://", "s3://", 1) if "://" in file else f"file://{file}"
