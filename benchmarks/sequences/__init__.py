"""Sequence models on MovieLens 100K, in order and by ids alone."""
