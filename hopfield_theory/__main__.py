"""``python -m hopfield_theory`` is the command line."""

from hopfield_theory.cli import main

main()
