"""The failure bounds of C3, C6 and C7 at given parameters, written anew from their proofs, by QUADPACK."""

import math

import numpy as np
import pytest
from scipy import integrate, optimize, special

from hopfield_theory.bounds import RandomMemory, chernoff, crowding, merging

KAPPA, DIM, NOOP = 25.0, 8, math.exp(16.0)
MEMORY = RandomMemory(DIM, KAPPA, math.log(NOOP))


def mean(function, low=0.0, dim=DIM):
    """Return E[f(u); u > low] for a uniform point of the sphere."""
    norm = math.exp(special.gammaln(dim / 2) - special.gammaln((dim - 1) / 2)) / math.sqrt(math.pi)
    first = math.acos(1.0 - low)
    points = np.linspace(first, math.pi, 9)[1:-1]

    def integrand(theta):
        return norm * math.sin(theta) ** (dim - 2) * function(1.0 - math.cos(theta))

    return integrate.quad(integrand, first, math.pi, points=points, epsabs=0.0, epsrel=1e-11, limit=500)[0]


def share(height):
    return 1.0 - mean(lambda u: 1.0, height)


def tail(function, tilt, size, low):
    return math.exp(min(0.0, size * mean(lambda u: math.expm1(tilt * function(u)), low) - tilt))


def y(u, rho):
    return math.exp(-KAPPA * (u - rho * math.sqrt(2 * u)))


def over_directions(k, b, g, tilt):
    """Return the bound of C3 on ``E exp(t (k + (b + g C)²))``, C a coordinate in d - 1 dimensions, less 1."""
    v = 2 * tilt * g * g / (DIM - 1)
    return math.exp(tilt * (k + b * b / (1 - v))) / math.sqrt(1 - v) - 1


def beside(memory, low, high, rho, u):
    """Return k, b and g of the two summands of C3 in a shell at a height, in units of their allowances."""
    kappa, near, far, w = memory.kappa, math.sqrt(2 * low), math.sqrt(2 * high), math.sqrt(2 * u)
    leak = memory.noop * math.exp(-kappa * (1 - rho))
    room, across, weight = rho - (1 - rho) * leak, math.sqrt(u * (2 - u)), math.exp(-kappa * (u - rho * w))
    y_near, y_far = (math.exp(-kappa * (x * x / 2 - rho * x)) for x in (near, far))
    p, r = (near - rho) * y_near + rho * y_far, room + rho * y_far
    scale = math.sqrt(weight / (room * (w + 2 * rho) * abs(r * r - p * p)))
    moved = (w - rho) * weight / room, (p * far * u / 2 + room * w / 2 - rho**2 * y_far) * scale, p * across * scale
    pi = y_near / (1 + y_near)
    pair = kappa * far**2 * pi * (1 - pi)
    left = 1 - pair - kappa * leak
    scale = math.sqrt(kappa * pair * weight / abs(left))
    stretched = (1 - pair) * (kappa * w * w - 1) * weight / left, far * (u / 2 - pi / pair) * scale, across * scale
    return moved, stretched, r - p, left


