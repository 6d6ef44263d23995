"""A crowd of random patterns keeps fixed points away from each of them: the bound C7; the upper bound by C6 and C7."""

import copy
import itertools
import math
from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np
from numpy.polynomial.polynomial import polyval
from scipy import special

from hopfield_theory import _arguments
from hopfield_theory._arguments import Floats
from hopfield_theory.bounds import _quadrature, cap_heights, sphere
from hopfield_theory.bounds._quadrature import log_mean
from hopfield_theory.bounds.chernoff import QUANTIFIERS, chernoff_witness
from hopfield_theory.bounds.merging import pair_witness
from hopfield_theory.bounds.random_memory import RandomMemory

_STRIPS = 48
# Allowance of C7 for the crowd's common direction, as the square of a number of standard deviations: at survival
# probability 1, and in addition per factor e by which it is smaller.
_SQUARED_DEVIATIONS, _FOR_RARER = 16.0, 6.0


# Patterns are let into the ball where keeping them out takes more than this share of the survival.
_NEGLIGIBLE = 0.01
# With patterns inside: shares of the survival that a pattern below the floor and all inner tails may take, the cosines
# and the caps (in units of the crowd's height) that are tried.
_FLOOR_SHARE, _INSIDE_SHARE = 0.2, 0.1
_COSINES = (0.5, 0.75, 0.92, 0.98)
_CAPS = (0.85, 0.7, 0.5)
# How close the search comes to the least log M with a cap, and with the best one where all patterns are outside.
_PRECISION, _FINE = 1e-3, 1e-7
# Terms of the inner moment: its last one stands for all higher ones.
_TERMS = 8
_POWERS = np.arange(1, _TERMS + 1)
_BELOW_THE_LAST = [0.0, *(1.0 / math.factorial(power) for power in range(1, _TERMS))]
# An allowance exceeds what it has to be by twice the margin of a tail.
_ROUNDING = 2e-9


@dataclass(frozen=True)
class Inside:
    """What the patterns below a strip's rim may pull back: at most ``allowance``, whatever the fixed point's direction.

    ``log_tilt`` is the logarithm of the Chernoff parameter, ``cosine`` the rim of the cap of directions of which the
    fixed point's is the mean.
    """

    allowance: float
    log_tilt: float
    cosine: float


@dataclass(frozen=True)
class Strip:
    """One range ``low < 1 - <x, ξ>/m² <= high`` of overlaps in which C7 excludes fixed points, and its tilts.

    ``slack`` is the logarithm of the factor that the crowd's pull may lose to a common direction; ``log_tilt`` and
    ``side_log_tilt`` are the logarithms of the Chernoff parameters for the pull and for that direction. A strip that
    ends above the witness's floor needs to say what is ``inside``.
    """

    low: float
    high: float
    slack: float
    log_tilt: float
    side_log_tilt: float
    inside: Inside | None = None


@dataclass(frozen=True)
class TypicalWitness:
    """Free parameters of C7: no fixed point within ``error`` (in units of m).

    Patterns below ``cap``, or below the rim of a strip beyond it, are left out of the crowd. There is no pattern below
    ``floor``, by default the error.
    """

    log_patterns: float
    error: float
    cap: float
    strips: tuple[Strip, ...]
    floor: float | None = None

    @property
    def least_height(self) -> float:
        """Height below which there is no pattern, up to a probability that is counted."""
        return self.error if self.floor is None else self.floor


