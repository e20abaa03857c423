"""The towers as TFRS and Keras models."""

__all__ = ["attention", "item_columns", "model", "negatives", "pooling"]
