"""Job `drift`: each gold feature of a day against the day whose features the live release was trained on.

Spark counts how often each value occurs on either day, in one pass per table; numbers are rounded to three significant
digits first, so that the driver gets little data, and of a large table a sample of the keys is read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headrace.features.catalogue import GROUPS
from headrace.release.bundle import read_manifest
from headrace.release.registry import resolve_release
from headrace.settings import Settings
from headrace.settings.jobs import QualitySettings
from headrace.tables import GOLD_ITEM_CONTENT, GOLD_USER_FEATURES, Table
from jobs.batch.engine.lake import Lake
from jobs.batch.keeping.maintenance import LASTING
from jobs.batch.quality.drift_features import CATEGORIES, MEAN, NUMERIC
from jobs.batch.quality.drift_measures import category_index, kolmogorov_smirnov, new_categories, numeric_index
from jobs.batch.quality.drift_metrics import write_metrics
from jobs.batch.quality.findings import Finding, keep
from jobs.batch.quality.report import write_report

_KEY_SHARES = 1 << 20
"""Number of hash buckets by which keys are sampled."""


@dataclass
class Side:
    """One feature on one day: how often each value occurs, and the rows without one."""

    counts: dict[str, int] = field(default_factory=dict)
    missing: int = 0

    @property
    def values(self) -> int:
        """Number of values."""
        return sum(self.counts.values())

    @property
    def checked(self) -> int:
        """Values, and rows without one."""
        return self.values + self.missing

    def numbers(self) -> dict[float, int]:
        """The counts with their values as numbers."""
        return {float(value): count for value, count in self.counts.items()}


def check_drift(lake: Lake, settings: Settings, day: date, against: date | None = None) -> list[Finding]:
    """Compare the day's features; store the findings, write the page and `<home>/reports/drift.prom`, return them.

    `against` is the release's day if not given. Raises HeadraceError where there is no release or no features.
    """
    reference = against or release_day(settings)
    for each in (reference, day):
        lake.read_day(GOLD_USER_FEATURES, each, "features")
    findings = [
        finding for group in GROUPS for finding in table_drift(lake, settings.quality, group.table, reference, day)
    ]
    write_report(settings, day, keep(lake, day, ("drift",), findings))
    write_metrics(settings, day, findings)
    return findings


def release_day(settings: Settings) -> date:
    """The day that the live release was trained for. Raises ReleaseError or ServiceError where there is none."""
    return (read_manifest(resolve_release(settings)).as_of - timedelta(microseconds=1)).date()


def table_drift(lake: Lake, settings: QualitySettings, table: Table, reference: date, day: date) -> Iterator[Finding]:
    """Findings for every feature of one table."""
    kept = [_partition(lake, table, each) for each in (reference, day)]
    rows = sampled(lake.read(table).where(F.col("day").isin(kept)), table, settings.drift_rows)
    counts = feature_counts(rows, table)
    name = f"{table.layer}.{table.name}"
    for feature in (*NUMERIC[table.path], *CATEGORIES[table.path]):
        old, new = (counts[each, feature] for each in kept)
        for rule, measured, limit, message in _measures(settings, feature in NUMERIC[table.path], old, new):
            passed = measured is None or measured <= limit
            text = f"at most {limit:g}"
            yield Finding(
                "drift",
                name,
                feature,
                rule,
                "warn",
                passed,
                new.checked,
                None,
                measured,
                text,
                message,
                against=reference,
            )


def sampled(rows: DataFrame, table: Table, most: int) -> DataFrame:
    """About `most` rows of each day, or all where there are fewer: those of the same keys on every day and run."""
    largest = max((row["count"] for row in rows.groupBy("day").count().collect()), default=0)
    if largest <= most:
        return rows
    key = [name for name in table.key if name != "day"]
    return rows.where(F.pmod(F.xxhash64(*key), F.lit(_KEY_SHARES)) < round(most / largest * _KEY_SHARES))


def feature_counts(rows: DataFrame, table: Table) -> Mapping[tuple[date, str], Side]:
    """By day and feature: how often each value occurs; an unknown number (NULL, NaN) or an empty list is missing."""
    if table is GOLD_ITEM_CONTENT:
        rows = _with_mean(rows, "content")
    numbers = [_pair(name, F.array(_rounded(sql))) for name, sql in NUMERIC[table.path].items()]
    lists = [_pair(name, F.expr(sql)) for name, sql in CATEGORIES[table.path].items()]
    pairs = rows.select("day", F.explode(F.array(*numbers, *lists)).alias("pair"))
    values = pairs.select("day", "pair.feature", F.explode_outer("pair.values").alias("value"))
    sides: dict[tuple[date, str], Side] = defaultdict(Side)
    for row in values.groupBy("day", "feature", "value").count().collect():
        side = sides[row["day"], row["feature"]]
        if row["value"] is None:
            side.missing = int(row["count"])
        else:
            side.counts[row["value"]] = int(row["count"])
    return sides


def _partition(lake: Lake, table: Table, day: date) -> date:
    """The partition valid on a day: its own, or the newest until then where a day is valid until the next one."""
    if table not in LASTING:
        return day
    return lake.read(table).where(F.col("day") <= F.lit(day)).agg(F.max("day")).head()[0] or day


def _with_mean(rows: DataFrame, vector: str) -> DataFrame:
    """The rows with the mean vector of their day, of length 1, as `MEAN`."""
    numbers = rows.select("day", F.posexplode(vector).alias("index", "number")).groupBy("day", "index")
    means: dict[date, list[float]] = defaultdict(list)
    for row in numbers.agg(F.avg("number").alias("mean")).orderBy("day", "index").collect():
        means[row["day"]].append(row["mean"])
    mean = F.lit(None).cast("array<double>")
    for day, numbers in means.items():
        mean = F.when(F.col("day") == F.lit(day), F.lit(_of_length_1(numbers))).otherwise(mean)
    return rows.withColumn(MEAN, mean)


def _of_length_1(vector: Sequence[float]) -> list[float]:
    numbers = np.array(vector)
    return [float(number) for number in numbers / max(float(np.linalg.norm(numbers)), 1e-12)]


def _measures(
    settings: QualitySettings, numeric: bool, old: Side, new: Side
) -> Iterator[tuple[str, float | None, float, str]]:
    """(rule, measured, limit, message) of each measure that fits the feature; None where a side has no values."""
    if not (old.checked and new.checked):
        yield "null_rate", None, settings.drift_nulls, "not compared: one of the days has no rows"
        return
    shares = [side.missing / side.checked for side in (old, new)]
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
    number = F.expr(f"double({sql})")
    return F.when(number.isNotNull() & ~F.isnan(number), F.format_string("%.2e", number))