@pytest.mark.parametrize("quantifier", ["all", "typical"])
def test_c3(quantifier):
    size, u0, u1, crowd = 3.0, 0.12, 0.5, 0.45
    lone = chernoff.Case(math.inf, math.inf, u1, 0.06, math.log(4.0), math.log(5.0))
    shell = chernoff.Case(0.15, 0.16, crowd, 0.12, math.log(3.0), math.log(2.0))
    witness = chernoff.Witness(0.0, u0, lone, (shell,))

    leak = NOOP * math.exp(-KAPPA * 0.94)
    tails = tail(lambda u: (math.sqrt(2 * u) - 0.06) * y(u, 0.06) / (0.06 - 0.94 * leak), 4.0, size, u1)
    tails += tail(lambda u: (KAPPA * 2 * u - 1) * y(u, 0.06) / (1 - (KAPPA - 1) * leak), 5.0, size, u1)

    one = 0.0
    for index, tilt in enumerate((3.0, 2.0)):
        grown = mean(lambda u, i=index, t=tilt: over_directions(*beside(MEMORY, 0.15, 0.16, 0.12, u)[i], t), crowd)
        one += math.exp(min(0.0, size * grown - tilt))
    assert 0.0 < one < 1.0
    assert 0.0 < tails < 1.0

    # the third pattern in the shell, each pair once, or between the shell and its cap
    third = 0.5 * (share(0.16) - share(0.15)) + share(crowd) - share(0.16)
    assert 0.0 < size * third < 1.0 - one
    expected = size * (share(0.16) - share(0.15)) * (size * third + one) + tails
    expected += size * share(u0) * (0.5 if quantifier == "all" else 1.0)
    expected *= size if quantifier == "all" else 1.0
    got = chernoff.log_failure(MEMORY, witness, math.log(size), quantifier)
    assert got == pytest.approx(math.log(expected), rel=1e-7)


def test_c6():
    size, u, s = 25.0, 0.06, 0.02
    h, c = math.sqrt(u / 2), math.sqrt(1 - u / 2)
    leak = 0.5 * NOOP * math.exp(-KAPPA * c * (c - s))
    room, slope = s - (1 - s) * leak, 1 - KAPPA * h * h - (KAPPA - 1) * leak

    def loudness(v):
        x = 1 - v
        w = math.sqrt(max(2 - 2 * x, 1 + c * c - 2 * c * x))
        across = KAPPA * h * math.sqrt(1 - x * x)
        bessel = special.gamma((DIM - 1) / 2) * (2 / across) ** ((DIM - 3) / 2) * special.iv((DIM - 3) / 2, across)
        weight = 0.5 * math.exp(KAPPA * (c * x - c * c + s * w)) * min(2 * bessel, math.exp(across))
        return weight * (max(w - s, 0) / room + max(KAPPA * w * w - 1, 0) / slope)

    eta = size * mean(loudness, 1e-9)
    x = size * (size - 1) / 2 * share(u)
    expected = max(x * (1 - eta) - x * x / 2, x * (1 - eta) ** 2 / (1 - eta + x))
    assert 0.0 < eta < 1.0
    got = merging.log_pair_failure(MEMORY, merging.PairWitness(0.0, u, s), math.log(size))
    assert got == pytest.approx(math.log(expected), rel=1e-6)


@pytest.mark.parametrize("error", [0.1, 0.25])
def test_c7(error):
    cap, low, high, z = 0.3, 0.01, 0.02, 1.0
    needed = high - (1 - high) * NOOP * math.exp(-KAPPA * (1 - low))
    b = math.sqrt(min(error**2 - low**2, high * (2 - high)))
    enough, bound = needed * math.exp(z), needed * math.exp(z) * z / (KAPPA * b)

    def g(u):
        return (u - high) * math.exp(-KAPPA * u * (1 - low))

    def side(u):
        return g(u) * math.sqrt(u * (2 - u))

    square = mean(lambda u: side(u) ** 2, cap) / (DIM - 1)
    tilt, theta = 0.1 / g(0.4), 50.0 / bound
    for others in (2.0 * enough / mean(g, cap), (bound / 8.0) ** 2 / square):
        weak = tilt * enough - others * mean(lambda u: -math.expm1(-tilt * g(u)), cap)
        grown = mean(lambda u: math.expm1((theta * side(u)) ** 2 / (2 * (DIM - 1))), cap)
        order, along = (DIM - 3) / 2, theta * bound
        psi = math.lgamma(order + 1) + order * math.log(2 / along) + math.log(special.ive(order, along)) + along
        tails = min(weak, 0.0), min(others * grown - psi, 0.0)
        strip = crowding.Strip(low, high, z, math.log(tilt), math.log(theta))
        got = crowding._Crowd(MEMORY, error, cap, low, high).log_tails(strip, math.log(others))
        assert got == pytest.approx(tails, rel=1e-6)
        assert min(tails) < 0.0
        witness = crowding.TypicalWitness(0.0, error, cap, (strip,))
        total = np.logaddexp.reduce([math.log(others * share(error)), *tails])
        assert crowding.log_typical_survival(MEMORY, witness, math.log1p(others)) == pytest.approx(total, rel=1e-6)
    assert tails[1] < 0.0


