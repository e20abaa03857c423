"""Which training settings a search may change, and how far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import optuna

Value = float | int | str | bool


@dataclass(frozen=True)
class Between:
    """Any number from `low` to `high`; on a logarithmic scale where `log`; a whole one where both are."""

    low: float
    high: float
    log: bool = False

    def suggest(self, trial: optuna.Trial, name: str) -> Value:
        """The trial's value."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def with_value(self, value: Any) -> Between:
        """The same range, extended to include `value`."""
        return replace(self, low=min(self.low, value), high=max(self.high, value))


@dataclass(frozen=True)
class OneOf:
    """One of the values."""

    values: tuple[Value, ...]

    def suggest(self, trial: optuna.Trial, name: str) -> Value:
        """The trial's value."""
        return trial.suggest_categorical(name, list(self.values))  # type: ignore[return-value]  # no value is None

    def with_value(self, value: Any) -> OneOf:
        """The same choice with `value` among its values."""
        return self if value in self.values else OneOf((*self.values, value))


Space = Mapping[str, Between | OneOf]

TWO_TOWER: Space = {
    "retrieval_learning_rate": Between(0.005, 0.1, log=True),
    "retrieval_batch_size": OneOf((512, 1024, 2048)),
    "retrieval_epochs": Between(1, 3),
    "example_half_life_days": Between(28.0, 336.0, log=True),
    "repeat_weight": Between(0.0, 1.0),
    "retrieval_sampled_negatives": OneOf((0, 1024)),
    "retrieval_hardest_negatives": OneOf((0, 100)),
    "retrieval_temperature": Between(0.5, 2.0, log=True),
    "popularity_correction": OneOf((False, True)),
    "id_dropout": Between(0.0, 0.5),
    "embedding_size": OneOf((32, 64, 96)),
}
RANKER: Space = {
    "ranker_model": OneOf(("wide_deep", "dcn", "ncf")),
    "ranker_loss": OneOf(("log_loss", "pairwise", "softmax")),
    "ranker_new_weight": Between(0.0, 4.0),
    "ranker_epochs": Between(1, 3),
    "ranker_learning_rate": Between(0.0005, 0.01, log=True),
    "ranker_batch_size": OneOf((2048, 4096, 8192)),
    "ranker_trees_rate": Between(0.03, 0.15, log=True),
    "ranker_trees_share": Between(0.3, 1.0),
    "ranker_trees_new_weight": Between(0.5, 4.0),
}


def with_values(space: Space, values: Mapping[str, Any]) -> Space:
    """The space, extended to include `values`."""
    return {name: choices.with_value(values[name]) for name, choices in space.items()}


def suggested(trial: optuna.Trial, space: Space) -> dict[str, Any]:
    """Values for all settings of the space, by name."""
    return {name: choices.suggest(trial, name) for name, choices in space.items()}
