"""How many random patterns are stored with a given probability: the truncated Chernoff bound C3."""

import itertools
import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy import optimize, special

from hopfield_theory import _arguments
from hopfield_theory._arguments import Floats
from hopfield_theory.bounds import _quadrature, sphere
from hopfield_theory.bounds.random_memory import RandomMemory

QUANTIFIERS = ("all", "typical")

_SHELLS = 32
_SETTLED = 1000
_ROUNDS = 4


@dataclass(frozen=True)
class Case:
    """One case of C3: the range of a pattern's nearest neighbour, and the ball and tilts used for the others.

    ``low`` and ``high`` enclose the height ``1 - cos`` of the single neighbour; both are infinite if there is none.
    ``ball`` is the radius ρ in units of m; the log tilts are the logarithms of the two Chernoff parameters.
    """

    low: float
    high: float
    ball: float
    self_map_log_tilt: float
    contraction_log_tilt: float


@dataclass(frozen=True)
class Witness:
    """Free parameters of C3 with the capacity that they prove.

    No other pattern may lie below height ``cap`` over the pattern, no two below ``crowd_cap``. ``lone`` is the case of
    no neighbour below ``crowd_cap``, ``shells`` are the cases of a single neighbour between the two caps.
    """

    log_patterns: float
    cap: float
    crowd_cap: float
    lone: Case
    shells: tuple[Case, ...] = ()


def chernoff(memory: RandomMemory, failure_probability: float, quantifier: str = "all") -> float:
    """Logarithm of a number of random patterns that are stored with probability ``1 - p`` (C3, proved here).

    Stored means that there are disjoint balls around the patterns, each with one fixed point to which all points of the
    ball converge. ``chernoff_witness`` has the method; ``hopfield_theory.bounds.crowding.ceiling`` is the upper bound.

    Parameters
    ----------
    memory : RandomMemory
    failure_probability : float, in (0, 1)
        p.
    quantifier : {"all", "typical"}
        Whether p bounds the probability that any pattern, or that one given pattern, is not stored.

    Returns
    -------
    float
        log M; 0 if only a single pattern is certified, ``-inf`` if none is.

    Examples
    --------
    >>> all_stored = chernoff(RandomMemory.of(dim=20, beta=1.0, scale=3.0), failure_probability=1e-3)
    >>> 3.0e6 < math.exp(all_stored) < 3.2e6
    True
    """
    return chernoff_witness(memory, failure_probability, quantifier).log_patterns


@lru_cache(maxsize=256)
def chernoff_witness(memory: RandomMemory, failure_probability: float, quantifier: str = "all") -> Witness:
    """Return the parameters with which C3 proves the capacity that ``chernoff`` returns.

    Let ``u = 1 - cos`` be the height of another pattern over pattern 1, ``w = sqrt(2u)`` its distance in units of m,
    ``y = exp(-κ (u - ρ w))`` its largest weight, relative to pattern 1, on the ball of radius ρ around pattern 1, and
    ``l = n exp(-κ (1 - ρ))`` that of the no-op slot. Since the sum of weights includes pattern 1 itself, the update
    maps the ball into itself if ``Σ (w - ρ) y + (1 - ρ) l <= ρ`` and contracts it if
    ``Σ (κ w² - 1)₊ y + (κ - 1)₊ l < 1``. A single close neighbour (2) is taken out of the sums: with
    ``π = y_2/(1 + y_2) <= ½`` the second condition becomes
    ``κ [w_2² π (1 - π) + Σ (2 w² + π w_2²) y + (2 + π w_2²) l] < 1``, which an isolated pair meets down to the
    distance ``β |ξ_1 - ξ_2|² = 4`` at which it really merges.

    The patterns that fail are those with a neighbour below ``cap``, those with two below ``crowd_cap``, and those whose
    sum over the others is too large. The probability of the last is bounded, given pattern 1 and its neighbour, by
    Chernoff's ``exp(-t + M E[exp(t f) - 1; u > crowd_cap])``, f the summand over its allowance, summed over the cases.

    Parameters are the same as for ``chernoff``.

    Examples
    --------
    >>> memory = RandomMemory.of(dim=20, beta=1.0, scale=3.0)
    >>> witness = chernoff_witness(memory, failure_probability=1e-3)
    >>> log_failure(memory, witness, witness.log_patterns, "all") <= math.log(1e-3)
    True
    """
    log_p = math.log(_arguments.probability("failure_probability", failure_probability))
    _arguments.one_of("quantifier", quantifier, QUANTIFIERS)
    nobody = _single(memory)
    if math.isinf(nobody.log_patterns):
        return nobody
    plain = _plain(memory, log_p, quantifier)
    if plain is None:
        return nobody
    # A typical pattern fails because of the crowd, not because of a close neighbour: shells would gain nothing.
    found = _with_shells(memory, plain, log_p) if quantifier == "all" else plain
    return max(nobody, found, key=lambda w: w.log_patterns)


