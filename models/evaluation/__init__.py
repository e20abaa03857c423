"""Ranking metrics, baselines and the report that compares them on the same users."""

from models.metrics.ranking import PerUser, Targets, list_properties, score_lists
from models.metrics.resampling import interval, paired_ratio

__all__ = ["PerUser", "Targets", "interval", "list_properties", "paired_ratio", "score_lists"]
