"""What is proved of a given memory."""
