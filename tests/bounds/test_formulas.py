"""The failure bounds of C3, C6 and C7 at given parameters, written anew from their proofs, by QUADPACK."""

import math

import numpy as np
import pytest
from scipy import integrate, special

from hopfield_theory.bounds import capacity, chernoff, crowding, merging

KAPPA, DIM, NOOP = 25.0, 8, math.exp(16.0)
MODEL = capacity.Model(KAPPA, DIM, math.log(NOOP))


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


@pytest.mark.parametrize("quantifier", ["all", "typical"])
def test_c3(quantifier):
    size, u0, u1 = 3.0, 0.12, 0.5
    lone = chernoff.Case(math.inf, math.inf, 0.06, math.log(4.0), math.log(5.0))
    shell = chernoff.Case(0.15, 0.16, 0.12, math.log(3.0), math.log(2.0))
    witness = chernoff.Witness(0.0, u0, u1, lone, (shell,))

    leak = NOOP * math.exp(-KAPPA * 0.94)
    tails = tail(lambda u: (math.sqrt(2 * u) - 0.06) * y(u, 0.06) / (0.06 - 0.94 * leak), 4.0, size, u1)
    tails += tail(lambda u: (KAPPA * 2 * u - 1) * y(u, 0.06) / (1 - (KAPPA - 1) * leak), 5.0, size, u1)

    rho, leak = 0.12, NOOP * math.exp(-KAPPA * 0.88)
    near, far = math.sqrt(0.3), math.sqrt(0.32)
    move = max((w - rho) * math.exp(-KAPPA * (w * w / 2 - rho * w)) for w in np.linspace(near, far, 1001))
    weight = 1 / (1 + math.exp(KAPPA * (0.15 - rho * near)))
    room = rho - (1 - rho) * leak - move
    slope = 1 - KAPPA * (far**2 * weight * (1 - weight) + (2 + far**2 * weight) * leak)
    one = tail(lambda u: (math.sqrt(2 * u) - rho) * y(u, rho) / room, 3.0, size, u1)
    one += tail(lambda u: KAPPA * (4 * u + far**2 * weight) * y(u, rho) / slope, 2.0, size, u1)
    assert 0.0 < room < rho
    assert 0.0 < slope < 1.0
    assert 0.0 < one < 1.0
    assert 0.0 < tails < 1.0

    expected = size * (share(0.16) - share(0.15)) * one + 0.5 * (size * share(u1)) ** 2 + tails
    expected += size * share(u0) * (0.5 if quantifier == "all" else 1.0)
    expected *= size if quantifier == "all" else 1.0
    got = chernoff.log_failure(MODEL, witness, math.log(size), quantifier)
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
    got = merging.log_pair_failure(MODEL, merging.PairWitness(0.0, u, s), math.log(size))
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
        got = crowding._Crowd(MODEL, error, cap, low, high).log_tails(strip, math.log(others))
        assert got == pytest.approx(tails, rel=1e-6)
        assert min(tails) < 0.0
        witness = crowding.TypicalWitness(0.0, error, cap, (strip,))
        total = np.logaddexp.reduce([math.log(others * share(error)), *tails])
        assert crowding.log_typical_survival(MODEL, witness, math.log1p(others)) == pytest.approx(total, rel=1e-6)
    assert tails[1] < 0.0


def test_c3_sums_certify_what_they_say():
    # Memories whose sums stay within the allowances map the ball into itself and contract it.
    rng = np.random.default_rng(0)
    case = chernoff.Case(math.inf, math.inf, 0.06, 0.0, 0.0)
    met = 0
    for _ in range(200):
        patterns = rng.normal(size=(25, DIM))
        patterns /= np.linalg.norm(patterns, axis=1, keepdims=True)
        heights = 1.0 - patterns[1:] @ patterns[0]
        rates = chernoff._log_rates(MODEL, case, heights)
        if heights.min() < 2 * 0.06**2 or any(np.exp(rate).sum() > 1.0 for rate in rates):
            continue
        met += 1
        ends = rng.normal(size=(64, DIM))
        x = patterns[0] + 0.06 * ends / np.linalg.norm(ends, axis=1, keepdims=True)
        weights = np.exp(KAPPA * x @ patterns.T)
        weights /= NOOP + weights.sum(axis=1, keepdims=True)
        updated = weights @ patterns
        assert np.linalg.norm(updated - patterns[0], axis=1).max() <= 0.06
        for p, centre in zip(weights, updated, strict=True):
            spread = (patterns * p[:, None]).T @ patterns - np.outer(centre, centre)
            assert KAPPA * np.linalg.eigvalsh(spread)[-1] < 1.0
    assert met > 20
