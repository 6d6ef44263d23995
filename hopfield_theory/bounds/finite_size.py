"""By how much the crowd's fluctuations move the fold of the mean-field curve, and how wide they make it (C9)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from hopfield_theory import _arguments
from hopfield_theory._arguments import Floats
from hopfield_theory.bounds import _quadrature, mean_field, sphere
from hopfield_theory.bounds.mean_field import Fold
from hopfield_theory.bounds.random_memory import RandomMemory

__all__ = ["Law", "law"]

# Closer patterns than this height have a chance of 1e-15 in two dimensions, and none in those that have a fold.
_LEAST_HEIGHT = 1e-30
# an expansion whose first term is larger says nothing
_LARGEST_SHIFT = 1.0


@dataclass(frozen=True)
class Law:
    """Rate at which a random memory stores a pattern, about the mean-field fold: statement C9 (heuristic).

    Attributes
    ----------
    fold : Fold
        log M of C5, where M counts the patterns other than the target.
    drift : float, at most 0
        Shift of log M since the crowd, at its mean, is louder where it has pulled the state across the target.
    echo : float
        Shift of log M since each pattern is louder where it has itself pulled the state; below 0 where the patterns
        that matter have overlaps below that of the fold.
    choice : float, at least 0
        Shift of log M since each memory ends at its own overlap, the one at which its crowd is least loud.
    width : float, at least 0
        Standard deviation of the crowd's pull, relative to its mean: about that of log M at the end of storage.
    skew : float
        Third standardised cumulant of that pull.

    Examples
    --------
    >>> found = law(RandomMemory.of_lambda(dim=20, lam=1.0, noop=0.0))
    >>> round(found.log_patterns - found.fold.log_patterns, 3), round(found.width, 3)
    (-0.019, 0.037)
    >>> found.rate([10.4, found.log_patterns, 10.7]).round(3).tolist()
    [1.0, 0.5, 0.0]
    """

    fold: Fold
    drift: float
    echo: float
    choice: float
    width: float
    skew: float

    @property
    def log_patterns(self) -> float:
        """Logarithm of the number of patterns, the target among them, of which a typical one is stored at rate ½."""
        level, width = self._scale
        lean = 2.0 * math.asinh(0.5 * width * float(scipy.stats.pearson3.median(self.skew)))
        return float(np.logaddexp(0.0, level - lean))

    def rate(self, log_patterns: ArrayLike) -> Floats:
        """Chance that a pattern is stored, by the number of patterns M, the target among them.

        Parameters
        ----------
        log_patterns : array_like, at least 0
            Natural logarithm of M.

        Returns
        -------
        ndarray, shape of ``log_patterns``
            In [0, 1]; falls with M. The crowd's pull follows the law of Pearson's third type, a shifted gamma law.
        """
        found = _arguments.array("log_patterns", log_patterns, 0.0, np.finfo(float).max)
        level, width = self._scale
        with np.errstate(divide="ignore", over="ignore"):
            rivals = found + np.log(-np.expm1(-found))
            # of N patterns the pull is N for its mean and sqrt(N) for its spread; below the smallest float it is a step
            place = 2.0 * np.sinh(0.5 * (level - rivals)) / max(width, np.finfo(float).tiny)
        return np.asarray(scipy.stats.pearson3.cdf(place, self.skew))

    @property
    def _scale(self) -> tuple[float, float]:
        """Logarithm of the number of rivals at which the mean pull is critical, and the relative spread there."""
        shift = self.drift + self.echo + self.choice
        return self.fold.log_patterns + shift, self.width * math.exp(-0.5 * shift)


def law(memory: RandomMemory) -> Law | None:
    r"""Finite-size law of the fold: C5 with the crowd's fluctuations to first order (heuristic; no free parameter).

    Lengths are in units of m. A pattern of overlap c with the target has the weight ``w = e^{κq(c - 1)}`` relative to
    it, and pulls the overlap q down by ``g = (q - c) w``. A fixed point ``x = q ξ + y`` needs

    .. math:: \sum_\nu g_\nu\,e^{\kappa\langle y, \xi_\nu\rangle} = S(q) = 1 - q - q\,n e^{-\kappa q},\qquad
              y = \frac{1}{Z(1 - J)} \sum_\nu w_\nu (\xi_\nu - c_\nu \xi) + \dots,

    with ``Z = 1 + n e^{-κq} + M E w`` and ``J = κ M E[s² w]/((d - 1) Z)``, ``s² = 1 - c²``. To first order in the
    inverse of the number of patterns that count, at the fold of C5, with ``h = g/E g`` and ``a = -d² log M(q)/dq²``:

    .. math:: \text{width}^2 &= \operatorname{Var}(h)/M, \\
              \text{drift} &= -\tfrac12\kappa^2\,\frac{M E[s^2 w^2]}{Z^2 (1 - J)^2}\,\frac{E[s^2 g]}{(d - 1) E g}, \\
              \text{echo} &= -\frac{\kappa\,E[s^2 w g]}{Z (1 - J)\,E g}, \\
              \text{choice} &= \frac{1}{2aM}\Bigl(\operatorname{Var}(h') -
                \frac{\operatorname{Cov}(h, h')^2}{\operatorname{Var}(h)}\Bigr),\quad h' = \partial_q h.

    The rate ½ is where the median of the sum, about ``width · skew/6`` below its mean, meets S.

    Parameters
    ----------
    memory : RandomMemory

    Returns
    -------
    Law or None
        None where C5 has no fold, and where this is no expansion: the crowd's own response outweighs its cause,
        ``J >= 1``, or the shifts add up to more than 1.

    Raises
    ------
    ValueError
        If d is above 100 000, where the law is C5's and its integrals are long.

    Notes
    -----
    Statement C9, heuristic: an expansion, good where the shifts are small. For λ of ½ and 1 it gives about half of the
    measured shift at d = 12 and two thirds at d = 14; from d = 16 on it is off by 0.6 half widths of the measured
    intervals in the root mean square, and by more than one in some cells (docs/results.md).

    Examples
    --------
    >>> found = law(RandomMemory.of_lambda(dim=16, lam=0.5, noop=0.0))
    >>> [round(shift, 3) for shift in (found.drift, found.echo, found.choice)]
    [-0.018, -0.089, 0.006]
    >>> law(RandomMemory.of_lambda(dim=12, lam=1.0, noop=0.0)) is None
    True
    """
    _quadrature.check_dim(memory.dim)
    end = mean_field.fold(memory)
    if end is None:
        return None
    kappa, across, q = memory.kappa, memory.dim - 1, end.overlap
    each = math.exp(-end.log_patterns)
    height, log_weight = _quadrature.heights(_LEAST_HEIGHT, memory.dim)
    lag = q - 1.0 + height
    spread = height * (2.0 - height)
    log_size = [float(sphere.log_mgf(power * kappa * q, memory.dim)) for power in range(4)]

    def mean(power: int, values: Floats) -> float:
        """Average under the weight ``w^power``."""
        log_share = log_weight - power * kappa * q * height
        share = np.exp(log_share - log_share.max())
        return float((share * values).sum() / share.sum())

    def moment(power: int, values: Floats) -> float:
        """Return ``E[values · w^power]/(E w)^power``, divided by ``M^(power - 1)``."""
        log_ratio = log_size[power] - power * log_size[1] - (power - 1) * end.log_patterns
        return math.exp(log_ratio) * mean(power, values)

    lead = mean(1, lag)
    slot = math.exp(memory.log_noop - kappa * q)
    balance = 1.0 - q - q * slot
    crowd = balance / lead
    total = 1.0 + slot + crowd
    response = kappa * crowd * mean(1, spread) / (across * total)
    if response >= 1.0:
        return None
    pull = crowd / (total * (1.0 - response))
    drift = -0.5 * (kappa * pull) ** 2 * moment(2, spread) * mean(1, lag * spread) / (across * lead)
    echo = -kappa * pull * moment(2, lag * spread) / lead

    variance = moment(2, (lag / lead) ** 2) - each
    third = moment(3, (lag / lead) ** 3) - 3.0 * each * variance - each**2
    width = math.sqrt(max(variance, 0.0))
    skew = third / width**3 if width**3 > 0.0 else 0.0

    fall = mean(1, 1.0 - kappa * height * lag) / lead
    change = (1.0 - lag * (kappa * height + fall)) / lead
    bend = mean(1, kappa * height * (kappa * height * lag - 2.0)) / lead - kappa * slot * (2.0 - kappa * q) / balance
    shared = moment(2, change * lag / lead) ** 2 / variance if variance > 0.0 else 0.0
    choice = 0.5 * max(moment(2, change**2) - shared, 0.0) / bend
    if abs(drift + echo + choice) > _LARGEST_SHIFT:
        return None
    return Law(end, drift, echo, choice, width, skew)
