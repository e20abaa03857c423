"""Settings of the baselines, compared on the validation weeks 45 to 48 alone; the test weeks are not read.

    python -m benchmarks.quality.tuning [--home var] [--only EASE]

Trains on weeks 1 to 44 and prints nDCG@20 on both tasks for every setting in the small grid of each baseline. The
last line is one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from headrace.settings import load_settings
from headrace.tables import end_of
from models.baselines import Baseline, Interactions, content, counting, ease, factors, neighbours
from models.evaluation.baseline_lists import known_interactions, own_items
from models.metrics.ranking import Targets, score_lists
from models.training.gold import Lake

GRIDS: dict[type[Baseline], tuple[type[Any], dict[str, list[Any]]]] = {
    counting.Popular: (counting.PopularConfig, {"days": [14.0, 28.0, 56.0]}),
    counting.Trending: (counting.TrendingConfig, {"days": [7.0, 14.0, 28.0]}),
    counting.Personal: (counting.PersonalConfig, {"half_life_days": [56.0, 84.0, 126.0]}),
    neighbours.ItemNeighbours: (neighbours.ItemNeighboursConfig, {"neighbours": [50, 100, 300]}),
    neighbours.UserNeighbours: (neighbours.UserNeighboursConfig, {"neighbours": [100, 200, 500]}),
    ease.Ease: (ease.EaseConfig, {"ridge": [300.0, 1000.0], "power": [0.0, 0.5, 1.0]}),
    ease.EaseTrend: (ease.EaseConfig, {"trend_exponent": [0.3, 0.6], "trend_days": [14.0, 28.0]}),
    ease.PersonalEase: (ease.PersonalEaseConfig, {"ease_weight": [0.1, 0.3, 1.0]}),
    factors.ImplicitAls: (
        factors.FactorsConfig,
        {"regularisation": [10.0, 30.0, 60.0], "alpha": [0.1, 0.3, 1.0]},
    ),
    content.Content: (content.ContentConfig, {"half_life_days": [28.0, 84.0, 252.0]}),
}


def main() -> None:
    """Try every setting, print and report."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality.tuning", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--home", type=Path, default=Path("var"), help="home of the demo (default var)")
    parser.add_argument("--only", help="name of one baseline, as in the table")
    given = parser.parse_args()
    settings = load_settings().model_copy(update={"home": given.home.resolve()})
    meta = json.loads((settings.home_folder / "imports" / "complete-journey-1-48" / "meta.json").read_text())
    events = known_interactions(Lake(settings.lake_root), date.fromisoformat(meta["as_of_day"]))
    split = end_of(date.fromisoformat(meta["last_day_of_week"]["44"]))
    weeks = end_of(date.fromisoformat(meta["as_of_day"])) - split
    learnt, later = _parted(events, weeks)
    found = []
    for make, (config, grid) in GRIDS.items():
        if given.only in (None, make.name):
            found += [_tried(make, config, chosen, learnt, later) for chosen in _settings(grid)]
    print(json.dumps({"name": "quality_tuning", "tried": found}))


def _settings(grid: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def _parted(events: Interactions, last: timedelta) -> tuple[Interactions, Interactions]:
    """What happened before the `last` so many days, with its own ages, and what happened in them."""
    days = last.total_seconds() / 86_400
    before = events.age_days >= days

    def part(chosen: np.ndarray, shift: float) -> Interactions:
        columns = events.users[chosen], events.items[chosen], events.age_days[chosen] - shift
        return Interactions(*columns, events.user_ids, events.item_ids, events.texts)

    return part(before, days), part(~before, 0.0)


def _tried(
    make: type[Baseline], config: type[Any], chosen: dict[str, Any], learnt: Interactions, later: Interactions
) -> dict[str, Any]:
    model = make(config(**chosen)).fit(learnt)  # type: ignore[call-arg]
    known = np.diff(learnt.taken.tocsc().indptr) > 0
    result: dict[str, Any] = {"model": make.name, **chosen}
    for task in ("all", "new"):
        wanted = later.taken.copy()
        if task == "new":
            wanted = wanted - wanted.multiply(learnt.taken)
            wanted.eliminate_zeros()
        of_user = [row.indices[known[row.indices]] for row in wanted]
        users = np.array([user for user, items in enumerate(of_user) if len(items)])
        targets = Targets.of([of_user[user] for user in users])
        exclude = own_items(learnt, users) if task == "new" else None
        result[task] = round(float(score_lists(model.top(users, 20, exclude), targets, 20).ndcg.mean()), 4)
    print(result, flush=True)
    return result


if __name__ == "__main__":
    main()
