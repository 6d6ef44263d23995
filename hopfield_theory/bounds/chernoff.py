"""How many random patterns are stored with a given probability: the truncated Chernoff bound C3."""

import itertools
import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy import optimize, special

from hopfield_theory import _arguments
from hopfield_theory._arguments import Floats
from hopfield_theory.bounds import _quadrature, cap_heights, sphere
from hopfield_theory.bounds._summand import Summand
from hopfield_theory.bounds.random_memory import RandomMemory

QUANTIFIERS = ("all", "typical")

# Widths of the shells, relative to their height over the floor 2/κ, in rounds of the search; at most so much of the
# height itself, and at most so many.
_WIDTHS = (0.5, 0.2, 0.2, 0.2)
_WIDEST, _MOST_SHELLS = 0.1, 60
# The cap of the case without near neighbours: shares of p for pairs of neighbours below it, tried in turn, and the
# share that the case itself may take.
_PAIRS_OF_NEIGHBOURS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
_LONE = 1e-2
# A change of log M that is not worth a search; the cost of a case without a bound, beyond any excess of a mean.
_TOLERANCE, _VOID = 1e-3, 1e9
_SETTLED = 1000
_ROUNDS = 12


@dataclass(frozen=True)
class Case:
    """One case of C3: the range of a pattern's nearest neighbour, and the ball and tilts used for the others.

    ``low`` and ``high`` enclose the height ``1 - cos`` of the nearest neighbour; both are infinite if no pattern is
    near. No further pattern may lie below the height ``crowd_cap``. ``ball`` is the radius ρ in units of m; the log
    tilts are the logarithms of the two Chernoff parameters.
    """

    low: float
    high: float
    crowd_cap: float
    ball: float
    self_map_log_tilt: float = 0.0
    contraction_log_tilt: float = 0.0


@dataclass(frozen=True)
class Witness:
    """Free parameters of C3 with the capacity that they prove.

    No other pattern may lie below height ``cap`` over the pattern. ``lone`` is the case of no neighbour below its
    ``crowd_cap``, ``shells`` are the cases of a nearest neighbour between ``cap`` and there.
    """

    log_patterns: float
    cap: float
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

    Raises
    ------
    ValueError
        If an argument is out of range, or d is above 100 000, where rounding may exceed the margin of the proof.

    Examples
    --------
    >>> all_stored = chernoff(RandomMemory.of(dim=20, beta=1.0, scale=3.0), failure_probability=1e-3)
    >>> 8.3e6 < math.exp(all_stored) < 8.5e6
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
    ``Σ (κ w² - 1)₊ y + (κ - 1)₊ l < 1``. The nearest neighbour (2) pulls along one direction, and little room is left
    only for the crowd's parts along it, z. With ``π = y_2/(1 + y_2) <= ½``, ``P = κ w_2² π (1 - π)``,
    ``R = ρ - (1 - ρ) l``, ``p = w_2 y_2``, ``r = R + ρ y_2``, the conditions become, the sums without the neighbour,
    ``Σ (w - ρ + (p z + ½ R w - ρ² y_2)²/((w + 2ρ)(r² - p²))) y <= R`` and
    ``Σ ((1 - P)(κ w² - 1) + κ P (z - π w_2/P)²) y + κ l < 1 - P``, which an isolated pair meets down to the distance
    ``β |ξ_1 - ξ_2|² = 4`` at which it really merges.

    The patterns that fail are those with a neighbour below ``cap``, those with a nearest neighbour in a shell and a
    third pattern below the cap of that shell, and those whose sum over the others is too large. The probability of the
    last is bounded, given pattern 1 and its neighbour, by Chernoff's ``exp(-t + M E[exp(t f) - 1; u > crowd_cap])``, f
    the summand over its allowance, summed over the cases.

    Parameters are the same as for ``chernoff``.

    Examples
    --------
    >>> memory = RandomMemory.of(dim=20, beta=1.0, scale=3.0)
    >>> witness = chernoff_witness(memory, 1e-3, "all")
    >>> log_failure(memory, witness, witness.log_patterns, "all") <= math.log(1e-3)
    True
    """
    _arguments.instance("memory", memory, RandomMemory)
    log_p = math.log(_arguments.probability("failure_probability", failure_probability))
    _arguments.one_of("quantifier", quantifier, QUANTIFIERS)
    _quadrature.check_dim(memory.dim)
    nobody = _single(memory)
    if math.isinf(nobody.log_patterns):
        return nobody
    plain = _plain(memory, log_p, quantifier)
    if plain is None:
        return nobody
    # A typical pattern fails because of the crowd, not because of a close neighbour: shells would gain little.
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
    >>> lone = Case(math.inf, math.inf, 2.8 / 171, 5.2 / 171, math.log(30.0), math.log(30.0))
    >>> plain = Witness(0.0, 2.8 / 171, lone)
    >>> round(log_failure(RandomMemory(20, 171.0), plain, math.log(1e6), "all"), 1)
    -8.0
    """
    _arguments.instance("memory", memory, RandomMemory)
    _arguments.instance("witness", witness, Witness)
    _arguments.real("log_patterns", log_patterns, 0.0)
    return _Failure(memory, witness, quantifier)(log_patterns)


