"""Findings of the jobs `quality` and `drift`: stored in `quality.results`, a run replaces its stage of the day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from pyspark.sql import functions as F

from headrace.errors import HeadraceError
from headrace.tables import QUALITY_RESULTS
from jobs.batch.engine.lake import Lake, spark_schema


@dataclass(frozen=True)
class Finding:
    """One row of `quality.results` without its day; the fields are those of the table."""

    stage: str
    table: str
    column: str
    rule: str
    severity: str
    passed: bool
    checked: int
    broken: int | None
    measured: float | None
    limit: str
    message: str
    samples: Sequence[str] = ()
    against: date | None = None

    @property
    def sentence(self) -> str:
        """Table, column, rule, problem and, where rows were counted, some of them."""
        column = f", column '{self.column}'" if self.column else ""
        shown = f"; for example {'; '.join(self.samples)}" if self.samples else ""
        return f"{self.table}{column}, rule {self.rule}: {self.message}{shown}"


class QualityError(HeadraceError):
    """Expectations of severity `error` failed: later jobs must not read the tables."""


def keep(
    lake: Lake, day: date, stages: Iterable[str], findings: Sequence[Finding], note: dict[str, Any] | None = None
) -> list[Finding]:
    """Replace the findings of these stages of the day in one commit with `note`; returns all findings of the day."""
    others = lake.read(QUALITY_RESULTS).where((F.col("day") == F.lit(day)) & ~F.col("stage").isin(*stages))
    kept = [_finding(row.asDict()) for row in others.collect()]
    rows = [{**asdict(finding), "samples": list(finding.samples), "day": day} for finding in (*kept, *findings)]
    made = lake.spark.createDataFrame(rows, spark_schema(QUALITY_RESULTS.schema))
    lake.overwrite_day(made.coalesce(1), QUALITY_RESULTS, day, note)
    return [*kept, *findings]


def stop_if_broken(findings: Iterable[Finding], report: str) -> None:
    """Raise QualityError with one sentence for each failed expectation of severity `error`; `report` is its path."""
    broken = [finding for finding in findings if not finding.passed and finding.severity == "error"]
    if broken:
        many = f"{len(broken)} expectation{'s' if len(broken) > 1 else ''} failed"
        sentences = "".join(f"\n  {finding.sentence}" for finding in broken)
        raise QualityError(f"{many}, jobs after this must not read the tables:{sentences}\n  Report: {report}")


def _finding(row: dict[str, object]) -> Finding:
    return Finding(**{name: value for name, value in row.items() if name != "day"})  # type: ignore[arg-type]