def ceiling(
    memory: RandomMemory, failure_probability: float, quantifier: str = "all", error: float | None = None
) -> float:
    """Logarithm of a number of random patterns that are *not* stored with probability ``1 - p`` (C6, C7, proved here).

    With ``"typical"`` (C7), the probability that a given pattern has no fixed point within ``error · m`` is at least p.
    ``"all"`` gives the smaller of that number and the number at which, with probability at least p, two patterns are so
    close that both converge to one fixed point (C6), for any error. The bound is proved at the returned number; for
    others use ``hopfield_theory.bounds.merging.log_pair_failure`` and ``log_typical_survival``.

    Parameters
    ----------
    memory : RandomMemory
    failure_probability : float, in (0, 1)
        p.
    quantifier : {"all", "typical"}
        Same as for ``hopfield_theory.bounds.chernoff.chernoff``.
    error : float, in (0, 1), optional
        Distance within which a fixed point counts as retrieval in C7; by default the ball in which C3 stores a typical
        pattern, at least ``1/κ``, so that both bounds are about the same event.

    Returns
    -------
    float
        log M, ``inf`` if nothing is proved.

    Raises
    ------
    ValueError
        If an argument is out of range, or d is above 100 000, where rounding may exceed the margin of the proof.

    Examples
    --------
    >>> limit = ceiling(RandomMemory.of(dim=20, beta=1.0, scale=3.0), failure_probability=1e-3)
    >>> 8.4e6 < math.exp(limit) < 8.8e6
    True
    """
    _arguments.instance("memory", memory, RandomMemory)
    _arguments.one_of("quantifier", quantifier, QUANTIFIERS)
    _arguments.probability("failure_probability", failure_probability)
    if error is not None:
        _arguments.probability("error", error)
    if quantifier == "all" and memory.kappa < 1.0:
        # The update contracts the whole space (T7): there is one fixed point, and two patterns cannot both be stored.
        return math.log(2.0)
    typical = typical_witness(memory, failure_probability, error).log_patterns
    return typical if quantifier == "typical" else min(typical, pair_witness(memory, failure_probability).log_patterns)


@lru_cache(maxsize=256)
def typical_witness(memory: RandomMemory, failure_probability: float, error: float | None = None) -> TypicalWitness:
    """Return the parameters with which C7 excludes fixed points near a typical pattern.

    A fixed point ``x = (1 - a) ξ_1 + v``, v across ξ_1, in units of m, satisfies exactly
    ``Σ_ν (u_ν - a) exp(-κ u_ν (1 - a) + κ <τ_ν, v>) + (1 - a) n exp(-κ (1 - a)) = a``, where ``u_ν`` are the heights
    of the other patterns over pattern 1 and ``τ_ν`` their parts across it. If all heights exceed a strip
    ``a_- < a <= a_+``, then with weights ``g = (u - a_+) exp(-κ u (1 - a_-))``, ``G = Σ g`` and ``S = |Σ g τ|``, the
    sum is at least ``G exp(-κ b S / G)`` by Jensen's inequality, for all v of length at most b. So there is no fixed
    point in the strip if ``G >= A e^z`` and ``S <= A e^z z/(κ b)``, with A the strip's ``a_+`` less its no-op term. The
    first fails with probability at most ``exp(t A e^z + M E[exp(-t g) - 1])``. The second fails with probability at
    most ``exp(M E[Ψ(θ g |τ|) - 1]) / Ψ(θ B)``, since directions are isotropic in the d - 1 dimensions across ξ_1.
    Patterns below a cap may be left out of both sums. As the strips get narrower and the dimension grows, the bound
    approaches the mean-field curve C5.

    That no pattern is below the strip is asked in vain for a wide ``error``. Where it takes more than a hundredth of
    the probability, or leaves nothing proved, patterns above a lower floor are let in if that proves more. With
    ``f = (a_+ - u) exp(-κ u (1 - a_+))`` they pull back by at most ``F = Σ f exp(κ <τ_ν, v>)``, and A becomes ``A + y``
    if ``F < y`` for all v. As F is convex, ``exp(s F)`` at v is at most its mean over states whose mean is v: those of
    length ``R = b/m`` within a cosine c of v, of mean cosine m, a share Q of all directions. So ``F >= y`` for some v
    with probability at most ``exp(M E[exp(s f exp(κ R |τ| cos)) - 1] - s y)/Q``.

    Parameters are the same as for ``ceiling``.

    Examples
    --------
    >>> memory = RandomMemory.of(dim=20, beta=1.0, scale=3.0)
    >>> witness = typical_witness(memory, 1e-3)
    >>> 1.4e13 < math.exp(witness.log_patterns) < 1.5e13
    True
    """
    _arguments.instance("memory", memory, RandomMemory)
    p = _arguments.probability("failure_probability", failure_probability)
    _quadrature.check_dim(memory.dim)
    if error is None:
        stored = chernoff_witness(memory, failure_probability, "typical")
        error = min(max(stored.lone.ball if stored.log_patterns > 0.0 else 0.0, 1.0 / memory.kappa), 0.5)
    _arguments.probability("error", error)
    log_survival = math.log1p(-p)
    best = TypicalWitness(math.inf, error, error, ())
    crowd = 1.0 - float(sphere.bessel_ratio(memory.kappa, memory.dim))
    for cap in np.geomspace(1.05 * error, max(30.0 * error, 0.8 * crowd), 12).tolist():
        if cap < 1.0:
            best = _typical_solved(memory, best, cap, log_survival, _PRECISION)
    if best.strips:
        best = _typical_solved(memory, best, best.cap, log_survival, _FINE)
    empty = _log_others(best.log_patterns) + float(sphere.log_cap(error, memory.dim))
    if memory.dim > 2 and not empty <= log_survival + math.log(_NEGLIGIBLE):
        best = _solved_with_patterns_inside(memory, best, log_survival)
    return best


