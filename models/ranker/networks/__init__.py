"""The ranker's neural networks: Wide & Deep, DCN, neural collaborative filtering."""

__all__ = ["architectures", "losses", "model", "scaling"]
