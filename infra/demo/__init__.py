"""`make demo`: from a retailer's purchases to live, explained recommendations, with the time of each step."""
