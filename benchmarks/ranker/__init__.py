"""Benchmark of the ranker against Keras' `fit` of the plain model."""
