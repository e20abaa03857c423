"""Files of a user as raw rows: JSON text, source and row number, for CSV, JSON Lines and Parquet."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, FloatType

from headrace.errors import BadInputError
from jobs.batch.ingest.zstd_lines import ENDING, require_zstd, zstd_lines

FORMATS = {".csv": "csv", ".jsonl": "json", ".ndjson": "json", ".json": "json", ".parquet": "parquet"}
COMPRESSED = (".gz", ".bz2", ENDING)
_JSON_OPTIONS = {
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
}
_CORRUPT = "_corrupt"


@dataclass(frozen=True)
class InputFile:
    """One file to take in."""

    path: Path
    kind: str
    source: str
    """`file:<name>#<start of the content's hash>`: the same file again has the same source."""


def find_files(paths: Iterable[Path]) -> list[InputFile]:
    """The files at `paths`; of a folder, every file of a known kind in it.

    Raises BadInputError for a path that is not there or of no known kind.
    """
    found: list[InputFile] = []
    for path in paths:
        if not path.exists():
            raise BadInputError(f"{path} does not exist", "Check the name, or the folder you are in")
        members = sorted(p for p in path.rglob("*") if _kind(p)) if path.is_dir() else [path]
        if not members or _kind(members[0]) is None:
            raise BadInputError(
                f"{path} holds no CSV, JSON Lines or Parquet",
                f"Known endings: {', '.join(FORMATS)} (all but .parquet also with {', '.join(COMPRESSED)})",
            )
        found += [InputFile(p, str(_kind(p)), f"file:{p.name}#{_content_hash(p)}") for p in members]
    return found


def raw_rows(spark: SparkSession, file: InputFile, names: Mapping[str, str], required: str) -> DataFrame:
    """The file's rows as `raw` (JSON text), `source`, `source_partition` and `source_offset` (row number from 1).

    `names` maps the file's column names to the contract's. Rows that cannot be read keep their text as `raw`, so
    that the contract refuses them by row number. Raises BadInputError where no column is the `required` one.
    """
    readers = {"csv": _csv_rows, "json": _json_rows, "parquet": _parquet_rows}
    rows = readers[file.kind](spark, file, names, required)
    return rows.select("raw", F.lit(file.source).alias("source"), F.lit(0).alias("source_partition"), "source_offset")


def _parquet_rows(spark: SparkSession, file: InputFile, names: Mapping[str, str], required: str) -> DataFrame:
    table = spark.read.parquet(str(file.path))
    _require(file, table.columns, names, required)
    fields = [_without_nan(table, name).alias(names.get(name, name)) for name in table.columns]
    number = (F.col("_metadata.row_index") + 1).alias("source_offset")
    return table.select(F.to_json(F.struct(*fields), _JSON_OPTIONS).alias("raw"), number)


def _csv_rows(spark: SparkSession, file: InputFile, names: Mapping[str, str], required: str) -> DataFrame:
    lines = _numbered_lines(spark, file)
    first = lines.where("source_offset = 1").head()
    header = next(csv.reader([first["line"]])) if first else []
    _require(file, header, names, required)
    columns = [names.get(name.strip(), name.strip()) for name in header]
    schema = ", ".join(f"`{name.replace('`', '``')}` string" for name in [*columns, _CORRUPT])
    options = {"columnNameOfCorruptRecord": _CORRUPT, "mode": "PERMISSIVE"}
    parsed = lines.where("source_offset > 1").withColumn("row", F.from_csv("line", schema, options))
    fields = [_csv_field(name) for name in columns]
    raw = F.when(F.col(f"row.{_CORRUPT}").isNull(), F.to_json(F.struct(*fields))).otherwise(F.col("line"))
    return parsed.select(raw.alias("raw"), "source_offset")


def _json_rows(spark: SparkSession, file: InputFile, names: Mapping[str, str], required: str) -> DataFrame:
    lines = _numbered_lines(spark, file)
    seen = lines.limit(1000).select(F.explode_outer(F.json_object_keys("line")).alias("name")).distinct()
    _require(file, [row["name"] for row in seen.collect() if row["name"]], names, required)
    if not names:
        return lines.select(F.col("line").alias("raw"), "source_offset")
    return lines.select(_renamed(F.col("line"), names).alias("raw"), "source_offset")


def _renamed(line: Column, names: Mapping[str, str]) -> Column:
    """The JSON object with its fields renamed; a line that is none stays as it is."""
    new_name = F.create_map(*(F.lit(text) for pair in names.items() for text in pair))
    fields = F.try_variant_get(F.try_parse_json(line), "$", "map<string,variant>")
    renamed = F.transform_keys(fields, lambda name, _: F.coalesce(F.element_at(new_name, name), name))
    return F.coalesce(F.to_json(renamed), line)


def _numbered_lines(spark: SparkSession, file: InputFile) -> DataFrame:
    """The lines that are not blank, with their number in the file from 1, counted without reading it in one piece."""
    if file.path.name.lower().endswith(ENDING):
        require_zstd(file.path)
        return _without_blank(zstd_lines(spark, file.path))
    text = spark.read.text(str(file.path))
    placed = text.select(
        "value", F.col("_metadata.file_block_start").alias("start"), F.monotonically_increasing_id().alias("id")
    )
    blocks = (
        placed.groupBy("start").agg(F.count("*").alias("lines"), F.min("id").alias("first")).orderBy("start").collect()
    )
    before, first_number = 0, []
    for block in blocks:
        first_number += [F.lit(block["start"]), F.lit(before - block["first"] + 1)]
        before += block["lines"]
    if not first_number:
        return text.select(F.col("value").alias("line"), F.lit(0).cast("long").alias("source_offset"))
    number = F.col("id") + F.element_at(F.create_map(*first_number), F.col("start"))
    return _without_blank(placed.select(F.col("value").alias("line"), number.alias("source_offset")))


def _without_blank(numbered: DataFrame) -> DataFrame:
    """Without lines of nothing but spaces, and without the mark that some programs begin a file with."""
    return numbered.withColumn("line", F.ltrim("line", F.lit("\ufeff"))).where(F.trim("line") != "")


def _csv_field(name: str) -> Column:
    value = F.col("row").getField(name)
    return (F.coalesce(value.try_cast("int"), F.lit(None)) if name == "position" else value).alias(name)


def _without_nan(table: DataFrame, name: str) -> Column:
    """pandas writes a missing number as NaN: it means "not given"."""
    column = F.col(f"`{name}`")
    is_float = isinstance(table.schema[name].dataType, DoubleType | FloatType)
    return F.when(~F.isnan(column), column) if is_float else column


def _require(file: InputFile, columns: Iterable[str], names: Mapping[str, str], required: str) -> None:
    given = [name.strip() for name in columns]
    if required in {names.get(name, name) for name in given}:
        return
    shown = ", ".join(given[:12]) or "none"
    raise BadInputError(
        f"{file.path.name} has no column '{required}' (its columns: {shown})",
        f"Name the column that holds it with `--map THEIRS={required}`",
    )


def _kind(path: Path) -> str | None:
    if not path.is_file() or path.name.startswith((".", "_")):
        return None
    compressed = path.suffix.lower() in COMPRESSED
    kind = FORMATS.get(Path(path.stem if compressed else path.name).suffix.lower())
    return None if compressed and kind == "parquet" else kind


def _content_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