def log_failure(memory: RandomMemory, witness: Witness, log_patterns: float, quantifier: str) -> float:
    """Logarithm of the C3 bound on the probability of failure of ``exp(log_patterns)`` patterns, for given parameters.

    Parameters
    ----------
    memory : RandomMemory
    witness : Witness
        Caps, balls and tilts; its ``log_patterns`` is not used.
    log_patterns : float
        log M.
    quantifier : {"all", "typical"}
        Any pattern, or a given one.

    Returns
    -------
    float
        Above 0 the bound is void.

    Examples
    --------
    >>> lone = Case(math.inf, math.inf, 5.2 / 171, math.log(30.0), math.log(30.0))
    >>> plain = Witness(0.0, 2.8 / 171, 2.8 / 171, lone)
    >>> round(log_failure(RandomMemory(20, 171.0), plain, math.log(1e6), "all"), 1)
    -8.0
    """
    return _Failure(memory, witness, quantifier)(log_patterns)


class _Failure:
    """The failure bound as a function of log M; the expectations do not depend on M and are computed once."""

    def __init__(self, memory: RandomMemory, witness: Witness, quantifier: str) -> None:
        self._all = quantifier == "all"
        self._cap = float(sphere.log_cap(witness.cap, memory.dim))
        self._crowd = float(sphere.log_cap(witness.crowd_cap, memory.dim)) if witness.shells else -math.inf
        nodes = _quadrature.heights(witness.crowd_cap, memory.dim)
        self._lone = _expectations(memory, witness.lone, nodes)
        self._shells = [(_log_shell(memory, case), _expectations(memory, case, nodes)) for case in witness.shells]

    def __call__(self, log_patterns: float) -> float:
        parts = [
            log_patterns + self._cap - (math.log(2.0) if self._all else 0.0),
            2.0 * (log_patterns + self._crowd) - math.log(2.0),
            _log_tail(self._lone, log_patterns),
        ]
        parts += [log_patterns + share + _log_tail(case, log_patterns) for share, case in self._shells]
        return float(np.logaddexp.reduce(parts)) + (log_patterns if self._all else 0.0)


def _log_shell(memory: RandomMemory, case: Case) -> float:
    high, low = sphere.log_cap(np.array([case.high, case.low]), memory.dim)
    return float(high + np.log1p(-np.exp(low - high)))


def _log_rates(memory: RandomMemory, case: Case, height: Floats) -> tuple[Floats, Floats] | None:
    """Logarithms of a pattern's share in the two allowances of a case, or None where an allowance is not positive."""
    kappa, rho = memory.kappa, case.ball
    leak = math.exp(min(memory.log_noop - kappa * (1.0 - rho), 300.0))
    w = np.sqrt(2.0 * height)
    log_y = -kappa * (height - rho * w)
    if 2.0 * rho > min(float(w.min()), math.sqrt(2.0 * case.low)):
        return None
    if math.isinf(case.low):
        displacement = rho - (1.0 - rho) * leak
        stretch = 1.0 - max(kappa - 1.0, 0.0) * leak
        spread = np.maximum(kappa * w * w - 1.0, np.finfo(float).tiny)
    else:
        # (w - ρ) y is ρ at w = 2ρ, rises to a single maximum and falls: where it is below ρ it is falling, so that the
        # near rim of the shell is the worst case.
        near, far = math.sqrt(2.0 * case.low), math.sqrt(2.0 * case.high)
        weight = 1.0 / (1.0 + math.exp(min(kappa * (case.low - rho * near), 700.0)))
        neighbour = far * far * weight
        displacement = rho - (1.0 - rho) * leak - (near - rho) * math.exp(-kappa * (case.low - rho * near))
        stretch = 1.0 - kappa * (neighbour * (1.0 - weight) + (2.0 + neighbour) * leak)
        spread = kappa * (2.0 * w * w + neighbour)
    if displacement <= 0.0 or stretch <= 0.0:
        return None
    return np.log(w - rho) + log_y - math.log(displacement), np.log(spread) + log_y - math.log(stretch)


