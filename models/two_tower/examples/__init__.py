"""models/two_tower/examples."""