class _Failure:
    """The failure bound as a function of log M; the expectations do not depend on M and are computed once."""

    def __init__(self, memory: RandomMemory, witness: Witness, quantifier: str) -> None:
        self._all = quantifier == "all"
        self._cap = float(sphere.log_cap(witness.cap, memory.dim))
        self._lone = _expectations(memory, witness.lone)
        self._shells = [
            (*log_shares(memory.dim, case.low, case.high, case.crowd_cap), _expectations(memory, case))
            for case in witness.shells
        ]

    def __call__(self, log_patterns: float) -> float:
        parts = [
            log_patterns + self._cap - (math.log(2.0) if self._all else 0.0),
            _log_tail(self._lone, log_patterns),
        ]
        parts += [
            log_patterns + second + _log_crowded(third, expectations, log_patterns)
            for second, third, expectations in self._shells
        ]
        return float(np.logaddexp.reduce(parts)) + (log_patterns if self._all else 0.0)


def log_shares(dim: int, shell_low: float, shell_high: float, crowd_cap: float) -> tuple[float, float]:
    """Logarithms of the sphere's shares in which a shell has its second and its third pattern."""
    low, high, crowd = sphere.log_cap(np.array([shell_low, shell_high, crowd_cap]), dim)
    second = float(high + math.log(-math.expm1(low - high)))
    if crowd_cap < shell_high:
        return second, 0.0
    # Two patterns of one shell are one pair, hence the mean of the shell's rims.
    nearer = 0.5 * (math.exp(low - crowd) + math.exp(high - crowd))
    return second, float(crowd + math.log1p(-nearer))


def _log_crowded(log_third: float, expectations: list[tuple[float, float]] | None, log_patterns: float) -> float:
    """Logarithm of the bound on the failure of a pattern whose nearest neighbour is in a shell."""
    return min(0.0, float(np.logaddexp(log_patterns + log_third, _log_tail(expectations, log_patterns))))


def _summands(memory: RandomMemory, case: Case, height: Floats) -> tuple[Summand, Summand] | None:
    """Return a pattern's shares in the two allowances of a case, or None where an allowance is not positive."""
    kappa, rho = memory.kappa, case.ball
    leak = math.exp(min(memory.log_noop - kappa * (1.0 - rho), 300.0))
    w = np.sqrt(2.0 * height)
    log_y = -kappa * (height - rho * w)
    room = rho - (1.0 - rho) * leak
    if 2.0 * rho > math.sqrt(2.0 * min(case.low, case.crowd_cap)):
        return None
    if math.isinf(case.low):
        stretch = 1.0 - max(kappa - 1.0, 0.0) * leak
        if room <= 0.0 or stretch <= 0.0:
            return None
        spread = np.maximum(kappa * w**2 - 1.0, np.finfo(float).tiny)
        return Summand(log_y - math.log(room), w - rho), Summand(log_y - math.log(stretch), spread)
    # (w - ρ) y is ρ at w = 2ρ, rises to a single maximum and falls: where it is below ρ it is falling, so that the
    # near rim of the shell is the worst case.
    near, far = math.sqrt(2.0 * case.low), math.sqrt(2.0 * case.high)
    most, least = (math.exp(-min(kappa * (0.5 * x * x - rho * x), 700.0)) for x in (near, far))
    slack, pull = room - (near - rho) * most, (near - rho) * most + rho * least
    weight = most / (1.0 + most)
    pair = kappa * far * far * weight * (1.0 - weight)
    stretch = 1.0 - pair - kappa * leak
    if slack <= 0.0 or stretch <= 0.0:
        return None
    across = height * (2.0 - height) / (memory.dim - 1)
    square = slack * (slack + 2.0 * pull) * (w + 2.0 * rho)
    moved = Summand(
        log_y - math.log(room),
        w - rho,
        (0.5 * pull * far * height + 0.5 * room * w - rho**2 * least) ** 2 / square,
        2.0 * pull**2 * across / square,
    )
    stretched = Summand(
        log_y - math.log(stretch),
        (1.0 - pair) * (kappa * w**2 - 1.0),
        kappa * pair * (0.5 * far * height - 1.0 / (kappa * far * (1.0 - weight))) ** 2,
        2.0 * kappa * pair * across,
    )
    return moved, stretched