def _expectations(memory: RandomMemory, case: Case, nodes: tuple[Floats, Floats]) -> list[tuple[float, float]] | None:
    rates = _log_rates(memory, case, nodes[0])
    if rates is None:
        return None
    tilts = (case.self_map_log_tilt, case.contraction_log_tilt)
    if math.isinf(min(tilts)):
        return None
    return [(t, _quadrature.log_tilted(rate, nodes[1], t)) for rate, t in zip(rates, tilts, strict=True)]


def _log_tail(expectations: list[tuple[float, float]] | None, log_patterns: float) -> float:
    if expectations is None:
        return 0.0
    tails = [_quadrature.log_gap(log_tilt, log_patterns + mean) for log_tilt, mean in expectations]
    return min(0.0, float(np.logaddexp.reduce(tails)))


def _tilted(memory: RandomMemory, case: Case, nodes: tuple[Floats, Floats], log_patterns: float) -> tuple[Case, float]:
    """Return the case with its best tilts at a number of patterns, and the logarithm of its tail."""
    rates = _log_rates(memory, case, nodes[0])
    if rates is None:
        return case, 0.0
    tilts = [_quadrature.best_tilt(rate, nodes[1], log_patterns) for rate in rates]
    case = replace(case, self_map_log_tilt=tilts[0], contraction_log_tilt=tilts[1])
    if math.isinf(min(tilts)):
        return case, 0.0
    return case, _log_tail(_expectations(memory, case, nodes), log_patterns)


def _solved(memory: RandomMemory, witness: Witness, log_p: float, quantifier: str, high: float) -> Witness:
    failure = _Failure(memory, witness, quantifier)
    if failure(0.0) > log_p:
        return replace(witness, log_patterns=-math.inf)
    return replace(witness, log_patterns=_quadrature.largest(lambda x: failure(x) <= log_p, 0.0, high))


def _single(memory: RandomMemory) -> Witness:
    """Return the witness for one pattern: some ball must be mapped into itself with the no-op slot only."""
    # the iteration rises to the smallest ball that is mapped into itself; a slightly larger one meets it strictly
    rho = 0.0
    for _ in range(_SETTLED):
        rho = float(special.expit(memory.log_noop - memory.kappa * (1.0 - rho)))
    case = Case(math.inf, math.inf, min(max((1.0 + 1e-6) * rho, 1e-300), 1.0), 0.0, 0.0)
    if _log_rates(memory, case, np.array([2.0])) is not None:
        return Witness(0.0, 2.0, 2.0, case)
    return Witness(-math.inf, 2.0, 2.0, Case(math.inf, math.inf, 1.0, 0.0, 0.0))