INNER = (0.05, 0.2, 0.5)


def inner(cosine, memory=MEMORY):
    floor, high, error = INNER
    crowd = crowding._Crowd(memory, error, 0.3, 0.18, high)
    return crowding._Inner(memory, crowd, floor, cosine)


@pytest.mark.parametrize("cosine", [0.3, 0.8])
def test_c7_with_patterns_inside(cosine):
    """The moment is a mean over heights and directions, of which the last term is an upper bound."""
    floor, high, error = INNER

    def directions(function, low=-1.0):
        norm = special.beta(0.5, 0.5 * (DIM - 2))
        return integrate.quad(lambda c: function(c) * (1 - c * c) ** (0.5 * DIM - 2) / norm, low, 1.0)[0]

    share = directions(lambda c: 1.0, cosine)
    radius = math.sqrt(error**2 - 0.18**2) * share / directions(lambda c: c, cosine)

    def exact(u, tilt):
        pull = tilt * (high - u) * math.exp(-KAPPA * u * (1 - high))
        across = KAPPA * radius * math.sqrt(u * (2 - u))
        return directions(lambda c: math.expm1(pull * math.exp(across * c)))

    found, others = inner(cosine), 30.0
    least = found.least(math.log(others), math.log(1e-2), cosine)
    tilt = math.exp(least.log_tilt)
    nodes, weights = np.polynomial.legendre.leggauss(24)
    low, far = math.acos(1 - floor), math.acos(1 - high)
    angles = low + 0.5 * (far - low) * (1 + nodes)
    density = 0.5 * (far - low) * weights * np.sin(angles) ** (DIM - 2) / special.beta(0.5, 0.5 * (DIM - 1))
    moment = others * sum(w * exact(1 - math.cos(a), tilt) for w, a in zip(density, angles, strict=True))
    bound = math.exp(found._log_exponent(least.log_tilt, math.log(others)))
    assert moment < bound < 4.0 * moment
    # at a small tilt hardly anything is left to the last term
    small = others * sum(w * exact(1 - math.cos(a), 0.01 * tilt) for w, a in zip(density, angles, strict=True))
    assert found._log_exponent(least.log_tilt + math.log(0.01), math.log(others)) == pytest.approx(
        math.log(small), 1e-5
    )
    assert found.log_tail(least, math.log(others)) == pytest.approx(math.log(1e-2), rel=1e-7)
    assert bound - tilt * least.allowance - math.log(share) == pytest.approx(math.log(1e-2), rel=1e-7)
    # no allowance, a tilt beyond all floats, and a strip without room for a pattern
    assert found.log_tail(crowding.Inside(-1.0, 0.0, cosine), 1.0) == 0.0
    assert found.log_tail(crowding.Inside(1.0, 20.0, cosine), 1.0) == 0.0
    crowd = crowding._Crowd(MEMORY, error, 0.3, 0.18, high)
    narrow = crowding._Inner(MEMORY, crowd, math.nextafter(high, 0.0), cosine)
    assert narrow.log_tail(crowding.Inside(1.0, 5.0, cosine), 1.0) < -100.0