def _expectations(memory: RandomMemory, case: Case) -> list[tuple[float, float]] | None:
    height, log_weight = _quadrature.heights(case.crowd_cap, memory.dim)
    summands = _summands(memory, case, height)
    tilts = (case.self_map_log_tilt, case.contraction_log_tilt)
    if summands is None or math.isinf(min(tilts)):
        return None
    return [(t, f.log_grown(log_weight, t)) for f, t in zip(summands, tilts, strict=True)]


def _log_tail(expectations: list[tuple[float, float]] | None, log_patterns: float) -> float:
    if expectations is None:
        return 0.0
    moved, stretched = (_quadrature.log_gap(log_tilt, log_patterns + mean) for log_tilt, mean in expectations)
    return min(0.0, float(np.logaddexp(moved, stretched)))


def _tilted(memory: RandomMemory, case: Case, log_patterns: float) -> tuple[Case, float]:
    """Return the case with its best tilts at a number of patterns, and the logarithm of its tail.

    Where there is no bound, that is how far the logarithm of a mean is above its allowance, infinite for no allowance.
    """
    height, log_weight = _quadrature.heights(case.crowd_cap, memory.dim)
    summands = _summands(memory, case, height)
    if summands is None:
        return case, math.inf
    tilts = [f.best_tilt(log_weight, log_patterns) for f in summands]
    case = replace(case, self_map_log_tilt=tilts[0], contraction_log_tilt=tilts[1])
    if math.isinf(min(tilts)):
        return case, max(log_patterns + _quadrature.log_mean(log_weight, f.log_rate) for f in summands)
    return case, _log_tail(
        [(t, f.log_grown(log_weight, t)) for f, t in zip(summands, tilts, strict=True)], log_patterns
    )


def _solved(memory: RandomMemory, witness: Witness, log_p: float, quantifier: str, high: float) -> Witness:
    failure = _Failure(memory, witness, quantifier)
    if failure(0.0) > log_p:
        return replace(witness, log_patterns=-math.inf)
    return replace(witness, log_patterns=_quadrature.last_below(failure, log_p, 0.0, high))


def _single(memory: RandomMemory) -> Witness:
    """Return the witness for one pattern: some ball must be mapped into itself with the no-op slot only."""
    # the iteration rises to the smallest ball that is mapped into itself; a slightly larger one meets it strictly
    rho = 0.0
    for _ in range(_SETTLED):
        rho = float(special.expit(memory.log_noop - memory.kappa * (1.0 - rho)))
    case = Case(math.inf, math.inf, 2.0, min(max((1.0 + 1e-6) * rho, 1e-300), 1.0))
    if _summands(memory, case, np.array([2.0])) is not None:
        return Witness(0.0, 2.0, case)
    return Witness(-math.inf, 2.0, Case(math.inf, math.inf, 2.0, 1.0))


def _plain(memory: RandomMemory, log_p: float, quantifier: str) -> Witness | None:
    """Optimise ball, cap and tilts without shells."""
    ceiling = memory.kappa + 50.0

    def attempt(log_ball: float, log_cap: float) -> Witness | None:
        rho, cap = math.exp(log_ball) / memory.kappa, math.exp(log_cap) / memory.kappa
        if cap >= 2.0 or rho >= 1.0 or 2.0 * rho >= math.sqrt(2.0 * cap):
            return None
        nodes = _quadrature.heights(cap, memory.dim)
        lone = Case(math.inf, math.inf, cap, rho)
        summands = _summands(memory, lone, nodes[0])
        if summands is None:
            return None
        # A Chernoff bound needs the mean of the sum below its allowance; the first guess is well below.
        means = [_quadrature.log_mean(nodes[1], f.log_rate) for f in summands]
        log_patterns = max(0.0, -max(means) - 1.0)
        best = None
        for _ in range(_ROUNDS):
            tilted, _ = _tilted(memory, lone, log_patterns)
            found = _solved(memory, Witness(0.0, cap, tilted), log_p, quantifier, ceiling)
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
    """Improve a plain witness for all patterns by treating the nearest neighbour separately."""
    best = plain
    for width in _WIDTHS:
        lone = _best_lone(memory, log_p, best.log_patterns)
        shells = _shells(memory, lone.crowd_cap, width, best.log_patterns)
        if not shells:
            break
        witness = Witness(0.0, shells[0].low, lone, tuple(shells))
        found = _solved(memory, witness, log_p, "all", memory.kappa + 50.0)
        gain = found.log_patterns - best.log_patterns
        best = max(best, found, key=lambda w: w.log_patterns)
        # a finer round may gain where the first did not, if that was not void
        if gain < _TOLERANCE and (width == _WIDTHS[-1] or math.isinf(gain)):
            break
    return best


