"""models/ranker/networks."""
