"""A synthetic shop: visits, tastes and what was shown, as pure functions of a seed and row numbers (no Spark)."""
