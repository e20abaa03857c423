"""The recommender without HTTP: candidates that the ranker learns from, and whole lists for evaluation.

    python -m serving.offline candidates --release FOLDER --day D --output FILE [--earlier]
    python -m serving.offline lists --release FOLDER --day D --k 500 [--exclude-own] [--users-from FILE] --output FILE
        [--output-new FILE]

Both go through the same code as a request, so that what is learned and judged is what is served.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.progress import track

from headrace.features.own_items import own_item_features
from headrace.features.user_row import UserRow
from headrace.machine.last_resort import reporting_errors
from headrace.outcomes import OUTCOMES
from headrace.settings import Settings, load_settings
from headrace.user_sample import sample_of
from serving.offline import lake
from serving.offline.list_files import LISTS_SCHEMA, lists_table, read_user_ids, whole_file
from serving.pipeline.recommender import Recommender, Vector, load_recommender

USERS_PER_BATCH = 256
CANDIDATES_SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("item_rows", pa.list_(pa.int32())),
        ("numeric", pa.list_(pa.float32())),  # row-major, candidates × len(NUMERIC)
        ("categorical", pa.list_(pa.int32())),  # row-major, candidates × len(CATEGORICAL)
        ("labels", pa.list_(pa.float32())),  # occasions in the holdout; 0 = not taken
        ("outcomes", pa.list_(pa.float32())),  # row-major, candidates × len(OUTCOMES)
        ("positions", pa.list_(pa.int32())),  # place in the list it was shown in, from 1; 0 = not shown
        ("propensities", pa.list_(pa.float32())),  # chance with which it was; 1 where not known
    ]
)


_NOT_SHOWN = (-1, 1.0)
_NOTHING = (0.0,) * len(OUTCOMES)


def write_candidates(settings: Settings, release: Path, day: date, output: Path) -> int:
    """Candidates with features and labels of users of the holdout that ends with `day`; returns the users written.

    Of more than `training.ranker_users` a sample. Users without history are left out: they get the popular list, which
    needs no ranker. The index is searched thoroughly, so that the same embeddings give the same file, and the same
    ranker.
    """
    chosen = sample_of(lake.known_users(settings, day), settings.training.ranker_users)
    recommender = load_recommender(release, settings.serving.candidates, thorough=True)
    holdouts: dict[str, lake.Holdout] = {}

    def chosen_users() -> Iterator[UserRow]:
        for user, holdout in lake.ranking_examples(settings, day, chosen):
            holdouts[user.user_id] = holdout
            yield user

    with whole_file(output, CANDIDATES_SCHEMA) as writer:
        written = 0
        for users in _batches(chosen_users(), "Candidates"):
            rows = [
                _candidate_row(recommender, user, vector, holdouts.pop(user.user_id))
                for user, vector in _with_vectors(recommender, users)
            ]
            writer.write_table(pa.Table.from_pylist(rows, CANDIDATES_SCHEMA))
            written += len(rows)
    return written


def write_lists(
    settings: Settings,
    release: Path,
    day: date,
    output: Path,
    *,
    k: int = 500,
    exclude_own: bool = False,
    only_users: Iterable[str] | None = None,
    output_new: Path | None = None,
) -> int:
    """The ranked list of every user of `day` (or of `only_users`, known or not), best first; returns the users written.

    `exclude_own` leaves out everything a user ever took: the task of finding something new. `output_new` gets these
    lists beside those in `output`, for one loading of the release.
    """
    serving = settings.serving
    recommender = load_recommender(release, serving.candidates, serving.max_per_category, serving.ranker_precision)
    only = None if only_users is None else list(only_users)
    if output_new:
        _write_lists(recommender, settings, day, output_new, k, True, only)
    return _write_lists(recommender, settings, day, output, k, exclude_own, only)


def _write_lists(
    recommender: Recommender,
    settings: Settings,
    day: date,
    output: Path,
    k: int,
    exclude_own: bool,
    only_users: list[str] | None,
) -> int:
    number = max(k, settings.serving.candidates)
    excluded = lake.own_rows_by_user(settings, day, recommender.catalogue.row_of) if exclude_own else {}
    wanted = None if only_users is None else dict.fromkeys(only_users)
    with whole_file(output, LISTS_SCHEMA) as writer:
        written = 0
        for users in _batches(_wanted_users(lake.users(settings, day), wanted), "Lists"):
            lists = [
                (
                    user.user_id,
                    recommender.list_for(user, vector, k, number=number, excluded=excluded.get(user.user_id)),
                )
                for user, vector in _with_vectors(recommender, users)
            ]
            writer.write_table(lists_table(recommender.catalogue.item_ids, lists))
            written += len(lists)
    return written


def _write_all_candidates(settings: Settings, given: argparse.Namespace) -> None:
    """Those of the day and, with `--earlier`, in a process beside, of each earlier holdout that has a release and none
    yet."""

    def at(path: Path, day: date) -> Path:
        return Path(str(path).replace("{day}", day.isoformat()))

    earlier = settings.training.earlier_days(given.day) if given.earlier else []
    lacking = [day for day in earlier if at(given.release, day).exists() and not at(given.output, day).exists()]

    def work(day: date) -> tuple[Settings, Path, date, Path]:
        return settings, at(given.release, day), day, at(given.output, day)

    with ProcessPoolExecutor(1, get_context("spawn")) as beside:  # no process is started for nothing
        running = {day: beside.submit(write_candidates, *work(day)) for day in lacking}
        written = {given.day: write_candidates(*work(given.day))}
        written |= {day: each.result() for day, each in running.items()}
    for day, users in written.items():
        print(f"{users} users → {at(given.output, day)}")


def _candidate_row(recommender: Recommender, user: UserRow, vector: Vector, holdout: lake.Holdout) -> dict[str, object]:
    own = own_item_features(user, recommender.catalogue)
    candidates, features = recommender.candidates_of(user, own, vector, recommender.candidates)
    item_ids = [recommender.catalogue.item_ids[row] for row in candidates.rows]
    shown = [holdout.shown.get(item, _NOT_SHOWN) for item in item_ids]
    return {
        "user_id": user.user_id,
        "item_rows": candidates.rows,
        "numeric": features.numeric.reshape(-1),
        "categorical": features.categorical.reshape(-1),
        "labels": [holdout.taken.get(item, 0.0) for item in item_ids],
        "outcomes": [value for item in item_ids for value in holdout.outcomes.get(item, _NOTHING)],
        "positions": [position + 1 for position, _ in shown],
        "propensities": [propensity for _, propensity in shown],
    }


def _wanted_users(users: Iterable[UserRow], wanted: dict[str, None] | None) -> Iterator[UserRow]:
    if wanted is None:
        yield from users
        return
    missing = dict(wanted)
    for user in users:
        if user.user_id in wanted:
            del missing[user.user_id]
            yield user
    yield from (UserRow(user_id, as_of=0) for user_id in missing)


def _with_vectors(recommender: Recommender, users: Sequence[UserRow]) -> Iterator[tuple[UserRow, Vector]]:
    vectors = recommender.tower.vectors([user.history for user in users], [user.profile for user in users])
    return zip(users, vectors, strict=True)


def _batches(users: Iterator[UserRow], what: str) -> Iterator[list[UserRow]]:
    batches = iter(lambda: list(islice(users, USERS_PER_BATCH)), [])
    return iter(track(batches, f"{what} (× {USERS_PER_BATCH} users)", console=Console(stderr=True), transient=True))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m serving.offline", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--release", type=Path, required=True, help="folder of a release bundle")
    shared.add_argument("--day", type=date.fromisoformat, required=True, help="day of the gold tables, YYYY-MM-DD")
    shared.add_argument("--output", type=Path, required=True, help="Parquet file to write")
    candidates = commands.add_parser("candidates", parents=[shared], help="candidates with features and labels")
    candidates.add_argument(
        "--earlier",
        action="store_true",
        help="also those of earlier holdouts that the ranker learns from and that lack them; {day} in the paths stands"
        " for the day of each",
    )
    lists = commands.add_parser("lists", parents=[shared], help="ranked lists: user_id, rank, item_id, score")
    lists.add_argument("--k", type=int, default=500, help="length of the lists")
    lists.add_argument("--exclude-own", action="store_true", help="leave out what a user took before")
    lists.add_argument("--output-new", type=Path, help="also write the lists without what a user took before, here")
    lists.add_argument("--users-from", type=Path, help="Parquet file whose column user_id names the users")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the two commands; 0 if it worked, 1 with a sentence on stderr if not."""
    arguments = _arguments(argv)

    def work() -> None:
        settings = load_settings()
        if arguments.command == "candidates":
            _write_all_candidates(settings, arguments)
        else:
            written = write_lists(
                settings,
                arguments.release,
                arguments.day,
                arguments.output,
                k=arguments.k,
                exclude_own=arguments.exclude_own,
                only_users=read_user_ids(arguments.users_from) if arguments.users_from else None,
                output_new=arguments.output_new,
            )
            print(f"{written} users → {arguments.output}")

    return reporting_errors(work)


if __name__ == "__main__":
    sys.exit(main())
