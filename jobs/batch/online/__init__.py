"""jobs/batch/online."""
