"""The rankers by their name in `training.ranker_model`."""

from __future__ import annotations

from collections.abc import Mapping

from models.ranker.networks.dcn import DeepAndCross
from models.ranker.networks.model import Ranker
from models.ranker.networks.neural_cf import NeuralCf
from models.ranker.networks.wide_deep import WideAndDeep

RANKERS: Mapping[str, type[Ranker]] = {"wide_deep": WideAndDeep, "dcn": DeepAndCross, "ncf": NeuralCf}
