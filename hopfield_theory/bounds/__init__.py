"""Closed-form bounds on retrieval and capacity, in the log domain: NumPy and SciPy only.

Most functions take a ``RandomMemory``. ``sphere`` and ``codes`` are the geometry; ``one_update`` has the closed forms
of T9 to T14, ``union`` C1, C2, C8 and C11, ``fixed_pairs`` the angle in C8, ``chernoff`` C3, ``directional`` C10,
``mean_field`` C4 and C5, ``finite_size`` C9, ``merging`` C6, ``crowding`` C7 and the upper bound by C6 and C7;
``table`` lists every bound. Arguments that are not numbers raise TypeError, arguments out of range ValueError.
"""

from hopfield_theory.bounds import (
    chernoff,
    codes,
    crowding,
    directional,
    finite_size,
    fixed_pairs,
    mean_field,
    merging,
    one_update,
    sphere,
    table,
    union,
)
from hopfield_theory.bounds.random_memory import RandomMemory

__all__ = [
    "RandomMemory",
    "chernoff",
    "codes",
    "crowding",
    "directional",
    "finite_size",
    "fixed_pairs",
    "mean_field",
    "merging",
    "one_update",
    "sphere",
    "table",
    "union",
]
