"""What the ranker learns from: candidates with features as served and their outcomes."""

__all__ = ["examples", "exposure", "training_data"]
