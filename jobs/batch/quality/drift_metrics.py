"""Drift as metrics in Prometheus' text format: a file that a node exporter's text-file collector picks up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from headrace.settings import Settings
from headrace.tables import end_of
from jobs.batch.quality.findings import Finding


def write_metrics(settings: Settings, day: date, findings: Sequence[Finding]) -> Path:
    """Write `<home>/reports/drift.prom` atomically; returns its path."""
    file = settings.reports / "drift.prom"
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(metrics_text(day, findings), encoding="utf-8")
    return partial.replace(file)


def metrics_text(day: date, findings: Sequence[Finding]) -> str:
    """Three families: each feature's drift, whether it is beyond its limit, and the as-of time."""
    compared = [finding for finding in findings if finding.measured is not None]
    lines = [
        *_family("headrace_feature_drift", "Distance of a feature from the training data, by measure."),
        *(f"headrace_feature_drift{_labels(each)} {each.measured:.6g}" for each in compared),
        *_family("headrace_feature_drifted", "1 where the distance is beyond the limit in the settings."),
        *(f"headrace_feature_drifted{_labels(each)} {int(not each.passed)}" for each in compared),
        *_family("headrace_feature_drift_as_of_seconds", "As-of time of the features compared, seconds since 1970."),
        f"headrace_feature_drift_as_of_seconds {end_of(day).timestamp():.0f}",
    ]
    return "\n".join(lines) + "\n"


def _family(name: str, meaning: str) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} gauge"


def _labels(finding: Finding) -> str:
    return f'{{table="{finding.table}",feature="{finding.column}",measure="{finding.rule}"}}'
