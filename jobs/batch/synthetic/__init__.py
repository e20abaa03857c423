"""A synthetic shop: visits, preferences and impressions, as pure functions of a seed and row numbers (no Spark)."""
