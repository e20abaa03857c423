"""jobs/batch/ingest."""
