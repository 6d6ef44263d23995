"""Cells of the made-up store, and figures of it."""

import importlib

from figures import style
from figures.results import load
from hopfield_theory.runs.store import Cell, Store


def unrendered(name, folder, page="icml"):
    module = importlib.import_module(f"figures.{name}")
    found = {experiment: load(folder, experiment, columns) for experiment, columns in module.NEEDS.items()}
    with style.applied():
        return module.draw(found, style.PAGES[page]).figure, found


def cells(name):
    return [Cell(name, "quick", 0, p) for p in importlib.import_module(f"simulations.{name}").cells("quick")]


def rewrite(folder, cell, drop=(), seconds=0.1, device="cpu", source=None, **changes):
    """Write a cell again with some results changed or dropped, or with those of another cell."""
    store = Store(folder)
    about = ["experiment", "preset", "seed", "version", *cell.parameters, "device", "seconds", *drop]
    store.write(cell, store.read(source or cell).drop(columns=about).assign(**changes), seconds, device)
