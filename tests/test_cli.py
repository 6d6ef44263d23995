"""The command line: the library's numbers, the exit statuses, and one line for bad input with nothing written."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

import hopfield_theory as ht
from hopfield_theory.cli import app


@pytest.fixture(scope="module")
def patterns():
    rows = torch.randn(30, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return rows / rows.norm(dim=1, keepdim=True)


@pytest.fixture
def source(tmp_path, patterns):
    path = tmp_path / "patterns.npy"
    np.save(path, patterns.numpy())
    return str(path)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write(path, rows):
    """The same rows in the format of the path's ending."""
    ending = path.suffix
    if ending == ".npy":
        np.save(path, rows.numpy())
    elif ending == ".npz":
        np.savez(path, patterns=rows.numpy())
    elif ending == ".csv":
        pd.DataFrame(rows.numpy(), columns=[f"x{i}" for i in range(rows.shape[1])]).to_csv(path, index=False)
    elif ending == ".parquet":
        pd.DataFrame(rows.numpy(), columns=[f"x{i}" for i in range(rows.shape[1])]).to_parquet(path)
    elif ending == ".pt":
        torch.save(rows, path)
    else:
        save_file({"patterns": rows}, str(path))


@pytest.mark.parametrize("ending", [".npy", ".npz", ".csv", ".parquet", ".pt", ".safetensors"])
def test_certify_reads_every_format_and_gives_the_library_s_numbers(tmp_path, patterns, ending):
    path, out = tmp_path / f"patterns{ending}", tmp_path / "out.json"
    write(path, patterns)
    result = run("certify", path, "--beta", 20, "--noop", 0.5, "--json", out)
    proof = ht.certify(ht.Memory(patterns, 20.0, 0.5))
    stored = int(proof.stored.sum())
    assert 0 < stored < 30
    assert result.exit_code == 1
    assert f"{stored} of 30 patterns proved stored at β = 20" in result.stdout
    data = json.loads(out.read_text())
    assert data["certificate"]["radius"] == pytest.approx(proof.radius.tolist(), rel=1e-12)
    assert [name == "stored" for name in data["certificate"]["status"]] == proof.stored.tolist()
    assert (data["memory"]["beta"], data["memory"]["noop"], data["memory"]["patterns"]) == (20.0, 0.5, 30)
    assert data["version"] == ht.__version__


def test_exit_status_zero_when_all_are_stored(source, patterns):
    result = run("certify", source, "--beta", 500)
    assert result.exit_code == 0
    assert "All 30 patterns proved stored at β = 500; 0 not stored, 0 undecided." in result.stdout
    weak = run("certify", source, "--beta", 5)
    assert weak.exit_code == 1
    counts = [int(ht.certify(ht.Memory(patterns, beta)).stored.sum()) for beta in (10.0, 20.0)]
    assert f"At β = 10: {counts[0]} proved stored." in weak.stdout
    assert f"At β = 20: {counts[1]} proved stored." in weak.stdout


def test_json_on_standard_output_stands_alone(source):
    result = run("certify", source, "--beta", 2, "--json", "-")

    def forbid(name):
        raise AssertionError(name)

    data = json.loads(result.stdout, parse_constant=forbid)
    assert data["certificate"]["error"].count(None) == data["certificate"]["radius"].count(0.0) > 0
    assert "proved stored" in result.stderr
    assert result.exit_code == 1


def test_the_digits_are_all_stored():
    result = run("certify", "digits", "--centre", "--normalise", "--beta", 363)
    assert "All 1797 patterns proved stored" in result.stdout
    assert result.exit_code == 0


def test_find_beta_names_the_threshold_and_what_blocks(tmp_path, source, patterns):
    out = tmp_path / "beta.json"
    result = run("find-beta", source, "--noop", 0, "--json", out)
    found = ht.find_beta(patterns, 0.0)
    data = json.loads(out.read_text())
    assert (data["certified_from"], data["retrieved_from"]) == (found.certified_from, found.retrieved_from)
    assert data["stored"] == found.stored.sum(1).tolist()
    assert result.exit_code == 0
    assert "All are proved stored from β =" in result.stdout
    # one pattern in the hull of two others, and a duplicate
    np.save(tmp_path / "blocked.npy", np.array([[1.0, 0], [0, 1.0], [0.4, 0.4], [0, 1.0]]))
    blocked = run("find-beta", tmp_path / "blocked.npy", "--json", out)
    assert blocked.exit_code == 1
    assert "No β of the grid from which on all are proved stored." in blocked.stdout
    reasons = json.loads(out.read_text())["blocking"]
    assert reasons["1"] == "a duplicate of pattern 3"
    assert "no β stores it" in reasons["2"]
    assert json.loads(out.read_text())["certified_from"] == "inf"


