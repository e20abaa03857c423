"""Benchmark of the service under overload: personal answers, cheaper tiers, false alarms."""
