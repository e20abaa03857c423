"""`python -m infra.local.java`: find a suitable Java, or download one, and record it for all engines."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import cjdk

from headrace.errors import HeadraceError
from headrace.machine.java import JAVA_RECORD, find_java, inspect_java, recorded_home
from headrace.machine.last_resort import reporting_errors

DOWNLOADED_VERSION = "17"
HINT = "Install a full JDK 17 or 21 yourself and set JAVA_HOME"


def choose_java() -> Path:
    """Home of the Java to use: found here, recorded before, or downloaded into the user's cache; prints which.

    Raises HeadraceError with the problems of those found and why none could be downloaded.
    """
    java, problems = find_java()
    if java is not None:
        print(f"Java {java.version}: {java.home}")
        return java.home
    before = recorded_home()
    known = inspect_java(before / "bin" / "java") if before else None
    if known is not None and not known.problem:
        print(f"Java {known.version}: {known.home}")
        return known.home
    found = "; ".join(problems) or "no Java was found"
    print(f"Java: {found}; downloading a JDK {DOWNLOADED_VERSION} (about 190 MB) into your cache")
    return _download(found)


def record(home: Path) -> None:
    """Write the choice to `.tools/java_home`."""
    JAVA_RECORD.parent.mkdir(parents=True, exist_ok=True)
    partial = JAVA_RECORD.with_suffix(".partial")
    partial.write_text(f"{home}\n", encoding="utf-8")
    partial.replace(JAVA_RECORD)


def _download(found: str) -> Path:
    logging.getLogger("cjdk").setLevel(logging.ERROR)
    try:
        home = cjdk.java_home(vendor="temurin", version=DOWNLOADED_VERSION)
    except Exception as error:  # its network and archive errors have no common class
        reason = (str(error) or type(error).__name__).splitlines()[0][:100].rstrip(". ")
        raise HeadraceError(f"Java: {found}, and none could be downloaded ({reason})", HINT) from None
    java = inspect_java(home / "bin" / "java")
    if java is None or java.problem:
        raise HeadraceError(f"The downloaded {java.problem if java else f'Java in {home} does not run'}", HINT)
    print(f"Java {java.version}: {java.home}")
    return java.home


def main() -> int:
    """Exit code: 0, or 1 with one line on stderr."""
    return reporting_errors(lambda: record(choose_java()))


if __name__ == "__main__":
    sys.exit(main())
