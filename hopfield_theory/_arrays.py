"""Array-likes as tensors: whatever NumPy takes, data frames included; what is not numeric is refused by name."""

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["as_tensor", "check_scores", "floating", "has_masked"]

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def floating(name: str, array: Any, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Tensor:
    """Return an array-like as a floating tensor, copied only if necessary; integers and booleans become float64.

    Raises
    ------
    TypeError
        If it is complex, sparse, of fewer than 16 bits, not numeric, or has masked numbers.
    """
    array = as_tensor(name, array, dtype)
    if array.is_complex():
        raise TypeError(f"{name} is {array.dtype}: it must be real")
    if array.layout != torch.strided or (array.is_floating_point() and array.dtype not in _FLOATS):
        raise TypeError(f"{name} is {array.dtype} ({array.layout}): it must be dense, with floats of 16, 32 or 64 bits")
    if not array.is_floating_point() and dtype is None:
        dtype = torch.float64
    return array.to(device=device, dtype=dtype)


def as_tensor(name: str, array: Any, dtype: torch.dtype | None = None) -> Tensor:
    """Return an array-like of numbers as a tensor, copied only if necessary; a tensor as it is."""
    try:
        if not isinstance(array, Tensor):
            if not isinstance(array, list | tuple | int | float) or _holds_arrays(array):
                array = _numeric(name, array)
            with warnings.catch_warnings():
                # nothing here writes to an array that is read-only
                warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
                array = torch.as_tensor(array, dtype=dtype)
    except (TypeError, ValueError, RuntimeError) as error:
        if str(error).startswith(name):
            raise
        raise TypeError(f"{name} is {type(array).__name__}: it must be a numeric array ({error})") from error
    return array


def check_scores(name: str, x: Tensor, slope: float, dtype: torch.dtype) -> None:
    """Refuse states whose scores could overflow a dtype; ``slope`` is β m, the largest score of a state of norm 1."""
    largest = x.abs().amax().item() if x.numel() else 0.0
    if not slope * largest * x.shape[-1] ** 0.5 < torch.finfo(dtype).max / 16:
        raise ValueError(f"{name} with coordinates up to {largest:.3g}: scores overflow {dtype}")


def has_masked(array: Any) -> bool:
    """Tell whether an array, or one in a list, has masked numbers."""
    return np.ma.is_masked(array) or (isinstance(array, list | tuple) and any(map(np.ma.is_masked, array)))


def _holds_arrays(array: Any) -> bool:
    return isinstance(array, list | tuple) and any(isinstance(row, np.ndarray) for row in array)


def _numeric(name: str, array: Any) -> Any:
    if has_masked(array):
        raise TypeError(f"{name} has masked numbers: fill them, or leave their rows out")
    numbers = np.asarray(array)
    if numbers.dtype.kind == "O" and hasattr(getattr(array, "dtypes", None), "items"):
        # columns of different types; those with missing values are numbers all the same
        wrong = [f"{column!r} ({kind})" for column, kind in dict(array.dtypes).items() if kind.kind not in "biuf"]
        if wrong:
            raise TypeError(f"{name} has columns that are not numeric, {', '.join(wrong)}: leave them out")
        numbers = array.to_numpy(dtype=np.float64, na_value=np.nan)
    if numbers.dtype.kind == "c":
        raise TypeError(f"{name} is {numbers.dtype}: it must be real")
    if numbers.dtype.kind not in "biuf":
        raise TypeError(f"{name} is {type(array).__name__} of {numbers.dtype}: it must be a numeric array")
    if numbers.dtype.byteorder not in "=|" or any(stride < 0 for stride in numbers.strides):
        return numbers.astype(numbers.dtype.newbyteorder("="))
    return numbers
