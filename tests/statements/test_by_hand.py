"""Slacks at two opposite patterns on a line, where every quantity has a closed form written out here once more.

A statement whose constant were weakened would still hold everywhere; only its slack would tell.
"""

import itertools
import math

import pytest
import torch

from hopfield_theory.statements.arithmetic import Floats
from hopfield_theory.statements.registry import STATEMENTS
from hopfield_theory.statements.statement import Instance

M, BETA, N, X, Y, R = 1.5, 0.8, 0.7, 0.6, -0.4, 0.9


def instance():
    values = {"patterns": [[M], [-M]], "beta": BETA, "noop": N, "query": [X], "other": [Y], "ball": R}
    tensors = {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}
    return Instance(**tensors, outliers=-torch.ones(1, 1, dtype=torch.float64), xp=Floats())


def slack(name, part):
    return next(p for p in STATEMENTS[name].parts if p.name == part).conclusion(instance()).item()


def partition(x):
    return N + 2 * math.cosh(BETA * M * x)


def energy(x):
    return x * x / 2 - math.log(partition(x)) / BETA + M * M / 2 + math.log(N + 2) / BETA


def update(x):
    return 2 * M * math.sinh(BETA * M * x) / partition(x)


def weights(x):
    return math.exp(BETA * M * x) / partition(x), math.exp(-BETA * M * x) / partition(x), N / partition(x)


def square(*states):
    return M * M + sum(x * x for x in states) + 1 / BETA


def orbit(x, steps):
    states = [x]
    for _ in range(steps):
        states.append(update(states[-1]))
    return states


def steps_of(states):
    return [abs(b - a) for a, b in itertools.pairwise(states)]


KAPPA = BETA * M * M
RIVAL = math.exp(-BETA * (2 * M * M - 2 * M * R))
SLOT = N * math.exp(-BETA * (M * M - M * R))
EPSILON = M * (2 * RIVAL + SLOT)
LIPSCHITZ = KAPPA * (4 * RIVAL + SLOT)
IN_BALL = M + R * Y / M
SPREAD = BETA * (2 * M) ** 2 / 4
A, B = math.exp(-BETA * 2 * M * X), N * math.exp(-BETA * M * X)
VARIANCE = (1 - weights(X)[2]) * M * M - update(X) ** 2
PATH = steps_of(orbit(IN_BALL, 16))

EXPECTED = {
    ("T1", "lower bound"): (energy(X) - (X - M) ** 2 / 2) / square(X),
    ("T1", "upper bound"): (M * M - math.log((N + 2 * math.exp(-KAPPA)) / (N + 2)) / BETA - energy(X)) / square(X),
    ("T1", "at most 2m²"): (M * M + math.log((N + 2 * math.exp(-KAPPA)) / (N + 2)) / BETA) / square(),
    ("T2", "from above"): ((Y - X) ** 2 / 2 - (energy(Y) - energy(X) - (X - update(X)) * (Y - X))) / square(X, Y),
    ("T2", "from below"): (energy(Y) - energy(X) - (X - update(X)) * (Y - X) - (1 - SPREAD) * (Y - X) ** 2 / 2)
    / square(X, Y),
    ("T3", "bound"): (energy(X) - energy(update(X)) - (X - update(X)) ** 2 / 2) / square(X),
    ("T4", "hull, seen from any direction"): (M + update(X)) / math.sqrt(square()),
    ("T4", "norm"): ((1 - weights(X)[2]) * M - abs(update(X))) / math.sqrt(square()),
    ("T5", "by the fall"): (2 * (energy(X) - energy(orbit(X, 16)[-1])) / 16 - min(steps_of(orbit(X, 16))) ** 2)
    / square(X),
    ("T5", "by the energy"): (2 * energy(X) / 16 - min(steps_of(orbit(X, 16))) ** 2) / square(X),
    ("T6", "no state recurs"): (energy(X) - energy(orbit(X, 16)[-1]) - (X - update(X)) ** 2 / 2) / square(X),
    ("T6", "length"): (8 * (energy(IN_BALL) - energy(orbit(IN_BALL, 16)[-1])) / (1 - LIPSCHITZ) - sum(PATH) ** 2)
    / square(),
    ("T7", "positive semi-definite"): (update(Y) - update(X)) * (Y - X) / square(X, Y),
    ("T7", "by the diameter"): (SPREAD * (X - Y) - abs(update(Y) - update(X))) / math.sqrt(square(X, Y)),
    ("T7", "locally"): (M * M * (4 * weights(X)[1] + weights(X)[2]) - VARIANCE) / square(),
    ("T9", "error below weights"): (M * (2 * weights(X)[1] + weights(X)[2]) - abs(update(X) - M)) / math.sqrt(square()),
    ("T9", "separation below exponentials"): M * (2 * A + B - (2 * A + B) / (1 + A + B)) / math.sqrt(square()),
    ("T12", "image of the ball"): (EPSILON - abs(update(IN_BALL) - M)) / math.sqrt(square()),
    ("T12", "contraction"): (LIPSCHITZ * abs(X - Y) * R / M - abs(update(M + R * X / M) - update(IN_BALL)))
    / math.sqrt(square()),
    ("T13", "everywhere, by the diameter"): (abs(X - update(X)) + abs(Y - update(Y)) - (1 - SPREAD) * (X - Y))
    / math.sqrt(square(X, Y)),
    ("T14", "short answer"): (M / (1 + N / (2 * math.exp(BETA * M * X))) - abs(update(X))) / math.sqrt(square()),
    ("T14", "share of the slot"): N / (N + 2) - weights(X)[2],
    ("T15", "any M"): (BETA * M * math.sqrt(2) * (X - Y) / 2 - math.dist(weights(X)[:2], weights(Y)[:2]))
    / (1 + BETA * M * math.sqrt(2) * (X - Y)),
    # along the direction −1 the components are −m and m
    ("T22", "slot or sink"): (abs(update(X)) - M * (1 - weights(X)[2] - 2 * weights(X)[0])) / math.sqrt(square()),
    ("T22", "by both answers"): (M * abs(update(X)) + update(Y) * M * (1 - weights(X)[2] - 2 * weights(X)[0]))
    / square(),
    ("T23", "weights"): 0.0,
}


@pytest.mark.parametrize(("name", "part"), EXPECTED, ids=[f"{name}: {part}" for name, part in EXPECTED])
def test_the_slack_is_the_one_written_out(name, part):
    assert slack(name, part) == pytest.approx(EXPECTED[name, part], rel=1e-11, abs=1e-13)


@pytest.mark.parametrize("part", ["identity"])
@pytest.mark.parametrize("name", ["T3", "T8", "T10"])
def test_identities_leave_nothing(name, part):
    assert slack(name, part) == pytest.approx(0.0, abs=1e-15)