def test_c7_tails_bound_how_often_patterns_inside_pull_back_too_much():
    """The pull in the best of many directions, found by ascent, for random patterns between the floor and the rim."""
    floor, high, error = INNER
    rng, size, log_tail = np.random.default_rng(0), 200, math.log(0.3)
    memory = RandomMemory(DIM, 12.0)
    least = min(
        (inner(c, memory).least(math.log(size), log_tail, c) for c in (0.3, 0.6, 0.9)), key=lambda i: i.allowance
    )
    reach = math.sqrt(error**2 - 0.18**2)
    pulls = []
    for _ in range(400):
        patterns = rng.normal(size=(size, DIM))
        patterns /= np.linalg.norm(patterns, axis=1, keepdims=True)
        height = 1 - patterns[:, 0]
        kept = (floor <= height) & (height < high)
        if not kept.any():
            pulls.append(0.0)
            continue
        across = patterns[kept, 1:]
        pull = (high - height[kept]) * np.exp(-12.0 * height[kept] * (1 - high))
        v = np.concatenate([across, rng.normal(size=(8, DIM - 1))])
        for _ in range(30):
            v *= reach / np.linalg.norm(v, axis=1, keepdims=True)
            values = pull * np.exp(12.0 * v @ across.T)
            v = values @ across
        pulls.append(values.sum(axis=1).max())
    exceeded = np.mean(np.array(pulls) >= least.allowance)
    assert exceeded < 0.3
    # the bound is about sums that occur: half the allowance is exceeded now and then
    assert np.mean(np.array(pulls) >= 0.4 * least.allowance) > 0.01


def test_c3_summands_and_their_allowances():
    heights = np.array([0.5, 0.9, 1.4, 2.0])
    w = np.sqrt(2 * heights)
    for rho in (0.06, 0.12):
        leak, weight = NOOP * math.exp(-KAPPA * (1 - rho)), np.exp(-KAPPA * (heights - rho * w))
        lone = chernoff._summands(MEMORY, chernoff.Case(math.inf, math.inf, 0.45, rho), heights)
        move, stretch = rho - (1 - rho) * leak, 1 - (KAPPA - 1) * leak
        expected = [(w - rho) * weight / move, (KAPPA * w**2 - 1) * weight / stretch]
        np.testing.assert_allclose([np.exp(f.log_rate) for f in lone], expected)
        shell = chernoff._summands(MEMORY, chernoff.Case(0.15, 0.16, 0.45, rho), heights)
        for index, f in enumerate(shell):
            k, b, g = np.array([beside(MEMORY, 0.15, 0.16, rho, u)[index] for u in heights]).T
            y = np.exp(f.log_factor)
            expected = [k, b**2, 2 * g**2 / (DIM - 1)]
            np.testing.assert_allclose([y * f.size, y * f.square, y * f.spread], expected, rtol=1e-11, atol=1e-300)
    # balls that the neighbour's pull leaves, in one of which the two stretch too much as well
    for low, rho in ((0.081, 0.05), (0.082, 0.2)):
        assert min(beside(MEMORY, low, 0.083, rho, 0.5)[2:]) < 0.0
        assert chernoff._summands(MEMORY, chernoff.Case(low, 0.083, 0.5, rho), heights) is None
    # balls reach at most half way to others and to the neighbour, and an allowance of nothing is none
    assert chernoff._summands(MEMORY, chernoff.Case(math.inf, math.inf, 0.5, 0.6), np.array([0.5])) is None
    assert chernoff._summands(MEMORY, chernoff.Case(0.02, 0.03, 0.5, 0.11), np.array([0.5])) is None
    half = chernoff.Case(math.inf, math.inf, 0.5, 0.5)
    assert chernoff._summands(RandomMemory(DIM, 1.0, 0.5), half, np.array([2.0])) is None
    assert chernoff._summands(RandomMemory(DIM, 1.0, 0.499), half, np.array([2.0])) is not None
    # far below the mean slope of 1 a pattern does not stretch at all
    cool = chernoff._summands(RandomMemory(DIM, 0.3, -5.0), half, np.array([0.5, 1.0]))
    assert (cool[1].log_rate < -700).all()


