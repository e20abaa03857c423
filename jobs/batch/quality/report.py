"""The report page of a day: one self-contained HTML file in `<home>/reports/quality/`, failed checks first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from html import escape
from itertools import groupby
from pathlib import Path

from headrace.settings import Settings
from jobs.batch.quality.findings import Finding

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bad: #c62828; --odd: #b26a00; --good: #2e7d32 }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums }
.state { font-weight: 600; white-space: nowrap }
.failed { color: var(--bad) } .warning { color: var(--odd) } .passed { color: var(--good) }
pre { margin: .3rem 0 0; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85em; opacity: .85 }
"""
_ORDER = {"failed": 0, "warning": 1, "passed": 2}


def write_report(settings: Settings, day: date, findings: Sequence[Finding]) -> Path:
    """Write the day's page atomically, so that a reader never sees a partial one; returns its path."""
    page = settings.reports / "quality" / f"{day}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    partial = page.with_suffix(".partial")
    partial.write_text(report_page(day, findings), encoding="utf-8")
    return partial.replace(page)


def report_page(day: date, findings: Sequence[Finding]) -> str:
    """The page as text: a headline, failed checks, then every check by table."""
    wrong = sorted((each for each in findings if not each.passed), key=lambda each: _ORDER[_state(each)])
    failed = sum(_state(each) == "failed" for each in findings)
    state = "failed" if failed else "warning" if wrong else "passed"
    headline = (
        f"{failed} failed, {len(wrong) - failed} warning{'' if len(wrong) - failed == 1 else 's'}, "
        f"{len(findings) - len(wrong)} passed"
    )
    parts = [
        f"<h1>Quality of {day}</h1><p class='state {state}'>{headline}</p>",
        f"<h2>Failed checks</h2>{_table(wrong, with_table=True)}" if wrong else "",
    ]
    by_table = sorted(findings, key=lambda each: (each.stage == "drift", each.table))
    for (drift, table), group in groupby(by_table, key=lambda each: (each.stage == "drift", each.table)):
        rows = list(group)
        against = f" against {rows[0].against}" if rows[0].against else ""
        parts.append(f"<h2>{f'Drift of {table}{against}' if drift else escape(table)}</h2>{_table(rows)}")
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>Quality of {day}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _state(finding: Finding) -> str:
    return "passed" if finding.passed else "failed" if finding.severity == "error" else "warning"


def _table(findings: Sequence[Finding], with_table: bool = False) -> str:
    names = (*(("table",) if with_table else ()), "column", "rule", "limit", "measured", "finding")
    head = "".join(f"<th>{name}</th>" for name in ("", *names))
    return f"<table><tr>{head}</tr>{''.join(_row(each, with_table) for each in findings)}</table>"


def _row(finding: Finding, with_table: bool) -> str:
    state = _state(finding)
    measured = "–" if finding.measured is None else _number(finding.measured)
    samples = "".join(f"<pre>{escape(sample)}</pre>" for sample in finding.samples)
    cells = [f"<td class='state {state}'>{state}</td>"]
    if with_table:
        cells.append(f"<td>{escape(finding.table)}</td>")
    cells += [f"<td>{escape(text)}</td>" for text in (finding.column, finding.rule, finding.limit)]
    cells.append(f"<td class='number'>{measured}</td><td>{escape(finding.message)}{samples}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _number(measured: float) -> str:
    return f"{measured:,.0f}" if measured >= 1000 else f"{measured:.4g}"
