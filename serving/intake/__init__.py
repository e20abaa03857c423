"""Bodies of `POST /events`, checked against the contract."""
