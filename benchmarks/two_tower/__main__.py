"""Training of the two-tower against Keras' `fit`: examples per second with ids alone, and the time to a good recall.

    python -m benchmarks.two_tower [--home var] [--users 50000] [--items 20000] [--pairs 1000000] [--rounds 1]

(a) Generated pairs, a model of ids alone: ours against TFRS' tutorial, which takes the same pairs in batches as large;
examples per second of all epochs, and recall@100 of the same held-out pairs. (b) The demo's data (made by `make demo`)
with the demo's towers: seconds until recall@500 of what is new to the households is .21, against a plain Keras model
of the same towers. Each training is a process of its own, in turns.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import in_turns, last_line, report
from benchmarks.two_tower.ids import make_pairs, write_pairs
from models.metrics.resampling import paired_ratio

GOAL_SPEED, GOAL_TIME = 4.0, 0.25
TOGETHER = 8
RATE = 0.1
"""Adagrad's, of both sides: the tutorial's own."""
_GIVEN_UP = 8.0
"""The peer of (b) is given so many times our time."""


def main() -> None:
    """Measure both, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.two_tower", description=__doc__.split("\n")[0])
    parser.add_argument("--home", type=Path, default=Path("var"), help="home of the demo (default var)")
    parser.add_argument("--users", type=int, default=50_000, help="default 50,000")
    parser.add_argument("--items", type=int, default=20_000, help="default 20,000")
    parser.add_argument("--pairs", type=int, default=1_000_000, help="default 1,000,000, a tenth of them held out")
    parser.add_argument("--epochs", type=int, default=3, help="of both sides (default 3, the tutorial's)")
    parser.add_argument("--together", type=int, default=TOGETHER, help=f"of a user's items, ours (default {TOGETHER})")
    parser.add_argument("--rate", type=float, default=RATE, help=f"Adagrad's, of both (default {RATE:g})")
    parser.add_argument("--rounds", type=int, default=1, help="of (a) (default 1)")
    given = parser.parse_args()
    meta = given.home / "imports" / "complete-journey-1-48" / "meta.json"
    if not meta.exists():
        parser.error(f"{meta} is missing: run `make demo` first, or name its home with --home")
    ids, demo = _ids(given), _demo(given.home)
    print(f"ids alone: {ids['ratio']:.1f} x the examples/s, {ids['recall_ratio'][0]:.3f} x the recall", flush=True)
    print(f"demo: {demo['ratio']:.3f} of the time{'' if demo['peer']['reached'] else ' or less'}", flush=True)
    report(
        name="two_tower",
        ours=ids["ours"],
        peer=ids["peer"],
        peer_name="TFRS' tutorial, Keras fit",
        ratio=ids["ratio"],
        goal=f">= {GOAL_SPEED:g} x examples/s, recall no lower; demo: <= {GOAL_TIME:g} x the time to recall .21",
        met=ids["met"] and demo["met"],
        ids=ids,
        demo=demo,
    )


def _ids(given: argparse.Namespace) -> dict[str, Any]:
    pairs = make_pairs(given.users, given.items, given.pairs)
    found: dict[str, list[dict[str, float]]] = {"ours": [], "peer": []}
    with tempfile.TemporaryDirectory(prefix="headrace-two-tower-") as name:
        folder = Path(name)
        write_pairs(pairs, folder, given.together)

        def run(side: str) -> float:
            arguments = (side, name, "--epochs", str(given.epochs), "--rate", str(given.rate))
            found[side].append(last_line("benchmarks.two_tower.ids", *arguments))
            return found[side][-1]["examples_per_second"]

        in_turns(given.rounds, lambda: run("ours"), lambda: run("peer"), "examples/s")
        ratio = paired_ratio(*(np.load(folder / f"recalls_{side}.npy") for side in ("ours", "peer")))
    ours, peer = (statistics.median(one["examples_per_second"] for one in found[side]) for side in ("ours", "peer"))
    return {
        "ours": round(ours, 1),
        "peer": round(peer, 1),
        "ratio": ours / peer,
        "recall_ratio": ratio,
        "met": ours / peer >= GOAL_SPEED and ratio[0] >= 1,
        "rounds": found,
        "settings": {name: value for name, value in vars(given).items() if name != "home"},
    }


def _demo(home: Path) -> dict[str, Any]:
    ours = last_line("benchmarks.two_tower.demo", "ours", "--home", str(home.resolve()))
    limit = _GIVEN_UP * ours["seconds"]
    peer = last_line("benchmarks.two_tower.demo", "peer", "--home", str(home.resolve()), "--limit", f"{limit:.0f}")
    ratio = ours["seconds"] / peer["seconds"]
    return {"ours": ours, "peer": peer, "ratio": ratio, "met": ours["reached"] and ratio <= GOAL_TIME}


if __name__ == "__main__":
    main()
