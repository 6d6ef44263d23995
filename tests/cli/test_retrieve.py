"""``retrieve``: the library's numbers, whole, hidden and damaged cues, and outcomes in words."""

import re

import numpy as np
import pandas as pd
import pytest
import torch

import hopfield_theory as ht
from hopfield_theory.data.seeds import keyed_generator
from tests.cli.running import one_line, run, sentences, strict


def test_retrieve_hides_coordinates(source, patterns):
    result = run("retrieve", source, "--hide", 0.25, "--beta", 40, "--centre", "--normalise", "--accelerate")
    memory = ht.Memory(patterns, 40.0, centre=True, normalise=True)
    mean = patterns.mean(0)
    cues = ht.corruption.mask_tail(patterns - mean, 0.25) + mean
    assert torch.equal(cues[:, 6:], mean[6:].expand(30, 2))
    right = int((memory.nearest(ht.retrieve(memory, cues).state)[0] == torch.arange(30)).sum())
    assert 0 < right < 30
    assert f"{right} of 30 queries ended nearest to the pattern that they were made from." in result.stdout


def test_a_shared_fixed_point_retrieves_neither_pattern(tmp_path):
    """The first two end midway between them, nearest to one of them by rounding; the third is retrieved."""
    np.save(tmp_path / "p.npy", np.array([[1.0, 0.1, 0.0], [1.0, -0.1, 0.0], [-1.0, 0.0, 0.2], [0.0, 0.0, 1.0]]))
    result = run("retrieve", tmp_path / "p.npy", "--hide", 0, "--beta", 12, "--json", tmp_path / "o.json")
    said = strict((tmp_path / "o.json").read_text())["retrieval"]["outcome"]
    assert said == ["merged with 1", "merged with 0", "retrieved", "retrieved"]
    assert "2 of 4 queries ended nearest to the pattern that they were made from." in result.stdout
    assert "neither is retrieved: 0 (merged with 1), 1 (merged with 0)." in sentences(result.stdout)
    apart = run("retrieve", tmp_path / "p.npy", "--hide", 0, "--beta", 900, "--json", tmp_path / "o.json")
    assert strict((tmp_path / "o.json").read_text())["retrieval"]["outcome"] == ["retrieved"] * 4
    assert "neither is retrieved" not in apart.stdout


@pytest.mark.parametrize(
    ("beta", "options"),
    [(300, []), (12, []), (12, ["--accelerate"]), (12, ["--tol", "1e-3"]), (12, ["--noop", "0", "--centre"])],
)
def test_the_json_of_a_retrieval_is_the_library_s(tmp_path, source, patterns, beta, options):
    queries = patterns[:9] * 0.9
    np.save(tmp_path / "queries.npy", queries.numpy())
    retrieve = ["retrieve", source, "--query", tmp_path / "queries.npy", "--beta", beta, "--json", "-", *options]
    result = run(*retrieve)
    memory = ht.Memory(patterns, beta, 0.0 if "--noop" in options else 1.0, centre="--centre" in options)
    tol = 1e-3 if "--tol" in options else 1e-8
    found = ht.retrieve(memory, queries, tol, accelerate="--accelerate" in options, energies=True)
    data = strict(result.stdout)["retrieval"]
    answers, distances = memory.nearest(found.state)
    assert data["answer"] == answers.tolist()
    assert data["steps"] == found.steps.tolist()
    assert data["status"] == [ht.Status(status).name.lower() for status in found.status.tolist()]
    assert data["ambiguous"] == found.ambiguous.tolist()
    assert data["guaranteed"] == (ht.guaranteed(memory, queries)[0] >= 0).tolist()
    assert data["tolerance"] == found.tolerance == tol
    numbers = {"state": found.state, "distance": distances, "residual": found.residual, "energy": found.energy}
    for name, values in numbers.items():
        np.testing.assert_allclose(data[name], values.numpy(), rtol=1e-12, atol=1e-15, err_msg=name)
    assert bool(found.converged.all())
    assert result.exit_code == 0
    assert "All 9 queries converged" in result.stderr
    stopped = run(*retrieve, "--max-steps", 1, "--tol", 1e-12)
    assert stopped.exit_code == 1
    assert "0 of 9 queries converged" in stopped.stderr


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("options", [["--hide", "0"], ["--hide", "0", "--centre", "--normalise", "--accelerate"]])
def test_patterns_of_every_precision_are_retrieved(tmp_path, dtype, options):
    torch.save(torch.eye(6).to(dtype), tmp_path / "eye.pt")
    result = run("retrieve", tmp_path / "eye.pt", "--beta", 30, "--json", "-", *options)
    assert result.exit_code == 0, repr(result.exception)
    assert strict(result.stdout)["retrieval"]["answer"] == list(range(6))


