"""Quality of the demo's release against every baseline, and the search of the baselines' settings."""
