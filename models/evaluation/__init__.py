"""A release against baselines on later events: ground truth, lists, scores, slices, report."""

__all__ = ["comparison", "ground_truth", "lists_file", "model_score", "plots", "tables"]