def log_typical_survival(memory: RandomMemory, witness: TypicalWitness, log_patterns: float) -> float:
    """Logarithm of the C7 upper bound on the probability of a fixed point within the witness's error of a pattern.

    Parameters
    ----------
    memory : RandomMemory
    witness : TypicalWitness
        Error, cap, floor and strips, which must cover the overlaps up to the error.
    log_patterns : float
        log M; M - 1 other patterns are counted.

    Examples
    --------
    >>> memory = RandomMemory.of(dim=20, beta=1.0, scale=3.0)
    >>> witness = typical_witness(memory, 1e-3)
    >>> log_typical_survival(memory, witness, witness.log_patterns) < math.log(0.999)
    True
    """
    _arguments.instance("memory", memory, RandomMemory)
    _arguments.instance("witness", witness, TypicalWitness)
    _arguments.real("log_patterns", log_patterns, 0.0)
    others = _log_others(log_patterns)
    floor = witness.least_height
    parts = [others + float(sphere.log_cap(floor, memory.dim))]
    for strip in witness.strips:
        crowd = _Crowd(memory, witness.error, witness.cap, strip.low, strip.high)
        if strip.high > floor:
            if strip.inside is None:
                return 0.0
            crowd = crowd.pulled_back(strip.inside.allowance)
            parts.append(_Inner(memory, crowd, floor, strip.inside.cosine).log_tail(strip.inside, others))
        parts += crowd.log_tails(strip, others)
    return float(np.logaddexp.reduce(parts))


