"""What the service writes: events, impressions, metrics, log lines."""
