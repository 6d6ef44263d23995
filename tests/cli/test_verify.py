"""``verify`` and ``replay``: verdicts, exit statuses, pages and counterexamples."""

import dataclasses

import pytest

from hopfield_theory.data import files
from hopfield_theory.statements import registry
from hopfield_theory.verification import suite
from tests.cli.running import one_line, run, strict


@pytest.fixture(autouse=True)
def few_instances(monkeypatch):
    monkeypatch.setitem(suite.INSTANCES, "quick", 2_000)


def test_verify_prints_one_table_for_one_seed(tmp_path):
    first, second = (
        run("verify", "T8", "p1", "--seed", 5, "--json", tmp_path / name, *options)
        for name, options in (("a", ()), ("b", ["--table"]))
    )
    assert first.exit_code == second.exit_code == 0
    # the name of the file that is written may take two lines
    said, tabulated = (it.stdout.partition("Written: ")[0].splitlines() for it in (first, second))
    assert said[-1] == tabulated[-1] == "All 2 verdicts are as expected."
    # the table comes first if it is asked for
    assert said == tabulated[-len(said) :]
    assert any(line.lstrip().startswith("T8 ") for line in tabulated)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    data = strict((tmp_path / "a").read_text())
    assert [row["verdict"] for row in data["verdicts"]] == ["holds", "falsified"]
    assert data["seed"] == 5
    assert data["level"] == "quick"
    assert "P1 is false: " in first.stdout
    assert "patterns = [[1]], beta = 1, noop = 1, query = [0]" in first.stdout


def test_verify_fails_where_a_verdict_is_not_the_expected_one(monkeypatch):
    wrong = dataclasses.replace(registry.STATEMENTS["P1"], proof="proved here")
    monkeypatch.setitem(registry.STATEMENTS, "P1", wrong)
    result = run("verify", "P1")
    assert result.exit_code == 1
    assert "P1: no contradiction was expected, and it is falsified" in result.stdout


def test_verify_writes_counterexamples_that_replay(tmp_path):
    result = run("verify", "P1", "P3", "T8", "--counterexamples", tmp_path / "found")
    assert result.exit_code == 0
    written = sorted(path.name for path in (tmp_path / "found").iterdir())
    assert written == ["P1-never-farther.json", "P3-a-slot-each-n-k.json", "P3-one-slot-n-1.json"]
    for name in written:
        replayed = run("replay", tmp_path / "found" / name)
        assert replayed.exit_code == 0
        assert replayed.stdout.startswith(f"{name[:2]} is false: ")
        assert "slack in [-" in replayed.stdout


def test_a_file_that_is_no_counterexample_is_refused_in_one_line(tmp_path):
    run("verify", "P1", "--counterexamples", tmp_path)
    file = tmp_path / "P1-never-farther.json"
    file.write_text(file.read_text().replace('"noop": "1"', '"noop": "0"'))
    result = run("replay", file)
    assert result.exit_code == 1
    assert "no counterexample to P1, never farther: a hypothesis is not met" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    file.write_text("{}")
    assert "malformed" in one_line(run("replay", file))
    assert "nothing.json" in one_line(run("replay", tmp_path / "nothing.json"))


def test_verify_writes_a_page(tmp_path):
    result = run("verify", "T8", "--html", tmp_path / "page.html", "--figures", tmp_path)
    assert result.exit_code == 0
    assert "<math" in (tmp_path / "page.html").read_text()
    assert f"Written: {tmp_path / 'page.html'}" in result.stdout.replace("\n", "")
    assert "--html" in one_line(run("verify", "T8", "--html", tmp_path / "no" / "page.html"))
    assert "it must be a folder" in one_line(run("verify", "T8", "--figures", tmp_path))
    missing = run("verify", "T8", "--html", tmp_path / "page.html", "--figures", tmp_path / "no")
    assert "it must be a folder" in one_line(missing)


def test_verify_says_where_it_went_without_the_digits(monkeypatch):
    def missing():
        raise ImportError("no scikit-learn")

    result = run("verify", "T8", "--json", "-")
    assert strict(result.stdout)["verdicts"][0]["statement"] == "T8"
    assert "The one verdict is as expected." in result.stderr
    assert "digits" not in result.stderr
    monkeypatch.setattr(files, "digits", missing)
    result = run("verify", "T8")
    assert result.exit_code == 0
    assert "The digits were not among the instances" in result.stdout
