"""The models of `benchmarks.sequences` with the settings that the validation chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from headrace.settings.jobs import TrainingSettings
from infra.fitting_settings import WITHOUT_TIMES
from models.baselines import Baseline, Ease, ImplicitAls, Popular
from models.baselines.counting import PopularConfig
from models.baselines.ease import EaseConfig
from models.baselines.factors import FactorsConfig


@dataclass(frozen=True)
class Chosen:
    """A two-tower and how long it is trained."""

    training: TrainingSettings
    history_length: int
    epochs: int
    prior_weight: float

    def as_json(self) -> dict[str, Any]:
        """What differs from the defaults, and the rest of it."""
        changed = self.training.model_dump(exclude_defaults=True)
        return changed | {name: value for name, value in vars(self).items() if name != "training"}


@dataclass(frozen=True)
class Platform:
    """Everything, as `headrace evaluate` sets it by itself for such data."""


Model: TypeAlias = Chosen | Baseline | Platform


def trained(**settings: Any) -> TrainingSettings:
    """The settings that all towers here share but the default one: every epoch sees every example alike."""
    return TrainingSettings(**{**WITHOUT_TIMES, "retrieval_reorders": False, "id_dropout": 0.1, **settings})


IN_ORDER: Mapping[str, Model] = {
    "ours": Chosen(trained(user_tower="attention", attention_dropout=0.4), 50, 17, 0.7),
    "pooling, trained alike": Chosen(trained(), 50, 23, 0.7),
    "pooling, default settings": Chosen(TrainingSettings(), 50, 1, 1.2),
    "EASE": Ease(EaseConfig(ridge=100.0, half_life_days=30.0, power=1.0)),
    "iALS (implicit)": ImplicitAls(FactorsConfig(regularisation=3.0, alpha=1.0, half_life_days=30.0)),
    "popular": Popular(PopularConfig(days=10000.0)),
}
WITHOUT_ORDER: Mapping[str, Model] = {
    "ours": Platform(),
    "two-tower alone": Chosen(trained(id_dropout=0.0, retrieval_reorders=True), 100, 29, 0.7),
    "EASE": Ease(EaseConfig(ridge=300.0, half_life_days=None, power=1.0)),
    "iALS (implicit)": ImplicitAls(FactorsConfig(regularisation=30.0, alpha=4.0)),
    "popular": Popular(PopularConfig(days=10000.0)),
}
