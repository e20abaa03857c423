"""The batch jobs: `python -m jobs.batch JOB[,JOB…] --day YYYY-MM-DD`, or this file given to spark-submit."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from headrace.errors import BadInputError, HeadraceError
from headrace.events.subjects import named_subject
from headrace.expectations import Stage
from headrace.machine.last_resort import reporting_errors
from headrace.settings import Settings, load_settings
from headrace.tables import GOLD_USER_FEATURES, end_of
from jobs.batch.ingest.file_arguments import add_file_arguments, inputs_of, moment, received_at

if TYPE_CHECKING:
    from jobs.batch.clean.job import Cleaned
    from jobs.batch.engine.lake import Lake

JOBS = (
    *("ingest", "clean", "features", "quality", "drift", "training_sets", "materialise", "maintenance", "forget"),
    "rebuild",
)
ONE_AT_A_TIME = ("ingest", "clean", "features", "materialise")
"""Jobs that continue from the last run, or recompute earlier days; the others replace the rows of their day."""
ALONE = ("maintenance", "forget", "rebuild")
"""Jobs that run exclusively."""
STAGES: tuple[Stage, ...] = ("clean", "features")
"""Jobs whose tables the job `quality` checks."""
EXAMPLE = "example: python -m jobs.batch ingest,clean,features --day 2026-10-19 --events var/import/events.parquet"


def main(arguments: list[str] | None = None) -> int:
    """Run the named jobs in one Spark application; 0, or 1 with one line on stderr."""
    given = job_arguments().parse_args(arguments)
    return reporting_errors(lambda: _run(_job_names(given.jobs), given, load_settings()), "error: ")


def _run(names: list[str], given: argparse.Namespace, settings: Settings) -> None:
    from jobs.batch.engine.lake import Lake
    from jobs.batch.engine.run_locks import held
    from jobs.batch.engine.session import spark_session

    wanted = [lock for name in names for lock in _locks(name, given, settings)]
    alone = any(name in ALONE for name in names)
    with (
        held(settings, ",".join(names), given.day, wanted, alone, given.wait),
        spark_session("+".join(names), settings) as spark,
    ):
        run_jobs(Lake(spark, settings.lake_root), names, given, settings)


def run_jobs(lake: Lake, names: list[str], given: argparse.Namespace, settings: Settings) -> None:
    """Run the jobs one after another, a line on stdout for each. Raises HeadraceError where one fails."""
    from jobs.batch.engine.spark_errors import explain_spark_errors

    for name in names:
        started = time.perf_counter()
        with explain_spark_errors(name, lake.root):
            result = _job(name)(lake, settings, given)
        print(f"{name} {given.day}: {result} in {time.perf_counter() - started:.1f} s", flush=True)


def _locks(name: str, given: argparse.Namespace, settings: Settings) -> list[str]:
    """Locks of what no other run may write at the same time: the whole job's tables, or the days that it replaces."""
    if name in ONE_AT_A_TIME or name in ALONE:
        return [name]
    training = settings.training
    holdouts = training.feature_days([given.day, *training.earlier_days(given.day)])
    return [f"{name}-{day}" for day in (holdouts if given.holdout else [given.day])]


def _job(name: str) -> Callable[..., str]:
    return {
        "ingest": _ingest,
        "clean": _clean,
        "features": _features,
        "quality": _quality,
        "drift": _drift,
        "training_sets": _training_sets,
        "materialise": _materialise,
        "maintenance": _maintenance,
        "forget": _forget,
        "rebuild": _rebuild,
    }[name]


def _ingest(lake: Lake, settings: Settings, given: argparse.Namespace) -> str:
    from jobs.batch.ingest.files_job import ingest_files
    from jobs.batch.ingest.topic import ingest_kafka, ingest_notes

    rows, notes = ingest_files(lake, inputs_of(given), received_at(given)), 0
    if given.kafka:
        rows += ingest_kafka(lake, settings, given.day)
        notes = ingest_notes(lake, settings, given.day)
    return f"{rows:,} new rows in bronze" + (f", {notes:,} notes from the service" if notes else "")


