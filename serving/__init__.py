"""The HTTP service and its offline twin: candidates, ranking and reasons over one release."""
