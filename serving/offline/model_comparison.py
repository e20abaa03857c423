"""Lists of the same users by several releases, in one process: for champion and challenger on the same users.

    python -m serving.offline.model_comparison --release A --release B --day D --users-from FILE --output FOLDER

Users are as they were before the holdout that ends with D. For each release, numbered from 0, FOLDER gets
`<n>_all.parquet` and `<n>_new.parquet` (without what a user took before), and `latency.json` the milliseconds of every
request: releases take turns user by user, so that whatever else the machine does slows all of them alike.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from headrace.machine.last_resort import reporting_errors
from headrace.settings import Settings, load_settings
from serving.offline import lake
from serving.offline.list_files import LISTS_SCHEMA, lists_table, read_user_ids, whole_file
from serving.pipeline.recommender import RankedList, load_recommender

LATENCY = "latency.json"


def write_model_comparison(
    settings: Settings, releases: Sequence[Path], day: date, users: Sequence[str], output: Path, k: int
) -> int:
    """Write the lists and times of all `releases`; returns the number of users. Raises ReleaseError, BadInputError."""
    serving = settings.serving
    recommenders = [
        load_recommender(folder, serving.candidates, serving.max_per_category, serving.ranker_precision)
        for folder in releases
    ]
    for each in recommenders:
        each.warm()
    rows = [user for user, _ in lake.ranking_examples(settings, day, users)]
    holdout_start = day - timedelta(days=settings.training.holdout_days)
    known = [user.user_id for user in rows if user.is_known]
    lists: list[dict[str, list[tuple[str, RankedList]]]] = [{"all": [], "new": []} for _ in recommenders]
    times: list[dict[str, list[float]]] = [{"candidates": [], "ranking": []} for _ in recommenders]
    own = [lake.own_rows_by_user(settings, holdout_start, each.catalogue.row_of, known) for each in recommenders]
    number = max(k, serving.candidates)
    turns = list(range(len(recommenders)))
    for user in rows:
        for turn in turns:
            recommender = recommenders[turn]
            vector = recommender.tower.vector(user)
            ranked = recommender.list_for(user, vector, k, number=number)
            lists[turn]["all"].append((user.user_id, ranked))
            excluded = own[turn].get(user.user_id)
            unseen = recommender.list_for(user, vector, k, number=number, excluded=excluded)
            lists[turn]["new"].append((user.user_id, unseen))
            if user.is_known:
                times[turn]["candidates"].append(1000 * ranked.candidates_seconds)
                times[turn]["ranking"].append(1000 * ranked.ranking_seconds)
        turns.reverse()
    for place, recommender in enumerate(recommenders):
        for task, of_task in lists[place].items():
            with whole_file(output / f"{place}_{task}.parquet", LISTS_SCHEMA) as writer:
                if of_task:
                    writer.write_table(lists_table(recommender.catalogue.item_ids, of_task))
    (output / LATENCY).write_text(json.dumps(times), encoding="utf-8")
    return len(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """0 if it worked, 1 with a sentence on stderr if not."""
    parser = argparse.ArgumentParser(
        prog="python -m serving.offline.model_comparison", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--release", type=Path, action="append", required=True, help="folder of a bundle; may repeat")
    parser.add_argument("--day", type=date.fromisoformat, required=True, help="last day of the holdout, YYYY-MM-DD")
    parser.add_argument("--users-from", type=Path, required=True, help="Parquet file whose column user_id names users")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--k", type=int, default=500, help="length of the lists")
    given = parser.parse_args(argv)

    def work() -> None:
        users = read_user_ids(given.users_from)
        written = write_model_comparison(load_settings(), given.release, given.day, users, given.output, given.k)
        print(f"{written} users, {len(given.release)} releases → {given.output}")

    return reporting_errors(work)


if __name__ == "__main__":
    sys.exit(main())
