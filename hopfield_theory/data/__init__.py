"""Patterns: random ensembles, files, corruption."""

from hopfield_theory.data import corruption as corruption
