"""`make demo`: from a retailer's purchases to live, explained recommendations, every step real and timed."""
