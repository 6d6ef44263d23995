"""Closed-form bounds on retrieval and capacity, in the log domain: NumPy and SciPy only.

`sphere` and `codes` hold the geometry, `retrieval` the worst-case statements T9 to T14, `capacity` the statements C1,
C2 and C8 and, from `chernoff`, `merging`, `crowding` and `ceiling`, C3, C6 and C7; `thermodynamics` holds C4 and C5.
"""

from hopfield_theory.bounds import (
    capacity,
    ceiling,
    chernoff,
    codes,
    crowding,
    merging,
    retrieval,
    sphere,
    thermodynamics,
)

__all__ = [
    "capacity",
    "ceiling",
    "chernoff",
    "codes",
    "crowding",
    "merging",
    "retrieval",
    "sphere",
    "thermodynamics",
]
