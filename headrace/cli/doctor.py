"""What this machine lacks to run Headrace: each missing or wrong piece, what was found, and what to do."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headrace.errors import HeadraceError
from headrace.machine import ports
from headrace.machine.jars import HINT as FETCH_JARS
from headrace.machine.jars import missing_jars
from headrace.machine.java import HINT as JAVA_HINT
from headrace.machine.java import find_java, inspect_java, recorded_home
from headrace.machine.run_records import read_record
from headrace.settings import PROJECT_ROOT, Settings

GIB = 1024**3
NEEDED_DISK_GIB = 6
"""Three times what `make demo` takes: 2 GiB of data at its peak. The packages are installed when this is checked."""
NEEDED_MEMORY_GIB = 8
CPU_FLAGS = ("avx2", "fma")
"""The wheels of ScaNN and TensorFlow are built for these; without them they end with `illegal instruction`."""
REQUIREMENTS = PROJECT_ROOT / "requirements" / "all.txt"
PYTHON = (3, 11)


@dataclass(frozen=True)
class Check:
    """Result of one check."""

    name: str
    ok: bool
    found: str
    hint: str = ""
    """What to do about it; empty where it is fine."""


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> Check:
    """Python 3.11: the newest for which every engine has wheels."""
    wanted = ".".join(map(str, PYTHON))
    return _check(
        "Python",
        version == PYTHON,
        f"{version[0]}.{version[1]}",
        f"Use .venv, which `make up` creates with Python {wanted}",
    )


def check_packages(requirements: Path = REQUIREMENTS) -> Check:
    """Installed packages against the pinned ones."""
    try:
        lines = requirements.read_text(encoding="utf-8").splitlines()
    except OSError:
        return Check("packages", False, f"{requirements} is missing", "Take it from the repository")
    pins = [re.split(r"==|;", line)[:2] for line in lines if "==" in line and not line.startswith("#")]
    wrong = [text for name, version in pins if (text := _difference(name.strip(), version.strip()))]
    shown = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
    return _check(
        "packages", not wrong, shown or f"{len(pins)} as pinned", "Run `make up`, which installs requirements/all.txt"
    )


def _difference(name: str, version: str) -> str:
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is missing"
    return "" if found == version else f"{name} is {found}, pinned is {version}"


def check_java() -> Check:
    """A full Java 17 to 21; the recorded one, or the first on this machine."""
    home = recorded_home()
    java = inspect_java(home / "bin" / "java") if home else None
    problems = [java.problem] if java and java.problem else []
    if java is None or java.problem:
        java, others = find_java()
        problems += others
    if java is None:
        return Check("Java", False, "; ".join(problems) or "none", JAVA_HINT)
    asked = os.environ.get("JAVA_HOME")
    ignored = f"; JAVA_HOME={asked} is ignored" if asked and Path(asked).resolve() != java.home.resolve() else ""
    return Check("Java", True, f"{java.version} in {java.home}, with jdk.incubator.vector{ignored}")


def check_jars(folder: Path) -> Check:
    """The jars of Kafka, Flink's connector and Spark's extensions."""
    problem = missing_jars(folder)
    return _check("jars", not problem, problem or f"complete in {folder}", FETCH_JARS)


def check_cpu(cpuinfo: Path = Path("/proc/cpuinfo"), machine: str = platform.machine()) -> Check:
    """Instructions that the wheels of ScaNN and TensorFlow use."""
    if machine not in ("x86_64", "AMD64"):
        return Check("CPU", True, f"{machine} (CPU flags are checked on x86_64 only)")
    try:
        flags = set(cpuinfo.read_text(encoding="utf-8").split())
    except OSError:
        return Check("CPU", True, f"{machine}; its CPU flags cannot be read")
    missing = [flag for flag in CPU_FLAGS if flag not in flags]
    found = f"without {' and '.join(missing)}" if missing else f"{machine} with {' and '.join(CPU_FLAGS)}"
    return _check("CPU", not missing, found, "Use a machine with AVX2 and FMA (Intel since 2013, AMD since 2015)")


def check_memory(total_bytes: int | None = None) -> Check:
    """Memory of the machine."""
    total = (total_bytes or psutil.virtual_memory().total) / GIB
    # A machine sold with 8 GiB reports a little less.
    fits = total >= NEEDED_MEMORY_GIB * 0.95
    return _check("memory", fits, f"{total:.1f} GiB", f"Use a machine with at least {NEEDED_MEMORY_GIB} GiB")


def check_disk(folder: Path, free_bytes: int | None = None) -> Check:
    """Free space where the data goes."""
    free = (shutil.disk_usage(_existing(folder)).free if free_bytes is None else free_bytes) / GIB
    hint = f"Free {NEEDED_DISK_GIB - free:.0f} GiB, or choose a folder on another disk with HEADRACE_HOME"
    return _check("disk", free >= NEEDED_DISK_GIB, f"{free:.0f} GiB free of {NEEDED_DISK_GIB} needed", hint)


def check_home(folder: Path) -> Check:
    """The folder of data, logs and releases can be written."""
    writable = os.access(_existing(folder), os.W_OK | os.X_OK)
    found = str(folder) if writable else f"{folder} cannot be written"
    return _check("home", writable, found, "Change its permissions, or choose another folder with HEADRACE_HOME")


def check_port(part: str, setting: str, address: str, home: Path) -> Check:
    """A port is free, or in use by the service that was started here; addresses of other machines are not checked."""
    name = f"port of {part}"
    try:
        port = ports.local_port(setting, address)
    except HeadraceError:
        return Check(name, True, f"{address} is not on this machine")
    record = read_record(home, part)
    if record is not None and record.process() is not None:
        return Check(name, True, f"{port}, {part} runs (process {record.pid})")
    if ports.is_free(port):
        return Check(name, True, f"{port} is free")
    spare = str(ports.free_port())
    example = spare if setting.endswith(".port") else address.replace(str(port), spare)
    return Check(name, False, f"{port} is in use by {ports.owner(port)}", ports.port_hint(setting, example))


def all_checks(settings: Settings) -> list[Check]:
    """All checks, in the order in which to fix what fails."""
    home = settings.home_folder
    return [
        check_python(),
        check_packages(),
        check_java(),
        check_jars(settings.jars),
        check_cpu(),
        check_memory(),
        check_disk(home),
        check_home(home),
        check_port("kafka", "kafka.bootstrap_servers", settings.kafka.bootstrap_servers, home),
        check_port("valkey", "store.url", settings.store.url, home),
        check_port("mlflow", "mlflow.tracking_uri", settings.mlflow.tracking_uri, home),
        check_port("serving", "serving.port", f"{ports.LOOPBACK}:{settings.serving.port}", home),
        check_port("airflow", "airflow.port", f"{ports.LOOPBACK}:{settings.airflow.port}", home),
    ]


def report(checks: Iterable[Check], console: Console) -> bool:
    """Print the table; whether everything is fine."""
    checks = list(checks)
    table = Table("", "what", "found", "what to do")
    for check in checks:
        mark = "[green]✓[/]" if check.ok else "[red]✗[/]"
        table.add_row(mark, check.name, escape(check.found), escape(check.hint))
    console.print(table)
    wrong = [check.name for check in checks if not check.ok]
    console.print(f"To do: {', '.join(wrong)}" if wrong else "Everything needed is here.")
    return not wrong


def _check(name: str, ok: bool, found: str, hint: str) -> Check:
    return Check(name, ok, found, "" if ok else hint)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    return folder if folder.exists() else _existing(folder.parent)
