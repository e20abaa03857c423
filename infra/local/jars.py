"""`python -m infra.local.jars`: download the jars of `ivy.xml` with the Ivy inside PySpark's wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.machine.jars import ENGINES, IVY_FILE, STAMP, ivy_hash, missing_jars
from headrace.machine.java import java_home
from headrace.machine.last_resort import reporting_errors
from headrace.settings import load_settings

ATTEMPTS = 3
PAUSE_SECONDS = 5.0
PARTIAL = ".fetching"


def fetch_jars(folder: Path) -> None:
    """Fill `folder/<engine>/` unless it is complete. Raises HeadraceError with Ivy's reason.

    The old jars are kept until all new ones are downloaded.
    """
    if not (problem := missing_jars(folder)):
        return
    print(f"Jars: {problem}; downloading about 165 MB with Ivy")
    partial = folder / PARTIAL
    began = time.monotonic()
    for attempt in range(1, ATTEMPTS + 1):
        shutil.rmtree(partial, ignore_errors=True)
        if not (reason := _retrieve(partial)):
            break
        if attempt == ATTEMPTS:
            raise HeadraceError(f"Jars could not be downloaded: {reason}", "Check the network and try again")
        print(f"Jars: attempt {attempt} failed ({reason}); retrying")
        time.sleep(PAUSE_SECONDS)
    _install(partial, folder)
    print(f"Jars: complete in {folder} ({time.monotonic() - began:.0f} s)")


def _retrieve(target: Path) -> str:
    """Run Ivy; the reason of its failure, or an empty text."""
    pattern = f"{target}/[conf]/[artifact]-[revision].[ext]"
    command = [str(java_home() / "bin" / "java"), "-jar", str(_ivy_jar()), "-ivy", str(IVY_FILE)]
    command += ["-confs", *ENGINES, "-retrieve", pattern, "-types", "jar", "bundle"]
    progress = Progress()
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as ivy:
        for line in ivy.stdout or ():
            lines.append(line.strip())
            progress.read(line)
    progress.end()
    if ivy.returncode == 0 and all(any((target / engine).glob("*.jar")) for engine in ENGINES):
        return ""
    errors = [line for line in lines if any(word in line for word in ("not found", "FAILED", "rror", "refused"))]
    return (errors or lines or ["Ivy printed no error"])[-1].strip(": ")


class Progress:
    """One line that counts the jars as they arrive; rewritten on a terminal, omitted elsewhere."""

    def __init__(self) -> None:
        self.jars = 0
        self.shown = sys.stdout.isatty()

    def read(self, line: str) -> None:
        """Count a line of Ivy's output."""
        if self.shown and "[SUCCESSFUL" in line:
            self.jars += 1
            print(f"\rJars: {self.jars} downloaded", end="", flush=True)

    def end(self) -> None:
        """End the line."""
        if self.shown and self.jars:
            print()


def _install(partial: Path, folder: Path) -> None:
    (folder / STAMP).unlink(missing_ok=True)
    for engine in ENGINES:
        shutil.rmtree(folder / engine, ignore_errors=True)
        (partial / engine).rename(folder / engine)
    shutil.rmtree(partial, ignore_errors=True)
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.jar"))
    (folder / STAMP).write_text("\n".join([ivy_hash(), *names]) + "\n", encoding="utf-8")


def _ivy_jar() -> Path:
    spec = find_spec("pyspark")
    jars = sorted(Path(spec.origin).parent.glob("jars/ivy-*.jar")) if spec and spec.origin else []
    if not jars:
        raise HeadraceError("PySpark, whose Ivy downloads the jars, is not installed", "Run `make up`")
    return jars[-1]


def main() -> int:
    """Exit code: 0, or 1 with one line on stderr."""
    return reporting_errors(lambda: fetch_jars(load_settings().jars))


if __name__ == "__main__":
    sys.exit(main())
