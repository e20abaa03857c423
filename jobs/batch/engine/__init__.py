"""jobs/batch/engine."""
