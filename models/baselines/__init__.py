"""Classical models behind one interface: what every new model must be compared with."""

from models.baselines.content import Content
from models.baselines.counting import Personal, Popular, Trending
from models.baselines.ease import Ease, EaseTrend, PersonalEase
from models.baselines.factors import ImplicitAls, SparkAls
from models.baselines.interactions import Interactions, as_interactions, read_interactions
from models.baselines.interface import Baseline
from models.baselines.neighbours import ItemNeighbours, UserNeighbours

IN_MEMORY: tuple[type[Baseline], ...] = (
    *(Popular, Trending, Personal, ItemNeighbours, UserNeighbours, Ease, EaseTrend, PersonalEase),
    *(ImplicitAls, Content),
)
"""Baselines that run in this process, without Spark."""
ALL: tuple[type[Baseline], ...] = (*IN_MEMORY, SparkAls)

__all__ = [
    "ALL",
    "IN_MEMORY",
    "Baseline",
    "Interactions",
    "Trending",
    "as_interactions",
    "content",
    "factors",
    "neighbours",
    "read_interactions",
    "ridge",
]
