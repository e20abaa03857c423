"""Arrivals of a day against expectations: volume, freshness and the share of refused rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from statistics import median

from pyspark.sql import functions as F

from headrace.settings.jobs import QualitySettings
from headrace.tables import BRONZE_EVENTS, BRONZE_ITEMS, BRONZE_USERS, Table, end_of
from jobs.batch.engine.lake import Lake
from jobs.batch.ingest.topic_place import noted_gaps
from jobs.batch.quality.findings import Finding


def volume_findings(lake: Lake, settings: QualitySettings, table: Table, time: str, day: date) -> Iterator[Finding]:
    """Rows of the day against the median of the same weekday in the weeks before, and the age of the newest row."""
    first = day - timedelta(weeks=settings.volume_weeks)
    until_now = lake.read(table).where(F.col("day") <= F.lit(day))
    window = until_now.where(F.col("day") >= F.lit(first))
    days = {
        row["day"]: row
        for row in window.groupBy("day").agg(F.count("*").alias("rows"), F.max(time).alias("newest")).collect()
    }
    counts = {each: int(row["rows"]) for each, row in days.items()}
    newest = max((row["newest"] for row in days.values()), default=None)
    yield from _volume(table, settings, day, counts)
    yield _freshness(table, settings, day, time, newest or until_now.agg(F.max(time)).head()[0])


def _volume(table: Table, settings: QualitySettings, day: date, counts: dict[date, int]) -> Iterator[Finding]:
    name, rows = f"{table.layer}.{table.name}", counts.get(day, 0)
    weeks = (day - timedelta(weeks=week) for week in range(1, settings.volume_weeks + 1))
    before = [counts[same] for same in weeks if same in counts]
    ratio = rows / median(before) if before else None
    weekday = f"{day:%A}"
    text = f"no earlier {weekday} in the {settings.volume_weeks} weeks before to compare {rows:,} rows with"
    if ratio is not None:
        text = f"{rows:,} rows on {weekday} {day}, {ratio:.2f} times the {median(before):,.0f} of a usual {weekday}"

    def finding(severity: str, passed: bool, limit: str) -> Finding:
        return Finding("clean", name, "day", "volume", severity, passed, rows, None, ratio, limit, text)

    yield finding("error", ratio is None or ratio >= settings.volume_least, f"at least {settings.volume_least:g} times")
    usual = ratio is None or settings.volume_low <= ratio <= settings.volume_high
    yield finding("warn", usual, f"{settings.volume_low:g} to {settings.volume_high:g} times")


def _freshness(table: Table, settings: QualitySettings, day: date, time: str, newest: datetime | None) -> Finding:
    name, limit = f"{table.layer}.{table.name}", f"at most {settings.fresh_days:g} days"
    if newest is None:
        return Finding("clean", name, time, "fresh", "error", True, 0, None, None, limit, "the table has no rows yet")
    age = (end_of(day).timestamp() - newest.timestamp()) / 86_400
    text = f"the newest row is {age:.1f} days old at the end of {day}"
    return Finding("clean", name, time, "fresh", "error", age <= settings.fresh_days, 0, None, age, limit, text)


def refused_findings(lake: Lake, settings: QualitySettings, table: Table, day: date) -> Iterator[Finding]:
    """Share of refused rows among those received on the day, or on the next one: a day's rows end with its midnight."""
    days = (F.col("day") >= F.lit(day)) & (F.col("day") <= F.lit(day + timedelta(days=1)))
    received = sum(lake.read(each).where(days).count() for each in (BRONZE_EVENTS, BRONZE_ITEMS, BRONZE_USERS))
    refused = lake.read(table).where(days)
    reasons = {row["reason"]: int(row["count"]) for row in refused.groupBy("reason").count().collect()}
    number = sum(reasons.values())
    share = number / received if received else 0.0
    most = ", ".join(f"{reason} {reasons[reason]:,}" for reason in sorted(reasons, key=lambda each: -reasons[each])[:5])
    text = f"{number:,} of {received:,} rows received were refused" + (f" ({most})" if most else "")
    for severity, limit in (("error", settings.refused_share), ("warn", settings.refused_low)):
        passed = share <= limit
        samples = () if passed else tuple(row[0] for row in refused.select("message").limit(settings.samples).collect())
        yield Finding(
            "clean",
            f"{table.layer}.{table.name}",
            "",
            "refused_share",
            severity,
            passed,
            received,
            number,
            share,
            f"at most {limit:.0%}",
            text,
            samples,
        )


def gap_findings(lake: Lake, table: Table, day: date) -> Iterator[Finding]:
    """Records of the topics that the day's ingest missed: a warning, because they can be sent again."""
    gaps = noted_gaps(lake, table, day)
    missed = sum(gap.next - gap.first for gap in gaps if not gap.made_anew)
    text = f"{len(gaps):,} gaps" if gaps else "no gap"
    yield Finding(
        "clean",
        f"{table.layer}.{table.name}",
        "source_offset",
        "no_gap",
        "warn",
        not gaps,
        0,
        missed,
        None,
        "no gap",
        text,
        tuple(gap.sentence for gap in gaps),
    )