def shares(memory, case, patterns):
    """Return the shares of the crowd in the two allowances of C3, of the given pattern 1 and, in a shell, 2."""
    first, *others = patterns
    lone = math.isinf(case.low)
    heights = 1.0 - np.array(others[0 if lone else 1 :]) @ first
    if lone:
        return heights, [np.exp(f.log_rate) for f in chernoff._summands(memory, case, heights)]
    towards = others[0] - (others[0] @ first) * first
    directions = np.array(others[1:]) - np.outer(1.0 - heights, first)
    cosines = directions @ towards / np.linalg.norm(towards) / np.linalg.norm(directions, axis=1)
    found = np.array([beside(memory, case.low, case.high, case.ball, u)[:2] for u in heights])
    return heights, [k + (b + g * cosines) ** 2 for k, b, g in found.transpose(1, 2, 0)]


@pytest.mark.parametrize(
    ("near", "rho", "log_noop"), [(None, 0.06, 16.0), ((0.15, 0.151), 0.12, 14.0), ((0.1, 0.1002), 0.112, 8.0)]
)
@pytest.mark.parametrize("lean", [0.0, 3.0])
def test_c3_sums_certify_what_they_say(near, rho, log_noop, lean):
    # Memories whose sums stay within the allowances map the ball into itself and contract it, with a neighbour or not;
    # the crowd may lean towards the neighbour, and is repeated until the room is nearly full.
    rng = np.random.default_rng(0)
    memory = RandomMemory(DIM, KAPPA, log_noop)
    case = chernoff.Case(*(near or (math.inf, math.inf)), 2 * rho**2 if near is None else near[1], rho)
    met, moved, stretched = 0, 0.0, 0.0
    for _ in range(200):
        patterns = rng.normal(size=(25, DIM))
        patterns[2:] += lean * rng.uniform() * patterns[1] / np.linalg.norm(patterns[1])
        patterns /= np.linalg.norm(patterns, axis=1, keepdims=True)
        if near is not None:
            side = patterns[1] - (patterns[1] @ patterns[0]) * patterns[0]
            cosine = 1.0 - rng.uniform(*near)
            patterns[1] = cosine * patterns[0] + math.sqrt(1.0 - cosine**2) * side / np.linalg.norm(side)
        heights, found = shares(memory, case, patterns)
        most = max(share.sum() for share in found)
        if heights.min() < case.crowd_cap or most > 1.0:
            continue
        met += 1
        crowd = patterns[1 if near is None else 2 :]
        patterns = np.concatenate([patterns[: len(patterns) - len(crowd)], *[crowd] * min(int(1.0 / most), 40)])
        ends = rng.normal(size=(64, DIM))
        if near is not None:
            ends[:8] = patterns[1] - patterns[0]
        for _ in range(3):
            x = patterns[0] + rho * ends / np.linalg.norm(ends, axis=1, keepdims=True)
            weights = np.exp(KAPPA * x @ patterns.T)
            weights /= math.exp(log_noop) + weights.sum(axis=1, keepdims=True)
            updated = weights @ patterns
            ends = updated - patterns[0]
            moved = max(moved, np.linalg.norm(ends, axis=1).max() / rho)
        for p, centre in zip(weights, updated, strict=True):
            spread = (patterns * p[:, None]).T @ patterns - np.outer(centre, centre)
            stretched = max(stretched, KAPPA * np.linalg.eigvalsh(spread)[-1])
    assert met > 10
    assert 0.5 < moved <= 1.0
    assert 0.3 < stretched < 1.0


