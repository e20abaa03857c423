"""models/ranker/examples."""
