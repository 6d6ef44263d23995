"""Triton kernels. Import a module of this folder only where Triton is installed (:func:`available`)."""

from __future__ import annotations

import functools
import importlib.util
from contextlib import nullcontext
from typing import Any

import torch

__all__ = ["available", "launch"]


@functools.cache
def available() -> bool:
    """Tell whether Triton is installed: PyTorch brings it along with CUDA on Linux.

    Examples
    --------
    >>> available() in (True, False)
    True
    """
    return importlib.util.find_spec("triton") is not None


def launch(kernel: Any, grid: tuple[int, ...], *arguments: Any, **options: Any) -> None:
    """Launch a kernel on the device of its first argument: Triton alone takes the current one, whatever it is given."""
    device = arguments[0].device
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        kernel[grid](*arguments, **options)
