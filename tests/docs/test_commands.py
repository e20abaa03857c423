"""Every command that the docs show is run as far as it goes without changing anything: programs, options, targets."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import takewhile

import click
import pytest
import typer

from headrace.cli.app import app
from headrace.settings import PROJECT_ROOT

PAGES = sorted([PROJECT_ROOT / "README.md", *(PROJECT_ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(?:sh|bash)?\n(.*?)^```", re.DOTALL | re.MULTILINE)
PLACEHOLDER = re.compile(r"[A-Z][A-Z_]+$|^…$|^\.\.\.$")


def commands() -> Iterator[tuple[str, str]]:
    """(page, command) of every line of a shell block that starts one of our programs."""
    for page in PAGES:
        for block in BLOCK.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                command = line.split("  #")[0].strip().removeprefix("$ ").removeprefix(".venv/bin/")
                if re.match(r"(headrace|make|python -m) ", command):
                    yield page.relative_to(PROJECT_ROOT).as_posix(), command


SHOWN = sorted(set(commands()))


def test_the_docs_show_commands():
    assert len(SHOWN) > 10


@pytest.mark.parametrize(("page", "command"), [each for each in SHOWN if each[1].startswith("headrace ")])
def test_headrace_takes_the_command_with_its_options(page, command):
    arguments = shlex.split(command)[1:]
    group = typer.main.get_command(app)
    context = click.Context(group)
    while isinstance(group, click.Group):
        name, group, arguments = group.resolve_command(context, arguments)
        assert group is not None, f"{page}: headrace has no {name}"
        context = click.Context(group, parent=context, info_name=name)
    if "--help" not in arguments:
        group.parse_args(context, arguments)


@pytest.mark.parametrize(("page", "command"), [each for each in SHOWN if each[1].startswith("make ")])
def test_make_has_the_target(page, command):
    done = subprocess.run(["make", "-n", *shlex.split(command)[1:]], cwd=PROJECT_ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{page}: {done.stderr}"


@pytest.mark.parametrize(("page", "command"), [each for each in SHOWN if each[1].startswith("python -m ")])
def test_the_module_runs_and_knows_the_options_shown(page, command):
    words = shlex.split(command)[2:]
    options = {word.split("=")[0] for word in words if word.startswith("--")} - {"--help"}
    printed = _help(words[0], *takewhile(str.isalpha, words[1:]))
    assert not {option for option in options if option not in printed}, f"{page}: {command}"


@cache
def _help(module: str, *subcommand: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *subcommand, "--help"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