class _Crowd:
    """The crowd's pull in one strip of C7: weights g above the cap, the pull A that suffices, and ``κ b``."""

    def __init__(self, memory: RandomMemory, error: float, cap: float, low: float, high: float) -> None:
        self.high = high
        height, self._log_weight = _quadrature.heights(max(cap, high), memory.dim)
        self._dim = memory.dim - 1
        self.log_g = np.log(height - high) - memory.kappa * height * (1.0 - low)
        self._log_side = self.log_g + 0.5 * np.log(height * (2.0 - height))
        self._log_square = log_mean(self._log_weight, 2.0 * self._log_side)
        leak = (1.0 - high) * math.exp(min(memory.log_noop - memory.kappa * (1.0 - low), 300.0))
        self.needed = high - leak
        self.across = memory.kappa * math.sqrt(min(max(error * error - low * low, 0.0), high * (2.0 - high)))

    def pulled_back(self, allowance: float) -> "_Crowd":
        """Return the crowd that has to outweigh what patterns inside pull back."""
        crowd = copy.copy(self)
        crowd.needed += allowance
        return crowd

    def log_least(self) -> float:
        """Logarithm of the number of patterns whose mean pull is just enough, ``-inf`` if none is needed."""
        return math.log(self.needed) - log_mean(self._log_weight, self.log_g) if self.needed > 0.0 else -math.inf

    def log_tails(self, strip: Strip, others: float) -> tuple[float, float]:
        """Logarithms of the probabilities that the pull is too weak and that its common direction is too strong."""
        if self.needed <= 0.0:
            return -math.inf, -math.inf
        if math.isinf(strip.log_tilt):
            return 0.0, 0.0
        log_enough = math.log(self.needed) + strip.slack
        log_exponent = np.minimum(strip.log_tilt + self.log_g, 300.0)
        with np.errstate(under="ignore", divide="ignore"):
            kept = np.where(log_exponent > -36.0, np.log(-np.expm1(-np.exp(log_exponent))), log_exponent)
        weak = _quadrature.log_gap(others + log_mean(self._log_weight, kept), strip.log_tilt + log_enough)
        # log Ψ(x) <= x²/(2 dim), which avoids one Bessel function per node.
        log_growth = 2.0 * (strip.side_log_tilt + self._log_side) - math.log(2.0 * self._dim)
        grown = others + _quadrature.log_grown(log_growth, self._log_weight)
        direction = math.exp(strip.side_log_tilt + log_enough + math.log(strip.slack / self.across))
        return weak, _quadrature.log_gap(math.log(float(sphere.log_mgf_across(direction, self._dim + 1))), grown)

    def strip(self, low: float, high: float, others: float, log_survival: float) -> Strip:
        """Return the strip with the slack that the direction's fluctuations need, and with its tilts."""
        if self.needed <= 0.0:
            return Strip(low, high, 0.0, 0.0, 0.0)
        deviation = math.sqrt(self._dim) + math.sqrt(_SQUARED_DEVIATIONS - _FOR_RARER * log_survival)
        log_spread = 0.5 * (others + self._log_square - math.log(self._dim)) + math.log(deviation)
        demand = math.log(self.across / self.needed) + log_spread
        # A slack above e^300 is useless, and one below the margin of the tails gains nothing.
        slack = max(float(special.lambertw(math.exp(min(max(demand, -300.0), 300.0))).real), 1e-9)
        log_direction = math.log(self.needed * slack / self.across) + slack
        side_log_tilt = min(
            0.5 * math.log(deviation**2 * (deviation**2 - self._dim)) - log_spread,
            0.5 * math.log(6.0 * self._dim) - float(self._log_side.max()),
            _quadrature.LARGEST_LOG_TILT - log_direction,
        )
        return Strip(low, high, slack, self._tilt(math.log(self.needed) + slack, others), side_log_tilt)

    def _tilt(self, log_enough: float, others: float) -> float:
        """Logarithm of the t that minimises ``t A + M E[exp(-t g) - 1]``, where ``M E[g exp(-t g)] = A``.

        Weights are in units of their typical one; ``-inf`` if even the mean of the sum is below A.
        """
        mean = log_mean(self._log_weight, self.log_g)
        if others + mean <= log_enough:
            return -math.inf
        with np.errstate(under="ignore"):
            share = np.exp(self._log_weight + self.log_g - mean)
        unit = float((share * self.log_g).sum() / share.sum())
        # beyond e^400 typical weights a tilt would overflow
        largest = min(_quadrature.LARGEST_LOG_TILT - log_enough, 400.0 - unit)
        with np.errstate(under="ignore"):
            g = np.exp(np.minimum(self.log_g - unit, 300.0))

            def excess(tilt: float) -> tuple[float, Floats]:
                """Return ``log(M E[g exp(-t g)]/A)``, convex and falling in t, and each node's share of the mean."""
                terms = self._log_weight + self.log_g - tilt * g
                top = terms.max()
                mass = np.exp(terms - top)
                return float(others + top + math.log(mass.sum()) - log_enough), mass

            # A crowd of e^300 patterns or more has its zero beyond the largest tilt, where Newton's method overflows.
            if excess(math.exp(largest + unit))[0] >= 0.0:
                return largest
            tilt = min(others + mean - log_enough, 1.0)
            for _ in range(40):
                above, mass = excess(tilt)
                # From the left Newton's method is monotone, from the right it may jump below 0.
                step = max(float(above * mass.sum() / (mass * g).sum()), -0.9 * tilt)
                tilt += step
                if abs(step) < 1e-5 * tilt:
                    break
        return min(math.log(tilt) - unit, largest)


