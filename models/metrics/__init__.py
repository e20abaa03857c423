"""Ranking metrics, beyond-accuracy metrics, calibration, bootstrap intervals. Pure NumPy."""

__all__ = ["beyond_accuracy", "probabilities", "ranking", "resampling", "slices"]
