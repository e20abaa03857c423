"""What proves the speed and the quality: each benchmark measures ours and a peer in the same run."""
