"""``python -m hopfield_theory`` is the command line."""

from hopfield_theory.cli.main import main

main()
