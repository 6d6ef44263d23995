"""Checks of the arguments that the bounds share: what is refused is refused by name."""

import math

import numpy as np


def dimension(dim: float) -> int:
    """Return `dim` as an int of at least 2, or raise ValueError."""
    if not (math.isfinite(dim) and dim == int(dim) and dim >= 2):
        raise ValueError(f"dim is {dim!r}; it must be an integer of at least 2")
    return int(dim)


def integer(name: str, number: float, least: int) -> int:
    """Return `number` as an int of at least `least`, or raise ValueError."""
    if isinstance(number, bool) or not math.isfinite(number) or number != int(number) or number < least:
        raise ValueError(f"{name} is {number!r}; it must be an integer of at least {least}")
    return int(number)


def positive(name: str, number: float) -> float:
    """Return `number` as a finite float above zero, or raise ValueError."""
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{name} is {number!r}; it must be a finite number above 0")
    return float(number)


def probability(name: str, number: float) -> float:
    """Return `number` as a float strictly between 0 and 1, or raise ValueError."""
    if not 0 < number < 1:
        raise ValueError(f"{name} is {number!r}; it must lie strictly between 0 and 1")
    return float(number)


def log_mass(noop: float, log_noop: float | None) -> float:
    """Return log n from `noop`, or from `log_noop` where that is given; raise ValueError if neither is a mass."""
    if log_noop is not None:
        if math.isnan(log_noop) or log_noop == math.inf:
            raise ValueError(f"log_noop is {log_noop!r}; it must be a real number or -inf")
        return float(log_noop)
    if not (math.isfinite(noop) and noop >= 0):
        raise ValueError(f"noop is {noop!r}; it must be a finite number of at least 0")
    return math.log(noop) if noop > 0 else -math.inf


def one_of(name: str, choice: str, choices: tuple[str, ...]) -> str:
    """Return `choice` if it is among `choices`, or raise ValueError."""
    if choice not in choices:
        raise ValueError(f"{name} is {choice!r}; it must be one of {', '.join(map(repr, choices))}")
    return choice


def array(name: str, values: object, low: float = -math.inf, high: float = math.inf) -> np.ndarray:
    """Return `values` as a float64 array within ``[low, high]``, or raise ValueError."""
    numbers = np.asarray(values, dtype=np.float64)
    if not np.all((numbers >= low) & (numbers <= high)):
        wrong = numbers[~((numbers >= low) & (numbers <= high))].flat[0]
        raise ValueError(f"{name} holds {float(wrong)!r}; it must lie in [{low:g}, {high:g}]")
    return numbers
