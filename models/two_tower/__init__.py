"""Two-tower retrieval: which items a user may take next, from recent history and profile."""
