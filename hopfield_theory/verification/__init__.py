"""Checks of statements: instances, attack, experiments, ball arithmetic and computer algebra."""