class _Inner:
    """The patterns between the floor and the rim of a strip of C7, which pull back in the worst direction."""

    def __init__(self, memory: RandomMemory, crowd: _Crowd, floor: float, cosine: float) -> None:
        dim = memory.dim - 1
        self._log_share = float(sphere.log_cap(1.0 - cosine, dim))
        log_mean_cosine = 0.5 * (dim - 1) * math.log1p(-(cosine**2)) - self._log_share
        log_mean_cosine -= math.log(dim - 1) + special.betaln(0.5, 0.5 * (dim - 1))
        height, log_weight = _quadrature.heights(floor, memory.dim, (crowd.high,))
        inside = height < crowd.high
        height, log_weight = height[inside], log_weight[inside]
        across = crowd.across * math.exp(-log_mean_cosine) * np.sqrt(height * (2.0 - height))
        log_pull = np.log(crowd.high - height) - memory.kappa * height * (1.0 - crowd.high)
        self._log_worst = log_pull + across
        # weighted powers of a pull in the mean over directions; of the last, the part that the worst one leaves
        powers = _POWERS[:, None]
        self._log_terms = log_weight + powers * log_pull - special.gammaln(powers + 1.0)
        self._log_terms += sphere.log_mgf_across(powers * across, memory.dim)
        self._log_terms[-1] -= _TERMS * self._log_worst - math.lgamma(_TERMS + 1)

    def log_tail(self, inside: Inside, others: float) -> float:
        """Logarithm of the probability that the patterns pull back more than allowed in some direction."""
        if inside.allowance <= 0.0:
            return 0.0
        allowed = inside.log_tilt + math.log(inside.allowance)
        return min(0.0, _quadrature.log_gap(allowed, self._log_exponent(inside.log_tilt, others)) - self._log_share)

    def least(self, others: float, log_tail: float, cosine: float) -> Inside:
        """Return the smallest allowance that is exceeded with at most a given probability."""

        def log_allowance(log_tilt: float) -> float:
            needed = np.logaddexp(self._log_exponent(log_tilt, others), math.log(-self._log_share - log_tail))
            return float(needed) + _ROUNDING - log_tilt

        unit = min(-float(self._log_worst.max()), _quadrature.LARGEST_LOG_TILT - 4.0)
        log_tilt, log_least = _quadrature.minimum(log_allowance, unit - 3.0, unit + 4.0, steps=12)
        return Inside(math.exp(min(log_least, 700.0)), log_tilt, cosine)

    def _log_exponent(self, log_tilt: float, others: float) -> float:
        """Logarithm of the bound on ``M E[exp(s f exp(κ R |τ| cos)) - 1]``: powers below the last are exact."""
        log_worst = log_tilt + self._log_worst
        if not log_worst.size:
            return -math.inf
        if log_worst.max() > math.log(600.0):
            return math.inf
        worst = np.exp(np.maximum(log_worst, -700.0))
        # far below 1 the series cancels, and its first omitted power and a factor bound the rest
        exact = np.expm1(worst) - polyval(worst, _BELOW_THE_LAST)
        with np.errstate(under="ignore"):
            small = worst**_TERMS / math.factorial(_TERMS) * np.exp(np.minimum(worst, 1.0))
        terms = self._log_terms + log_tilt * _POWERS[:, None]
        terms[-1] = self._log_terms[-1] + np.log(np.maximum(np.where(worst > 0.05, exact, small), 1e-300))
        top = float(terms.max())
        with np.errstate(under="ignore"):
            return others + top + math.log(np.exp(terms - top).sum())


