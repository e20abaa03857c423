"""models/two_tower/network."""
