"""Checks of one table against its expectations, in one pass.

Only tables with failed rules are read again, for a few broken rows as samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias, TypeGuard

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headrace.expectations import Expectations, Filled, NoGap, Refers, RefusedShare, RowRule, Unique, Volume
from headrace.settings.jobs import QualitySettings
from headrace.tables import SILVER_EVENTS, Table
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.verified import SILVER, Versions, current_versions, passed_versions
from jobs.batch.quality.arrivals import gap_findings, refused_findings, volume_findings
from jobs.batch.quality.findings import Finding

Counted: TypeAlias = RowRule | Unique | Refers | Filled
_SAMPLE_LENGTH = 300
"""Characters shown of a broken row."""


@dataclass(frozen=True)
class Scope:
    """What is checked: a day, and of silver the newest versions with all days that got rows since others passed."""

    day: date
    received: Sequence[date]
    versions: Versions

    def rows(self, lake: Lake, table: Table) -> DataFrame:
        """The rows of a table to check."""
        rows = lake.read(table, self.versions.get(table.path))
        if table.partition != "day":
            return rows
        return rows.where(F.col("day").isin([self.day, *self.received] if table in SILVER else [self.day]))


def scope_of(lake: Lake, day: date) -> Scope:
    """The scope of a check now."""
    versions, passed = current_versions(lake), passed_versions(lake) or {}
    received = lake.days_appended(SILVER_EVENTS, passed.get(SILVER_EVENTS.path, -1))
    return Scope(day, received, versions)


def check_table(lake: Lake, settings: QualitySettings, expected: Expectations, scope: Scope) -> list[Finding]:
    """Findings of one table, one or two for each of its expectations."""
    return list(_findings(lake, settings, expected, scope))


def counts_rows(rule: object) -> TypeGuard[Counted]:
    """Whether the expectation is about the rows that are there."""
    return isinstance(rule, RowRule | Unique | Refers | Filled)


def _findings(lake: Lake, settings: QualitySettings, expected: Expectations, scope: Scope) -> Iterator[Finding]:
    table, day = expected.table, scope.day
    for rule in expected.rules:
        if isinstance(rule, Volume):
            yield from volume_findings(lake, settings, table, rule.time, day)
        elif isinstance(rule, RefusedShare):
            yield from refused_findings(lake, settings, table, day)
        elif isinstance(rule, NoGap):
            yield from gap_findings(lake, table, day)
    counted = [rule for rule in expected.rules if counts_rows(rule)]
    if not counted:
        return
    rows = _with_references(lake, scope.rows(lake, table), counted, scope)
    by_day = rows.groupBy("day") if table.partition == "day" and table in SILVER else rows.groupBy()
    days = by_day.agg(
        F.count(F.lit(1)).alias("checked"), *(_broken(each).alias(f"_{n}") for n, each in enumerate(counted))
    )
    counts = days.collect()
    for number, rule in enumerate(counted):
        pairs = [(int(each["checked"]), int(each[f"_{number}"] or 0)) for each in counts] or [(0, 0)]
        if isinstance(rule, Refers):  # a share of one day is not made smaller by the others
            checked, broken = max(pairs, key=lambda pair: pair[1] / pair[0] if pair[0] else 0.0)
        else:
            checked, broken = (sum(each) for each in zip(*pairs, strict=True))
        yield from _findings_of_rule(lake, settings, expected, rule, checked, broken, rows)


def _with_references(lake: Lake, rows: DataFrame, rules: Sequence[object], scope: Scope) -> DataFrame:
    """The rows with a column per reference that is true where the referenced value exists."""
    for rule in rules:
        if isinstance(rule, Refers):
            known = scope.rows(lake, rule.to).select(F.col(rule.to_column).alias(rule.column)).distinct()
            rows = rows.join(known.withColumn(_known(rule), F.lit(True)), rule.column, "left")
    return rows


def _known(rule: Refers) -> str:
    return f"_known_{rule.column}"


def _is_broken(rule: RowRule | Refers) -> Column:
    if isinstance(rule, RowRule):
        return F.coalesce(F.expr(rule.broken), F.lit(False))
    return F.col(rule.column).isNotNull() & F.col(_known(rule)).isNull()


def _broken(rule: Counted) -> Column:
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
    rule: Counted,
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


def _samples(table: Table, rule: Counted, rows: DataFrame, number: int) -> tuple[str, ...]:
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
