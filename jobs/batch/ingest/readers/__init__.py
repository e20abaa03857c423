"""jobs/batch/ingest/readers."""