@pytest.mark.parametrize("seed", range(6))
def test_c3_the_summand_of_a_self_map_bounds_every_pull(seed):
    """In every direction h, ``(⟨h, d⟩ - ρ)₊`` is at most F times the room that the neighbour leaves there."""
    rng = np.random.default_rng(seed)
    while True:
        kappa = math.exp(rng.uniform(2.0, 6.0))
        u2 = 2.0 / kappa * (1.0 + rng.exponential(0.3))
        w2 = math.sqrt(2 * u2)
        rho = 0.5 * w2 * rng.uniform(0.1, 1.0)
        y2 = math.exp(-kappa * (u2 - rho * w2))
        if u2 < 0.5 and rho > (w2 - rho) * y2:
            break
    angles = np.linspace(0.0, math.pi, 2001)
    s, tightest = np.cos(angles), math.inf
    room = rho - np.maximum(w2 * s - rho, 0.0) * y2
    for u in np.linspace(u2, 1.9, 40):
        w, across = math.sqrt(2 * u), math.sqrt(u * (2 - u))
        k, b, g = beside(RandomMemory(DIM, kappa, -math.inf), u2, u2, rho, u)[0]
        for cosine in np.linspace(-1.0, 1.0, 21):
            part = math.sqrt(1 - u2 / 2) * cosine
            z = u * w2 / 2 + across * part
            pull = np.maximum(z * s + math.sqrt(max(w * w - z * z, 0.0)) * np.sin(angles) - rho, 0.0)
            exact = (pull / room).max() * math.exp(-kappa * (u - rho * w))
            summand = k + (b + g * part) ** 2
            assert exact <= summand * (1 + 1e-9)
            tightest = min(tightest, summand / exact)
    assert tightest < 1.6


def test_c3_shares_bound_how_often_a_third_pattern_is_near():
    # On the sphere in three dimensions heights are uniform.
    rng, others = np.random.default_rng(0), 3
    nearest, second = np.sort(rng.uniform(0.0, 2.0, size=(200_000, others)), axis=1)[:, :2].T
    for low, high, crowd in ((0.1, 0.2, 0.2), (0.1, 0.2, 0.5), (0.02, 0.3, 0.31)):
        shell = chernoff.Case(low, high, crowd, 0.1)
        bound = others**2 * math.exp(sum(chernoff.log_shares(3, shell.low, shell.high, shell.crowd_cap)))
        counted = np.mean((low <= nearest) & (nearest < high) & (second < crowd))
        # of three others, 6 ordered pairs in place of 9, and the third may be nearer than both
        assert 0.5 * bound < counted < 2.0 / 3.0 * bound * (1.0 + 4.0 / math.sqrt(200_000 * counted))


def test_c3_tails_bound_how_often_sums_exceed_their_allowances():
    rng, size, memory = np.random.default_rng(0), 60, RandomMemory(DIM, KAPPA, 12.0)
    directions = rng.normal(size=(4000, size, DIM))
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    crowds = 1.0 - directions[..., 0]
    cosines = directions[..., 1] / np.sqrt(crowds * (2.0 - crowds))
    for low, high, crowd, rho in ((math.inf, math.inf, 0.1, 0.05), (0.15, 0.16, 0.17, 0.1), (0.1, 0.1002, 0.25, 0.112)):
        case, log_tail = chernoff._tilted(memory, chernoff.Case(low, high, crowd, rho), math.log(size))
        above = crowds.min(axis=1) > crowd
        first, second = chernoff._summands(memory, case, crowds)
        # the mean's worst sign of b is that of no direction: either will do
        sums = [
            (np.exp(f.log_factor) * (f.size + (f.square**0.5 + (f.spread * (DIM - 1) / 2) ** 0.5 * cosines) ** 2)).sum(
                1
            )
            for f in (first, second)
        ]
        exceeded = np.mean(above & (np.maximum(*sums) >= 1.0))
        assert 0.0 < exceeded < math.exp(log_tail) < 1.0


