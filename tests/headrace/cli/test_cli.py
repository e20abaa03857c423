"""The command line as a person meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest
from typer.testing import CliRunner

from headrace.cli import app as cli
from headrace.cli import arguments as cli_arguments
from headrace.machine.ports import free_port
from headrace.machine.subprocesses import run_module
from headrace.settings import Settings, load_settings

COMMANDS = [
    ["doctor"], ["up"], ["down"], ["status"], ["import"], ["generate"], ["run"], ["stream"], ["serve"], ["recommend"],
    ["evaluate"], ["settings"], ["release", "list"], ["release", "show"],
]  # fmt: skip
ANSWER = {
    "user_id": "7",
    "recommendations": [{"item_id": "a", "score": 0.5, "reason": "You bought [x]"}],
    "candidates_generated": 500,
    "latency_ms": 3.2,
}


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    monkeypatch.setenv("HEADRACE_SERVING__PORT", str(free_port()))
    monkeypatch.setenv("HEADRACE_MLFLOW__TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("COLUMNS", "200")
    load_settings.cache_clear()
    yield
    load_settings.cache_clear()


def headrace(*arguments: str):
    return CliRunner().invoke(cli.app, list(arguments))


@pytest.fixture
def started(monkeypatch) -> list[tuple[str, ...]]:
    """Modules that a command would start, with their arguments."""
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(
        cli_arguments, "run_module", lambda module, arguments, _: calls.append((module, *arguments)) or 0
    )
    return calls


@pytest.fixture
def service() -> Iterator[list[dict[str, list[str]]]]:
    """A service that refuses `nobody`, is not ready for `early`, and a proxy for `proxy`; yields the questions."""
    asked: list[dict[str, list[str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            question = parse_qs(urlsplit(self.path).query)
            asked.append(question)
            error = {"field": "limit", "message": "'0' is no whole number from 1 to 100"}
            status, body = {
                "nobody": (422, json.dumps({"error": error})),
                "early": (503, json.dumps({"error": {"field": "", "message": "no release is loaded yet"}})),
                "proxy": (502, "<html>Bad Gateway</html>"),
            }.get(question["user_id"][0], (200, json.dumps(ANSWER)))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", load_settings().serving.port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield asked
        server.shutdown()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_of_every_command_says_what_it_does_and_gives_an_example(command):
    answer = headrace(*command, "--help")
    assert answer.exit_code == 0
    assert "Example: headrace" in answer.output.replace("HEADRACE_PROFILE=cluster ", "")


def test_help_answers_without_importing_an_engine():
    script = (
        "import sys, headrace.cli.app; print(sorted({'pyspark', 'pyflink', 'tensorflow', 'mlflow'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["import"], "nothing to import. Name files with --events, --items or --users, or a --dataset"),
        (["import", "--events", __file__, "--map", "customer"], "--map customer: expected THEIRS=OURS"),
        (["recommend", "7"], "is not reachable (ConnectError). Start it with `headrace serve`"),
        (["release", "show", "nothing"], "release 'nothing' is not in"),
        (["evaluate", "--test", __file__, "--map", "a=b"], "need --train"),
        (["evaluate", "--test", __file__, "--train", __file__], "--train needs --test and --output"),
        (["evaluate", "--test", __file__, "--train", __file__, "--output", "o", "--baselines"], "no --day"),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_exit_code_1(arguments, told):
    answer = headrace(*arguments)
    assert answer.exit_code == 1
    assert told in answer.stderr and answer.stderr.count("\n") == 1


def test_a_wrong_setting_is_one_line_too(monkeypatch):
    monkeypatch.setenv("HEADRACE_SERVING__PORT", "web")
    answer = headrace("settings")
    assert (answer.exit_code, answer.stderr.count("\n")) == (1, 1)
    assert "setting 'serving.port' is 'web'" in answer.stderr


def test_import_hands_every_file_and_column_name_to_the_batch_job(started):
    assert headrace(
        *("import", "--events", __file__, "--events", str(Path(__file__).parent), "--items", __file__),
        *("--map", "customer=user_id", "--day", "2026-11-20"),
    ).exit_code == 0  # fmt: skip
    assert started == [
        (
            *("jobs.batch", "ingest,clean", "--events", __file__, "--events", str(Path(__file__).parent)),
            *("--items", __file__, "--map", "customer=user_id", "--day", "2026-11-20"),
        )
    ]


def test_import_of_a_known_data_set_needs_no_names(started, monkeypatch, tmp_path):
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    load_settings.cache_clear()
    folder = tmp_path / "import" / "ml"
    folder.mkdir(parents=True)
    (folder / "events.parquet").touch()  # what the adapter would write
    (tmp_path / "ml").mkdir()
    assert headrace("import", "--dataset", str(tmp_path / "ml"), "--scale", "10", "--day", "2026-11-20").exit_code == 0
    assert started == [
        ("jobs.batch.sources", str(tmp_path / "ml"), "--output", str(folder), "--scale", "10"),
        ("jobs.batch", "ingest,clean", "--events", str(folder / "events.parquet"), "--day", "2026-11-20"),
    ]


def test_evaluate_judges_a_release_or_fits_on_files(started):
    headrace("evaluate", "--day", "2026-10-18", "--require-floors")
    headrace("evaluate", "--day", "2026-10-18", "--test", __file__, "--require-floors")
    headrace("evaluate", "--day", "2026-10-18", "--test", __file__, "--baselines", "--slices", "--segment", "age")
    headrace("evaluate", "--train", __file__, "--test", __file__, "--output", "lists.parquet", "--k", "50")
    extras = ("--slices", "--baselines", "--segment", "age")
    assert started == [
        ("models.evaluation", "--day", "2026-10-18", "--require-floors"),
        ("models.evaluation", "--day", "2026-10-18", "--test", __file__, "--require-floors"),
        ("models.evaluation", "--day", "2026-10-18", "--test", __file__, *extras),
        ("infra.evaluate_files", "--train", __file__, "--test", __file__, "--output", "lists.parquet", "--k", "50"),
    ]


def test_generate_hands_the_world_to_its_job(started):
    sizes = ["--users", "30", "--items", "100", "--events", "500", "--seed", "7", "--end", "2026-11-20"]
    assert headrace("generate", *sizes, "--output", "world").exit_code == 0
    assert started == [
        (
            *("jobs.batch.synthetic.generate", "--users=30", "--items=100", "--events=500", "--seed=7", "--days=365"),
            *("--end=2026-11-20", "--output", "world"),
        )
    ]


def test_run_starts_the_dag_in_airflow_for_that_day(started):
    headrace("run", "daily", "--day", "2026-11-22")
    assert started == [("infra.local.airflow", "run", "daily", "--day", "2026-11-22")]


def test_exit_code_of_the_child_is_passed_on():
    assert run_module("json.tool", ["/nowhere.json"], Settings()) != 0
    assert run_module("json.tool", [os.devnull], Settings()) == 1
    assert run_module("this", [], Settings()) == 0


def test_a_part_started_by_up_runs_on_until_down(monkeypatch):
    monkeypatch.setenv("HEADRACE_STORE__URL", f"redis://127.0.0.1:{free_port()}/0")
    command = [sys.executable, "-m", "headrace"]
    assert "✓ valkey is ready on" in subprocess.run([*command, "up", "valkey"], capture_output=True, text=True).stdout
    assert subprocess.run([*command, "down"], capture_output=True, text=True).stdout == "Stopped valkey\n"


def test_sigterm_ends_the_child_with_the_command():
    script = (
        "import sys; from headrace.machine.subprocesses import run_module; from headrace.settings import Settings; "
        "sys.exit(run_module('http.server', ['--bind', '127.0.0.1', sys.argv[1]], Settings()))"
    )
    parent = psutil.Popen([sys.executable, "-c", script, str(free_port())], stderr=subprocess.DEVNULL)
    while not (children := parent.children()) or "http.server" not in children[0].cmdline():
        assert parent.poll() is None
        time.sleep(0.05)
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(20) == 128 + signal.SIGTERM
    assert not children[0].is_running()


def test_recommend_shows_the_reasons(service):
    answer = headrace("recommend", "7", "--context", "related", "--item", "42", "--limit", "5")
    assert answer.exit_code == 0 and "You bought [x]" in answer.output and "500 candidates" in answer.output
    assert service == [{"user_id": ["7"], "context": ["related"], "limit": ["5"], "item_id": ["42"]}]


def test_recommend_json_is_the_answer_as_it_is(service):
    assert json.loads(headrace("recommend", "7", "--json").stdout) == ANSWER


@pytest.mark.parametrize(
    ("user", "told"),
    [
        (
            "nobody",
            "the service refused the request: limit: '0' is no whole number from 1 to 100. See `headrace",
        ),
        ("early", "the service answered 503: no release is loaded yet. See `headrace status`\n"),
        (
            "proxy",
            "the service answered 502: Bad Gateway, in a format that is not the service's. See `headrace",
        ),
    ],
)
def test_a_refused_question_is_the_services_own_sentence_without_json(service, user, told):
    for form in ([], ["--json"]):
        answer = headrace("recommend", user, *form)
        assert answer.exit_code == 1 and answer.stderr.startswith(told) and answer.stderr.count("\n") == 1
        assert "{" not in answer.output