def _plain(memory: RandomMemory, log_p: float, quantifier: str) -> Witness | None:
    """Optimise ball, cap and tilts without shells."""
    ceiling = memory.kappa + 50.0

    def attempt(log_ball: float, log_cap: float) -> Witness | None:
        rho, cap = math.exp(log_ball) / memory.kappa, math.exp(log_cap) / memory.kappa
        if cap >= 2.0 or rho >= 1.0 or 2.0 * rho >= math.sqrt(2.0 * cap):
            return None
        nodes = _quadrature.heights(cap, memory.dim)
        lone = Case(math.inf, math.inf, rho, 0.0, 0.0)
        rates = _log_rates(memory, lone, nodes[0])
        if rates is None:
            return None
        # A Chernoff bound needs the mean of the sum below its allowance; the first guess is well below.
        means = [float(np.logaddexp.reduce(nodes[1] + rate)) for rate in rates]
        log_patterns = max(0.0, -max(means) - 1.0)
        best = None
        for _ in range(3 * _ROUNDS):
            tilted, _ = _tilted(memory, lone, nodes, log_patterns)
            found = _solved(memory, Witness(0.0, cap, cap, tilted), log_p, quantifier, ceiling)
            if best is None and math.isinf(found.log_patterns) and log_patterns > 0.0:
                log_patterns = max(0.0, log_patterns - 2.0)
                continue
            if math.isinf(found.log_patterns) or (best and found.log_patterns <= best.log_patterns + 1e-7):
                break
            best, log_patterns = found, found.log_patterns
        return best

    def cost(point: Floats) -> float:
        found = attempt(float(point[0]), float(point[1]))
        return 1e3 + float(np.sum(np.abs(point))) if found is None else -found.log_patterns

    crowd = 1.0 - float(sphere.bessel_ratio(memory.kappa, memory.dim))
    balls = (1.0 / math.sqrt(2.0 * crowd), 0.4 * math.sqrt(memory.kappa))
    caps = (*np.geomspace(2.4, 12.0, 4), *np.geomspace(0.02, 0.6, 3) * crowd * memory.kappa)
    # a heavy no-op slot leaves room for small balls only
    for shrink in range(8):
        starts = [(math.log(0.5**shrink * ball), math.log(cap)) for ball in balls for cap in caps]
        start = min(starts, key=lambda point: cost(np.array(point)))
        if attempt(*start) is not None:
            break
    else:
        return None
    options = {"xatol": 1e-4, "fatol": 1e-6, "maxfev": 120}
    found = optimize.minimize(cost, start, method="Nelder-Mead", options=options)
    return attempt(float(found.x[0]), float(found.x[1]))


def _with_shells(memory: RandomMemory, plain: Witness, log_p: float) -> Witness:
    """Improve a plain witness for all patterns by treating a single close neighbour separately."""
    dim, ceiling, floor = memory.dim, memory.kappa + 50.0, 2.0 / memory.kappa
    best = plain
    for _ in range(_ROUNDS):
        goal = best.log_patterns
        # Two neighbours below the crowd cap are given a fiftieth of p.
        share = 0.5 * (log_p + math.log(0.04) - goal) - goal
        crowd_cap = _quadrature.largest(lambda u, share=share: bool(sphere.log_cap(u, dim) <= share), 0.0, 1.0)
        if crowd_cap <= 1.05 * floor:
            break
        nodes = _quadrature.heights(crowd_cap, dim)
        edges = floor + np.geomspace(0.02 * floor, crowd_cap - floor, _SHELLS + 1)
        # The rounded sum may be below the cap, and the shells would leave a gap.
        edges[-1] = crowd_cap
        shells = [
            _best_case(memory, (float(a), float(b)), float(a), nodes=nodes, log_patterns=goal)
            for a, b in itertools.pairwise(edges)
        ]
        lone = _best_case(memory, (math.inf, math.inf), crowd_cap, nodes=nodes, log_patterns=goal)
        trials = (Witness(0.0, float(edges[i]), crowd_cap, lone, tuple(shells[i:])) for i in range(_SHELLS))
        found = max((_solved(memory, w, log_p, "all", ceiling) for w in trials), key=lambda w: w.log_patterns)
        if found.log_patterns <= best.log_patterns + 1e-6:
            break
        best = found
    return best


def _best_case(
    memory: RandomMemory,
    shell: tuple[float, float],
    nearest: float,
    *,
    nodes: tuple[Floats, Floats],
    log_patterns: float,
) -> Case:
    """Return a case with the ball and tilts of the smallest tail; the ball ends before half way to the nearest."""

    def at(log_ball: float) -> tuple[Case, float]:
        return _tilted(memory, Case(*shell, math.exp(log_ball), 0.0, 0.0), nodes, log_patterns)

    half_way = 0.5 * math.log(0.5 * nearest)
    place, _ = _quadrature.minimum(lambda log_ball: at(log_ball)[1], half_way - 3.0, half_way - 1e-9)
    return at(place)[0]
