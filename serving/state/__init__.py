"""What requests are answered from: the live release and the online store."""
