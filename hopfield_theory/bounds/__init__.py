"""Closed-form bounds on retrieval and capacity, in the log domain: NumPy and SciPy only.

`random_memory` is what they speak of, `sphere` and `codes` the geometry; `one_update` holds the worst-case statements
T9 to T14, `union` C1, C2 and C8, `chernoff` C3, `mean_field` C4 and C5, `merging` C6, `crowding` C7; `table` lists
every bound.
"""

from hopfield_theory.bounds import (
    ceiling,
    chernoff,
    codes,
    crowding,
    mean_field,
    merging,
    one_update,
    random_memory,
    sphere,
    table,
    union,
)

__all__ = [
    "ceiling",
    "chernoff",
    "codes",
    "crowding",
    "mean_field",
    "merging",
    "one_update",
    "random_memory",
    "sphere",
    "table",
    "union",
]
