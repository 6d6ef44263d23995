"""Counterexamples as files: what is written replays, and everything else is refused in one line."""

import json
from pathlib import Path

import pytest

from hopfield_theory.statements.registry import STATEMENTS
from hopfield_theory.statements.statement import Implication
from hopfield_theory.verification import ball_arithmetic
from hopfield_theory.verification.counterexamples import Counterexample
from hopfield_theory.verification.render.markdown import page
from hopfield_theory.verification.replay import file_name, replay, write

DOCS = Path(__file__).parents[2] / "docs"
VALUES = {"patterns": [["1"]], "beta": "1", "noop": "1", "query": ["0"]}
STRONG = STATEMENTS["P1"].parts[0]


@pytest.fixture
def written(tmp_path):
    return write(Counterexample("P1", STRONG.name, VALUES, ball_arithmetic.decide(STRONG, VALUES)), tmp_path / "new")


def changed(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return path


def test_what_is_written_replays(written):
    assert written.name == "P1-never-farther.json"
    again = replay(written)
    assert again.values == VALUES
    assert again.decision == ball_arithmetic.decide(STRONG, VALUES)
    data = json.loads(written.read_text())
    assert data["enclosures"]["conclusion"]["met"] is False
    assert data["version"]


def test_numbers_are_exact_decimals_not_floats(written):
    """Written as a JSON number, 0.1 is the decimal, not the float beside it."""
    text = written.read_text().replace('"beta": "1"', '"beta": 0.1000000000000000000000000000000001')
    written.write_text(text)
    assert replay(written).values["beta"] == "0.1000000000000000000000000000000001"


def test_what_a_file_says_of_its_outcome_is_not_believed(written):
    data = json.loads(written.read_text())
    changed(written, values={**data["values"], "query": ["1"], "noop": "0"})
    with pytest.raises(ValueError, match="no counterexample to P1, never farther: a hypothesis is not met"):
        replay(written)
    data["values"] |= {"patterns": [["1"], ["-1"]], "query": ["-1"]}
    changed(written, values=data["values"])
    with pytest.raises(ValueError, match=r"no counterexample .* the conclusion holds"):
        replay(written)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "malformed: not a file of the format"),
        ({"statement": "P99"}, "'P99' is no statement; there are T1, "),
        ({"statement": ["P1"]}, r"\['P1'\] is no statement"),
        ({"part": "nothing"}, "'nothing' is no part of P1; there is never farther"),
        ({"statement": "C1"}, "is no part of C1; there is none that an instance could falsify"),
        ({"values": {**VALUES, "ball": "1"}}, "values must be those of patterns, beta, noop, query"),
        ({"values": [1]}, "values must be those of"),
        ({"values": {**VALUES, "patterns": "1"}}, "patterns must be a list of rows of numbers"),
        ({"values": {**VALUES, "patterns": []}}, "patterns must be a list of rows of numbers"),
        ({"values": {**VALUES, "patterns": [[]]}}, "patterns must be a list of rows of numbers"),
        ({"values": {**VALUES, "patterns": [["1", "2"], ["1"]]}}, "vectors of 1 and 2 dimensions"),
        ({"values": {**VALUES, "query": ["1", "2"]}}, "vectors of 1 and 2 dimensions"),
        ({"values": {**VALUES, "beta": ["1"]}}, "beta holds .* which is no decimal number"),
        ({"values": {**VALUES, "beta": "nan"}}, "beta holds 'nan', which is no decimal number"),
        ({"values": {**VALUES, "beta": "1e99999999"}}, "which is no decimal number"),
        ({"values": {**VALUES, "beta": None}}, "beta holds 'None'"),
        ({"values": {**VALUES, "beta": "-1"}}, "beta is -1: it must be above 0"),
        ({"values": {**VALUES, "noop": "-1"}}, "noop is -1: it must be at least 0"),
    ],
)
def test_malformed_files_are_refused(written, changes, message):
    with pytest.raises(ValueError, match=message) as refused:
        replay(changed(written, **changes))
    assert "\n" not in str(refused.value)
    assert str(written) in str(refused.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "[" * 100_000, "\x00\xff"])
def test_what_is_no_json_is_refused(tmp_path, text):
    path = tmp_path / "file.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match="malformed"):
        replay(path)


def test_missing_fields_are_named(written):
    data = json.loads(written.read_text())
    del data["part"], data["enclosures"]
    written.write_text(json.dumps(data))
    with pytest.raises(ValueError, match="malformed: part, enclosures missing"):
        replay(written)


def test_too_few_patterns_for_a_claim_are_refused(written):
    part = STATEMENTS["P18"].parts[0]
    with pytest.raises(ValueError, match="one update says nothing about 1 pattern"):
        replay(changed(written, statement="P18", part=part.name))


# --- the page of claims, and the counterexamples that it shows ---


FALSE = [(s, p) for s in STATEMENTS.values() if s.is_false for p in s.parts if isinstance(p, Implication)]


@pytest.mark.parametrize(("statement", "part"), FALSE, ids=[f"{s.name}: {p.name}" for s, p in FALSE])
def test_every_false_claim_has_a_counterexample_that_replays(statement, part):
    name = file_name(Counterexample(statement.name, part.name, {}, None))
    found = replay(DOCS / "counterexamples" / name)
    numbers = ", ".join(f"{n} = {v}" for n, v in found.values.items()).replace("'", "")
    assert f"{part.name}: {numbers}" in (DOCS / "claims.md").read_text()


def test_the_page_is_that_of_the_registry():
    text = (DOCS / "claims.md").read_text()
    for statement in STATEMENTS.values():
        assert f"{statement.name} {statement.title}" in text
        if statement.name.startswith("P"):
            assert f"{statement.claim}\n\nSource: {statement.source}.\n" in text
            verdict = text.split(f"### {statement.name} ")[1].split("**")[1]
            assert verdict in (("Falsified.", "Contradicted.") if statement.is_false else ("Holds.",))
            for name in statement.instead:
                assert f"- {name} {STATEMENTS[name].title}: {STATEMENTS[name].claim}" in text
    assert len(list((DOCS / "counterexamples").iterdir())) == len(FALSE)


def test_a_page_without_any_claim():
    assert page([]).startswith("# Claims")
