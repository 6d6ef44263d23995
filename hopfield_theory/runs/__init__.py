"""Grids of cells: store, sweep, executors."""
