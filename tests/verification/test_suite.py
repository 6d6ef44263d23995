"""The one call: levels, budgets, what it refuses, and that what it finds reaches the report."""

import dataclasses
import io
import json

import pytest
import torch
from rich.console import Console

import hopfield_theory as ht
from hopfield_theory.bounds import RandomMemory
from hopfield_theory.cli import render
from hopfield_theory.runs.executors import Processes
from hopfield_theory.verification import capacity_enclosures, suite
from hopfield_theory.verification.check import Outcome
from hopfield_theory.verification.counterexamples import Counterexample
from hopfield_theory.verification.render import table
from hopfield_theory.verification.search import Effort
from hopfield_theory.verification.verdicts import Verdicts


def test_the_strong_claim_is_falsified_and_what_holds_instead_holds():
    verdicts = ht.verify(["T10", "T11", "P1"], instances=600)
    assert [verdict.outcome.value for verdict in verdicts] == ["holds", "holds", "falsified"]
    assert all(verdict.as_expected for verdict in verdicts)
    counterexample = verdicts[2].worst.counterexample
    assert isinstance(counterexample, Counterexample)
    assert counterexample.values == {"patterns": [["1"]], "beta": "1", "noop": "1", "query": ["0"]}
    said = verdicts.lines()
    assert said[0].startswith("P1 is false: ")
    assert said[-1] == "All 3 verdicts are as expected."


@pytest.mark.slow
def test_capacity_bounds_are_enclosed_at_the_table(monkeypatch):
    asked = []

    def sandwich(*row):
        asked.append(row)
        return [
            capacity_enclosures.Enclosure("C3", "all", 1.0, -8.0, -7.0, -6.9, True),
            capacity_enclosures.Enclosure("C6", "all", 1.0, -8.0, -7.0, -6.9, None),
        ]

    monkeypatch.setattr(capacity_enclosures, "sandwich", sandwich)
    monkeypatch.setattr(suite, "_drawn", lambda names, effort: [])
    found = {v.statement.name: v.enclosures for v in ht.verify(["C3", "C6", "C5"], level="full", instances=1)}
    memories = [RandomMemory.of(dim, beta, scale) for dim, beta, scale in suite.TABLE]
    assert asked == [(memory, 1e-3) for memory in memories]
    assert [len(found[name]) for name in ("C3", "C6", "C5")] == [3, 3, 0]
    asked.clear()
    ht.verify(["C3"])
    assert asked == [(memories[0], 1e-3)]
    asked.clear()
    ht.verify(["C1"])
    assert not asked
    monkeypatch.undo()
    # a bound that balls do not decide is no proof, however the experiments went
    [verdict] = ht.verify(["T8"], instances=100)
    assert dataclasses.replace(verdict, enclosures=tuple(found["C3"])).outcome == Outcome.HOLDS
    undecided = dataclasses.replace(verdict, enclosures=tuple(found["C6"]))
    assert undecided.outcome == Outcome.UNDECIDED
    assert "0 of 3 confirmed" in Verdicts([undecided]).summary()


def test_a_full_check_derives_and_attacks_everything_and_a_quick_one_attacks_what_is_false(monkeypatch):
    for level in ("FULL", "QUICK"):
        monkeypatch.setattr(suite, level, Effort(starts=16, descent=5, polish=5))
    quick = {v.statement.name: v for v in ht.verify(["T8", "P9", "P14"], instances=100)}
    assert [quick[name].starts for name in ("T8", "P9")] == [0, 0]
    assert quick["P14"].starts > 0
    assert quick["T8"].derivation is None
    [full] = ht.verify(["T8"], instances=100, level="full")
    assert full.derivation == "U/(S + n) = U/(S*(1 + n/S))"
    assert full.starts == sum(part.starts for part in full.parts) > 0
    assert 0 <= full.worst.smallest_slack <= full.attacked_slack
    assert full.instances > quick["T8"].instances
    said = io.StringIO()
    Console(file=said, width=120).print(table.table(table.data([full, quick["P9"]])))
    assert "attacked with" in said.getvalue()
    assert f"{full.starts:,} starts".replace(",", " ") in said.getvalue()
    [data] = table.data([full])
    assert [part["attack"]["starts"] for part in data["parts"]] == [part.starts for part in full.parts]


@pytest.mark.slow
def test_who_works_changes_nothing_and_a_budget_ends_the_workers_too():
    wanted = ["T2", "P14", "C1"]
    with Processes(1) as workers:
        shared = ht.verify(wanted, instances=100, map_fn=workers.map)
        with pytest.raises(suite.BudgetError, match="ran out"):
            ht.verify(["C8"], instances=20_000, budget=0.5, map_fn=workers.map)
    assert table.data(shared) == table.data(ht.verify(wanted, instances=100))


def test_a_claim_with_a_reading_that_survives_is_not_as_expected():
    [verdict] = ht.verify(["P3"])
    assert verdict.as_expected
    survived = dataclasses.replace(verdict.parts[0], outcome=Outcome.HOLDS)
    assert not dataclasses.replace(verdict, parts=(survived, verdict.parts[1])).as_expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"statements": ["T99"]}, "T99: no such statement"),
        ({"level": "slow"}, "level is 'slow': it must be one of"),
        ({"instances": 0}, "instances is 0: it must be an integer of at least 1"),
        ({"seed": -1}, "seed is -1: it must be an integer of at least 0"),
        ({"budget": 0.0}, "budget is 0.0: it must be a finite number above 0"),
        ({"budget": float("nan")}, "budget is nan"),
        ({"statements": ["T3"], "budget": 1e-6}, "budget is 1e-06 s: it ran out"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        ht.verify(**arguments)


def test_one_thread_for_one_table_and_then_as_before(monkeypatch):
    before = torch.get_num_threads()
    seen = []
    for name in ("check", "attacked"):
        real = getattr(suite, name)
        monkeypatch.setattr(
            suite, name, lambda *a, real=real, **k: seen.append(torch.get_num_threads()) or real(*a, **k)
        )
    ht.verify(["T8", "P14"], instances=50)
    assert seen == [1, 1]
    assert torch.get_num_threads() == before


def test_the_digits_are_among_the_instances_where_they_can_be(monkeypatch):
    assert suite.digits().shape == (1797, 64)

    def missing():
        raise ImportError("no scikit-learn")

    monkeypatch.setattr(suite.files, "digits", missing)
    assert suite.digits() is None
    assert ht.verify(["T8"], instances=50)[0].outcome == Outcome.HOLDS


@pytest.mark.slow
def test_the_report_carries_everything():
    verdicts = [*ht.verify(["T7", "T8"], instances=100), *ht.verify(["P1"], instances=100, level="full")]
    data = json.loads(render.json_text({"verdicts": table.data(verdicts)}))["verdicts"]
    assert [row["statement"] for row in data] == ["T7", "T8", "P1"]
    for row, verdict in zip(data, verdicts, strict=True):
        assert row["source"] == verdict.statement.source
        assert row["instances"] == sum(part["instances"] for part in row["parts"]) > 0
        assert row["verdict"] == verdict.outcome.value
        assert {part["by"] for part in row["parts"]} == {"instances"}
    assert data[2]["parts"][0]["counterexample"]["values"]["patterns"] == [["1"]]
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(table.table(table.data(verdicts)))
    text = console.export_text()
    for words in ("T7 Jacobian", "Ramsauer et al. 2021", "proved here", "falsified"):
        assert words in text
    assert "arXiv" not in text
