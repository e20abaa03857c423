"""Benchmark of the service against FastAPI, uvicorn, the Feast SDK and a SavedModel."""
