"""Job `drift`: each gold feature of a day against the day whose features the live release learnt from.

Spark counts how often each value occurs on either day, in one pass a table; numbers are rounded to three significant
digits first, so that what comes to the driver stays small however many users there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headrace.feature_rows import feature_names
from headrace.release import read_manifest
from headrace.releases import resolve_release
from headrace.settings import Settings
from headrace.settings_groups import QualitySettings
from headrace.tables import GOLD_ITEM_FEATURES, GOLD_USER_FEATURES, Table
from jobs.batch.drift_measures import category_index, kolmogorov_smirnov, new_categories, numeric_index
from jobs.batch.drift_metrics import write_metrics
from jobs.batch.findings import Finding, keep
from jobs.batch.lake import Lake
from jobs.batch.quality_report import write_report

NUMERIC: dict[str, dict[str, str]] = {
    GOLD_USER_FEATURES.path: {
        **{name: name for name in ("events_total", "baskets_total")},
        **{f"{name}_length": f"size({name})" for name in ("history_items", "own_items", "profile_keys")},
    },
    GOLD_ITEM_FEATURES.path: {name: name for name in feature_names(GOLD_ITEM_FEATURES.schema)},
}
"""Features compared as numbers, with their expression in SQL."""
CATEGORIES: dict[str, dict[str, str]] = {
    GOLD_USER_FEATURES.path: {
        "profile_keys": "profile_keys",
        "profile_values": "zip_with(profile_keys, profile_values, (k, v) -> concat(k, '=', v))",
    },
    GOLD_ITEM_FEATURES.path: {},
}
"""Features compared as categories: an expression in SQL that gives a row's list of them."""


@dataclass
class Side:
    """One feature on one day: how often each value occurs, and the rows without one."""

    counts: dict[str, int] = field(default_factory=dict)
    missing: int = 0

    @property
    def values(self) -> int:
        """How many values there are."""
        return sum(self.counts.values())

    def numbers(self) -> dict[float, int]:
        """The counts with their values as numbers."""
        return {float(value): count for value, count in self.counts.items()}


def check_drift(lake: Lake, settings: Settings, day: date, against: date | None = None) -> list[Finding]:
    """Compare the day's features; keep the findings, write the page and `<home>/reports/drift.prom`, return them.

    `against` is the release's day if not given. Raises HeadraceError where there is no release or no features.
    """
    reference = against or release_day(settings)
    findings = [
        finding
        for table in (GOLD_USER_FEATURES, GOLD_ITEM_FEATURES)
        for finding in table_drift(lake, settings.quality, table, reference, day)
    ]
    write_report(settings, day, keep(lake, day, ("drift",), findings))
    write_metrics(settings, day, findings)
    return findings


def release_day(settings: Settings) -> date:
    """The day that the live release was trained for. Raises ReleaseError or ServiceError where there is none."""
    return (read_manifest(resolve_release(settings)).as_of - timedelta(microseconds=1)).date()


def table_drift(lake: Lake, settings: QualitySettings, table: Table, reference: date, day: date) -> Iterator[Finding]:
    """Findings for every feature of one table."""
    old, new = (feature_counts(lake.read_day(table, each, "features"), table) for each in (reference, day))
    name = f"{table.layer}.{table.name}"
    for feature in (*NUMERIC[table.path], *CATEGORIES[table.path]):
        for rule, measured, limit, message in _measures(
            settings, feature in NUMERIC[table.path], old[feature], new[feature]
        ):
            rows = new[feature].values + new[feature].missing
            passed = measured is None or measured <= limit
            text = f"at most {limit:g}"
            yield Finding(
                "drift", name, feature, rule, "warn", passed, rows, None, measured, text, message, against=reference
            )


def feature_counts(rows: DataFrame, table: Table) -> dict[str, Side]:
    """How often each value of each feature occurs; an unknown number (NULL, NaN) or an empty list is missing."""
    numbers = [_pair(name, F.array(_rounded(sql))) for name, sql in NUMERIC[table.path].items()]
    lists = [_pair(name, F.expr(sql)) for name, sql in CATEGORIES[table.path].items()]
    pairs = rows.select(F.explode(F.array(*numbers, *lists)).alias("pair"))
    values = pairs.select("pair.feature", F.explode_outer("pair.values").alias("value"))
    sides: dict[str, Side] = defaultdict(Side)
    for row in values.groupBy("feature", "value").count().collect():
        if row["value"] is None:
            sides[row["feature"]].missing = int(row["count"])
        else:
            sides[row["feature"]].counts[row["value"]] = int(row["count"])
    return sides


def _measures(
    settings: QualitySettings, numeric: bool, old: Side, new: Side
) -> Iterator[tuple[str, float | None, float, str]]:
    """(rule, measured, limit, message) of each measure that fits the feature; None where a side has no values."""
    shares = [side.missing / max(1, side.missing + side.values) for side in (old, new)]
    text = f"{shares[0]:.1%} of the rows had no value, now {shares[1]:.1%}"
    yield "null_rate", abs(shares[1] - shares[0]), settings.drift_nulls, text
    if not (old.counts and new.counts):
        yield "psi", None, settings.drift_psi, "not compared: one of the days has no values"
        return
    if numeric:
        then, now = old.numbers(), new.numbers()
        text = f"mean {_mean(then):.4g}, now {_mean(now):.4g}"
        yield "psi", numeric_index(then, now), settings.drift_psi, text
        yield "ks", kolmogorov_smirnov(then, now), settings.drift_ks, text
        return
    share, names = new_categories(old.counts, new.counts)
    text = f"{len(old.counts):,} categories, now {len(new.counts):,}"
    yield "psi", category_index(old.counts, new.counts), settings.drift_psi, text
    found = f"{len(names):,} new: {', '.join(names[:5])}" if names else "no new category"
    yield "new_categories", share, settings.drift_new, found


def _mean(counts: dict[float, int]) -> float:
    return sum(value * count for value, count in counts.items()) / sum(counts.values())


def _pair(name: str, values: Column) -> Column:
    return F.struct(F.lit(name).alias("feature"), values.alias("values"))


def _rounded(sql: str) -> Column:
    """A number with three significant digits, as text; NULL for NULL and NaN."""
    return F.when(~F.isnan(F.expr(f"double({sql})")), F.format_string("%.2e", F.expr(f"double({sql})")))