@pytest.mark.parametrize("s", [0.1, 0.25])
def test_kinks_of_c6_are_where_its_terms_change(s):
    """The narrower tube ends where the distance to the midpoint has its other form."""
    u = 0.06
    h, c = math.sqrt(u / 2), math.sqrt(1 - u / 2)

    def w(v):
        return math.sqrt(max(2 * v, (1 - c) ** 2 + 2 * c * v))

    def across(v):
        x = KAPPA * h * math.sqrt(v * (2 - v))
        bessel = special.gamma((DIM - 1) / 2) * (2 / x) ** ((DIM - 3) / 2) * special.iv((DIM - 3) / 2, x)
        return math.log(2 * bessel) - x

    changes = {
        "form": lambda v: 2 * v - (1 - c) ** 2 - 2 * c * v,
        "tube": lambda v: w(v) - s,
        "slope": lambda v: KAPPA * w(v) ** 2 - 1,
        "near": across,
        "far": lambda v: across(2 - v),
    }
    brackets = {"form": (1e-6, 0.2), "tube": (1e-6, 1.9), "slope": (1e-6, 1.9), "near": (1e-6, 1.0), "far": (1e-6, 1.0)}
    found = merging._kinks(MEMORY, merging.PairWitness(0.0, u, s))
    for name, change in changes.items():
        place = optimize.brentq(change, *brackets[name], xtol=1e-14)
        place = 2 - place if name == "far" else place
        assert min(abs(v - place) for v in found) < 1e-9, name
    # neither across a weak pair nor in the plane, where the other side of a pair is a sign, does the bound change
    for kappa in (KAPPA, 1e5):
        plane = RandomMemory(2, kappa)
        assert merging._kinks(plane, merging.PairWitness(0.0, u, s))[-2:] == (0.0, 2.0)
    assert merging._kinks(RandomMemory(DIM, KAPPA), merging.PairWitness(0.0, 1e-4, s))[-2:] == (0.0, 2.0)


def test_c6_bound_for_written_chances():
    def bound(x, eta):
        size = math.log(100.0)
        return merging._pair_bound(math.log(2 * x / (100 * 99)), math.log(eta) - size, size)

    for x, eta in ((0.01, 0.2), (0.3, 0.05), (0.8, 0.0001), (5.0, 0.3)):
        expected = max(x * (1 - eta) - x * x / 2, x * (1 - eta) ** 2 / (1 - eta + x))
        assert bound(x, eta) == pytest.approx(math.log(expected), rel=1e-12)
    tiny = [merging._pair_bound(0.0, -30.0, size) for size in (1e-300, 1e-12, 9e-4, 2e-3)]
    # M (M - 1)/2 is half of log M there
    np.testing.assert_allclose(tiny, np.log(0.5 * np.array([1e-300, 1e-12, 9e-4, 2e-3])), atol=3e-3)
    assert bound(0.3, 1.0) == -math.inf
    assert bound(0.3, 1.5) == -math.inf
    assert merging._pair_bound(0.0, -50.0, 0.0) == -math.inf
    assert merging._pair_bound(-1e4, -50.0, 1.0) == -math.inf


def test_a_bound_of_c6_needs_room_for_the_tube():
    memory = RandomMemory(DIM, KAPPA)
    # s beyond the midpoint; a pair that has not merged; a leak that moves more than the tube
    for height, tube, log_noop in ((0.06, 0.99, 0.0), (2.0 / KAPPA, 0.02, 0.0), (0.06, 0.02, 30.0)):
        changed = RandomMemory(DIM, KAPPA, log_noop)
        assert merging._log_loudness(changed, merging.PairWitness(0.0, height, tube)) is None
    assert merging._log_loudness(memory, merging.PairWitness(0.0, 0.06, 0.02)) is not None


def test_c7_far_beyond_the_numbers_that_it_is_about():
    strip = crowding.Strip(0.01, 0.02, 1.0, math.log(0.1), 0.0)
    witness = crowding.TypicalWitness(0.0, 0.1, 0.3, (strip,))
    for log_patterns in (300.0, 900.0, 5000.0):
        # the crowd's pull is certain, its direction and a close pattern are not excluded
        expected = np.logaddexp(log_patterns + math.log(share(0.1)), 0.0)
        assert crowding.log_typical_survival(MEMORY, witness, log_patterns) == pytest.approx(expected, rel=1e-12)


