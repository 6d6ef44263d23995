"""Checks of arguments, once, at the public face: ``NAME is VALUE: it must be …``.

Values that are not numbers raise TypeError, numbers outside their range ValueError. NumPy's scalars are numbers.
"""

import inspect
import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def real(name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """Return a finite number in ``[low, high]`` as a float."""
    _check_number(name, value)
    if not (math.isfinite(value) and low <= value <= high):
        within = f" in [{low:g}, {high:g}]" if high < math.inf else f" of at least {low:g}" if low > -math.inf else ""
        raise ValueError(f"{name} is {value}: it must be a finite number{within}")
    return float(value)


def positive(name: str, value: Any) -> float:
    """Return a finite number above 0 as a float."""
    _check_number(name, value)
    if not 0 < value < math.inf:
        raise ValueError(f"{name} is {value}: it must be a finite number above 0")
    return float(value)


def probability(name: str, value: Any) -> float:
    """Return a number strictly between 0 and 1 as a float."""
    _check_number(name, value)
    if not 0 < value < 1:
        raise ValueError(f"{name} is {value}: it must lie strictly between 0 and 1")
    return float(value)


def integer(name: str, value: Any, low: int, high: float = math.inf) -> int:
    """Return an integer in ``[low, high]``; a float with an integer value will do."""
    _check_number(name, value)
    if not (math.isfinite(value) and value == int(value) and low <= value <= high):
        within = f"of at least {low}" if high == math.inf else f"in [{low}, {high}]"
        raise ValueError(f"{name} is {value}: it must be an integer {within}")
    return int(value)


def log_noop(noop: Any, log_noop: Any = None) -> float:
    """Return log n of a no-op mass given as ``noop`` or as ``log_noop``; it is 1 if both are None."""
    if log_noop is None:
        noop = 1.0 if noop is None else real("noop", noop, 0)
        return math.log(noop) if noop > 0 else -math.inf
    if noop is not None:
        raise ValueError(f"noop is {noop} and log_noop {log_noop}: one must be None")
    _check_number("log_noop", log_noop)
    if not log_noop < math.inf:
        raise ValueError(f"log_noop is {log_noop}: it must be a number below infinity (-inf stands for n = 0)")
    return float(log_noop)


def one_of(name: str, choice: str, choices: Sequence[str]) -> str:
    """Return ``choice`` if it is among ``choices``."""
    if choice not in choices:
        raise ValueError(f"{name} is {choice!r}: it must be one of {', '.join(map(repr, choices))}")
    return choice


def instance(name: str, value: Any, kind: type) -> None:
    """Refuse what is not of a class, and name the first two arguments that make one."""
    if not isinstance(value, kind):
        made = f"{kind.__name__}({', '.join(list(inspect.signature(kind).parameters)[:2])})"
        raise TypeError(f"{name} is {type(value).__name__}: it must be a {kind.__name__}, as of {made}")


def array(name: str, values: Any, low: float = -math.inf, high: float = math.inf) -> Floats:
    """Return numbers in ``[low, high]`` as a float64 array."""
    try:
        found = np.asarray(values)
        numbers = found.astype(np.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise TypeError(f"{name} is {values!r}: it must hold numbers that fit a float") from error
    if found.dtype.kind not in "iufO":
        raise TypeError(f"{name} is {values!r}: it must hold numbers")
    inside = (numbers >= low) & (numbers <= high)
    if not inside.all():
        raise ValueError(f"{name} holds {float(numbers[~inside].flat[0])!r}: it must lie in [{low:g}, {high:g}]")
    return numbers


def _check_number(name: str, value: Any) -> None:
    if not isinstance(value, Real) or isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {value!r}: it must be a number")
    try:
        float(value)
    except OverflowError:
        raise ValueError(f"{name} is beyond the largest float") from None
