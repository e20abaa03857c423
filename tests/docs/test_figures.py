"""Figures that the README shows are those of the page of benchmarks."""

from __future__ import annotations

import re

from headrace.settings import PROJECT_ROOT

README, BENCHMARKS = ((PROJECT_ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "docs/benchmarks.md"))
FIGURE = re.compile(
    r"(?<![\w.,/])\d[\d,]*(?:\.\d+)?\s?(?:ms|s|%|×|users|requests/s|events/s)(?!\w)"  # with its unit
    r"|(?<![\w,./])\d*\.\d+(?![\w.]|\s(?:oz|lb|ct|L)\b)"  # a fraction, but no size of a product
)


def figures(text: str) -> set[str]:
    """Measured numbers, with their unit where it follows."""
    return {re.sub(r"\s+", " ", found) for found in FIGURE.findall(text)}


def shown() -> set[str]:
    """Those of the README's section on what a run shows, and of its rows of tables."""
    section = README.partition("\n## What you see\n")[2].partition("\n## ")[0]
    rows = "\n".join(line for line in README.split("\n") if line.startswith("|"))
    return figures(section) | figures(rows)


def test_a_figure_is_a_measured_number_and_no_size_of_a_product():
    line = "8.1 ms, 363 s; Drinks, 10/6.75 oz, 7 of 20; 0.4020 (.390–.414); 2,085 users; 14.9 ×, 95 %; Cheese, 8 oz"
    assert figures(line) == {"8.1 ms", "363 s", "0.4020", ".390", ".414", "2,085 users", "14.9 ×", "95 %"}


def test_every_figure_of_the_readme_is_one_of_the_benchmarks():
    assert len(shown()) > 25
    missing = shown() - figures(BENCHMARKS)
    assert not missing, f"docs/benchmarks.md has no {', '.join(sorted(missing))}: take README's run from there"
