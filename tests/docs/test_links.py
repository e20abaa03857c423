"""Every link between the pages leads somewhere: the file is there, and so is the heading that an anchor names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from headrace.settings import PROJECT_ROOT
from tests.docs.test_commands import PAGES

CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+?) *$", re.MULTILINE)
NAMED_BY_CODE = re.compile(r"\bdocs/[\w./-]+\.(?:md|toml|json)\b")
SOURCES = ("headrace", "dags", "jobs", "feature_repo", "models", "serving", "infra", "benchmarks", "Makefile")


def links(page: Path) -> Iterator[str]:
    """Relative targets of the page's links, `file#anchor`, code left out."""
    for target in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        if "://" not in target:
            yield target


@cache
def anchors(page: Path) -> set[str]:
    """Anchors of the page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT_ROOT).as_posix())
def test_every_link_of_the_page_resolves(page: Path) -> None:
    broken = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


def test_every_page_that_the_code_names_exists() -> None:
    files = [file for name in SOURCES for file in [PROJECT_ROOT / name, *(PROJECT_ROOT / name).rglob("*.py")]]
    named = {page for file in files if file.is_file() for page in NAMED_BY_CODE.findall(file.read_text("utf-8"))}
    assert "docs/settings.toml" in named
    assert not {page for page in named if not (PROJECT_ROOT / page).exists()}


def test_every_note_and_decision_is_in_its_index() -> None:
    for folder in ("notes", "decisions"):
        index = PROJECT_ROOT / "docs" / folder / "README.md"
        listed = set(links(index))
        assert not {page.name for page in index.parent.glob("*.md")} - listed - {"README.md"}