def test_others_are_one_pattern_less():
    assert crowding._log_others(math.log(7.0)) == pytest.approx(math.log(6.0), rel=1e-14)
    assert crowding._log_others(800.0) == 800.0
    assert crowding._log_others(0.0) == crowding._log_others(-1.0) == -math.inf


def test_a_strip_that_needs_no_crowd_costs_nothing():
    # the leak alone takes more than the strip
    crowd = crowding._Crowd(RandomMemory(DIM, KAPPA, 30.0), 0.1, 0.3, 0.01, 0.02)
    assert crowd.needed <= 0.0
    assert crowd.strip(0.01, 0.02, 5.0, 0.0) == crowding.Strip(0.01, 0.02, 0.0, 0.0, 0.0)
    assert crowd.log_tails(crowding.Strip(0.01, 0.02, 1.0, 1.0, 1.0), 5.0) == (-math.inf, -math.inf)
    assert crowd.log_least() == -math.inf
    held = crowding._Crowd(MEMORY, 0.1, 0.3, 0.01, 0.02)
    assert held.log_tails(crowding.Strip(0.01, 0.02, 1.0, -math.inf, 1.0), 5.0) == (0.0, 0.0)


@pytest.mark.parametrize("rise", [0.3, 3.0, 30.0])
def test_tilts_of_c7_are_stationary(rise):
    cap, low, high = 0.3, 0.01, 0.02
    crowd = crowding._Crowd(MEMORY, 0.1, cap, low, high)

    def g(u):
        return (u - high) * math.exp(-KAPPA * u * (1 - low))

    needed = high - (1 - high) * NOOP * math.exp(-KAPPA * (1 - low))
    assert crowd.log_least() == pytest.approx(math.log(needed / mean(g, cap)), rel=1e-9)
    others = crowd.log_least() + rise
    tilt = math.exp(crowd._tilt(math.log(needed), others))
    pull = mean(lambda u: g(u) * math.exp(-tilt * g(u)), cap)
    assert math.exp(others) * pull == pytest.approx(needed, rel=1e-6)
    assert crowd._tilt(math.log(needed), crowd.log_least() - 1e-9) == -math.inf


def test_crowds_beyond_the_floats_have_the_largest_tilt_of_c7():
    # e^1e5 patterns: the mean pull is certain, and Newton's method would look for the tilt beyond the floats
    memory = RandomMemory(100_000, 9e5)
    crowd = crowding._Crowd(memory, 1e-5, 2e-5, 4e-6, 5e-6)
    for rise in (1e-6, 3.0, 1e4):
        assert crowd._tilt(math.log(crowd.needed), crowd.log_least() + rise) + math.log(crowd.needed) == 300.0


def test_what_is_no_number_excludes_nothing(monkeypatch):
    monkeypatch.setattr(crowding._Crowd, "log_tails", lambda *_: (math.nan, 0.0))
    nothing = crowding.TypicalWitness(50.0, 0.1, 0.1, ())
    with np.errstate(invalid="ignore"):
        assert crowding._typical_solved(MEMORY, nothing, 0.3, -1e-3, 1e-3) == nothing


def test_tilts_of_c7_stay_within_the_floats():
    # at κ = 3000 every weight is below e^-800, and the best tilts lie beyond e^300
    crowd = crowding._Crowd(RandomMemory(DIM, 3000.0, -math.inf), 0.1, 0.3, 0.01, 0.02)
    for others, tilt in ((1700.0, "log_tilt"), (0.0, "side_log_tilt")):
        strip = crowd.strip(0.01, 0.02, others, 0.0)
        bound = math.log(crowd.needed) + strip.slack
        if tilt == "side_log_tilt":
            bound += math.log(strip.slack / crowd.across)
        assert getattr(strip, tilt) + bound == pytest.approx(300.0, abs=1e-9)
