"""Training data of the ranker: candidates with features as served and their outcomes."""

__all__ = ["examples", "exposure", "training_data"]
