"""Claims of one's own: from a sentence to a certified counterexample that replays."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import hopfield_theory as ht
from hopfield_theory.cli.main import app
from hopfield_theory.statements.registry import STATEMENTS
from hopfield_theory.verification.check import check
from hopfield_theory.verification.instances import Draws
from hopfield_theory.verification.own import load, probed
from hopfield_theory.verification.replay import replay, write

PAGE = (Path(__file__).parents[2] / "docs" / "own-claims.md").read_text(encoding="utf-8")
(SHOWN,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "claims.py"
    path.write_text(SHOWN, encoding="utf-8")
    return path


def run(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, list(map(str, arguments)))


def claim(slack, name="Q1", **options):
    return ht.Statement(name=name, title="", claim="", parts=(ht.Implication("part", slack, **options),))


def test_the_page_s_claim_is_falsified_and_its_counterexample_replays(file, tmp_path):
    result = run("verify", "--from", file, "--counterexamples", tmp_path / "found")
    assert result.exit_code == 1
    assert "Q1 is false: With a no-op slot, ‖Tx‖ ≤ ‖x‖." in result.stdout
    again = run("replay", tmp_path / "found" / "Q1-no-longer.json", "--from", file)
    assert again.exit_code == 0
    told = re.search(r"\$ hopfield-theory replay .*?\n(.*?)```", PAGE, re.DOTALL)[1]
    assert again.stdout == told
    alone = run("replay", tmp_path / "found" / "Q1-no-longer.json")
    assert (alone.exit_code, "'Q1' is no statement" in alone.stderr) == (2, True)


def test_a_true_claim_holds_next_to_named_ones(file):
    true = claim(lambda i: i.dynamics.radius - i.xp.norm(i.dynamics.update(i.query)), name="Q2")
    first, second = ht.verify(["T8", true], instances=2000)
    assert (first.statement.name, second.statement.name) == ("T8", "Q2")
    assert second.outcome == "holds"
    assert second.as_expected
    assert second.starts > 0
    [verdict] = ht.verify(load(file), instances=2000)
    assert not verdict.as_expected
    assert verdict.worst.counterexample.values["patterns"] == [["1"]]


def test_what_was_written_is_decided_again(file, tmp_path):
    own = load(file)
    [verdict] = ht.verify(own, instances=500)
    found = verdict.worst.counterexample
    assert replay(write(found, tmp_path), own) == found


def test_a_claim_of_any_name_is_written_inside_the_folder(tmp_path):
    own = [claim(lambda i: -i.beta, name="../Q 1/β.2")]
    [verdict] = ht.verify(own, instances=100)
    path = write(verdict.worst.counterexample, tmp_path / "found")
    assert (path.name, path.parent) == ("Q-1-β-2-part.json", tmp_path / "found")
    assert replay(path, own) == verdict.worst.counterexample


def test_a_slack_that_is_never_a_number_is_undecided():
    [verdict] = ht.verify([claim(lambda i: i.xp.log(-i.beta))], instances=100)
    assert verdict.outcome == "undecided"
    assert "on no instance is the slack a number" in verdict.findings()[0]


def test_where_a_true_claim_is_undecided_is_said():
    def slack(i):
        return (i.dynamics.radius - i.xp.norm(i.dynamics.update(i.query))) / i.dynamics.radius

    own = [claim(slack), claim(slack, name="Q2", hypotheses=lambda i: [i.dynamics.radius])]
    [open_, settled] = check(own, Draws(0, 500), 0)
    assert (open_.outcome, settled.outcome) == ("undecided", "holds")
    assert "κ = 0," in open_.findings()[0]
    assert "slack" not in open_.findings()[0]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (claim(lambda i: i.xp.tanh(i.query[0])), "Q1, part: cannot be evaluated in floats"),
        (claim(lambda i: i.xp.tanh(i.query[0])), "xp.abs, xp.cumulative"),
        (claim(lambda i: i.query[0].sigmoid()), "cannot be evaluated in ball arithmetic"),
        (claim(lambda i: i.query[0], uses=("beta",)), "uses must be patterns and any of beta"),
        (claim(lambda i: i.other[0]), "cannot be evaluated in ball arithmetic"),
        (claim(lambda i: i.query[0], name="t8"), "t8: the name of a claim must be new"),
        (ht.Statement(name="Q1", title="", claim="", parts=()), "Q1: has no parts"),
        (ht.Statement(name="Q1", title="", claim="", parts=ht.Implication("", len)), "Q1: parts must be a tuple"),
        (ht.Statement(name="Q1", title="", claim="", parts=(len,)), "Q1: parts must be a tuple"),
        (claim(lambda i: i.beta, name=3), "3: the name of a claim must be a text"),
        (claim(lambda i: 3.0), "a slack is a plain value of Python"),
        (claim(lambda i: i.query), "a slack is a vector, where one number is needed"),
        (claim(lambda i: i.beta, hypotheses=lambda i: [i.query]), "a slack is a vector, where one number is needed"),
        (claim(lambda i: max(i.beta, i.noop)), "use xp.if_positive, xp.max"),
        (claim(lambda i: i.beta if i.beta > 1 else i.noop), "use xp.if_positive, xp.max"),
        (claim(lambda i: i.beta, hypotheses=lambda i: i.noop), "return hypotheses as a list"),
    ],
)
def test_what_cannot_be_checked_is_named(statement, words):
    with pytest.raises((ValueError, TypeError), match=re.escape(words)):
        ht.verify([statement])


def test_two_claims_of_one_name_are_refused():
    with pytest.raises(ValueError, match="Q1: the name of a claim must be new"):
        probed([claim(lambda i: i.query[0]), claim(lambda i: i.query[0])])


def test_statements_of_the_library_may_be_given_themselves():
    [verdict] = ht.verify([STATEMENTS["T8"]], instances=500)
    assert verdict.statement is STATEMENTS["T8"]


@pytest.mark.parametrize(
    ("text", "words"), [("x = 1", "defines no Statement"), ("1 / 0", "ZeroDivisionError"), ("x = ", "SyntaxError")]
)
def test_files_without_claims_are_refused_in_one_line(tmp_path, text, words):
    path = tmp_path / "claims.py"
    path.write_text(text)
    result = run("verify", "--from", path)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert words in line
    missing = run("verify", "--from", tmp_path / "nothing.py")
    assert (missing.exit_code, "there is no such file" in missing.stderr) == (2, True)
