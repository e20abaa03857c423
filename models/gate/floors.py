"""What a release must reach before it may go live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.two_tower.index import ENOUGH

MOST_RANKER_LOSS = 0.05
"""The ranker may fall so much (relative) below personal frequency on the validation users; more refuses promotion."""

LEAST_AGREEMENT = 0.7
"""Share of the first 20 positions that the served ranker must share with the validated one, which has not learned the
last holdout: a broken one shares a tenth."""


@dataclass(frozen=True)
class Gate:
    """One check: `measured` must reach `floor`, or miss it by no more than chance (`slack`) can explain."""

    name: str
    measured: float
    floor: float
    slack: float = 0.0
    """Upper half of the 95 % interval of measured − floor over the same users: wide where users are few."""

    @property
    def passed(self) -> bool:
        """Whether it is reached; a number that is none never is."""
        return self.measured + self.slack >= self.floor

    def sentence(self) -> str:
        """For people."""
        return f"{self.name} is {self.measured:.4f} (± {self.slack:.4f}), expected at least {self.floor:.4f}"


def release_gates(retrieval: Mapping[str, Any], ranker: Mapping[str, Any]) -> list[Gate]:
    """The checks of a release, from the metrics of its two trainings on the holdout."""
    return [
        Gate(
            "two-tower recall@500 of new items (floor: the popular list's)",
            retrieval["recall_at_500_new"],
            retrieval["popularity_recall_at_500_new"],
            retrieval["recall_at_500_new_slack"],
        ),
        Gate("index recall@500 against brute force", retrieval["index"]["recall"], ENOUGH),
        Gate(
            "ranker nDCG@20 (floor: personal frequency's less 5 %)",
            ranker["ndcg_all"][-1],
            ranker["personal_frequency_ndcg_all"] * (1 - MOST_RANKER_LOSS),
            ranker["ndcg_all_slack"],
        ),
        Gate(
            "first 20 positions of the served ranker against the validated one",
            ranker["served_overlap"],
            LEAST_AGREEMENT,
            ranker.get("served_overlap_slack", 0.0),
        ),
    ]


def as_json(gates: list[Gate]) -> list[dict[str, Any]]:
    """For the evaluation file."""
    return [{**asdict(gate), "passed": gate.passed} for gate in gates]
