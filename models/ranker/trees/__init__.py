"""Boosted trees (XGBoost) and their ONNX graph."""

__all__ = ["boosting", "onnx"]
