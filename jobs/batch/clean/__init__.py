"""jobs/batch/clean."""
