"""The least angle between stored patterns: no smaller one by ball arithmetic, and memories that come near it."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from flint import arb
from scipy import optimize

import hopfield_theory as ht
from hopfield_theory.bounds import union
from hopfield_theory.bounds.fixed_pairs import forced_angle
from hopfield_theory.certificates.orbits import attracting_ball

PROOF = Path(__file__).parents[2] / "docs" / "bounds-proofs.md"


def surely_out_of_reach(ends, kappa, half):
    """Whether no t of an interval has fixed points in reach of patterns at this half angle: s and b grow with t."""
    squares = [(arb(t) / arb(t).tanh() if t else arb(1)) / kappa for t in ends]
    if squares[0] > 1:
        return True
    low, high = [(arb(t) * arb(t).tanh() / kappa).sqrt() for t in ends]
    b = low.union(high)
    w = (1 - squares[0]).sqrt().union((1 - squares[1].min(arb(1))).sqrt())
    above = half.cos() - w
    return bool(b > 2 * half.sin() or (above > 0 and above**2 + b * b > 2 * b * half.sin()))


@pytest.mark.parametrize("kappa", [1.001, 1.1, 1.3, 2.0, 10.0, 1e4])
def test_no_smaller_angle_is_in_reach(kappa):
    angle = forced_angle(kappa)
    half = arb(0.5 * angle * (1 - 1e-5))
    left, tries = [(0.0, kappa + 1.0)], 0
    while left:
        low, high = left.pop()
        tries += 1
        assert tries < 10_000
        if not surely_out_of_reach((low, high), kappa, half):
            left += [(low, (low + high) / 2), ((low + high) / 2, high)]
    assert angle > math.asin(1 / kappa)
    *_, height = extreme(kappa)
    assert 2 * height == pytest.approx(angle, rel=1e-8)


def extreme(kappa):
    """Return s, w, t and half the angle at the least angle, by a plain search along the curve."""

    def curve(t):
        s = math.sqrt(t / (kappa * math.tanh(t)))
        w, b = math.sqrt(max(0.0, 1 - s * s)), s * math.tanh(t)
        # the circle around the pattern that touches the axis, by the tangent of a quarter of the angle
        roots = np.roots([(1 + w) ** 2 + b * b, -4 * b, 2 * (w * w + b * b - 1), -4 * b, (1 - w) ** 2 + b * b])
        real = roots[abs(roots.imag) < 1e-7].real
        return s, w, t, 2 * math.atan(min(real[real > 0], default=math.inf))

    most = optimize.brentq(lambda t: t - kappa * math.tanh(t), math.sqrt(kappa - 1), kappa)
    ends = (1e-3 / math.sqrt(kappa), min(most, 1 / math.sqrt(kappa)))
    for _ in range(6):
        grid = np.linspace(*ends, 41)
        best = min(range(41), key=lambda k: curve(grid[k])[3])
        ends = grid[max(best - 1, 0)], grid[min(best + 1, 40)]
    return curve(grid[best])


@pytest.mark.parametrize(("product", "mean"), [(0.02, 0.0), (0.3, 0.1), (0.3, -0.4), (1.5, 0.0), (1.5, 0.6)])
def test_two_values_have_the_least_variance(product, mean):
    """Step 4 of the proof as a linear programme: the least ``E (X - mean)²`` where ``E X tanh X`` is given."""
    x = np.linspace(-6.0, 6.0, 1201)
    rows = np.stack([np.ones_like(x), np.tanh(x), x * np.tanh(x)])
    found = optimize.linprog((x - mean) ** 2, A_eq=rows, b_eq=[1.0, 0.0, product])
    least = optimize.brentq(lambda z: z * math.tanh(z) - product, 1e-6, 10.0) ** 2
    assert found.fun >= least * (1 - 1e-4)
    assert mean or found.fun == pytest.approx(least, rel=1e-4)


def nearly_extreme(kappa, copies, wider):
    """Two patterns at a little more than the least angle, and two crowds that hold their fixed points."""
    s, w, t, half = extreme(kappa)
    half *= wider
    pair = torch.tensor([[math.sin(half), math.cos(half)], [-math.sin(half), math.cos(half)]], dtype=torch.float64)
    crowds = torch.tensor([[s, w], [-s, w]], dtype=torch.float64).repeat(copies, 1)
    return ht.Memory(torch.cat([pair, crowds]), kappa, 0.0), (s, w, s * math.tanh(t), half)


def proved_stored(memory, s, w, b, half, copies):
    """Whether all states on a pattern's side of the axis provably end at one point, nearer than the axis.

    With the share λ of the pair in the weights, an update has the first coordinate between ``(1 - λ) s tanh(κ s y)``
    and ``s tanh(κ s y)``, and the second between w and ``w + λ(cos h - w)``. So the orbit ends in a box.
    """
    kappa, above = memory.beta, math.cos(half) - w
    share = math.exp(kappa * math.cos(half) * above) / copies
    assert above > 0
    assert s > math.sin(half)
    low = optimize.brentq(lambda y: (1 - share) * s * math.tanh(kappa * s * y) - y, 0.5 * b, b)
    state = ht.retrieve(memory, torch.tensor([b, w], dtype=torch.float64), tol=1e-13, max_steps=20_000).state
    error, reach = attracting_ball(memory, state)
    corners = torch.tensor(
        [[y, z] for y in (low - 1e-9, b + 1e-9) for z in (w, w + share * above)], dtype=torch.float64
    )
    assert ((corners - state).norm(dim=1) < reach).all()
    return (memory.patterns[0] - state).norm().item() + error < math.sin(half)


@pytest.mark.parametrize(
    ("kappa", "copies", "wider", "product"),
    [
        (1.2, 500, 1.01, 1.2781),
        (2.0, 1_000, 1.01, 1.0961),
        pytest.param(20.0, 50_000, 1.002, 1.0066, marks=pytest.mark.slow),
    ],
)
def test_patterns_are_stored_close_to_the_least_distance(kappa, copies, wider, product):
    memory, (s, w, b, half) = nearly_extreme(kappa, copies, wider)
    assert proved_stored(memory, s, w, b, half, copies)
    distance = (memory.patterns[0] - memory.patterns[1]).norm().item()
    forced = union.forced_distance(beta=kappa, radius=1.0)
    assert forced < distance < 1.0101 * forced
    assert kappa * distance < product


def test_patterns_at_less_than_the_least_distance_are_not():
    memory, (s, w, b, half) = nearly_extreme(2.0, 1_000, 0.99)
    assert not proved_stored(memory, s, w, b, half, 1_000)
    assert (ht.retrieve(memory, memory.patterns[:2]).state - memory.patterns[:2]).norm(dim=1).min() > math.sin(half)


def test_the_document_has_these_distances():
    lines = PROOF.read_text(encoding="utf-8").splitlines()
    [row] = [line for line in lines if line.startswith("| `βm D_κ` |")]
    kappas = [float(cell) for cell in lines[lines.index(row) - 2].split("|")[2:-1]]
    written = [float(cell) for cell in row.split("|")[2:-1]]
    assert [round(k * union.forced_distance(beta=k, radius=1.0), 4) for k in kappas] == written
    assert len(written) == 8


@pytest.mark.parametrize("kappa", [1e-300, 0.5, 1.0])
def test_no_two_patterns_are_stored_where_all_of_space_contracts(kappa):
    assert forced_angle(kappa) == math.inf


def test_the_angle_falls_with_kappa_from_a_straight_one():
    kappas = [1 + 1e-12, 1 + 1e-6, 1.01, 1.2, 1.264, 1.265, 2.0, 5.0, 1e3, 1e9, 1e100, 1e300]
    angles = [forced_angle(kappa) for kappa in kappas]
    assert angles == sorted(angles, reverse=True)
    assert math.pi - 0.01 < angles[0] < math.pi
    assert [kappa * angle for kappa, angle in zip(kappas[-3:], angles[-3:], strict=True)] == pytest.approx(
        [1] * 3, 1e-6
    )


@pytest.mark.parametrize("kappa", [0.0, -1.0, math.inf, math.nan])
def test_kappa_has_to_be_a_positive_number(kappa):
    with pytest.raises(ValueError, match="kappa"):
        forced_angle(kappa)
