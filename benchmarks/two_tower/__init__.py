"""Benchmark of the two-tower against TFRS and Keras."""
