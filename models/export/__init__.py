"""Models as ONNX."""

__all__ = ["canonical_onnx", "onnx_export"]
