"""Job `quality`: checks `headrace.expectations` against the tables of a day, and publishes silver where it passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import partial

from headrace.expectations import EXPECTATIONS, Expectations, Stage
from headrace.settings import Settings
from headrace.settings.jobs import QualitySettings
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.parallel import in_parallel
from jobs.batch.engine.verified import SILVER, VERIFIED, current_versions, passed_versions
from jobs.batch.quality.findings import Finding, keep, stop_if_broken
from jobs.batch.quality.report import write_report
from jobs.batch.quality.table_checks import Scope, check_table, counts_rows, scope_of


def check_quality(lake: Lake, settings: Settings, day: date, stages: Sequence[Stage]) -> list[Finding]:
    """Check the tables of `stages` for the day; store the findings, write the report page and return the findings.

    With the stage `clean` the days that received rows since the last check that passed are checked, too; if every row
    is as expected, these versions of silver are published. Raises QualityError, after all that, if an expectation of
    severity `error` failed.
    """
    scope = scope_of(lake, day)
    findings = _check(lake, settings.quality, scope, [each for each in EXPECTATIONS if each.stage in stages])
    note = None
    if "clean" in stages:
        note = {VERIFIED: scope.versions if rows_passed(findings) else passed_versions(lake) or {}}
    page = write_report(settings, day, keep(lake, day, stages, findings, note))
    stop_if_broken(findings, str(page))
    return findings


def publish(lake: Lake, settings: Settings, day: date) -> str:
    """Check silver's rows if it is newer than what passed, and publish it if they pass; else a sentence.

    A lake that was never checked is left alone. Raises QualityError where no version that passed can be read.
    """
    passed = passed_versions(lake)
    if passed is None or passed == current_versions(lake):
        return ""
    scope = scope_of(lake, day)
    silver = [replace(each, rules=tuple(filter(counts_rows, each.rules))) for each in EXPECTATIONS]
    findings = _check(lake, settings.quality, scope, [each for each in silver if each.table in SILVER])
    if rows_passed(findings):
        keep(lake, day, [], [], {VERIFIED: scope.versions})
        return ""
    if not passed:
        stop_if_broken(findings, "`headrace quality` writes one")
    broken = [finding.sentence for finding in findings if not finding.passed and finding.severity == "error"]
    return "".join(["; silver is read as it last passed its checks:", *(f"\n  {sentence}" for sentence in broken)])


def rows_passed(findings: Sequence[Finding]) -> bool:
    """Whether every row of silver is as expected; how many arrived, and when, is the day's matter alone."""
    names = {f"{table.layer}.{table.name}" for table in SILVER}
    of_rows = (each for each in findings if each.table in names and each.rule not in ("volume", "fresh"))
    return all(each.passed or each.severity != "error" for each in of_rows)


def _check(lake: Lake, settings: QualitySettings, scope: Scope, chosen: Sequence[Expectations]) -> list[Finding]:
    of_tables = in_parallel(*(partial(check_table, lake, settings, expected, scope) for expected in chosen))
    return [finding for of_table in of_tables for finding in of_table]
