"""Rankers: which of a user's candidates come first."""
