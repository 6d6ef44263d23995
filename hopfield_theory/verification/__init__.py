"""What is done to a statement of the theory to find out whether it holds."""
