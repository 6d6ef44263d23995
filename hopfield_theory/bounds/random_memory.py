"""A random memory in units of its radius: what C3, C6 and C7 depend on."""

from dataclasses import dataclass

from hopfield_theory import _arguments


@dataclass(frozen=True)
class Model:
    """Patterns uniform on a sphere: ``κ = β m²``, dimension, natural logarithm of the no-op mass.

    Examples
    --------
    >>> Model.of(dim=20, beta=1.0, scale=3.0, noop=1.0)
    Model(kappa=171.0, dim=20, log_noop=0.0)
    """

    kappa: float
    dim: int
    log_noop: float

    @classmethod
    def of(cls, dim: int, beta: float, scale: float, *, noop: float = 1.0, log_noop: float | None = None) -> "Model":
        """Return the model of radius ``scale · sqrt(dim - 1)``; raise ValueError if an argument leaves its range."""
        dim = _arguments.integer("dim", dim, 2)
        kappa = _arguments.positive("beta", beta) * _arguments.positive("scale", scale) ** 2 * (dim - 1)
        return cls(kappa, dim, _arguments.log_noop(noop, log_noop))