def _best_lone(memory: RandomMemory, log_p: float, log_patterns: float) -> Case:
    """Return the case of no near neighbour, with the lowest cap of some at which it takes little of p."""
    caps = [_pairs_cap(memory, math.log(share) + log_p, log_patterns) for share in _PAIRS_OF_NEIGHBOURS]
    lone, log_tail = _lone(memory, caps[0], log_patterns)
    for cap in caps[1:]:
        if log_patterns + log_tail < log_p + math.log(_LONE):
            break
        lone, log_tail = _lone(memory, cap, log_patterns)
    return lone


def _pairs_cap(memory: RandomMemory, log_p: float, log_patterns: float) -> float:
    """Height, at most 1, below which some pattern has two neighbours with probability p at most."""
    return cap_heights.widest(0.5 * (log_p + math.log(2.0) - log_patterns) - log_patterns, memory.dim)


def _lone(memory: RandomMemory, cap: float, log_patterns: float) -> tuple[Case, float]:
    """Return the case of no neighbour below a height with the ball of the smallest tail, and its logarithm."""

    def at(log_ball: float) -> tuple[Case, float]:
        return _tilted(memory, Case(math.inf, math.inf, cap, math.exp(log_ball)), log_patterns)

    half_way = 0.5 * math.log(0.5 * cap)
    return at(_quadrature.minimum(lambda log_ball: at(log_ball)[1], half_way - 3.0, half_way - 1e-9)[0])


def _shells(memory: RandomMemory, rim: float, width: float, log_patterns: float) -> list[Case]:
    """Return shells of which the last ends at a rim; the first begins where shells do not help any more."""
    floor, narrowest = 2.0 / memory.kappa, width / 8.0
    shells: list[Case] = []
    high, start = rim, None
    # Fewer pairs than this below the first shell would not change M by _TOLERANCE.
    while len(shells) < _MOST_SHELLS and (memory.dim - 1) * (high / floor - 1.0) > 4.0 * _TOLERANCE:
        low = high - min(width * (high - floor), _WIDEST * high)
        shell, log_tail, point = _best_shell(memory, (low, high), start, log_patterns)
        # With a larger tail, it is cheaper to count all pairs of the shell as lost, each once.
        if log_tail < -math.log(2.0):
            shells.insert(0, shell)
            high, start = low, point
        elif width > narrowest:
            width *= 0.5
        else:
            break
    return shells


def _best_shell(
    memory: RandomMemory, rims: tuple[float, float], start: Floats | None, log_patterns: float
) -> tuple[Case, float, Floats]:
    """Return a shell with the ball and cap of the smallest tail, its logarithm, and their place in the search."""
    low, high = rims
    # Between these radii the pull of the neighbour alone is allowed: tanh(κ u ε/2) > ε for the ball (1 - ε) w/2.
    lean = _quadrature.largest(lambda e: math.tanh(0.5 * memory.kappa * low * e) >= e, 0.0, 1.0 - 1e-9)
    half_way = 0.5 * math.log(0.5 * low)

    def at(point: Floats) -> tuple[Case, float]:
        ball = math.exp(half_way + float(special.expit(point[0])) * math.log1p(-lean))
        crowd_cap = high + math.exp(min(float(point[1]), 50.0)) / memory.kappa
        shell = Case(low, high, crowd_cap, ball)
        if crowd_cap >= 2.0:
            return shell, _VOID
        shell, log_tail = _tilted(memory, shell, log_patterns)
        if log_tail >= 0.0:
            return shell, min(log_tail, _VOID)
        return shell, float(
            np.logaddexp(log_patterns + log_shares(memory.dim, shell.low, shell.high, shell.crowd_cap)[1], log_tail)
        )

    def cost(point: Floats) -> float:
        return at(point)[1]

    if start is None:
        grid = itertools.product((-2.0, -1.0, 0.0, 1.0, 2.0), (-3.0, -1.0, 1.0, 2.5))
        start = min((np.array(point) for point in grid), key=cost)
    # Caps at the end of the shell lie at minus infinity, from where the search would not return.
    simplex = np.maximum(start, [-np.inf, -2.0]) + np.array([[0.0, 0.0], [0.4, 0.0], [0.0, 0.4]])
    options = {"xatol": 0.05, "fatol": 0.03, "maxfev": 80, "initial_simplex": simplex}
    place = optimize.minimize(cost, start, method="Nelder-Mead", options=options).x
    return *at(place), place
