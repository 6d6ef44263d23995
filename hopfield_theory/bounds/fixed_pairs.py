r"""The least angle between two stored patterns of equal norm, over all memories: C8.

Two fixed points of any memory, 2b apart, have a midpoint at most :math:`\sqrt{m^2 - s^2}` from the origin, with
:math:`b = s\tanh(\beta sb)`. With :math:`t = \beta sb` the pairs (b, s) are one curve; at each of its points the fixed
points are in reach of two patterns only if the angle between these is large enough.
"""

import math
from collections.abc import Callable

from scipy import optimize

from hopfield_theory import _arguments

__all__ = ["forced_angle"]

# the angle is found up to rounding, and given this share smaller
_MARGIN = 1e-9


def forced_angle(kappa: float) -> float:
    r"""Least angle between two stored patterns of equal norm, in units of radians (C8).

    It is :math:`2\min_t h(t)`, where h solves :math:`(\cos h - w)^2 + b^2 = 2b\sin h`, with
    :math:`s^2 = t/(\kappa\tanh t)`, :math:`b = s\tanh t` and :math:`w = \sqrt{1 - s^2}`, for the t with s at most 1.
    It is the infimum over all other patterns of at most that norm and all no-op masses. Below a right angle its sine is
    above :math:`1/\kappa`, and their ratio falls to 1 as κ grows.

    Parameters
    ----------
    kappa : float, above 0
        :math:`\beta m^2`.

    Returns
    -------
    float
        In (0, π); ``inf`` up to κ = 1, where no memory has two fixed points.

    Notes
    -----
    Proved in docs/bounds-proofs.md, C8.

    Examples
    --------
    >>> [round(kappa * math.sin(forced_angle(kappa)), 4) for kappa in (2.0, 10.0, 1000.0)]
    [1.0446, 1.0084, 1.0001]
    >>> forced_angle(1.0)
    inf
    """
    kappa = _arguments.positive("kappa", kappa)
    if kappa <= 1.0:
        return math.inf
    top = _largest(kappa)
    found = optimize.minimize_scalar(
        lambda share: _half_angle(share * top, kappa), bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-7}
    )
    return 2.0 * float(found.fun) * (1.0 - _MARGIN)


def _largest(kappa: float) -> float:
    """A t beyond the one of the least angle, with s at most 1."""
    top = 1.0 / math.sqrt(kappa)
    if top <= kappa * math.tanh(top):
        return top
    # t coth t lies between 1 and 1 + t²/3
    return _root(lambda t: t - kappa * math.tanh(t), math.sqrt(kappa - 1.0), top)


def _half_angle(t: float, kappa: float) -> float:
    """Half the angle of the nearest patterns whose fixed points are at one point of the curve."""
    square = t / (kappa * math.tanh(t))
    b = math.sqrt(square) * math.tanh(t)
    # 1 - w, without cancellation
    lead = square / (1.0 + math.sqrt(max(0.0, 1.0 - square)))

    def excess(h: float) -> float:
        above = lead - 2.0 * math.sin(0.5 * h) ** 2
        return above * (above / b) + b - 2.0 * math.sin(h)

    # it falls up to cos h = w, where it is b - 2s < 0
    return _root(excess, 0.0, 2.0 * math.asin(math.sqrt(0.5 * min(lead, 1.0))))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return float(optimize.root_scalar(function, bracket=(low, high), method="brentq", xtol=1e-300).root)
