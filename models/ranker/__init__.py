"""The ranker: networks and trees, their training, calibration, validation and export."""

__all__ = ["committee", "export", "int8", "training"]
