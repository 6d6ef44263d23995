"""A random memory in units of its radius: the object that most bounds of this package are about."""

import math
from dataclasses import dataclass

from hopfield_theory import _arguments

__all__ = ["RandomMemory"]


@dataclass(frozen=True)
class RandomMemory:
    """Patterns independent and uniform on a sphere of radius m, and a no-op slot.

    Parameters
    ----------
    dim : int, at least 2
        Dimension d.
    kappa : float, above 0
        ``κ = β m²``.
    log_noop : float
        Natural logarithm of the no-op mass n; ``-inf`` for n = 0.

    Examples
    --------
    >>> RandomMemory.of(dim=20, beta=1.0, scale=3.0)
    RandomMemory(dim=20, kappa=171.0, log_noop=0.0)
    >>> RandomMemory.of_norm(dim=128, beta=8.0, norm=1.0)
    RandomMemory(dim=128, kappa=8.0, log_noop=0.0)
    >>> RandomMemory.of_lambda(dim=16, lam=0.5, noop=0.0)
    RandomMemory(dim=16, kappa=8.0, log_noop=-inf)
    """

    dim: int
    kappa: float
    log_noop: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "dim", _arguments.integer("dim", self.dim, 2))
        object.__setattr__(self, "kappa", _arguments.positive("kappa", self.kappa))
        object.__setattr__(self, "log_noop", _arguments.log_noop(None, self.log_noop))

    @classmethod
    def of(cls, dim: int, beta: float, scale: float, noop: float = 1.0) -> "RandomMemory":
        """Return a memory with patterns of norm ``scale · sqrt(dim - 1)`` at inverse temperature ``beta``."""
        dim, scale = _arguments.integer("dim", dim, 2), _arguments.positive("scale", scale)
        kappa = _arguments.positive("beta", beta) * (scale * scale) * (dim - 1)
        return cls(dim, kappa, _arguments.log_noop(noop))

    @classmethod
    def of_norm(cls, dim: int, beta: float, norm: float, noop: float = 1.0) -> "RandomMemory":
        """Return the memory of patterns of a norm m at the inverse temperature `beta`."""
        norm = _arguments.positive("norm", norm)
        return cls(dim, _arguments.positive("beta", beta) * (norm * norm), _arguments.log_noop(noop))

    @classmethod
    def of_lambda(cls, dim: int, lam: float, noop: float = 1.0) -> "RandomMemory":
        """Return a memory with ``κ = lam · dim``."""
        return cls(dim, _arguments.positive("lam", lam) * dim, _arguments.log_noop(noop))

    @property
    def lam(self) -> float:
        """``λ = κ/d``."""
        return self.kappa / self.dim

    @property
    def noop(self) -> float:
        """The no-op mass n; infinite if it overflows."""
        return math.exp(self.log_noop) if self.log_noop < 709.0 else math.inf
