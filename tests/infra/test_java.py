"""Which Java the bootstrap chooses, and what it says when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.machine import java
from infra.local import java as choice


@pytest.fixture(autouse=True)
def no_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "JAVA_RECORD", tmp_path / "java_home")
    monkeypatch.setattr(choice, "JAVA_RECORD", tmp_path / "java_home")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("JAVA_HOME", raising=False)


def make_java(home: Path, version: int) -> Path:
    executable = home / "bin" / "java"
    executable.parent.mkdir(parents=True)
    lines = [f"    java.home = {home}", f"    java.specification.version = {version}", *java.NEEDED_MODULES]
    executable.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines))
    executable.chmod(0o755)
    return home


def test_a_fitting_java_is_recorded_and_used_even_when_the_variable_is_gone(tmp_path, monkeypatch, capsys):
    home = make_java(tmp_path / "jdk", 21)
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert choice.main() == 0
    monkeypatch.delenv("JAVA_HOME")
    assert java.java_home() == home
    assert capsys.readouterr().out == f"Java 21: {home}\n"


def test_without_a_fitting_java_one_is_downloaded_and_reported(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("JAVA_HOME", str(make_java(tmp_path / "old", 8)))
    monkeypatch.setattr(choice.cjdk, "java_home", lambda **_: make_java(tmp_path / "fetched", 17))
    assert choice.main() == 0
    assert java.java_home() == tmp_path / "fetched"
    assert "Java 8 in" in (out := capsys.readouterr().out) and "downloading a JDK 17" in out


def test_when_none_can_be_downloaded_one_sentence_says_why_and_what_to_do(monkeypatch, capsys):
    def no_network(**_: str) -> Path:
        raise OSError("no route to host")

    monkeypatch.setattr(choice.cjdk, "java_home", no_network)
    assert choice.main() == 1
    told = capsys.readouterr().err
    assert told.startswith(
        "Java: no Java was found, and none could be downloaded (no route to host). Install a full JDK"
    )
    assert told.count("\n") == 1
