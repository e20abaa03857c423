"""Job `quality`: checks `headrace.expectations` against the tables of a day, one pass a table.

Only tables with failed rules are read again, for a few broken rows as samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from functools import partial

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headrace.expectations import (
    EXPECTATIONS,
    Expectations,
    Filled,
    NoGap,
    Refers,
    RefusedShare,
    RowRule,
    Stage,
    Unique,
    Volume,
)
from headrace.settings import Settings
from headrace.settings.jobs import QualitySettings
from headrace.tables import Table
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.parallel import in_parallel
from jobs.batch.quality.arrivals import gap_findings, refused_findings, volume_findings
from jobs.batch.quality.findings import Finding, keep, stop_if_broken
from jobs.batch.quality.report import write_report

_SAMPLE_LENGTH = 300
"""Characters shown of a broken row."""


def check_quality(lake: Lake, settings: Settings, day: date, stages: Sequence[Stage]) -> list[Finding]:
    """Check the tables of `stages` for the day; store the findings, write the report page and return the findings.

    Raises QualityError, after all that, if an expectation of severity `error` failed.
    """
    chosen = [expected for expected in EXPECTATIONS if expected.stage in stages]
    of_tables = in_parallel(*(partial(check_table, lake, settings.quality, expected, day) for expected in chosen))
    findings = [finding for of_table in of_tables for finding in of_table]
    page = write_report(settings, day, keep(lake, day, stages, findings))
    stop_if_broken(findings, str(page))
    return findings


def check_table(lake: Lake, settings: QualitySettings, expected: Expectations, day: date) -> list[Finding]:
    """Findings of one table, one or two for each of its expectations."""
    return list(_findings(lake, settings, expected, day))


def _findings(lake: Lake, settings: QualitySettings, expected: Expectations, day: date) -> Iterator[Finding]:
    table = expected.table
    for rule in expected.rules:
        if isinstance(rule, Volume):
            yield from volume_findings(lake, settings, table, rule.time, day)
        elif isinstance(rule, RefusedShare):
            yield from refused_findings(lake, settings, table, day)
        elif isinstance(rule, NoGap):
            yield from gap_findings(lake, table, day)
    counted = [rule for rule in expected.rules if isinstance(rule, RowRule | Unique | Refers | Filled)]
    if not counted:
        return
    rows = _with_references(lake, _of_day(lake, table, day), counted, day)
    counts = rows.agg(F.count(F.lit(1)), *(_broken(rule) for rule in counted)).head()
    checked = int(counts[0])
    for rule, number in zip(counted, counts[1:], strict=True):
        yield from _findings_of_rule(lake, settings, expected, rule, checked, int(number or 0), rows)


def _of_day(lake: Lake, table: Table, day: date) -> DataFrame:
    rows = lake.read(table)
    return rows.where(F.col("day") == F.lit(day)) if table.partition == "day" else rows


def _with_references(lake: Lake, rows: DataFrame, rules: Sequence[object], day: date) -> DataFrame:
    """The rows with a column per reference that is true where the referenced value exists."""
    for rule in rules:
        if isinstance(rule, Refers):
            known = _of_day(lake, rule.to, day).select(F.col(rule.to_column).alias(rule.column)).distinct()
            rows = rows.join(known.withColumn(_known(rule), F.lit(True)), rule.column, "left")
    return rows


def _known(rule: Refers) -> str:
    return f"_known_{rule.column}"


def _is_broken(rule: RowRule | Refers) -> Column:
    if isinstance(rule, RowRule):
        return F.coalesce(F.expr(rule.broken), F.lit(False))
    return F.col(rule.column).isNotNull() & F.col(_known(rule)).isNull()


def _broken(rule: RowRule | Unique | Refers | Filled) -> Column:
    """Aggregate that counts the broken rows; of rows with one key all but one are broken."""
    if isinstance(rule, Filled):
        return (F.count(F.lit(1)) == 0).cast("long")
    if isinstance(rule, Unique):
        kept = F.expr(rule.where)
        key = F.when(kept, F.struct(*rule.columns))
        return F.count(key) - F.count_distinct(key)
    return F.sum(_is_broken(rule).cast("long"))


def _findings_of_rule(
    lake: Lake,
    settings: QualitySettings,
    expected: Expectations,
    rule: RowRule | Unique | Refers | Filled,
    checked: int,
    broken: int,
    rows: DataFrame,
) -> Iterator[Finding]:
    name = f"{expected.table.layer}.{expected.table.name}"
    share = broken / checked if checked else 0.0
    measured = float(checked) if isinstance(rule, Filled) else share

    def finding(column: str, kind: str, severity: str, passed: bool, limit: str, message: str) -> Finding:
        samples = () if passed else _samples(expected.table, rule, rows, settings.samples)
        return Finding(
            expected.stage, name, column, kind, severity, passed, checked, broken, measured, limit, message, samples
        )

    counted = f"{broken:,} of {checked:,} rows"
    if isinstance(rule, RowRule):
        text = f"{counted} break it: '{rule.column}' {rule.meaning}"
        yield finding(rule.column, rule.rule, rule.severity, broken == 0, "no row", text)
    elif isinstance(rule, Unique):
        column, where = ", ".join(rule.columns), "" if rule.where == "true" else f" where {rule.where}"
        text = f"{counted} repeat the key of another row{where}"
        yield finding(column, f"unique{where}", rule.severity, broken == 0, "no row", text)
    elif isinstance(rule, Filled):
        yield finding("", "filled", "error", broken == 0, "at least 1 row", f"{checked:,} rows, expected at least 1")
    else:
        to = f"{rule.to.layer}.{rule.to.name}"
        if broken and lake.read(rule.to).isEmpty():
            broken, share, text = 0, 0.0, f"not compared, {to} has no rows"
        else:
            text = f"{counted} have a {rule.to_column} that is not in {to}"
        limit = getattr(settings, rule.tolerated) if rule.tolerated else 0.0
        if rule.tolerated:
            yield finding(rule.column, "reference", "warn", broken == 0, "no row", text)
        yield finding(rule.column, "reference", "error", share <= limit, f"at most {limit:.0%} of the rows", text)


def _samples(table: Table, rule: RowRule | Unique | Refers | Filled, rows: DataFrame, number: int) -> tuple[str, ...]:
    """Some broken rows as JSON, cut to a readable length: key and column first, then other short values."""
    if isinstance(rule, Filled):
        return ()
    if isinstance(rule, Unique):
        repeated = rows.where(rule.where).groupBy(*rule.columns).agg(F.count(F.lit(1)).alias("rows")).where("rows > 1")
        shown = repeated.orderBy(*rule.columns)
    else:
        short = [name for name, kind in rows.dtypes if not kind.startswith(("array", "map")) and name != "extra"]
        names = dict.fromkeys((*table.key, rule.column, *(name for name in short if name in table.schema.names)))
        shown = rows.where(_is_broken(rule)).select(*names)
    return tuple(row[:_SAMPLE_LENGTH] for row in shown.limit(number).toJSON().collect())
