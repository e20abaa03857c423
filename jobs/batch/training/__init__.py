"""Training sets, point-in-time correct, with the recipe to make them again; ALS on Spark."""

__all__ = ["file_hashes", "recipe", "sets"]
