"""Training of the ranker on the demo's candidates against Keras' `fit` of the plain model: rows per second.

    python -m benchmarks.ranker [--home var] [--epochs 2] [--rounds 5]

Both are trained on the same candidates of the same households, batches of as many rows, the same passes, widths,
classes of the numbers, crosses, optimiser and rate; evaluated on the same held-out households. The peer is Wide & Deep
as one would write it with Keras' layers: a row is a candidate, the loss its cross-entropy. Ours here is one ranker, not
the committee. Each training is a process of its own, in turns; the start of TensorFlow, reading the files and, for the
peer, making rows of the lists do not count, building the model and tracing it do.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

from benchmarks.report import in_turns, last_line, report

GOAL = 2.0
MODULE = "benchmarks.ranker.sides"


def main() -> None:
    """Measure in turns, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranker", description=__doc__.split("\n")[0])
    parser.add_argument("--home", type=Path, default=Path("var"), help="home of the demo (default var)")
    parser.add_argument("--epochs", type=int, default=2, help="of both sides (default 2)")
    parser.add_argument("--rounds", type=int, default=5, help="trainings of each side (default 5)")
    given = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {"ours": [], "peer": []}

    def run(side: str) -> float:
        found[side].append(last_line(MODULE, side, "--home", str(given.home.resolve()), "--epochs", str(given.epochs)))
        return float(found[side][-1]["rows_per_second"])

    ours, peer = in_turns(given.rounds, lambda: run("ours"), lambda: run("peer"), "rows/s")
    for side, runs in found.items():
        print(f"{side}: nDCG@20 all {runs[-1]['ndcg_all']:.4f}, new {runs[-1]['ndcg_new']:.4f}")
    ratio = statistics.median(ours) / statistics.median(peer)
    report(
        name="ranker",
        ours=round(statistics.median(ours), 1),
        peer=round(statistics.median(peer), 1),
        peer_name="Keras fit of the plain Wide & Deep",
        ratio=ratio,
        goal=f">= {GOAL:g} x the rows per second",
        met=ratio >= GOAL,
        rounds=found,
    )


if __name__ == "__main__":
    main()
