"""models/neighbours."""
