"""Every pointwise statement, on drawn instances, in ball arithmetic: no tolerance, no rounding."""

import math
import pkgutil
import xml.etree.ElementTree as ET

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from latex2mathml.converter import convert

from hopfield_theory.model.memory import Memory
from hopfield_theory.statements.arithmetic import Floats
from hopfield_theory.statements.dynamics import Dynamics
from hopfield_theory.statements.registry import MODULES, STATEMENTS, chosen
from hopfield_theory.statements.statement import SAID_AS, Implication, Kind
from hopfield_theory.testing import betas, noops, pattern_sets, problems, queries
from hopfield_theory.verification import ball_arithmetic

PARTS = [
    (statement, part)
    for statement in STATEMENTS.values()
    for part in statement.parts
    if isinstance(part, Implication) and not statement.is_false
]


@st.composite
def instances(draw, part):
    largest = 6 if part.max_patterns is None else part.max_patterns
    patterns = draw(pattern_sets(min_patterns=part.min_patterns, max_patterns=largest))
    memory = Memory(patterns, 1.0)
    radius = max(memory.radius, 1e-3)
    kappa = draw(betas())
    return {
        "patterns": patterns.tolist(),
        "beta": draw(st.sampled_from([kappa, kappa / radius**2])),
        "noop": draw(noops() | st.just(math.exp(min(kappa, 600.0)))),
        "query": draw(queries(memory)).tolist(),
        "other": draw(queries(memory)).tolist(),
        "ball": draw(st.sampled_from([radius, radius / (2 * kappa), radius / 10]) | st.floats(0, 2 * radius)),
        "outliers": draw(pattern_sets(min_patterns=1, max_patterns=2, max_dim=1))
        .expand(-1, patterns.shape[1])
        .tolist(),
    }


@pytest.mark.parametrize(("statement", "part"), PARTS, ids=[f"{s.name}: {p.name}" for s, p in PARTS])
def test_no_drawn_instance_is_a_counterexample(statement, part):
    @settings(max_examples=5 if statement.name == "C8" else 10)
    @given(instances(part))
    def check(values):
        decision = ball_arithmetic.decide(part, {name: values[name] for name in part.uses}, 128)
        assert not decision.falsifies, decision

    check()


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_a_statement_says_what_it_is(statement):
    assert statement.title
    assert statement.claim.endswith(".")
    assert statement.source
    assert statement.why.endswith(".")
    assert statement.parts
    assert statement.proof in ("proved here", "heuristic", "false") or statement.proof.startswith("proved in ")
    assert len({part.name for part in statement.parts}) == len(statement.parts)
    if statement.kind in (Kind.POINTWISE, Kind.FIXED_POINT):
        assert all(isinstance(part, Implication) for part in statement.parts)
    assert chosen([statement.name.lower()]) == [statement]
    assert set(statement.instead) <= set(STATEMENTS)
    # a figure is drawn from the experiment whose name it begins with
    assert not statement.figure or f"{statement.figure}_".startswith(f"{statement.experiment}_")
    assert (statement.said_as in SAID_AS) == statement.name.startswith("P")
    # nothing of what is claimed is left out of the formula
    assert not statement.formula.rstrip(" })").endswith(("dots", "…"))
    said = "".join(ET.fromstring(convert(statement.formula)).itertext())
    assert "\\" not in said, said


@pytest.mark.parametrize("name", sorted({s.closed_form for s in STATEMENTS.values() if s.closed_form}))
def test_a_closed_form_is_a_function(name):
    assert callable(pkgutil.resolve_name(f"hopfield_theory.{name}"))


def test_all_of_them_are_there_once():
    every = [statement for module in MODULES for statement in module.STATEMENTS]
    assert sorted(statement.name for statement in every) == sorted(STATEMENTS)
    assert len({statement.title for statement in every}) == len(every)
    counts = {"T": 23, "C": 11, "P": 36}
    assert list(STATEMENTS) == [f"{kind}{k + 1}" for kind, count in counts.items() for k in range(count)]


def test_every_pointwise_statement_has_near_misses():
    pointwise = {s.name for s, _ in PARTS}
    assert {s.name for s in STATEMENTS.values() if len(s.near_misses) >= 3} == pointwise
    assert {s.name for s in STATEMENTS.values() if s.near_misses} == pointwise
    assert sum(len(s.near_misses) for s in STATEMENTS.values()) == 124


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="T99, X: no such statement; there are T1, "):
        chosen(["T1", "T99", "X"])


@given(problems(softmax_only=True))
def test_the_definitions_are_those_of_the_memory(problem):
    memory, x = problem
    beta, noop = (torch.tensor(value, dtype=torch.float64) for value in (memory.beta, memory.noop))
    dynamics = Dynamics(memory.patterns, beta, noop, Floats())
    scale = memory.radius + 1e-300
    # scores carry a few roundings of their size, which exponentials make relative ones
    rounding = 64 * 2**-53 * (1 + memory.beta * memory.radius * (memory.radius + x.norm().item()))
    torch.testing.assert_close(dynamics.weights(x), memory.weights(x), rtol=rounding, atol=rounding)
    torch.testing.assert_close(dynamics.noop_weight(x), memory.noop_weight(x), rtol=rounding, atol=rounding)
    torch.testing.assert_close(dynamics.update(x), memory.update(x), rtol=rounding, atol=rounding * scale)
    jacobian = memory.jacobian(x)
    size = memory.beta * scale**2
    torch.testing.assert_close(dynamics.jacobian(x), jacobian, rtol=rounding, atol=4 * rounding * size)
    along = dynamics.beta * dynamics.covariance(x, x)
    torch.testing.assert_close(along, x @ jacobian @ x, rtol=rounding, atol=4 * rounding * size * (x @ x).item())
    logs = abs(math.log(max(memory.noop, 1e-300))) + math.log(memory.num_patterns)
    energy = rounding * (memory.radius**2 + (x @ x).item() + (1 + logs) / memory.beta)
    torch.testing.assert_close(dynamics.energy(x), memory.energy(x), rtol=0, atol=energy)


def test_the_diameter_and_the_gap_by_hand():
    patterns = torch.tensor([[3.0, 0.0], [0.0, 4.0]], dtype=torch.float64)
    one, zero = torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    both = Dynamics(patterns, one, one, Floats())
    assert (both.diameter.item(), both.gap.item(), both.radius.item()) == (5.0, 9.0, 4.0)
    assert Dynamics(patterns[:1], one, one, Floats()).diameter.item() == 3.0
    assert Dynamics(patterns[:1], one, zero, Floats()).diameter.item() == 0.0
    assert Dynamics(patterns[:1], one, one, Floats()).gap is None
