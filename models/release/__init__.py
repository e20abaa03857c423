"""Releases assembled, recorded and registered in MLflow; their backtests."""

__all__ = ["assembly", "backtest", "provenance", "records", "registry"]
