"""``find-beta``: the threshold, what blocks it, and how far the search is."""

import json
import re

import numpy as np
import pytest
import torch

import hopfield_theory as ht
from hopfield_theory import _sentences
from tests.cli.running import run, sentences, strict


@pytest.fixture(scope="module")
def thresholds(patterns):
    return ht.find_beta(patterns, 0.0)


def test_find_beta_names_the_threshold_and_what_blocks(tmp_path, source, thresholds):
    out = tmp_path / "beta.json"
    result = run("find-beta", source, "--noop", 0, "--json", out)
    data = strict(out.read_text())
    assert data["stored_from"] == thresholds.stored_from.tolist()
    assert data["retrieved_from"] == thresholds.retrieved_from.tolist()
    assert data["stored_for"] == {f"{share:g}": thresholds.stored_for(share) for share in (0.9, 0.99, 1.0)}
    assert data["stored"] == thresholds.stored.sum(1).tolist()
    assert result.exit_code == 0
    assert "Proved stored: 90% from β =" in result.stdout
    # one pattern in the hull of two others, and a duplicate
    np.save(tmp_path / "blocked.npy", np.array([[1.0, 0], [0, 1.0], [0.4, 0.4], [0, 1.0]]))
    blocked = run("find-beta", tmp_path / "blocked.npy", "--json", out)
    assert blocked.exit_code == 1
    assert "all at no β of the grid." in blocked.stdout
    assert "Rows that equal an earlier one: 3 (= 1)." in blocked.stdout
    reasons = json.loads(out.read_text())["blocking"]
    assert reasons["1"] == "a duplicate of pattern 3"
    assert "no β certifies it" in reasons["2"]
    assert json.loads(out.read_text())["stored_from"][1:3] == [None, None]
    dropped = run("find-beta", tmp_path / "blocked.npy", "--drop-duplicates", "--betas", "50,500", "--json", out)
    assert "Rows that equal an earlier one and were left out: 3 (= 1)." in dropped.stdout
    assert strict(out.read_text())["betas"] == [50, 500]
    assert strict(out.read_text())["stored_from"] == [50, 50, None, 50]


def test_the_digits_that_block_are_named(tmp_path):
    raw, path = ht.digits()[0][:60], tmp_path / "raw.npy"
    np.save(path, raw.numpy())
    proof = ht.certify(ht.Memory(raw, 0.1))
    blocked = (proof.gap <= 0).nonzero().flatten().tolist()
    assert len(blocked) > 10
    result = run("certify", path, "--beta", 0.1)
    assert result.exit_code == 1
    shown = ", ".join(map(str, blocked[:10]))
    assert f"{len(blocked)} are certified at no β" in sentences(result.stdout)
    assert "overlaps them no less than they overlap themselves" in sentences(result.stdout)
    assert f"patterns {shown}, … ({len(blocked)} in all)." in sentences(result.stdout)
    result = run("find-beta", path, "--json", tmp_path / "o.json")
    assert result.exit_code == 1
    said = sentences(result.stdout)
    assert f"{len(blocked)} of 60 patterns are not stored at the largest β:" in said
    first = f"pattern {blocked[0]}: its overlap with pattern {int(proof.rival[blocked[0]])} is no less than with itself"
    assert first in said
    assert f"… and {len(blocked) - 10} more" in said
    data = strict((tmp_path / "o.json").read_text())
    assert list(map(int, data["blocking"])) == blocked
    assert data["stored_for"]["1"] is None
    # what the sentence promises: normalising removes it
    assert run("find-beta", path, "--centre", "--normalise", "--betas", "500").exit_code == 0


@pytest.mark.parametrize("beta", [1.0, 4.0, 9.3, 16.0, 0.00123456, 1e-300])
def test_the_threshold_that_is_said_is_rounded_up(beta):
    said = float(_sentences.up(beta))
    assert beta <= said <= beta * (1 + 1.1e-3)


def test_without_a_terminal_progress_is_said_in_lines(source, monkeypatch):
    monkeypatch.setattr("hopfield_theory.cli.shared._SECONDS", 0.0)
    lines = run("find-beta", source, "--noop", 0).stderr.splitlines()
    assert all(re.fullmatch(r"certifying at each β: \d+ of 60 after \d+ s, .* (left|unknown)", line) for line in lines)
    assert lines[-1].startswith("certifying at each β: 60 of 60")


def test_an_interrupted_search_says_what_it_found(source, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("hopfield_theory.certificates.find_beta.endpoints", interrupt)
    result = run("find-beta", source, "--noop", 0)
    assert result.exit_code == 130
    assert re.fullmatch(
        r"Interrupted: All 30 patterns proved stored until now, at β = \S+ at the latest\.", result.stdout.strip()
    )


@pytest.mark.parametrize("dropped", [True, False])
def test_patterns_without_duplicates_are_no_sample(tmp_path, patterns, dropped):
    np.save(tmp_path / "twice.npy", torch.cat([patterns, patterns[:3]]).numpy())
    said = run("find-beta", tmp_path / "twice.npy", *["--drop-duplicates"] * dropped).stdout
    assert "sample" not in said
    assert "no pattern is retrieved" in said
