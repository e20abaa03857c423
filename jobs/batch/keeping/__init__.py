"""jobs/batch/keeping."""
