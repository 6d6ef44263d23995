"""How many random patterns cannot be stored: C6 for all of them (`merging`), C7 for a typical one (`crowding`)."""

import math

from hopfield_theory import _arguments
from hopfield_theory.bounds.chernoff import QUANTIFIERS
from hopfield_theory.bounds.crowding import typical_witness
from hopfield_theory.bounds.merging import pair_witness
from hopfield_theory.bounds.random_memory import Model


def ceiling(
    *,
    dim: int,
    beta: float,
    scale: float,
    failure_probability: float,
    noop: float = 1.0,
    log_noop: float | None = None,
    quantifier: str = "all",
    error: float | None = None,
) -> float:
    """Logarithm of a number of random patterns that are *not* stored with probability ``1 - p`` (C6, C7, proved here).

    With ``"typical"`` (C7), the chance that a given pattern has no fixed point within ``error · m`` is at least p. With
    ``"all"``, the smaller of that number and of the one at which, with a chance of at least p, two patterns are so
    close that both run into one limit (C6), whatever the error. Patterns are uniform on the sphere of radius
    ``scale · sqrt(dim - 1)``. The bound is proved at the number returned; `merging.log_pair_failure` and
    `crowding.log_typical_survival` decide any other.

    Parameters
    ----------
    dim : int, at least 2
        Dimension d.
    beta, scale : float, above 0
        Inverse temperature, and K.
    failure_probability : float, in (0, 1)
        p.
    noop, log_noop : float
        The no-op mass n, or its logarithm.
    quantifier : {"all", "typical"}
        As for `hopfield_theory.bounds.chernoff.chernoff`.
    error : float, in (0, 1), optional
        How near a fixed point counts as retrieval in C7; by default the ball in which C3 stores a typical pattern, at
        least ``1/κ``, so that the two bounds speak of the same event.

    Returns
    -------
    float
        log M, ``inf`` where nothing is proved.

    Raises
    ------
    ValueError
        If an argument leaves its range.

    Examples
    --------
    >>> limit = ceiling(dim=20, beta=1.0, scale=3.0, failure_probability=1e-3)
    >>> 8.4e6 < math.exp(limit) < 8.8e6
    True
    """
    arguments = {
        "dim": dim,
        "beta": beta,
        "scale": scale,
        "failure_probability": failure_probability,
        "noop": noop,
        "log_noop": log_noop,
    }
    _arguments.one_of("quantifier", quantifier, QUANTIFIERS)
    _arguments.probability("failure_probability", failure_probability)
    if error is not None:
        _arguments.probability("error", error)
    if quantifier == "all" and Model.of(dim, beta, scale, noop=noop, log_noop=log_noop).kappa < 1.0:
        # The update contracts the whole space (T7): there is one fixed point, and two patterns cannot both be stored.
        return math.log(2.0)
    typical = typical_witness(**arguments, error=error).log_patterns
    return typical if quantifier == "typical" else min(typical, pair_witness(**arguments).log_patterns)
