"""Triton kernels. Import a module of this folder only where Triton is installed (:func:`available`)."""

from __future__ import annotations

import functools
import importlib.util

__all__ = ["available"]


@functools.cache
def available() -> bool:
    """Tell whether Triton is installed: PyTorch brings it along with CUDA on Linux.

    Examples
    --------
    >>> available() in (True, False)
    True
    """
    return importlib.util.find_spec("triton") is not None