def _solved_with_patterns_inside(memory: RandomMemory, best: TypicalWitness, log_survival: float) -> TypicalWitness:
    """Return the least number of patterns proved with a floor below the error, or ``best`` if that is less."""
    edges = np.linspace(0.0, best.error, _STRIPS + 1).tolist()
    height = 1.0 - float(sphere.bessel_ratio(memory.kappa, memory.dim))
    rows = {
        cap * height: [_Crowd(memory, best.error, cap * height, a, b) for a, b in itertools.pairwise(edges)]
        for cap in _CAPS
    }
    log_tail = log_survival + math.log(_INSIDE_SHARE / _STRIPS)

    def attempt(log_patterns: float, known: tuple[Strip, ...] = ()) -> TypicalWitness | None:
        """Return a witness if there is one; the cosines of a ``known`` one for more patterns are good here too."""
        others = _log_others(log_patterns)
        floor = _floor(memory, others, log_survival + math.log(_FLOOR_SHARE), edges)
        if floor == 0.0:
            return None
        empty = others + float(sphere.log_cap(floor, memory.dim))
        cosines = [(strip.inside.cosine,) if strip.inside else _COSINES for strip in known] or [_COSINES] * _STRIPS

        @cache
        def inside(index: int) -> Inside | None:
            crowd = next(iter(rows.values()))[index]
            if crowd.high <= floor:
                return None
            tries = [_Inner(memory, crowd, floor, cosine).least(others, log_tail, cosine) for cosine in cosines[index]]
            return min(tries, key=lambda found: found.allowance)

        for cap, row in rows.items():
            strips, total = [], empty
            for index in reversed(range(_STRIPS)):
                crowd, pulled = row[index], inside(index)
                if pulled is not None:
                    crowd, total = crowd.pulled_back(pulled.allowance), float(np.logaddexp(total, log_tail))
                strip = crowd.strip(edges[index], edges[index + 1], others, log_survival)
                total = float(np.logaddexp(total, np.logaddexp(*crowd.log_tails(strip, others))))
                if not total <= log_survival:
                    break
                strips.insert(0, replace(strip, inside=pulled))
            else:
                return TypicalWitness(log_patterns, best.error, cap, tuple(strips), floor)
        return None

    low = max(0.0, min(max(crowd.log_least() for crowd in row) for row in rows.values()))
    tries = (low + rise for rise in (0.5, 1.0, 2.0, 4.0, 8.0) if low + rise < best.log_patterns)
    found = next(filter(None, map(attempt, tries)), None)
    if found is None:
        return best
    while found.log_patterns - low > _PRECISION:
        middle = 0.5 * (low + found.log_patterns)
        better = attempt(middle, found.strips)
        low, found = (low, better) if better else (middle, found)
    return found


def _floor(memory: RandomMemory, others: float, log_share: float, edges: list[float]) -> float:
    """Return the largest height below which a pattern is rare enough, or the edge of a strip right above it."""
    floor = min(cap_heights.widest(log_share - others, memory.dim), edges[-1])
    above = next(edge for edge in edges if edge >= floor)
    return above if above <= floor * (1.0 + 1e-3 / memory.dim) else floor


def _typical_solved(
    memory: RandomMemory, best: TypicalWitness, cap: float, log_survival: float, precision: float
) -> TypicalWitness:
    """Return the least number of patterns proved with a cap and strips of equal width, or ``best`` if that is less."""
    edges = np.linspace(0.0, best.error, _STRIPS + 1)
    bounds = [(float(a), float(b)) for a, b in itertools.pairwise(edges)]
    crowds = [_Crowd(memory, best.error, cap, low, high) for low, high in bounds]
    close = float(sphere.log_cap(best.error, memory.dim))
    # The strip that needs most patterns on average comes first: most attempts fail there.
    means = [crowd.log_least() for crowd in crowds]
    order = sorted(range(_STRIPS), key=lambda i: -means[i])

    def excluded(log_patterns: float) -> bool:
        others = _log_others(log_patterns)
        total = others + close
        for i in order:
            strip = crowds[i].strip(*bounds[i], others, log_survival)
            total = float(np.logaddexp(total, np.logaddexp(*crowds[i].log_tails(strip, others))))
            if not total <= log_survival:
                return False
        return True

    low = max(0.0, *means)
    tries = (low + rise for rise in (1e-9, 0.02, 0.1, 0.5, 2.0, 5.0, 10.0) if low + rise < best.log_patterns)
    high = next((trial for trial in tries if excluded(trial)), best.log_patterns)
    if high == best.log_patterns and not (math.isfinite(high) and excluded(high)):
        return best
    while high - low > precision:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if excluded(middle) else (middle, high)
    others = _log_others(high)
    strips = tuple(crowd.strip(*bound, others, log_survival) for crowd, bound in zip(crowds, bounds, strict=True))
    return TypicalWitness(high, best.error, cap, strips)


def _log_others(log_patterns: float) -> float:
    return log_patterns + math.log(-math.expm1(-log_patterns)) if log_patterns > 0.0 else -math.inf
