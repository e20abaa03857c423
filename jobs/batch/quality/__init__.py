"""jobs/batch/quality."""