def test_retrieve_answers_queries_from_a_file(tmp_path, source, patterns):
    queries, out = tmp_path / "queries.npy", tmp_path / "out.json"
    np.save(queries, (patterns[:12] + 0.02).numpy())
    result = run("retrieve", source, "--query", queries, "--beta", 300, "--json", out)
    memory = ht.Memory(patterns, 300.0)
    found = ht.retrieve(memory, patterns[:12] + 0.02)
    data = json.loads(out.read_text())["retrieval"]
    assert data["answer"] == list(range(12))
    assert data["steps"] == found.steps.tolist()
    np.testing.assert_allclose(data["state"], found.state.numpy(), rtol=1e-12)
    assert data["guaranteed"] == (ht.guaranteed(memory, patterns[:12] + 0.02)[0] >= 0).tolist()
    assert result.exit_code == 0
    assert "All 12 queries converged" in result.stdout
    stopped = run("retrieve", source, "--query", queries, "--beta", 30, "--max-steps", 1)
    assert stopped.exit_code == 1
    assert "0 of 12 queries converged" in stopped.stdout


def test_retrieve_hides_coordinates(source, patterns):
    result = run("retrieve", source, "--hide", 0.25, "--beta", 40, "--centre", "--normalise", "--accelerate")
    memory = ht.Memory(patterns, 40.0, centre=True, normalise=True)
    mean = patterns.mean(0)
    cues = ht.corruption.mask_tail(patterns - mean, 0.25) + mean
    assert torch.equal(cues[:, 6:], mean[6:].expand(30, 2))
    right = int((memory.nearest(ht.retrieve(memory, cues).state)[0] == torch.arange(30)).sum())
    assert 0 < right < 30
    assert f"{right} of 30 queries ended nearest to the pattern that they were made from." in result.stdout


def test_bounds_are_the_library_s_and_in_order(tmp_path):
    out = tmp_path / "bounds.json"
    result = run("bounds", "--dim", 20, "--beta", 1, "--scale", 3, "--json", out)
    assert result.exit_code == 0
    logs = {row["statement"]: row["log_patterns"] for row in json.loads(out.read_text())["bounds"]}
    arguments = {"dim": 20, "beta": 1.0, "scale": 3.0, "failure_probability": 1e-3}
    assert logs["C3"] == ht.bounds.capacity.chernoff(**arguments, noop=1.0, quantifier="all")
    assert logs["C1"] < logs["C2"] < logs["C3"] < logs["C6"] < logs["C3 typical"] < logs["C7"] < logs["C8"]
    assert logs["C5"] is None
    assert "7.413" in result.stdout
    for wrong, name in ((["--dim", 1], "dim is 1"), (["--noop", -1], "noop is -1"), (["--scale", 0], "scale is 0")):
        bad = run("bounds", "--dim", 20, "--beta", 1, *wrong)
        assert bad.exit_code == 2
        assert bad.stderr.startswith(f"hopfield-theory: {name}")
        assert len(bad.stderr.splitlines()) == 1


