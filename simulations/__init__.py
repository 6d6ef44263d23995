"""Experiments: one file each, with its question, its grid and its measurement. Run ``python -m simulations NAME``."""
