"""``bounds`` and ``capacity``: random memories, in numbers and in words."""

import json
import math
import re

import numpy as np
import pytest

import hopfield_theory as ht
from hopfield_theory.bounds import RandomMemory
from hopfield_theory.bounds.merging import pair_witness
from hopfield_theory.bounds.table import CapacityRow, capacity_table
from hopfield_theory.bounds.union import packing
from hopfield_theory.cli import render
from hopfield_theory.cli.shared import random_memory
from hopfield_theory.measured.crossing import Crossing
from hopfield_theory.statistics import Interval
from tests.cli.running import one_line, run, sentences


def test_bounds_are_the_library_s(tmp_path):
    out = tmp_path / "bounds.json"
    result = run("bounds", "--dim", 2, "--beta", 1, "--scale", 20, "--failure-probability", 0.1, "--json", out)
    assert result.exit_code == 0
    logs = {row["statement"]: row["log_patterns"] for row in json.loads(out.read_text())["bounds"]}
    memory = ht.RandomMemory.of(2, 1.0, 20.0)
    assert logs["C3"] == ht.bounds.chernoff.chernoff(memory, 0.1) > logs["C2"] > 0
    assert logs["C2"] == ht.bounds.union.pairwise(memory, 0.1)
    assert logs["C5"] is None
    assert "no number is proved too many for all to be stored" in sentences(result.stdout)
    assert re.search(r"^ +C2 +2 +0\.836 ", result.stdout, re.MULTILINE)


def test_a_proved_bound_is_rounded_to_its_safe_side():
    said = run("bounds", "--dim", 30, "--beta", 1, "--scale", 2).stdout
    written = dict(re.findall(r"^ +(C\d+(?: typical)?) +(\S+)", said, re.MULTILINE))
    for row in capacity_table(ht.RandomMemory.of(30, 1.0, 2.0), 1e-3):
        if row.statement.split()[0] in ("C2", "C3", "C10"):
            assert 0.999 < float(written[row.statement]) / math.exp(row.log_patterns) <= 1.0
        elif row.statement in ("C6", "C7"):
            assert 1.0 <= float(written[row.statement]) / math.exp(row.log_patterns) < 1.001
    # 3 824.98 are proved, and no whole pattern more
    assert written["C2"] == "3824"


def test_no_memory_of_more_numbers_than_a_machine_can_draw_is_measured(monkeypatch):
    assert "--dim is 60000000: no memory of more than" in one_line(run("capacity", "--dim", 60_000_000, "--kappa", 1e9))
    monkeypatch.setattr("hopfield_theory.measured.capacity._guess", lambda setting, top: top)
    asked = []
    monkeypatch.setattr(
        "hopfield_theory.measured.capacity.outcomes",
        lambda setting, size, trials, seed, **more: asked.append(size) or np.ones((trials, 1), dtype=bool),
    )
    run("capacity", "--dim", 1_000_000, "--kappa", 1e7)
    assert max(asked) == 100


@pytest.mark.parametrize(
    ("options", "kappa", "said"),
    [
        ((8.0, None, None, None, 1.0), 8 * 127, "norm 11.27 (K = 1 times √(d − 1)), β = 8"),
        ((8.0, None, 1.0, None, 1.0), 8, "norm 1, β = 8"),
        ((None, None, None, 8.0, 0.0), 8, "128 dimensions, n = 0: κ = β m² = 8"),
        ((2.0, 0.5, None, None, 1.0), 63.5, "norm 5.635 (K = 0.5"),
    ],
)
def test_a_random_memory_is_described_by_its_norm(options, kappa, said):
    memory, described, given = random_memory(128, *options)
    assert said in described
    assert memory.kappa == given["kappa"] == pytest.approx(kappa, rel=1e-14)