def _clean(lake: Lake, settings: Settings, given: argparse.Namespace) -> str:
    from jobs.batch.clean.job import clean

    del given  # what is new in bronze decides
    return _counts(clean(lake, settings.clean))


def _rebuild(lake: Lake, settings: Settings, given: argparse.Namespace) -> str:
    from jobs.batch.clean.job import rebuild

    del given  # all of bronze
    return _counts(rebuild(lake, settings.clean))


def _counts(done: Cleaned) -> str:
    counts = f"{done.events:,} events, {done.items:,} items, {done.users:,} users, {done.rejected:,} rows refused"
    return f"{counts}, {done.bots:,} bots flagged" if done.bots else counts


def _features(lake: Lake, settings: Settings, given: argparse.Namespace) -> str:
    from jobs.batch.engine.parallel import in_parallel
    from jobs.batch.features.item_content import write_item_content
    from jobs.batch.features.job import compute_features, days_with_late_events, feature_days
    from jobs.batch.quality.job import publish

    unpublished = publish(lake, settings, given.day)
    late = days_with_late_events(lake, given.day, settings.features.late_days if given.late is None else given.late)
    # A correction is visible from this run on, not from the day that it corrects.
    rows = compute_features(lake, settings, *late, created=given.created or end_of(given.day))
    days = feature_days(lake, settings, given.day, holdout=given.holdout)
    rows += sum(
        in_parallel(
            lambda: compute_features(lake, settings, *days, created=given.created),
            lambda: write_item_content(lake, settings.features, given.day),
        )
    )
    late_days = f", {len(late)} earlier days recomputed for late events" if late else ""
    return f"{rows:,} rows{late_days}{unpublished}"


def _quality(lake: Lake, settings: Settings, given: argparse.Namespace) -> str:
    """Check what the jobs of this run wrote; by itself, everything."""
    from jobs.batch.features.job import feature_days
    from jobs.batch.quality.job import check_quality

    written = [name for name in _job_names(given.jobs) if name in STAGES] or STAGES
    findings = []
    for day in feature_days(lake, settings, given.day, holdout=given.holdout and "features" in written):
        stages = [stage for stage in written if day == given.day or stage == "features"]
        findings += check_quality(lake, settings, day, stages)
    warnings = [finding for finding in findings if not finding.passed]
    details = "".join(f"\n  warning: {finding.sentence}" for finding in warnings)
    return f"{len(findings):,} expectations checked, {len(warnings):,} warnings{details}\n "


def _drift(lake: Lake, settings: Settings, given: argparse.Namespace) -> str:
    from jobs.batch.quality.drift import check_drift, release_day

    against = given.against
    if against is None:
        try:
            against = release_day(settings)
            lake.read_day(GOLD_USER_FEATURES, against, "features")
        except HeadraceError as error:  # a first run has nothing to compare with, which is not an error
            return f"nothing compared, {error}"
    findings = check_drift(lake, settings, given.day, against)
    drifted = [finding for finding in findings if not finding.passed]
    details = "".join(f"\n  warning: {finding.sentence} (limit: {finding.limit})" for finding in drifted)
    return f"{len(findings):,} drift metrics against {against}, {len(drifted):,} beyond their limit{details}\n "


def _training_sets(lake: Lake, settings: Settings, given: argparse.Namespace) -> str:
    from jobs.batch.features.earlier_holdouts import lacking_holdouts
    from jobs.batch.training.file_hashes import training_bytes
    from jobs.batch.training.recipe import recorded_recipe
    from jobs.batch.training.sets import write_training_sets

    recipe = recorded_recipe(lake, given.day) if given.rebuild else None
    before = training_bytes(lake, given.day) if recipe else ""
    lacking = lacking_holdouts(lake, settings, given.day, with_features=True) if given.holdout else []
    rows = sum(write_training_sets(lake, settings, each) for each in lacking)
    rows += write_training_sets(lake, settings, given.day, recipe)
    if not recipe:
        earlier = f", of {', '.join(map(str, lacking))} too" if lacking else ""
        return f"{rows:,} rows{earlier}"
    now = training_bytes(lake, given.day)
    if now == before:
        return f"{rows:,} rows, identical to the previous ones byte for byte (data {now[:12]})"
    hashes = f"data {now[:12]}, was {before[:12]}, written by code {recipe.code or '?'}"
    return f"{rows:,} rows, NOT identical to the previous ones ({hashes})\n "