@pytest.mark.slow
def test_queries_have_columns_and_arrays_of_their_own(tmp_path, patterns):
    rows = patterns.numpy()
    names = [f"x{k}" for k in range(rows.shape[1])]
    known, asked = pd.DataFrame(rows, columns=names), pd.DataFrame(rows[::-1].copy(), columns=names)
    known.insert(0, "id", range(100, 100 + 7 * len(rows), 7))
    known.to_csv(tmp_path / "known.csv", index=False)
    asked[names[::-1]].to_csv(tmp_path / "asked.csv", index=False)
    asked.set_axis([f"y{k}" for k in range(len(names))], axis=1).assign(word="a").to_csv(
        tmp_path / "odd.csv", index=False
    )
    np.savez(tmp_path / "asked.npz", cues=rows[::-1], labels=np.arange(len(rows)))
    source = ("retrieve", tmp_path / "known.csv", "--drop", "id", "--beta", 20, "--json", "-", "--query")
    wanted = list(range(len(rows)))[::-1]
    for query, *options in (
        ("asked.csv",),
        ("odd.csv", "--query-drop", "word"),
        ("odd.csv", "--query-columns", ",".join(f"y{k}" for k in range(len(names)))),
        ("asked.npz", "--query-name", "cues"),
    ):
        found = strict(run(*source, tmp_path / query, *options).stdout)
        assert found["retrieval"]["answer"] == wanted
    assert "choose its own (in the command line by --query-columns or --query-drop)" in one_line(
        run(*source, tmp_path / "odd.csv")
    )
    assert "(in the command line by --query-name)" in one_line(run(*source, tmp_path / "asked.npz"))
    assert "--query-columns and --query-drop: give one of them" in one_line(
        run(*source, tmp_path / "odd.csv", "--query-columns", "y0", "--query-drop", "word")
    )
    assert "they need --query" in one_line(
        run("retrieve", tmp_path / "known.csv", "--drop", "id", "--hide", 0.5, "--query-name", "cues")
    )


def test_damaged_copies_are_counted_level_by_level(tmp_path, source, patterns):
    out, figure = tmp_path / "out.json", tmp_path / "rates.png"
    options = ["--beta", 60, "--noise", "0,0.1,5", "--mask", "0.9"]
    result = run("retrieve", source, *options, "--json", out, "--plot", figure)
    assert result.exit_code == 0
    assert figure.stat().st_size > 1000
    levels = strict(out.read_text())["levels"]
    assert [(level["damage"], level["level"]) for level in levels] == [
        *(("noise", level) for level in (0.0, 0.1, 5.0)),
        ("mask", 0.9),
    ]
    memory = ht.Memory(patterns, 60.0)
    assert levels[0]["guaranteed"] == pytest.approx(ht.certify(memory).stored.double().mean().item())
    assert levels[0]["retrieved"] >= levels[0]["guaranteed"]
    assert levels[2]["guaranteed"] == 0
    for level in levels:
        rate = ht.statistics.wilson(level["outcome"].count("retrieved"), 30)
        assert (level["retrieved"], level["low"], level["high"]) == (rate.estimate, rate.low, rate.high)
    cue = ht.corruption.add_noise(patterns, 5.0, keyed_generator(0, "damage"))
    found = ht.retrieve(memory, cue)
    ends = memory.nearest(found.state)[0]
    wrong = [row for row, said in enumerate(levels[2]["outcome"]) if said.startswith("ended at ")]
    assert wrong
    assert all(levels[2]["outcome"][row] == f"ended at {ends[row]}" for row in wrong)
    assert f"Not retrieved at noise 5: {wrong[0]} (ended at {ends[wrong[0]]})" in sentences(result.stdout)
    rejected = strict(run("retrieve", source, "--beta", 60, "--noop", 1e40, "--noise", 0, "--json", "-").stdout)
    assert set(rejected["levels"][0]["outcome"]) == {"ended at the no-op state"}


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--noise", "a"], "--noise is 'a': it must be numbers with commas between them"),
        (["--noise", "-1"], "--noise is -1.0: it must be"),
        (["--mask", "0.5,1.5"], r"--mask is 1.5: it must be a finite number in \[0, 1\]"),
        (["--noise", "1", "--hide", "0.5"], "give one of these"),
        (["--hide", "0.5", "--plot", "x.png"], "--plot is x.png: it needs --noise or --mask"),
    ],
)
def test_bad_levels_are_refused(source, options, match):
    assert re.search(match, one_line(run("retrieve", source, *options)))
