"""A memory as one safetensors file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialised

from hopfield_theory._atomic_write import atomic_write
from hopfield_theory.model.memory import Memory
from hopfield_theory.model.separation import Entmax, Separation, SoftmaxN

__all__ = ["load", "save"]

_FORMAT = "hopfield_theory.Memory/1"


def save(memory: Memory, path: str | os.PathLike[str]) -> None:
    """Write a memory, as :meth:`hopfield_theory.Memory.save` says."""
    if isinstance(memory.separation, SoftmaxN):
        separation: dict[str, Any] = {"noop": memory.separation.noop}
    elif isinstance(memory.separation, Entmax):
        separation = {"alpha": memory.separation.alpha}
    else:
        raise TypeError(f"separation is {memory.separation!r}: only SoftmaxN and Entmax can be saved")
    tensors = {"patterns": memory.patterns, "values": memory.values, "shift": memory.shift}
    about = {"format": _FORMAT, "beta": memory.beta, "normalise": memory.normalise, **separation}
    content = serialised(
        # tensors of one file must not share storage, as values may with patterns
        {name: tensor.contiguous().clone() for name, tensor in tensors.items() if tensor is not None},
        metadata={"memory": json.dumps(about)},
    )
    atomic_write(path, content)


def load(path: str | os.PathLike[str]) -> Memory:
    """Read a memory, as :meth:`hopfield_theory.Memory.load` says."""
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
    separation: Separation = Entmax(about["alpha"]) if "alpha" in about else SoftmaxN(about["noop"])
    memory = Memory(tensors["patterns"], about["beta"], separation=separation, values=tensors.get("values"))
    memory.shift, memory.normalise = tensors.get("shift"), about["normalise"]
    return memory
