"""jobs/batch/training."""
