"""By how much the crowd's fluctuations move the end of the mean-field curve, and how wide they make it (C9)."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy
from numpy.typing import ArrayLike

from hopfield_theory import _arguments
from hopfield_theory._arguments import Floats
from hopfield_theory.bounds import _quadrature, sphere
from hopfield_theory.bounds._pulled_across import Branch, End
from hopfield_theory.bounds.mean_field import Fold
from hopfield_theory.bounds.random_memory import RandomMemory

__all__ = ["Law", "branch_end", "law"]

# Closer patterns than this height have a chance of 1e-15 in two dimensions, and none in those where many are stored.
_LEAST_HEIGHT = 1e-30
# an expansion whose first terms add up to more, or whose fluctuations are wider, says nothing
_LARGEST = 0.5
_FAR_OUT = 1e100


@dataclass(frozen=True)
class Law:
    """Rate at which a random memory stores a pattern, about the end of its branch: statement C9 (heuristic).

    Attributes
    ----------
    end : Fold
        Largest log M of the mean-field branch in the ball that counts as stored, with the crowd's pull across the
        target in it, and the overlap there.
    across : float, at least 0
        Distance of the state from the line through the target there, in units of m.
    basin : float
        log M from which on the query, at the mean, does not reach the branch; that of ``end`` if it always does.
    echo : float
        Shift of log M since each pattern is louder where it has itself pulled the state; below 0 where the patterns
        that matter have overlaps below that of the state.
    echo_across : float, at most 0
        Shift of log M since they have, for the same reason, pulled the state farther across.
    choice : float, at least 0
        Shift of log M since each memory ends at its own overlap, the one at which its crowd is least loud.
    width : float, at least 0
        Standard deviation of what the crowd's pull does to log M, along the target and across it.
    skew : float
        Third standardised cumulant of that pull.

    Examples
    --------
    >>> found = law(RandomMemory.of_lambda(dim=20, lam=1.0, noop=0.0))
    >>> round(found.log_patterns, 3), round(found.width, 3)
    (10.577, 0.04)
    >>> found.rate([10.4, found.log_patterns, 10.7]).round(3).tolist()
    [1.0, 0.5, 0.001]
    """

    end: Fold
    across: float
    basin: float
    echo: float
    echo_across: float
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
        # so far out it is 0 or 1, and divided by the skewness still a float
        return np.asarray(scipy.stats.pearson3.cdf(np.clip(place, -_FAR_OUT, _FAR_OUT), self.skew))

    @property
    def _scale(self) -> tuple[float, float]:
        """Logarithm of the number of rivals at which the mean pull is critical, and the relative spread there."""
        shift = self.echo + self.echo_across + self.choice
        return min(self.end.log_patterns, self.basin) + shift, self.width * math.exp(-0.5 * shift)


# tables, figures and pages ask for the same memories
@lru_cache(maxsize=1024)
def law(memory: RandomMemory, error: float = 0.5, distance: float = 0.0) -> Law | None:
    r"""Finite-size law of storage: mean field with the crowd's fluctuations (heuristic; no free parameter).

    Lengths are in units of m; the target is ξ, the state ``x = q ξ + y`` with y across ξ and ``r = |x|``. The crowd's
    mean points along x: with ``Ψ`` and ``s`` of C5 and ``T = e^{κq}`` a fixed point needs, along ξ and across,

    .. math:: T (1 - q) - q n = M\,\Psi(\kappa r)\,(r - s(\kappa r))\,q/r,\qquad
              y = \frac{q}{T} \sum_\nu (W_\nu \xi_\nu - E\,W \xi)_\perp,\quad
              W_\nu = e^{\kappa\langle x, \xi_\nu\rangle}.

    The first is C5 for ``y = 0``. With ``y² = q² M E[s_ν² W²]/T²``, ``s_ν`` the length of a pattern across ξ, both
    together give M as a function of q, and ``end`` is where it is largest in the ball of radius ``error``: in a fold,
    or on the rim. Up to there iterates from ξ end in the ball. Also where C5 has no fold, at λ > 1 or in few
    dimensions, this curve has an end.

    The rest is to first order in the inverse of the number of patterns that count. Let c be the overlap with x,
    ``g = (r - c) W``, ``h = g/E g``, ``a = s_ν² W²/E[s_ν² W²]``, ``u = κ q s_ν² W/T`` by how much a pattern is louder
    where it has itself pulled the state, and γ the loss of log M on the curve by unit of ``log y²`` that is added to
    what the crowd does; ``l = (1 - γ) h + γ a``, of mean 1 as M more patterns are so much louder in both parts; a curve
    that bends by ``b = -d² log M/dq²``, and a prime for the derivative along it:

    .. math:: \text{echo} &= -(1 - \gamma) \log(1 + E[h u]),\qquad
              \text{echo across} = -\gamma \log(1 + 2 E[a u] + t),\quad
              t = \frac{4 \kappa^2 y^2}{d - 1} E[a s_\nu^2], \\
              \text{width}^2 &= \frac1M \operatorname{Var}\Bigl((1 - \gamma) \frac{h (1 + u)}{1 + E[h u]}
                + \gamma\,\frac{a (1 + 2 u + t)}{1 + 2 E[a u] + t}\Bigr)
                + \frac{2}{d - 1} \Bigl(\gamma + (1 - \gamma) \frac{E[h u]}{1 + E[h u]}\Bigr)^2
                + \frac{(1 - \gamma)^2 y^2}{(d - 1) M} \frac{E[(1 - c^2) W^2]}{q^2 (E g)^2}, \\
              \text{choice} &= \frac{1}{2 b M} \Bigl(\operatorname{Var}(l') -
                \frac{\operatorname{Cov}(l, l')^2}{\operatorname{Var}(l)}\Bigr).

    In t is how the pull of the others turns and stretches what each has added to y: of six such terms
    ``κ² y² E[a s_ν²]/(d - 1)`` the weights at x have two.

    The rate ½ is where the median of the crowd's pull, about ``width · skew/6`` below its mean, is critical.

    Parameters
    ----------
    memory : RandomMemory
    error : float, in (0, 1)
        Largest distance of the fixed point from its pattern.
    distance : float, in [0, 1]
        Distance of the query from the pattern, in a random direction. Where its iterates, at the mean, leave the
        branch for fewer patterns than end it, the law is that of ``basin``, with the shifts and the width of ``end``.

    Returns
    -------
    Law or None
        None where not even a single pattern is stored; where the expansion says nothing, since its shifts add up to
        more than ½ or the width is more; and where the end lies so close to what the crowd holds without a target
        (λ of 4 in 60 dimensions, of 1 000 in 1 000) that it is lost in rounding.

    Raises
    ------
    ValueError
        If d is above 100 000, where the law is C5's and its integrals are long, or an argument outside its range.

    Notes
    -----
    Statement C9, heuristic: an expansion, good where the shifts are small. Measured at λ = ½ and d = 16, half of the
    patterns are lost 0.03 of log M before it, at λ = 1 where it says so from d = 12 on; the transition is a fifth wider
    at d = 16, and the less the more dimensions (docs/results.md).

    Examples
    --------
    >>> found = law(RandomMemory.of_lambda(dim=12, lam=1.0, noop=0.0))  # C5 has no fold there; measured: 6.11 to 6.20
    >>> round(found.log_patterns, 2)
    6.16
    >>> [round(shift, 3) for shift in (found.echo, found.echo_across, found.choice)]
    [-0.04, -0.123, 0.015]
    >>> law(RandomMemory.of_lambda(dim=12, lam=0.5, noop=100.0)) is None
    True
    """
    _arguments.instance("memory", memory, RandomMemory)
    _quadrature.check_dim(memory.dim)
    branch, state = _ended(memory, _arguments.probability("error", error))
    _arguments.real("distance", distance, 0.0, 1.0)
    if state is None:
        return None
    kappa, across, q, r = memory.kappa, memory.dim - 1, state.overlap, state.norm
    each, fraction = math.exp(-state.log_patterns), (state.across / r) ** 2
    height, log_weight = _quadrature.heights(_LEAST_HEIGHT, memory.dim)
    lag = r - 1.0 + height
    # means of powers of the overlap with ξ, by the overlap with x
    wide = height * (2.0 - height)
    first, side = (1.0 - height) * q / r, wide * fraction / across
    second, third = first**2 + side, first * (first**2 + 3.0 * side)
    fourth = first**4 + 6.0 * first**2 * side + 3.0 * side**2 * across / (across + 2.0)
    spread, echoed, spread_squared = 1.0 - second, q - first - q * second + third, 1.0 - 2.0 * second + fourth
    log_size = [float(sphere.log_mgf(power * kappa * r, memory.dim)) for power in range(10)]

    def mean(power: int, values: Floats) -> float:
        """Average under the weight ``W^power``."""
        log_share = log_weight - power * kappa * r * height
        share = np.exp(log_share - log_share.max())
        return float((share * values).sum() / share.sum())

    def total(power: int, values: Floats) -> float:
        """Return ``M E[values · w^power]``, ``w = W/(M E W)``."""
        log_ratio = log_size[power] - power * log_size[1] - (power - 1) * state.log_patterns
        return math.exp(log_ratio) * mean(power, values)

    def whole(parts: dict[int, Floats]) -> float:
        """Return ``M E f`` of a polynomial in w, by its coefficients."""
        return sum(total(power, values) for power, values in parts.items())

    lead, noise, gain = mean(1, lag), total(2, spread), state.gain
    # what the patterns weigh beside the stiffness T/q of the state
    pull = q * math.exp(state.log_patterns + log_size[1] - kappa * q)
    # by how much a pattern is louder where it has itself pulled the state, for a unit of w
    own = kappa * pull * spread
    louder = kappa * pull * total(2, echoed) * r / (q * lead)
    # and what each of them adds to it turned on by all the others
    turned = 4.0 * (kappa * state.across) ** 2 * total(2, spread_squared) / noise / across if noise > 0.0 else 0.0
    wider = 2.0 * kappa * pull * total(3, spread_squared) / noise + turned if noise > 0.0 else 0.0
    if louder <= -1.0:
        return None
    # a crowd of more patterns is louder in both parts: their coefficients add up to 1
    direct = 1.0 - gain
    echo, echo_across = -direct * math.log1p(louder), -gain * math.log1p(wider)

    along = direct * lag / lead / (1.0 + louder)
    loud = (gain / (noise * (1.0 + wider)) if noise > 0.0 else 0.0) * spread
    felt = {1: along, 2: along * own + loud * (1.0 + turned), 3: 2.0 * loud * own}
    square = _times(felt, felt)
    spread_out = whole(square) - each
    # loss of log M by unit of log y² through the direction of y, in which the patterns are not independent of it
    turn = gain + direct * louder / (1.0 + louder)
    variance = spread_out + 2.0 * turn**2 / across
    variance += fraction * total(2, wide) * (direct * r / (q * lead)) ** 2 / across
    cube = whole(_times(square, felt)) + 8.0 * turn**3 / across**2 - 3.0 * each * spread_out - each**2
    width = math.sqrt(max(variance, 0.0))
    skew = cube / width**3 if width**3 > 0.0 else 0.0

    choice = 0.0
    plain = {1: direct * lag / lead, 2: (gain / noise if noise > 0.0 else 0.0) * spread}
    plain_spread = whole(_times(plain, plain)) - each
    if math.isfinite(state.bend) and plain_spread > 0.0:
        fall = mean(1, 1.0 - kappa * height * lag) / lead
        growth = 2.0 * kappa * (mean(2, spread * height) / mean(2, spread) - height)
        change = {1: direct * (1.0 - lag * (kappa * height + fall)) / lead, 2: plain[2] * growth}
        shared = whole(_times(change, plain)) ** 2 / plain_spread
        choice = 0.5 * state.norm_slope**2 * max(whole(_times(change, change)) - shared, 0.0) / state.bend
    if max(abs(echo + echo_across + choice), width) > _LARGEST:
        return None
    end = Fold(state.log_patterns, q)
    basin = branch.basin(state, distance) if distance > 0.0 else state.log_patterns
    return Law(end, state.across, basin, echo, echo_across, choice, width, skew)


def branch_end(memory: RandomMemory, error: float = 0.5) -> Fold | None:
    """End of the branch of C9 alone, without the shifts: C5 with the crowd's pull across the target in it.

    It exists where C5 has no fold, and where the shifts of ``law`` are too large to say anything. Heuristic as well:
    half of the patterns were measured to be lost, from 8 to 14 dimensions, within 0.06 of log M of it at λ = 2, and 0.1
    to 0.3 before it at λ = 1.5 (docs/results.md), but 0.7 beyond it at λ = 3, d = 8. At λ > 1 the crowd's mean holds
    states of its own; where they are within ``error``, retrieval goes on beyond the fold of C5 and may beyond α₁ d.

    Parameters
    ----------
    memory : RandomMemory
    error : float, in (0, 1)
        Largest distance of the fixed point from its pattern.

    Returns
    -------
    Fold or None
        Largest log M for which a state within ``error`` balances, and its overlap; None as for ``law``, but for the
        shifts: at λ of 1.5 from some 60 dimensions on.

    Raises
    ------
    ValueError
        If d is above 100 000 or ``error`` outside its range.

    Examples
    --------
    >>> memory = RandomMemory.of_lambda(dim=12, lam=2.0, noop=0.0)  # measured: 10.42 to 10.54
    >>> round(branch_end(memory).log_patterns, 2), law(memory)
    (10.47, None)
    """
    _arguments.instance("memory", memory, RandomMemory)
    _quadrature.check_dim(memory.dim)
    _, state = _ended(memory, _arguments.probability("error", error))
    return None if state is None else Fold(state.log_patterns, state.overlap)


@lru_cache(maxsize=256)
def _ended(memory: RandomMemory, error: float) -> tuple[Branch, End | None]:
    """Return a branch and its end, which take most of the time of a law, and are those of each of its distances."""
    branch = Branch(memory, error)
    return branch, branch.end()


def _times(first: dict[int, Floats], second: dict[int, Floats]) -> dict[int, Floats]:
    """Return the product of two polynomials, by their coefficients."""
    found: dict[int, Floats] = {}
    for (one, f), (two, g) in itertools.product(first.items(), second.items()):
        found[one + two] = found.get(one + two, 0.0) + f * g
    return found
