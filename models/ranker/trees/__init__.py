"""models/ranker/trees."""
