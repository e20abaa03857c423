"""The Java of Kafka, Spark and Flink: the one recorded by the bootstrap, or a suitable one found on this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.settings import PROJECT_ROOT

JAVA_RECORD = PROJECT_ROOT / ".tools" / "java_home"
"""File with the home of the Java that all engines use."""
OLDEST, NEWEST = 17, 21
NEEDED_MODULES = ("jdk.incubator.vector", "java.management", "java.naming", "java.sql", "jdk.unsupported")
"""Spark 4.1 does not start without these; runtimes trimmed with jlink may not have all of them."""
HINT = "Install a full JDK 17 or 21 and set JAVA_HOME, or run `make up`, which downloads one into your cache"


@dataclass(frozen=True)
class Java:
    """One Java runtime."""

    home: Path
    version: int
    """Feature version: 17, 21, …"""
    missing: tuple[str, ...]
    """Modules of `NEEDED_MODULES` that it does not have."""

    @property
    def problem(self) -> str:
        """Why it cannot be used; empty if it can."""
        if not OLDEST <= self.version <= NEWEST:
            return f"Java {self.version} in {self.home} does not fit: {OLDEST} to {NEWEST} is needed"
        if self.missing:
            return f"Java {self.version} in {self.home} is a trimmed runtime without {', '.join(self.missing)}"
        return ""


def inspect_java(executable: Path | str) -> Java | None:
    """The runtime behind a `java` executable; None if it does not run."""
    try:
        answer = subprocess.run(
            [str(executable), "-XshowSettings:properties", "--list-modules"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    text = answer.stdout + answer.stderr
    home = re.search(r"^\s*java\.home = (.+)$", text, re.MULTILINE)
    version = re.search(r"^\s*java\.specification\.version = (?:1\.)?(\d+)", text, re.MULTILINE)
    if home is None or version is None:
        return None
    modules = {line.partition("@")[0].strip() for line in text.splitlines()}
    missing = tuple(name for name in NEEDED_MODULES if name not in modules)
    return Java(Path(home[1].strip()), int(version[1]), missing)


def candidates() -> list[str]:
    """`java` executables to try, best first: `$JAVA_HOME`, then the path."""
    homes = [Path(os.environ["JAVA_HOME"]) / "bin" / "java"] if os.environ.get("JAVA_HOME") else []
    on_path = shutil.which("java")
    return [str(home) for home in homes] + ([on_path] if on_path else [])


def find_java() -> tuple[Java | None, list[str]]:
    """The first suitable Java on this machine, and the problems of those tried before it."""
    problems: list[str] = []
    for executable in candidates():
        java = inspect_java(executable)
        if java is not None and not java.problem:
            return java, problems
        problems.append(java.problem if java else f"{executable} does not run")
    return None, problems


def recorded_home() -> Path | None:
    """The Java home that the bootstrap recorded, if it still exists."""
    try:
        home = Path(JAVA_RECORD.read_text(encoding="utf-8").strip())
    except OSError:
        return None
    return home if (home / "bin" / "java").exists() else None


def java_home() -> Path:
    """Home of the Java to use. Raises HeadraceError with the problems of those that were found."""
    home = recorded_home()
    if home is not None:
        return home
    java, problems = find_java()
    if java is None:
        raise HeadraceError("; ".join(problems) or "No Java was found", HINT)
    return java.home
