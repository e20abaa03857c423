"""A dry run says what the import then does, and leaves no trace."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headrace.errors import BadInputError
from headrace.machine.subprocesses import child_environment
from headrace.settings import Settings
from headrace.settings.jobs import CleanSettings
from headrace.tables import BRONZE_EVENTS, SILVER_EVENTS
from jobs.batch.__main__ import job_arguments
from jobs.batch.clean.job import clean
from jobs.batch.engine.lake import Lake
from jobs.batch.ingest.dry_run import forecasts
from jobs.batch.ingest.dry_run_report import Forecast, Refused, nothing_to_import, report
from jobs.batch.ingest.file_arguments import inputs_of
from jobs.batch.ingest.files_job import Inputs, ingest_files
from tests.jobs.batch.worlds import AS_OF, DAY, days_before, json_lines, purchase
from tests.spark_fixture import QUICK_JAVA

SHOP = (
    "event_id,event_type,customer,item_id,timestamp,value,shop\n"
    "e1,purchase,u1,i1,2026-11-19T10:00:00Z,2,B\n"
    "e2,purchase,u1,i2,2026-11-19T10:00:00Z,many,B\n"
    "e3,purchase,u1,,2026-11-19T10:00:00Z,1,B\n"
    "e1,purchase,u1,i3,2026-11-19T11:00:00Z,1,\n"
    "e4,purchase,u1\n"
    "e5,purchase,u1,i1,2026-11-19T10:00:00Z,-1,B\n"
)


def shop(folder: Path) -> Inputs:
    """Six events of which two are good and one repeats another, and two lines of a price list, one of them bad."""
    file = folder / "shop.csv"
    file.write_text(SHOP)
    prices = json_lines(folder / "prices.jsonl", [{"item_id": "i1", "price": 2}, {"item_id": "i2", "price": "free"}])
    return Inputs(events=[file], items=[prices], names={"customer": "user_id"})


def test_a_forecast_counts_what_is_refused_by_reason_what_repeats_and_what_is_unknown(
    lake: Lake, tmp_path: Path
) -> None:
    items, events = forecasts(lake, shop(tmp_path), AS_OF)
    assert events == Forecast(
        "events",
        files=1,
        skipped=[],
        rows=6,
        accepted=1,
        refused={
            "bad_value": Refused(
                2,
                (
                    "shop.csv, row 3: 'value': 'many' is not a number",
                    "shop.csv, row 7: 'value': -1 is not a quantity: expected a number > 0",
                ),
            ),
            "malformed": Refused(1, ("shop.csv, row 6: not a JSON object",)),
            "missing_item": Refused(1, ("shop.csv, row 4: 'item_id': a purchase needs an item_id",)),
        },
        repeating=1,
        repeated={"e1": 2},
        unknown={"shop": 1},
    )
    assert (items.rows, items.accepted, items.unknown) == (2, 1, {})
    assert items.refused["bad_value"].samples == (
        "prices.jsonl, row 2: 'price': \"free\" is not a number from 0 to 1e+06",
    )
    assert list(tmp_path.iterdir()) == [tmp_path / "shop.csv", tmp_path / "prices.jsonl"]


def test_the_import_does_what_the_dry_run_said_and_then_skips_the_file(lake: Lake, tmp_path: Path) -> None:
    inputs = shop(tmp_path)
    said = {forecast.kind: forecast for forecast in forecasts(lake, inputs, AS_OF)}
    ingest_files(lake, inputs, AS_OF)
    done = clean(lake, CleanSettings())
    assert (done.events, done.items) == (said["events"].accepted, said["items"].accepted)
    refused = [rows.rows for forecast in said.values() for rows in forecast.refused.values()]
    assert done.rejected == sum(refused)
    version = lake.version(BRONZE_EVENTS), lake.version(SILVER_EVENTS)
    more = json_lines(tmp_path / "more.jsonl", [purchase("e9", "u1", "i1", days_before(1))])
    _, events = forecasts(lake, Inputs([*inputs.events, more], inputs.items, names=inputs.names), AS_OF)
    assert (events.files, events.skipped, events.rows, events.accepted) == (1, ["shop.csv"], 1, 1)
    assert (lake.version(BRONZE_EVENTS), lake.version(SILVER_EVENTS)) == version


def test_a_missing_column_is_said_as_the_import_says_it(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"other.jsonl has no column 'event_type' \(its columns: a\)"):
        forecasts(lake, Inputs(events=[json_lines(tmp_path / "other.jsonl", [{"a": 1}])]), AS_OF)


def test_a_separator_is_a_character_or_the_word_tab(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["clean", "--day", f"{DAY}", "--separator"]
    assert [inputs_of(job_arguments().parse_args([*arguments, each])).separator for each in ("~", "tab")] == ["~", "\t"]
    with pytest.raises(SystemExit):
        job_arguments().parse_args([*arguments, "::"])
    assert "'::' is neither a single character nor `tab`" in capsys.readouterr().err


def test_the_table_names_every_count_and_example() -> None:
    refused = {"bad_value": Refused(1200, ("a.csv, row 2: x", "a.csv, row 9: y"))}
    forecast = Forecast("events", 2, ("old.csv",), 10_000, 8_799, refused, 1, {"e1": 2}, {"shop": 7})
    assert report([forecast]).splitlines() == [
        "events: 2 files, 10,000 rows",
        "  already imported, would be skipped: old.csv",
        "  would be accepted               8,799",
        "  would be refused                1,200",
        "    bad_value                     1,200  a.csv, row 2: x",
        "                                         a.csv, row 9: y",
        "  repeat an event_id                  1  the first of each is kept: e1 (2 rows)",
        "  columns outside the contract, kept but not used: shop (7 rows)",
    ]
    assert not nothing_to_import([forecast])
    assert nothing_to_import([Forecast("events", files=1, rows=3)])
    assert not nothing_to_import([Forecast("events", skipped=["old.csv"])])


def test_the_command_ends_with_1_where_no_row_is_accepted_and_makes_no_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    broken = json_lines(tmp_path / "broken.jsonl", [{"event_type": "purchase"}])
    command = [sys.executable, "-m", "headrace", "import", "--dry-run", "--events", str(broken), "--day", f"{DAY}"]
    environment = child_environment(Settings(home=home)) | QUICK_JAVA
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "missing_event_id                  1  broken.jsonl, row 1: 'event_id'" in done.stdout
    assert done.stderr.splitlines()[-1] == "error: no row would be accepted"
    assert not home.exists()