def _materialise(lake: Lake, settings: Settings, given: argparse.Namespace) -> str:
    from jobs.batch.online.materialise import materialise

    return f"{materialise(lake, settings, given.day, given.full):,} rows"


def _maintenance(lake: Lake, settings: Settings, given: argparse.Namespace) -> str:
    from jobs.batch.keeping.forget import repeat_requests
    from jobs.batch.keeping.maintenance import maintain

    done = maintain(lake, settings, given.day)
    repeated = sum(repeat_requests(lake, settings, end_of(given.day)).values())
    late = f", {repeated:,} rows of forgotten users removed" if repeated else ""
    return f"{done.small_files:,} small files compacted to {done.files:,}, {done.days:,} old days dropped{late}"


def _forget(lake: Lake, settings: Settings, given: argparse.Namespace) -> str:
    from jobs.batch.keeping.forget import forget
    from jobs.batch.keeping.forget_check import what_is_left

    if not given.user:
        raise BadInputError("no user is given", "Add --user ID, or --user session:ID")
    subject = named_subject(given.user)
    removed = {} if given.check else forget(lake, settings, subject, datetime.now(UTC))
    for location, number in removed.items():
        print(f"  removed from {location}: {number:,}", flush=True)
    left = what_is_left(lake, settings, [subject])
    for location, details in left.items():
        print(f"  left in {location}: {details}", flush=True)
    if left and given.check:
        raise HeadraceError(f"data of {given.user} is left in {len(left)} locations", "They are listed above")
    return f"{sum(removed.values()):,} removed, data left in {len(left)} locations"


def _job_names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in JOBS]
    if unknown or not names:
        raise BadInputError(f"unknown job {', '.join(unknown) or text!r}", f"Jobs: {', '.join(JOBS)}")
    return names


def job_arguments() -> argparse.ArgumentParser:
    """The arguments of the command."""
    parser = argparse.ArgumentParser(prog="python -m jobs.batch", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("jobs", metavar="JOB[,JOB…]", help=", ".join(JOBS))
    parser.add_argument(
        "--wait",
        type=float,
        default=0,
        metavar="MINUTES",
        help="wait up to this long for another run's lock (default: end at once)",
    )
    files = add_file_arguments(parser)
    files.add_argument("--kafka", action="store_true", help="also import new records of the topics")
    features = parser.add_argument_group("features")
    features.add_argument(
        "--holdout",
        action="store_true",
        help="also compute the day before the training holdout, and those of earlier holdouts without training sets",
    )
    features.add_argument(
        "--late",
        type=int,
        default=0,
        nargs="?",
        metavar="DAYS",
        help="also recompute up to this many past days that late events affect (default: features.late_days)",
    )
    features.add_argument("--created", type=moment, help="created_timestamp of the rows (default: the end of the day)")
    sets = parser.add_argument_group("training_sets")
    sets.add_argument(
        "--rebuild", action="store_true", help="from the table versions and settings of the day's existing sets"
    )
    online = parser.add_argument_group("materialise")
    online.add_argument("--full", action="store_true", help="write all rows again, not only the new ones")
    person = parser.add_argument_group("forget")
    person.add_argument("--user", help="whom to forget: a user id, or session:ID")
    person.add_argument("--check", action="store_true", help="remove nothing; exit code 1 if any data is left")
    drift = parser.add_argument_group("drift")
    drift.add_argument("--against", type=date.fromisoformat, help="day to compare with (default: the live release's)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
