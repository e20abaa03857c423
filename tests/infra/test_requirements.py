"""The pinned requirement files."""

from __future__ import annotations

import tomllib

import pytest

from headrace.settings import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "requirements"
ROLES = sorted(tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])


def pins(name: str) -> set[str]:
    return set((FOLDER / f"{name}.txt").read_text().split("\n")) - {""}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_pinned_at_the_versions_of_the_whole_environment(role):
    assert pins(role) and pins(role) <= pins("all")


@pytest.mark.parametrize("name", [*ROLES, "all"])
def test_requirement_files_hold_pins_only_and_no_addresses(name):
    assert all("==" in line and "://" not in line and not line.startswith("-") for line in pins(name))
