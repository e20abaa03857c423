"""Child processes beside the event loop: ranking, and which release is live."""
