"""What a request gets when there is no time for a full answer."""
