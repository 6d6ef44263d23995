"""The file of a memory: safetensors, with everything that is not a tensor in its metadata."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hopfield_theory._atomic_write import atomic_write
from hopfield_theory.model.separation import Entmax, Separation, SoftmaxN

__all__ = ["read", "write"]

_FORMAT = "hopfield_theory.Memory/1"


def write(
    path: str | os.PathLike[str], tensors: dict[str, Tensor | None], separation: Separation, **numbers: Any
) -> None:
    """Write tensors (those that are not None), a separation function and numbers."""
    if isinstance(separation, SoftmaxN):
        numbers["noop"] = separation.noop
    elif isinstance(separation, Entmax):
        numbers["alpha"] = separation.alpha
    else:
        raise TypeError(f"separation is {separation!r}: only SoftmaxN and Entmax can be saved")
    content = save(
        # tensors of one file must not share storage, as values may with patterns
        {name: tensor.contiguous().clone() for name, tensor in tensors.items() if tensor is not None},
        metadata={"memory": json.dumps({"format": _FORMAT} | numbers)},
    )
    atomic_write(path, content)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], Separation, dict[str, Any]]:
    """Read tensors, separation function and numbers, or raise FileNotFoundError or ValueError."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        with safe_open(str(path), framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("memory", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path}: not a whole safetensors file ({error})") from error
    if about.get("format") != _FORMAT or "patterns" not in tensors:
        raise ValueError(f"{path}: holds no memory that this version reads (format {about.get('format')!r})")
    return tensors, Entmax(about["alpha"]) if "alpha" in about else SoftmaxN(about["noop"]), about
