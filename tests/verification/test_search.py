"""The attack: it finds what random instances miss, in small memories, and no more than that."""

import dataclasses
import math

import pytest
import torch

from hopfield_theory.statements.registry import STATEMENTS
from hopfield_theory.statements.statement import Implication
from hopfield_theory.verification import ball_arithmetic, search
from hopfield_theory.verification.check import Outcome, PartResult, attacked
from hopfield_theory.verification.instances import draw
from hopfield_theory.verification.search import QUICK, Effort, attack, attacks, slacks

# those that 6 000 drawn instances leave, and one of each kind of statement
SUBTLE = [
    ("T11", "0.45 n suffices"),
    ("T12", "4 a twentieth smaller"),
    ("T18", "without ‖ξ‖² ≥ mR"),
    ("P11", "N − 1 left out"),
    ("P11", "2 a twentieth smaller"),
    ("P12", "twice as far"),
    ("T7", "p₀ a twentieth smaller"),
    ("P20", "with constants"),
]


def planted(statement, name):
    return next(part for part in STATEMENTS[statement].near_misses if part.name == name)


@pytest.mark.parametrize(("statement", "name"), SUBTLE)
def test_planted_errors_are_found_in_small_memories(statement, name):
    part = planted(statement, name)
    spoilt = dataclasses.replace(STATEMENTS[statement], parts=(part,))
    result = attacked(spoilt, part, 0, QUICK)
    assert result.outcome == Outcome.FALSIFIED
    assert ball_arithmetic.decide(part, result.counterexample.values).falsifies
    assert len(result.counterexample.values["patterns"]) <= 4


def test_an_error_that_only_the_fixed_point_shows_is_found(monkeypatch):
    part = planted("C8", "sine at least 2/(βm²)")
    # the only shape of all at which it is found
    monkeypatch.setattr(search, "SHAPES", search.SHAPES[-1:])
    assert attacked(STATEMENTS["C8"], part, 0, QUICK).outcome == Outcome.FALSIFIED


SURVIVE = ["T3", "T10", "T14", "T17", "T19", "P13"]


@pytest.mark.parametrize(
    "name", [*SURVIVE, *(pytest.param(n, marks=pytest.mark.slow) for n in ("T4", "T9", "T16", "T18", "P10", "P17"))]
)
def test_true_statements_survive(name):
    statement = STATEMENTS[name]
    for part in statement.parts:
        result = attacked(statement, part, 1, Effort(3, 8, 8))
        assert result.outcome == Outcome.HOLDS, (part.name, result)
        assert result.starts == 3 * sum(part.speaks_of(count) for count, _ in search.SHAPES)
        assert 0 < result.instances <= result.starts
        assert result.attacked_slack == result.smallest_slack >= 0


def test_the_slack_is_never_larger_than_at_the_start_and_the_hypotheses_stay_met():
    part = STATEMENTS["T12"].parts[2]
    starts = draw(200, 3, 2, torch.Generator().manual_seed(0))
    [(before, first)] = slacks([part], starts.values)
    found = attack(part, starts, torch.Generator().manual_seed(1), Effort(200, 30, 30))
    [(after, last)] = slacks([part], found.values)
    met = (before > 0).all(-1)
    # instances are searched in units of m, and come back with the rounding of their logarithms
    assert (after[met] > -1e-12).all()
    assert (last[met] <= first[met] + 1e-9).all()
    assert (last[met] < first[met] - 1e-6).any()
    # and instances that met no hypothesis are led to where they do
    assert (after > 0).all(-1).sum() > met.sum()


def test_a_known_minimum_is_reached():
    """The slack ``κ + 1/κ − 2`` under ``κ > 3`` is least at κ = 3, without hypothesis at κ = 1."""

    def kappa(i):
        return i.beta * i.dynamics.radius * i.dynamics.radius

    uses = ("patterns", "beta")
    free = Implication("free", lambda i: kappa(i) + 1 / kappa(i) - 2, uses=uses)
    bound = Implication("bound", free.conclusion, lambda i: [kappa(i) - 3], uses=uses)
    for part, least in ((free, 0.0), (bound, 3 + 1 / 3 - 2)):
        starts = draw(64, 2, 2, torch.Generator().manual_seed(2))
        found = attack(part, starts, torch.Generator().manual_seed(3), Effort(64, 200, 200))
        [(met, slack)] = slacks([part], found.values)
        assert (met > 0).all()
        assert slack.min().item() == pytest.approx(least, abs=1e-6)
        # from wherever there is a way of finite length: a memory of zeros has no κ but 0
        there = slack.isfinite() & (found.values["patterns"].abs().amax((1, 2)) > 0)
        assert (slack[there] < least + 1e-2).double().mean() > 0.8


def test_one_seed_one_attack_and_n_zero_stays():
    part = STATEMENTS["P15"].parts[0]
    first, again, other = (next(attacks(part, seed, Effort(32, 10, 10))).values["patterns"] for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    starts = draw(64, 2, 1, torch.Generator().manual_seed(0))
    found = attack(part, starts, torch.Generator().manual_seed(1), Effort(64, 10, 10))
    assert torch.equal(found.values["noop"] == 0, starts.values["noop"] == 0)
    assert all("attack from " in kind for kind in found.kinds)


def test_a_slack_without_a_number_spoils_no_other_lane():
    part = Implication("a hole", lambda i: i.xp.log(i.query[0]) * 0 + i.query @ i.query, uses=("query",))
    starts = draw(128, 1, 1, torch.Generator().manual_seed(0))
    found = attack(part, starts, torch.Generator().manual_seed(1), Effort(128, 60, 60))
    [(_, slack)] = slacks([part], found.values)
    usable = starts.values["query"][:, 0] > 1e-3
    assert usable.sum() > 20
    assert (slack[usable] < 1e-4).double().mean() > 0.9


def test_progress_can_end_an_attack():
    def stop(done, whole):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attacked(STATEMENTS["P1"], STATEMENTS["P1"].parts[0], 0, Effort(8, 2, 2), progress=stop)


def test_an_attack_joins_what_drawn_instances_found():
    drawn = PartResult("a", Outcome.HOLDS, 10, 0.5, "there")
    attack = PartResult("a", Outcome.UNDECIDED, 3, 0.2, "here", starts=7, attacked_slack=0.2)
    both = drawn.joined(attack)
    assert (both.outcome, both.instances, both.smallest_slack, both.where) == (Outcome.UNDECIDED, 13, 0.2, "here")
    assert (both.starts, both.attacked_slack) == (7, 0.2)
    # what could not be decided is shown, however large the slack of another instance; else the smallest slack
    far = dataclasses.replace(attack, smallest_slack=0.9)
    assert drawn.joined(far).where == "here"
    assert drawn.joined(dataclasses.replace(far, outcome=Outcome.HOLDS)).where == "there"
    assert math.isnan(drawn.attacked_slack)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_same_attack_on_a_gpu():
    part = planted("T12", "2 a twentieth smaller")
    spoilt = dataclasses.replace(STATEMENTS["T12"], parts=(part,))
    assert attacked(spoilt, part, 0, QUICK, device="cuda").outcome == Outcome.FALSIFIED
