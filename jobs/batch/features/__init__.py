"""jobs/batch/features."""
