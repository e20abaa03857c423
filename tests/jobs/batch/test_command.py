"""`python -m jobs.batch`: mistakes are one line and exit code 1, before any engine starts."""

from __future__ import annotations

import argparse

import pytest

from jobs.batch.__main__ import main
from jobs.batch.ingest.file_arguments import add_file_arguments, inputs_of


def test_an_unknown_job_is_named_with_the_ones_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["clean,polish", "--day", "2026-11-20"]) == 1
    line = capsys.readouterr().err.strip()
    assert line == (
        "error: unknown job 'polish'. Jobs: ingest, clean, features, quality, drift, training_sets, materialise, "
        "maintenance, forget, rebuild"
    )


@pytest.mark.parametrize("wrong", [["--day", "20-11-2026"], ["--day", "2026-11-20", "--map", "sku"], []])
def test_arguments_that_cannot_be_read_are_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["clean", *wrong])
    assert refused.value.code == 2


def test_an_option_given_twice_names_the_files_of_both() -> None:
    parser = argparse.ArgumentParser()
    add_file_arguments(parser)
    given = parser.parse_args(["--day", "2026-11-20", "--events", "a", "b", "--events", "c", "--map", "sku=item_id"])
    inputs = inputs_of(given)
    assert [str(path) for path in inputs.events] == ["a", "b", "c"]
    assert (inputs.items, inputs.names) == ([], {"sku": "item_id"})
