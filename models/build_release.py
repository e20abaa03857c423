"""Builds the release of one day and submits it: `python -m models.build_release --day D`.

Joins the retrieval bundle and the ranker of `<home>/training/<D>/` into `<home>/releases/<release id>/` and submits it:
it is logged to MLflow, registered and, if it is above the floors and not worse than the champion, becomes champion.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import date
from pathlib import Path

from headrace.errors import BadInputError
from headrace.machine.last_resort import reporting_errors
from headrace.release.bundle import Release, open_release
from headrace.release.code_version import code_version
from headrace.settings import Settings, load_settings
from models.gate.floors import Gate, as_json, release_gates
from models.gate.submission import Submission, keep_pending, submit, submit_pending
from models.release.assembly import assemble
from models.release.backtest import keep_backtest
from models.release.records import Trained, read_trained, training_records, without_timings


def build_release(settings: Settings, day: date, *, register: bool = True) -> Release:
    """Assemble, log, register and promote the release of `day`; without `register` only the first.

    Raises BadInputError if a training is missing, ServiceError if MLflow is unavailable (the release is logged later)
    and ReleaseError if the release is refused (the champion is kept).
    """
    folder = settings.training_folder / day.isoformat()
    trained = read_trained(folder)
    try:
        floors = release_gates(trained.metrics["retrieval"], trained.metrics["ranker"])
    except (KeyError, IndexError) as error:
        raise BadInputError(f"the training of {day} has no metric {error}", "Train the day again") from None
    bundle = _assemble(settings, trained, floors)
    print(f"release {bundle.release_id} in {bundle.folder}")
    if not register:
        return bundle
    keep_backtest(settings, folder, bundle.release_id, trained.metrics["ranker"].get("learned_until", ""))
    submission = Submission(bundle.release_id, day, training_records(trained), floors)
    keep_pending(settings, submission)
    submit_pending(settings, without=bundle.release_id)
    submit(settings, submission)
    return bundle


def _assemble(settings: Settings, trained: Trained, gates: list[Gate]) -> Release:
    """The sealed bundle in `<home>/releases/<release id>`; an existing bundle with the same content is kept."""
    metrics, tables = without_timings(trained.metrics), trained.retrieval.manifest.tables
    evaluation = {"holdout": metrics, "gates": as_json(gates), "tables": tables}
    settings.releases.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=settings.releases) as name:
        partial = Path(name) / "release"
        sealed = assemble(trained.retrieval, trained.ranker, partial, evaluation, code_version())
        folder = settings.releases / sealed.release_id
        if not folder.exists():
            partial.rename(folder)
    return open_release(folder)


def main() -> int:
    """Command line; 0 if the release is live (or, with `--no-register`, on disk)."""
    parser = argparse.ArgumentParser(prog="python -m models.build_release", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--day", type=date.fromisoformat, required=True, help="day of the gold tables, YYYY-MM-DD")
    parser.add_argument("--no-register", action="store_true", help="only build the bundle: no MLflow, no gates")
    given = parser.parse_args()
    return reporting_errors(lambda: build_release(load_settings(), given.day, register=not given.no_register))


if __name__ == "__main__":
    sys.exit(main())
