"""Seeds and generators keyed by the whole of a root seed and a cell: the same on every run, no two of them equal."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from hopfield_theory import _arguments

# torch is imported by who draws: a process that measures nothing needs the names of cells only
if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["derived_seed", "keyed_generator"]

# where torch keeps the 624 words of a Mersenne Twister in the bytes of a generator's state
_WORDS = slice(24, 24 + 8 * 624)


def derived_seed(seed: int, *cell: int | str) -> int:
    """Derive the root seed of a cell of an experiment from that of the experiment and the coordinates of the cell.

    Parameters
    ----------
    seed : int
        Root seed, ``>= 0``.
    *cell : int or str
        Coordinates that identify the cell, names or numbers ``>= 0``.

    Returns
    -------
    int
        A number in ``[0, 2**64)``, from SHAKE-256 of all arguments: any two of N cells share it with probability below
        ``N**2 / 2**65``.

    Examples
    --------
    >>> derived_seed(0) == derived_seed(0, 0), derived_seed(0, 1) == derived_seed(1, 0)
    (False, False)
    """
    return int.from_bytes(_digest("seed", root(seed), *coordinates(cell), size=8))


def keyed_generator(seed: int, *cell: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """Return the generator of a cell of an experiment: the same for the same arguments, independent of all others.

    Parameters
    ----------
    seed : int
        Root seed, ``>= 0``.
    *cell : int or str
        Coordinates that identify the cell, names or numbers ``>= 0``.
    device : torch.device or str
        Where it draws.

    Notes
    -----
    ``torch.Generator.manual_seed`` keeps 32 bits of a seed on the CPU, so that among 77 000 seeds two share a stream
    with probability ½. Here the whole state of the Mersenne Twister, 19 937 bits, is SHAKE-256 of the arguments, which
    takes about 60 µs instead of 3 µs (a block of 2**20 normal numbers takes 7 ms). On a GPU it is the 64-bit key of the
    Philox generator.

    Examples
    --------
    >>> import torch
    >>> torch.rand(2, generator=keyed_generator(0, 3)).equal(torch.rand(2, generator=keyed_generator(0, 3)))
    True
    >>> torch.rand(2, generator=keyed_generator(2**32)).equal(torch.rand(2, generator=keyed_generator(0)))
    False
    """
    import torch

    return generator_of(torch.device(device), "cell", root(seed), *coordinates(cell))


def generator_of(device: torch.device, *key: object) -> torch.Generator:
    """Return the generator of a key on a device."""
    import torch

    drawn = torch.Generator(device)
    if device.type != "cpu":
        return drawn.manual_seed(int.from_bytes(_digest(*key, size=8)))
    state = _twister().clone()
    state[_WORDS].view(torch.int64).copy_(torch.frombuffer(_digest(*key, size=4 * 624), dtype=torch.uint32))
    return drawn.set_state(state)


@cache
def _twister() -> Tensor:
    """Return the state of a generator that has drawn nothing, its words in ``_WORDS``, each in eight bytes."""
    import torch

    state = torch.Generator().manual_seed(1).get_state()
    words = torch.from_numpy(np.random.RandomState(1).get_state(legacy=False)["state"]["key"].astype("i8"))
    if not torch.equal(state[_WORDS].view(torch.int64), words):
        raise RuntimeError(f"torch {torch.__version__} keeps the state of its generator in a form that is not known")
    return state


def _digest(*key: object, size: int) -> bytearray:
    return bytearray(hashlib.shake_256(repr(key).encode()).digest(size))


def root(seed: int) -> int:
    """Check a root seed."""
    return _arguments.integer("seed", seed, 0)


def coordinates(cell: Iterable[int | str]) -> tuple[int | str, ...]:
    """Check the coordinates of a cell."""
    return tuple(c if isinstance(c, str) else _arguments.integer("a coordinate of cell", c, 0) for c in cell)