BAD = [
    (["certify", "{missing}"], "there is no such file"),
    (["certify", "{folder}"], "directory"),
    (["certify", "{text}"], "unknown ending"),
    (["certify", "{broken}"], "cannot be read"),
    (["certify", "{pickled}"], "{pickled}"),
    (["certify", "{vector}"], "shape (4,)"),
    (["certify", "{nan}"], "NaN or infinity, first in row 1"),
    (["certify", "{twice}"], "patterns 0, 2 are duplicates"),
    (["certify", "{zero}", "--normalise"], "pattern 1 is zero"),
    (["certify", "{equal}", "--centre", "--normalise"], "pattern 0 equals the mean"),
    (["find-beta", "{allzero}"], "patterns are all zero"),
    (["certify", "{good}", "--beta", "0"], "--beta is 0"),
    (["certify", "{good}", "--beta", "-1"], "--beta is -1"),
    (["certify", "{good}", "--beta", "nan"], "--beta is nan"),
    (["certify", "{good}", "--beta", "inf"], "--beta is inf"),
    (["certify", "{good}", "--noop", "-0.5"], "--noop is -0.5"),
    (["find-beta", "{good}", "--noop", "nan"], "--noop is nan"),
    (["retrieve", "{good}"], "--query FILE or --hide FRACTION"),
    (["retrieve", "{good}", "--query", "{good}", "--hide", "0.5"], "--query FILE or --hide FRACTION"),
    (["retrieve", "{good}", "--query", "{wide}"], "has 3 columns: it must have 2"),
    (["retrieve", "{good}", "--query", "{missing}"], "there is no such file"),
    (["retrieve", "{good}", "--hide", "1"], "--hide is 1"),
    (["retrieve", "{good}", "--hide", "0.5", "--tol", "0"], "tol is 0"),
    (["retrieve", "{good}", "--hide", "0.5", "--max-steps", "0"], "max_steps is 0"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD, ids=lambda part: " ".join(part) if isinstance(part, list) else "")
def test_bad_input_is_one_line_and_nothing_is_written(tmp_path, arguments, said):
    files = {name: str(tmp_path / f"{name}.npy") for name in ("missing", "broken", "pickled", "vector", "nan", "twice")}
    files |= {name: str(tmp_path / f"{name}.npy") for name in ("zero", "equal", "allzero", "good", "wide")}
    files |= {"folder": str(tmp_path), "text": str(tmp_path / "text.txt")}
    (tmp_path / "text.txt").write_text("1 2")
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY and no more")
    np.save(files["pickled"], np.array([{"a": 1}, {"b": 2}], dtype=object), allow_pickle=True)
    np.save(files["vector"], np.ones(4))
    np.save(files["nan"], np.array([[1.0, 2], [np.nan, 1]]))
    np.save(files["twice"], np.array([[1.0, 2], [3, 1], [1, 2]]))
    np.save(files["zero"], np.array([[1.0, 2], [0, 0]]))
    np.save(files["equal"], np.array([[1.0, 2], [0, 2], [2, 2]]))
    np.save(files["allzero"], np.zeros((1, 2)))
    np.save(files["good"], np.array([[1.0, 2], [3, 1]]))
    np.save(files["wide"], np.ones((1, 3)))
    before = sorted(path.name for path in tmp_path.iterdir())
    result = run(*(argument.format(**files) for argument in arguments), "--json", tmp_path / "out.json")
    assert result.exit_code == 2
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("hopfield-theory: ")
    assert said.format(**files) in lines[0]
    assert result.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_an_output_that_cannot_be_written_is_refused_before_the_work(tmp_path, source):
    for target in (tmp_path, tmp_path / "no" / "out.json"):
        result = run("certify", source, "--json", target)
        assert result.exit_code == 2
        assert "--json" in result.stderr
        assert result.stdout == ""


def test_unknown_options_and_no_arguments():
    assert run("certify", "digits", "--nonsense").exit_code == 2
    assert run("nonsense").exit_code == 2
    assert "Usage" in run().output
    assert run("--version").stdout == f"hopfield-theory {ht.__version__}\n"


def test_constant_patterns_are_named(tmp_path):
    np.save(tmp_path / "p.npy", np.array([[1.0, 1.0], [0.0, 9.0]]))
    assert "Constant, every coordinate the same: patterns 0." in run("certify", tmp_path / "p.npy").stdout


def test_memory_that_runs_out_is_one_line(source, monkeypatch):
    from hopfield_theory import certificate

    for error in (MemoryError("no more"), RuntimeError("DefaultCPUAllocator: not enough memory")):
        monkeypatch.setattr(certificate, "balls", lambda *_: (_ for _ in ()).throw(error))  # noqa: B023
        result = run("certify", source)
        assert result.exit_code == 2
        assert "too large for this machine's memory" in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


def test_an_interrupt_ends_with_130(tmp_path):
    rows = np.random.default_rng(0).normal(size=(60_000, 32)).astype(np.float32)
    np.save(tmp_path / "large.npy", rows)
    program = "from hopfield_theory import certificate as c; import sys; b = c.balls\n"
    program += "def balls(*a):\n    print('begun', file=sys.stderr, flush=True)\n    return b(*a)\n"
    program += "c.balls = balls\nfrom hopfield_theory.cli import main; main()"
    command = [
        sys.executable,
        "-c",
        program,
        "certify",
        str(tmp_path / "large.npy"),
        "--json",
        str(tmp_path / "o.json"),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        while "begun" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert sorted(os.listdir(tmp_path)) == ["large.npy"]


def test_the_installed_command_runs(source):
    command = [sys.executable, "-m", "hopfield_theory", "certify", source, "--beta", "500", "--json", "-"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout)["certificate"]["status"] == ["stored"] * 30
