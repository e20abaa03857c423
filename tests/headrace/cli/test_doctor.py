"""What `headrace doctor` finds wrong, and the mend it names."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from rich.console import Console

from headrace.cli import doctor
from headrace.cli.doctor import Check
from headrace.machine import java
from headrace.machine.jars import STAMP, ivy_hash, missing_jars
from headrace.machine.ports import free_port


def make_java(home: Path, version: int, modules: list[str]) -> Path:
    """A `java` that answers like a runtime of that version with those modules."""
    executable = home / "bin" / "java"
    executable.parent.mkdir(parents=True)
    lines = [f"    java.home = {home}", f"    java.specification.version = {version}"]
    lines += [f"{name}@{version}" for name in modules]
    executable.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines))
    executable.chmod(0o755)
    return executable


@pytest.fixture
def no_java(tmp_path, monkeypatch):
    monkeypatch.setattr(java, "JAVA_RECORD", tmp_path / "java_home")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("JAVA_HOME", raising=False)


def wrong(check: Check) -> str:
    assert not check.ok and check.hint
    return check.found


def test_this_machine_has_what_the_tests_need():
    checks = [doctor.check_python(), doctor.check_packages(), doctor.check_java(), doctor.check_cpu()]
    assert [check for check in checks if not check.ok] == []


def test_another_python_is_wrong():
    assert wrong(doctor.check_python((3, 13))) == "3.13"


def test_packages_that_differ_from_the_pins_or_are_missing_are_named(tmp_path):
    pins = tmp_path / "all.txt"
    pins.write_text("pydantic==0.0.1\nno-such-package==1.0\n")
    found = wrong(doctor.check_packages(pins))
    assert "pydantic is 2." in found and "pinned is 0.0.1" in found and "no-such-package is missing" in found


def test_no_java_at_all_is_wrong(no_java):
    check = doctor.check_java()
    assert wrong(check) == "none" and "JAVA_HOME" in check.hint


def test_an_old_java_is_named_with_its_place(no_java, tmp_path, monkeypatch):
    make_java(tmp_path / "jdk11", 11, list(java.NEEDED_MODULES))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk11"))
    assert wrong(doctor.check_java()) == f"Java 11 in {tmp_path / 'jdk11'} does not fit: 17 to 21 is needed"


def test_a_trimmed_java_names_the_module_it_lacks(tmp_path):
    found = java.inspect_java(make_java(tmp_path / "jre", 17, list(java.NEEDED_MODULES[1:])))
    assert found is not None and found.problem.endswith("is a trimmed runtime without jdk.incubator.vector")


def test_a_java_that_fits_is_taken_before_the_one_on_the_path(no_java, tmp_path, monkeypatch):
    make_java(tmp_path / "jdk21", 21, list(java.NEEDED_MODULES))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk21"))
    assert java.java_home() == tmp_path / "jdk21"


def test_a_java_home_that_is_passed_over_is_named(no_java, tmp_path, monkeypatch):
    fitting = make_java(tmp_path / "jdk21", 21, list(java.NEEDED_MODULES))
    monkeypatch.setenv("PATH", f"{fitting.parent}:/bin")
    monkeypatch.setenv("JAVA_HOME", "/nowhere/jdk")
    check = doctor.check_java()
    assert check.ok and check.found.endswith("; JAVA_HOME=/nowhere/jdk is ignored")


def test_a_processor_without_avx2_is_wrong(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags : fpu sse4_2 fma\n")
    assert wrong(doctor.check_cpu(cpuinfo, "x86_64")) == "without avx2"


def test_little_memory_and_little_disk_are_wrong(tmp_path):
    assert wrong(doctor.check_memory(4 * doctor.GIB)) == "4.0 GiB"
    check = doctor.check_disk(tmp_path / "not" / "there" / "yet", 3 * doctor.GIB)
    assert wrong(check) == "3 GiB free of 6 needed" and "Free 3 GiB" in check.hint


def test_a_home_that_cannot_be_written_is_wrong(monkeypatch, tmp_path):
    assert doctor.check_home(tmp_path / "new").ok
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    assert "cannot be written" in wrong(doctor.check_home(tmp_path))


def test_a_port_of_somebody_else_is_wrong_and_names_the_variable(tmp_path):
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        check = doctor.check_port("serving", "serving.port", f"127.0.0.1:{port}", tmp_path)
    assert wrong(check).startswith(f"{port} is in use by ")
    assert "HEADRACE_SERVING__PORT=" in check.hint and "127.0.0.1" not in check.hint


def test_a_free_port_and_an_address_elsewhere_are_fine(tmp_path):
    assert doctor.check_port("valkey", "store.url", f"redis://127.0.0.1:{free_port()}/0", tmp_path).ok
    assert doctor.check_port("valkey", "store.url", "redis://valkey:6379/0", tmp_path).ok


def test_jars_are_complete_only_for_the_present_list_and_with_every_file(tmp_path):
    assert "no complete set" in missing_jars(tmp_path)
    (tmp_path / STAMP).write_text("another-hash\n")
    assert "another infra/local/ivy.xml" in missing_jars(tmp_path)
    (tmp_path / STAMP).write_text(f"{ivy_hash()}\nkafka/a.jar\n")
    assert wrong(doctor.check_jars(tmp_path)).endswith("kafka/a.jar is missing")
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "a.jar").touch()
    assert doctor.check_jars(tmp_path).ok


def test_report_lists_what_to_mend():
    console = Console(width=120)
    with console.capture() as capture:
        fine = doctor.report([Check("a", True, "here"), Check("b", False, "feast[redis]", "get it")], console)
    text = capture.get()
    assert not fine and "feast[redis]" in text and "get it" in text and "To do: b" in text
