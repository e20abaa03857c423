"""Wide & Deep ranker: which of a user's candidates come first."""
