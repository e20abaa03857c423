"""The two-tower model: training phases, vectors, popularity prior, index."""

__all__ = ["bundle", "index", "prior", "training", "training_phases"]