def test_too_many_in_the_ball_of_c3_is_not_called_too_many_for_every_ball():
    """At d = 16, κ = 16 no pair is surely merged: C7 is about one ball, and a larger one may hold a fixed point."""
    memory = RandomMemory(16, 16.0)
    logs = {"C3": math.log(98.5), "C6": pair_witness(memory, 0.5).log_patterns, "C7": math.log(3678.5)}
    rows = [CapacityRow(name, log, "", "") for name, log in (logs | {"C8": packing(memory)}).items()]
    said = render.bounds_lines(rows, 0.5)[0]
    assert "Surely fine: 98 patterns are all stored with probability 0.5. Surely too many: of 3.422e+23 some" in said
    assert "Of 3679 a given pattern has no fixed point in the ball of C3, with probability 0.5." in said


def test_where_one_pattern_alone_is_stored_it_is_not_called_too_many():
    said = " ".join(run("bounds", "--dim", 2, "--kappa", 1e-3, "--noop", 0).stdout.split())
    assert "Surely fine: a single pattern is stored. Surely too many: of 2 some are not stored" in said
    assert "void here: below κ = 1" in said


def test_the_bounds_in_words_are_those_of_the_table_where_numbers_overflow():
    logs = {"C2": 800.0, "C3": 850.0, "C10": 900.0, "C6": 1000.0, "C8": 2e3}
    rows = [CapacityRow(name, log, "", "") for name, log in logs.items()]
    assert render.bounds_lines(rows, 0.5)[0].startswith("Surely fine: 10^390.86 patterns")
    assert "Surely too many: of 10^434.30 some" in render.bounds_lines(rows, 0.5)[0]


def test_bounds_in_very_many_dimensions_name_what_they_leave_out():
    result = run("bounds", "--dim", 10_000_000, "--beta", 1, "--scale", 3)
    assert result.exit_code == 0
    assert result.stderr == ""
    said = " ".join(result.stdout.split())
    assert "Surely fine: 10^2338237.72 patterns" in said
    assert "C3, C10, C6, C3 typical, C10 typical, C7, C9 are left out" in said
    assert "10^82552720.26 190084663.1 proved" in said


def test_a_bound_that_takes_long_says_how_far_it_is():
    told = []
    capacity_table(RandomMemory(2, 2.0), 0.5, lambda *done: told.append(done))
    assert told == [(done, 12) for done in range(13)]


def test_capacity_is_measured_between_the_bounds(tmp_path, monkeypatch):
    monkeypatch.setattr("hopfield_theory.cli.shared._SECONDS", 0.0)
    out = tmp_path / "capacity.json"
    result = run("capacity", "--dim", 8, "--kappa", 8, "--precision", 0.3, "--json", out)
    measured = json.loads(out.read_text())["log_patterns"]
    assert result.exit_code == 0
    assert 2.5 < measured["low"] < measured["estimate"] < measured["high"] < 4.5
    assert f"At {math.exp(measured['estimate']):.4g} patterns" in result.stdout
    lines = result.stderr.splitlines()
    assert all(re.fullmatch(r"measuring: M = \d+, \d+ memories", line) for line in lines)
    assert len(lines) > 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--kappa", 8, "--norm", 2], "--kappa stands in place of"),
        (["--beta", 8, "--norm", 2, "--scale", 1], "--scale and --norm both"),
        ([], "one of them is needed"),
        (["--kappa", 0], "kappa is 0"),
        (["--beta", 1, "--norm", "inf"], "norm is inf"),
        (["--kappa", 8, "--rule", "mine"], "--rule is 'mine'"),
    ],
)
def test_random_memories_that_are_refused(options, message):
    result = run("capacity", "--dim", 8, *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("estimate", "said"), [(-math.inf, "one included"), (math.inf, "up to 100 patterns, the most")]
)
def test_a_capacity_beyond_what_was_drawn_is_no_number(estimate, said):
    found = Crossing(Interval(estimate, -math.inf, math.inf, 0.95), 0.0, (1, 100), (5, 5), (10, 10))
    (line,) = render.capacity_lines(found, "stored")
    assert line.startswith("There is no crossing: ")
    assert said in line
    assert line.endswith("(20 independent memories).")


def test_failure_probabilities_below_all_floats_of_a_pair():
    assert run("bounds", "--dim", 2, "--kappa", 8, "--failure-probability", 1e-300).exit_code == 0
