"""Figures for papers, drawn from stored results: ``python -m figures``. Nothing is computed here but closed forms."""
