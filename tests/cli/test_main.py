"""The command line: the library's numbers, the exit statuses, and one line for bad input with nothing written."""

import dataclasses
import json
import math
import os
import re
import signal
import stat
import subprocess
import sys
import sysconfig
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import hopfield_theory as ht
from hopfield_theory import _sentences
from hopfield_theory.bounds import RandomMemory
from hopfield_theory.bounds.merging import pair_witness
from hopfield_theory.bounds.table import CapacityRow, capacity_table
from hopfield_theory.bounds.union import packing
from hopfield_theory.certificates import certify
from hopfield_theory.cli import render
from hopfield_theory.cli.main import app
from hopfield_theory.cli.main import main as cli
from hopfield_theory.cli.shared import random_memory
from hopfield_theory.data import files
from hopfield_theory.data.ensembles import keyed_generator
from hopfield_theory.measured.crossing import Crossing
from hopfield_theory.statements import registry
from hopfield_theory.statistics import Interval


@pytest.fixture(scope="module")
def patterns():
    rows = torch.randn(30, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return rows / rows.norm(dim=1, keepdim=True)


@pytest.fixture(scope="module")
def thresholds(patterns):
    return ht.find_beta(patterns, 0.0)


@pytest.fixture
def source(tmp_path, patterns):
    path = tmp_path / "patterns.npy"
    np.save(path, patterns.numpy())
    return str(path)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def strict(text):
    """JSON in which NaN and Infinity are errors."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def one_line(result):
    """The single line of a refusal."""
    assert result.exit_code == 2
    assert not result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith("hopfield-theory: ")
    return line


def sentences(text):
    """Output as one line, since it is wrapped at the width of the terminal."""
    return " ".join(text.split())


@pytest.mark.parametrize("ending", [".npy", ".npz", ".csv", ".parquet", ".pt", ".safetensors"])
def test_every_format_is_read(tmp_path, patterns, save, ending):
    path, out = tmp_path / f"patterns{ending}", tmp_path / "out.json"
    save(path, patterns.numpy())
    result = run("certify", path, "--beta", 20, "--noop", 0.5, "--json", out)
    proof = ht.certify(ht.Memory(patterns, 20.0, 0.5))
    stored = int(proof.stored.sum())
    assert 0 < stored < 30
    assert result.exit_code == 1
    assert f"{stored} of 30 patterns proved stored at β = 20" in result.stdout
    data = strict(out.read_text())
    assert data["certificate"]["radius"] == pytest.approx(proof.radius.tolist(), rel=1e-12)
    assert (data["memory"]["beta"], data["memory"]["noop"], data["memory"]["patterns"]) == (20.0, 0.5, 30)
    assert data["version"] == ht.__version__


def test_the_other_commands_read_files_too(source, thresholds):
    data = strict(run("retrieve", source, "--query", source, "--beta", 300, "--json", "-").stdout)
    assert data["retrieval"]["answer"] == list(range(30))
    assert all(data["retrieval"]["guaranteed"])
    found = strict(run("find-beta", source, "--noop", 0, "--json", "-").stdout)
    assert found["stored_from"] == thresholds.stored_from.tolist()


def test_exit_status_zero_when_all_are_stored(source, patterns):
    result = run("certify", source, "--beta", 500)
    assert result.exit_code == 0
    assert "All 30 patterns proved stored at β = 500; 0 not stored, 0 undecided." in result.stdout
    weak = run("certify", source, "--beta", 5)
    assert weak.exit_code == 1
    assert "find-beta says from which β on all are stored." in weak.stdout


@pytest.mark.parametrize(
    ("rows", "said", "status", "expected"),
    [
        (
            [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]],
            "2 rows equal another row, and a pattern cannot be stored twice: patterns 0, 2.",
            1,
            {"status": ["not_stored", "stored", "not_stored"]},
        ),
        ([[1.0, 1.0], [0.0, 9.0]], "Constant, every coordinate the same: pattern 0.", 1, {}),
        ([[3.0, 4.0]], "The one pattern proved stored", 0, {"radius": [None]}),
    ],
)
def test_special_patterns_are_named_and_the_rest_is_decided(tmp_path, rows, said, status, expected):
    path, out = tmp_path / "p.npy", tmp_path / "out.json"
    np.save(path, np.array(rows))
    result = run("certify", path, "--beta", 50, "--noop", 0, "--json", out)
    assert said in sentences(result.stdout)
    assert expected.items() <= strict(out.read_text())["certificate"].items()
    assert result.exit_code == status


def test_the_digits_are_all_stored():
    result = run("certify", "digits", "--centre", "--normalise", "--beta", 363)
    assert "All 1797 patterns proved stored" in result.stdout
    assert result.exit_code == 0


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
    assert f"{math.exp(logs['C2']):.4g}" in result.stdout


BAD_ROWS = {
    "vector": np.ones(4),
    "nan": [[1.0, 2], [np.nan, 1]],
    "inf": [[1.0, 2], [np.inf, 1]],
    "zero": [[1.0, 2], [0, 0]],
    "equal": [[1.0, 2], [0, 2], [2, 2]],
    "allzero": np.zeros((1, 2)),
    "good": [[1.0, 2], [3, 1]],
    "wide": np.ones((1, 3)),
}
HIDING = "retrieve good.npy --hide 0"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("certify missing.npy", "missing.npy: there is no such file"),
        ("certify folder.npy", "folder.npy: this is a directory"),
        ("certify text.md", "text.md: unknown ending"),
        ("certify broken.npy", "hopfield-theory: broken.npy: cannot be read"),
        ("certify pickled.npy", "pickled.npy: "),
        ("certify vector.npy", "shape (4,)"),
        ("certify nan.npy", "nan.npy: patterns holds NaN or infinity, first in row 1"),
        ("certify inf.npy", "inf.npy: "),
        ("certify zero.npy --normalise", "zero.npy: pattern 1 is zero"),
        ("certify equal.npy --centre --normalise", "equal.npy: pattern 0 equals the mean"),
        ("find-beta allzero.npy", "allzero.npy: patterns are all zero"),
        ("certify good.npy --beta 0", "--beta is 0"),
        ("certify good.npy --beta -1", "--beta is -1"),
        ("certify good.npy --beta nan", "--beta is nan"),
        ("certify good.npy --beta inf", "--beta is inf"),
        ("certify good.npy --beta 5e-324", "beta is 4.94"),
        ("certify good.npy --beta 1e308", "overflows torch.float64 at beta=1e+308"),
        ("certify good.npy --noop -0.5", "--noop is -0.5"),
        ("find-beta good.npy --noop nan", "--noop is nan"),
        ("find-beta good.npy --betas 1,two", "--betas is '1,two'"),
        ("find-beta good.npy --betas 0,1", "hopfield-theory: --betas are [0.0, 1.0]"),
        ("certify good.npy --columns a --drop b", "--columns and --drop: give one of them"),
        ("retrieve good.npy --noise 1 --seed -1", "hopfield-theory: --seed is -1"),
        ("retrieve good.npy --noise 1 --plot figure", "--plot is figure: its ending must be one of"),
        ("retrieve good.npy --noise 1 --plot figure.xyz", "--plot is figure.xyz: its ending must be one of"),
        ("retrieve good.npy --mask 1 --normalise", "good.npy: --mask 1: query 0 is zero"),
        ("find-beta good.npy --noop inf", "--noop is inf"),
        ("retrieve good.npy", "--query FILE or --hide FRACTION"),
        ("retrieve good.npy --query good.npy --hide 0.5", "--query FILE or --hide FRACTION"),
        ("retrieve good.npy --query wide.npy", "has 3 columns: it must have 2"),
        ("retrieve good.npy --query missing.npy", "missing.npy: there is no such file"),
        ("retrieve good.npy --query nan.npy", "nan.npy: "),
        ("retrieve good.npy --query zero.npy --normalise", "zero.npy: "),
        ("retrieve good.npy --hide 1", "--hide is 1"),
        ("retrieve good.npy --hide -0.1", "--hide is -0.1"),
        ("retrieve good.npy --hide nan", "--hide is nan"),
        (f"{HIDING} --beta 0", "--beta is 0"),
        (f"{HIDING} --tol 0", "--tol is 0"),
        (f"{HIDING} --tol -1", "--tol is -1"),
        (f"{HIDING} --tol nan", "--tol is nan"),
        (f"{HIDING} --tol inf", "--tol is inf"),
        (f"{HIDING} --max-steps 0", "--max-steps is 0"),
        (f"{HIDING} --max-steps -1", "--max-steps is -1"),
        ("bounds --dim 1 --beta 1", "hopfield-theory: --dim is 1"),
        ("bounds --dim 20 --beta 1 --noop -1", "hopfield-theory: --noop is -1"),
        ("bounds --dim 20 --beta 1 --scale 0", "hopfield-theory: --scale is 0"),
        ("bounds --dim 20 --beta 1 --failure-probability 1", "hopfield-theory: --failure-probability is 1.0"),
        ("bounds --dim 3 --kappa 1e300", "--kappa is 1e+300: the bounds are evaluated for"),
        ("bounds --dim 3 --kappa 1e-300", "--kappa is 1e-300: the bounds are evaluated for"),
        ("verify T99", "T99: no such statement; there are T1,"),
        ("verify --level slow", "hopfield-theory: --level is 'slow'"),
        ("verify --seed -1", "hopfield-theory: --seed is -1"),
        ("verify --budget 0", "hopfield-theory: --budget is 0"),
        ("verify T8 --budget 0.001", "ran out"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(tmp_path, monkeypatch, line, said):
    monkeypatch.chdir(tmp_path)
    for name, values in BAD_ROWS.items():
        np.save(f"{name}.npy", np.asarray(values))
    np.save("pickled.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    Path("folder.npy").mkdir()
    Path("text.md").write_text("1 2")
    Path("broken.npy").write_bytes(b"\x93NUMPY and no more")
    before = sorted(os.listdir())
    assert said in one_line(run(*line.split(), "--json", "out.json"))
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize(
    "line", ["certify digits --nonsense", "nonsense", "certify", "certify digits more", "certify digits --beta hot",
             "certify digits --json"]
)  # fmt: skip
def test_bad_usage_has_status_2(line):
    result = run(*line.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: " in result.stderr


def test_no_arguments_give_the_usage_and_the_version_is_the_library_s():
    assert "Usage" in run().output
    assert run("--version").stdout == f"hopfield-theory {ht.__version__}\n"


@pytest.mark.parametrize("error", [MemoryError("no more"), RuntimeError("DefaultCPUAllocator: not enough memory")])
def test_memory_that_runs_out_is_one_line(source, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(certify, "certified_balls", fail)
    assert "too large for this machine's memory" in one_line(run("certify", source))


@pytest.mark.slow
def test_an_interrupt_ends_with_130(tmp_path):
    rows = np.random.default_rng(0).normal(size=(60_000, 32)).astype(np.float32)
    np.save(tmp_path / "large.npy", rows)
    program = "import hopfield_theory.certificates.certify as c; import sys; b = c.certified_balls\n"
    program += "def balls(*a, **k):\n    print('begun', file=sys.stderr, flush=True)\n    return b(*a, **k)\n"
    program += "c.certified_balls = balls\nfrom hopfield_theory.cli.main import main; main()"
    command = [sys.executable, "-c", program, "certify", tmp_path / "large.npy", "--json", tmp_path / "o.json"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        while "begun" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert os.listdir(tmp_path) == ["large.npy"]


# --- the numbers ---


@pytest.mark.parametrize(("beta", "options"), [(20, ["--noop", "0", "--centre", "--normalise"]), (20, [])])
def test_the_json_of_a_certificate_is_the_library_s(source, patterns, beta, options):
    result = run("certify", source, "--beta", beta, "--json", "-", *options)
    data, changed = strict(result.stdout), bool(options)
    memory = ht.Memory(patterns, beta, 0.0 if changed else 1.0, centre=changed, normalise=changed)
    proof = ht.certify(memory)
    assert 0 < int(proof.stored.sum()) < 30
    assert data["certificate"].pop("least_noop") == ht.least_noop(memory)
    assert set(data["certificate"]) == set(vars(proof)) - {"beta", "memory_radius"}
    assert data["certificate"].pop("rejects") is None
    assert data["certificate"].pop("status") == [ht.Storage(status).name.lower() for status in proof.status.tolist()]
    for name, values in data["certificate"].items():
        expected = getattr(proof, name).tolist()
        assert values == [None if math.isnan(number) else number for number in expected], name
    assert data["memory"] == {
        **{"source": source, "patterns": 30, "dim": 8, "beta": beta, "noop": memory.noop, "radius": memory.radius},
        **{"centre": changed, "normalise": changed, "dtype": "float64"},
    }
    assert "proved stored" in result.stderr
    assert result.exit_code == 1


@pytest.mark.parametrize("beta", [12, 300])
@pytest.mark.parametrize("options", [[], ["--accelerate"], ["--tol", "1e-3"], ["--noop", "0", "--centre"]])
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


# --- what is said ---


def test_the_digits_that_block_are_named(tmp_path):
    raw, path = ht.digits()[0][:100], tmp_path / "raw.npy"
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
    assert f"{len(blocked)} of 100 patterns are not stored at the largest β:" in said
    first = f"pattern {blocked[0]}: its overlap with pattern {int(proof.rival[blocked[0]])} is no less than with itself"
    assert first in said
    assert f"… and {len(blocked) - 10} more" in said
    data = strict((tmp_path / "o.json").read_text())
    assert list(map(int, data["blocking"])) == blocked
    assert data["stored_for"]["1"] is None
    # what the sentence promises: normalising removes it
    assert run("find-beta", path, "--centre", "--normalise").exit_code == 0


@pytest.mark.parametrize("beta", [1.0, 4.0, 9.3, 16.0, 0.00123456, 1e-300])
def test_the_threshold_that_is_said_is_rounded_up(beta):
    said = float(_sentences.up(beta))
    assert beta <= said <= beta * (1 + 1.1e-3)


def test_a_file_of_the_name_digits_comes_before_the_digits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "digits", lambda: (torch.eye(3, dtype=torch.float64), None))
    assert run("certify", "digits", "--beta", 20).exit_code == 0
    (tmp_path / "digits").write_text("1,2\n")
    assert "digits: unknown ending" in one_line(run("certify", "digits", "--beta", 20))


def test_names_of_every_alphabet_and_rich_markup(tmp_path, patterns):
    for name in ("muster größe β 模式.npy", "[red]x[bold].npy", "two  blanks.npy"):
        np.save(tmp_path / name, patterns.numpy())
        out = tmp_path / f"{name}.json"
        result = run("certify", tmp_path / name, "--beta", 500, "--json", out)
        assert result.exit_code == 0
        assert strict(out.read_text(encoding="utf-8"))["memory"]["source"] == str(tmp_path / name)
        assert f"Written: {out}".replace(" ", "") in "".join(result.stdout.split())


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", ["certify", "find-beta", "retrieve", "bounds"])
def test_every_command_has_help(command, option):
    result = run(command, option)
    assert result.exit_code == 0
    assert "--json" in result.stdout
    assert "Exit status 0" in sentences(result.stdout)


def test_both_spellings_are_taken(source):
    results = [
        run("certify", source, "--beta", 9, *options)
        for options in (["--centre", "--normalise"], ["--center", "--normalize"])
    ]
    assert results[0].stdout == results[1].stdout


def test_without_a_terminal_progress_is_said_in_lines(source, monkeypatch):
    monkeypatch.setattr("hopfield_theory.cli.shared._SECONDS", 0.0)
    lines = run("find-beta", source, "--noop", 0).stderr.splitlines()
    assert all(re.fullmatch(r"certifying at each β: \d+ of 60 after \d+ s, .* (left|unknown)", line) for line in lines)
    assert lines[-1].startswith("certifying at each β: 60 of 60")


def test_a_measurement_says_what_it_looks_at(monkeypatch):
    monkeypatch.setattr("hopfield_theory.cli.shared._SECONDS", 0.0)
    lines = run("capacity", "--dim", 4, "--kappa", 8, "--precision", 0.5).stderr.splitlines()
    assert all(re.fullmatch(r"measuring: M = \d+, \d+ memories", line) for line in lines)
    assert len(lines) > 2


def test_no_memory_of_more_numbers_than_a_machine_can_draw_is_measured(monkeypatch):
    assert "--dim is 60000000: no memory of more than" in one_line(run("capacity", "--dim", 60_000_000, "--kappa", 1e9))
    monkeypatch.setattr("hopfield_theory.measured.capacity._guess", lambda setting, top: top)
    asked = []
    monkeypatch.setattr(
        "hopfield_theory.measured.capacity.outcomes",
        lambda setting, size, trials, seed, **more: asked.append(size) or np.ones((trials, 1), dtype=bool),
    )
    run("capacity", "--dim", 1_000_000, "--kappa", 1e7)
    assert max(asked) == 101


def test_an_interrupted_search_says_what_it_found(source, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("hopfield_theory.certificates.find_beta.endpoints", interrupt)
    result = run("find-beta", source, "--noop", 0)
    assert result.exit_code == 130
    assert re.fullmatch(
        r"Interrupted: All 30 patterns proved stored until now, at β = \S+ at the latest\.", result.stdout.strip()
    )


# --- bad input ---


def test_a_file_that_may_not_be_read(source, monkeypatch):
    def refuse(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    assert f"{source}: you may not read this file" in one_line(run("certify", source))


def test_a_pipe_is_no_file_of_patterns(tmp_path):
    path = tmp_path / "pipe.npy"
    os.mkfifo(path)

    def waits(*_):
        raise AssertionError("the command waits for somebody to write to the pipe")

    before = signal.signal(signal.SIGALRM, waits)
    signal.setitimer(signal.ITIMER_REAL, 3)
    try:
        result = run("certify", path)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert str(path) in one_line(result)


# --- what is written, and where ---


@pytest.mark.parametrize("command", ["certify", "find-beta", "retrieve", "verify"])
def test_json_paths_are_checked_before_the_patterns_are_read(tmp_path, command):
    for target in (tmp_path, tmp_path / "no" / "out.json", ""):
        line = one_line(run(command, tmp_path / "missing.npy", "--json", target))
        assert line.startswith(f"hopfield-theory: --json {target}:")


def test_the_json_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path, source):
    out = tmp_path / "out.json"
    out.write_text("old " * 100_000)
    assert run("certify", source, "--beta", 500, "--json", out).exit_code == 0
    assert strict(out.read_text())["memory"]["beta"] == 500
    assert sorted(os.listdir(tmp_path)) == ["out.json", "patterns.npy"]


def test_a_json_file_that_cannot_be_written_leaves_the_old_one(tmp_path, source, monkeypatch):
    out = tmp_path / "out.json"
    out.write_text("old")

    def refuse(partial, *_, **__):
        raise PermissionError(13, "Permission denied", str(partial))

    monkeypatch.setattr(os, "replace", refuse)
    assert one_line(run("certify", source, "--json", out)).startswith(f"hopfield-theory: --json {out}:")
    assert out.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["out.json", "patterns.npy"]


@pytest.mark.parametrize("which", ["FILE", "--query"])
def test_the_json_does_not_replace_its_own_input(tmp_path, source, which):
    victim = tmp_path / "victim.npy"
    victim.write_bytes(Path(source).read_bytes())
    kept = victim.read_bytes()
    arguments = ["certify", victim] if which == "FILE" else ["retrieve", source, "--query", victim]
    result = run(*arguments, "--json", victim)
    assert victim.read_bytes() == kept
    assert "--json" in one_line(result)


def test_a_json_path_that_is_no_regular_file_stays_what_it_is(tmp_path, source):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        run("certify", source, "--json", pipe)
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_name_that_is_no_unicode_can_be_written():
    text = render.json_text({"source": os.fsdecode(b"\xff.npy")})
    assert json.loads(text.encode())["source"] == os.fsdecode(b"\xff.npy")


# --- numbers at the ends of their range ---


@pytest.mark.parametrize(
    ("exponent", "dtype"),
    [(0, "f8"), (700, "f8"), (-700, "f8"), (-540, "f8"), (0, "f4"), (100, "f4"), (-100, "f4"), (-72, "f4")],
)
def test_normalising_removes_any_scale(tmp_path, patterns, exponent, dtype):
    np.save(tmp_path / "scaled.npy", (patterns.numpy() * 2.0**exponent).astype(dtype))
    result = run("certify", tmp_path / "scaled.npy", "--normalise", "--beta", 500, "--json", tmp_path / "o.json")
    proof = ht.certify(ht.Memory(patterns, 500.0, normalise=True))
    assert (result.exit_code, result.stderr) == (0, "")
    radius = strict((tmp_path / "o.json").read_text())["certificate"]["radius"]
    assert radius == pytest.approx(proof.radius.tolist(), rel=1e-4)


@pytest.mark.parametrize(("length", "dtype"), [(1e200, "f8"), (1e20, "f4"), (6e4, "f2")])
def test_no_pattern_is_lost_in_normalising(tmp_path, length, dtype):
    # the norm of the first row overflows in its dtype
    np.save(tmp_path / "long.npy", np.array([[length, length], [0, -1.0]]).astype(dtype))
    result = run("certify", tmp_path / "long.npy", "--normalise", "--beta", 50, "--json", "-")
    proof = ht.certify(ht.Memory([[0.5**0.5, 0.5**0.5], [0.0, -1.0]], 50.0))
    assert strict(result.stdout)["certificate"]["radius"] == pytest.approx(proof.radius.tolist(), rel=1e-2)
    assert result.exit_code == 0


@pytest.mark.parametrize("factor", [1e200, 1e154, 1e-155, 1e-160, 1e-200, 1e-310])
@pytest.mark.parametrize("command", ["certify", "find-beta"])
def test_patterns_of_extreme_size_are_not_called_what_they_are_not(tmp_path, patterns, command, factor):
    np.save(tmp_path / "extreme.npy", patterns.numpy() * factor)
    result = run(command, tmp_path / "extreme.npy")
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    # distinct, finite, not zero
    assert not re.search(r"duplicate|NaN or infinity|all zero|betas are", result.output)
    if result.exit_code == 2:
        assert "extreme.npy" in one_line(result)


@pytest.mark.parametrize(
    ("line", "statuses"),
    [
        *((f"certify --beta {beta}", (0, 1)) for beta in ("1e-300", "1e300")),
        *((f"retrieve --hide 0.5 --beta {beta}", (0, 1)) for beta in ("1e-300", "1e300")),
        *((f"certify --noop {noop}", (1,)) for noop in ("5e-324", "1e300", "1e308")),
        (f"retrieve --hide 0 --beta 300 --max-steps {10**20}", (0,)),
        (f"retrieve --hide 0 --beta 300 --max-steps {10**20} --accelerate", (0,)),
    ],
)
def test_extreme_settings_are_taken(tmp_path, source, line, statuses):
    command, *options = line.split()
    result = run(command, source, *options, "--json", tmp_path / "o.json")
    assert result.exit_code in statuses, repr(result.exception)
    assert (result.stderr, type(result.exception)) in (("", SystemExit), ("", type(None)))
    memory = strict((tmp_path / "o.json").read_text())["memory"]
    for name in {"--beta", "--noop"} & set(options):
        assert memory[name[2:]] == float(options[options.index(name) + 1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("options", [["--hide", "0"], ["--hide", "0", "--centre", "--normalise", "--accelerate"]])
def test_patterns_of_every_precision_are_retrieved(tmp_path, dtype, options):
    torch.save(torch.eye(6).to(dtype), tmp_path / "eye.pt")
    result = run("retrieve", tmp_path / "eye.pt", "--beta", 30, "--json", "-", *options)
    assert result.exit_code == 0, repr(result.exception)
    assert strict(result.stdout)["retrieval"]["answer"] == list(range(6))


@pytest.mark.parametrize(
    "rows", [np.array([[2.0]]), np.array([[2.0], [-3.0]]), np.array([[1, 0], [0, 1]]), np.eye(2) > 0]
)
def test_one_pattern_one_dimension_integers_and_booleans(tmp_path, rows):
    np.save(tmp_path / "p.npy", rows)
    assert run("certify", tmp_path / "p.npy", "--beta", 20).exit_code == 0
    assert run("find-beta", tmp_path / "p.npy").exit_code == 0
    result = run("retrieve", tmp_path / "p.npy", "--query", tmp_path / "p.npy", "--beta", 20, "--json", "-")
    assert strict(result.stdout)["retrieval"]["answer"] == list(range(len(rows)))


# --- processes ---


def start(*arguments, **environment):
    command = [sys.executable, "-m", "hopfield_theory", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, env={**os.environ, **environment})


@pytest.mark.slow
def test_the_console_script_is_this_command(source):
    (entry,) = entry_points(group="console_scripts", name="hopfield-theory")
    assert entry.load() is cli
    script = Path(sysconfig.get_path("scripts")) / "hopfield-theory"
    result = subprocess.run([script, "certify", source, "--beta", "0"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "hopfield-theory: --beta is 0: it must be a finite number above 0\n"


@pytest.mark.slow
def test_progress_goes_to_standard_error_beside_json(source):
    # rich takes standard error for a terminal
    result = start("certify", source, "--beta", "2", "--json", "-", FORCE_COLOR="1", TERM="xterm")
    assert strict(result.stdout)["memory"]["beta"] == 2
    assert b"certifying" in result.stderr
    assert b"proved stored" in result.stderr
    assert result.returncode == 1


@pytest.mark.slow
def test_output_of_a_narrow_encoding_loses_letters_and_not_the_answer(source):
    # as on Windows, where what is piped is cp1252
    result = start("certify", source, "--beta", "500", PYTHONIOENCODING="cp1252")
    assert b"All 30 patterns proved stored" in result.stdout
    assert (result.returncode, result.stderr) == (0, b"")


# --- verify ---


def test_verify_prints_one_table_for_one_seed(tmp_path):
    first, second = (run("verify", "T8", "p1", "--seed", 5, "--json", tmp_path / name) for name in ("a", "b"))
    assert first.exit_code == second.exit_code == 0
    assert first.stdout.replace(str(tmp_path / "a"), "") == second.stdout.replace(str(tmp_path / "b"), "")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    data = strict((tmp_path / "a").read_text())
    assert [row["verdict"] for row in data["verdicts"]] == ["holds", "falsified"]
    assert data["seed"] == 5
    assert data["level"] == "quick"
    assert "P1 is false: " in first.stdout
    assert "patterns = [[1]], beta = 1, noop = 1, query = [0]" in first.stdout
    assert "All 2 verdicts are as expected." in first.stdout


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


@pytest.mark.slow
def test_bounds_say_what_is_surely_fine_and_surely_too_many(tmp_path):
    out = tmp_path / "bounds.json"
    result = run("bounds", "--dim", 128, "--beta", 8, "--norm", 1, "--json", out)
    assert "norm 1, β = 8" in result.stdout.splitlines()[0]
    logs = {row["statement"]: row["log_patterns"] for row in json.loads(out.read_text())["bounds"]}
    few, many = math.floor(math.exp(max(logs["C3"], logs["C10"]))), math.ceil(math.exp(logs["C7"]))
    assert logs["C6"] is None
    assert f"Surely fine: {few} patterns" in result.stdout
    assert f"Of {many} a given pattern has no fixed point in the ball of C3" in sentences(result.stdout)


def test_too_many_in_the_ball_of_c3_is_not_called_too_many_for_every_ball():
    """At d = 16, κ = 16 no pair is surely merged: C7 is about one ball, and a larger one may hold a fixed point."""
    memory = RandomMemory(16, 16.0)
    logs = {"C3": math.log(98.5), "C6": pair_witness(memory, 0.5).log_patterns, "C7": math.log(3678.5)}
    rows = [CapacityRow(name, log, "", "") for name, log in (logs | {"C8": packing(memory)}).items()]
    said = render.bounds_lines(rows, 0.5)[0]
    assert "Surely fine: 98 patterns are all stored with probability 0.5. Surely too many: of 3.421e+23 some" in said
    assert "Of 3679 a given pattern has no fixed point in the ball of C3, with probability 0.5." in said


def test_where_one_pattern_alone_is_stored_it_is_not_called_too_many():
    said = " ".join(run("bounds", "--dim", 2, "--kappa", 1e-3, "--noop", 0).stdout.split())
    assert "Surely fine: a single pattern is stored. Surely too many: of 2 some are not stored" in said
    assert "void here: below κ = 1" in said


def test_the_bounds_in_words_are_those_of_the_table_where_numbers_overflow():
    rows = [CapacityRow(name, log, "", "") for name, log in [("C2", 800.0), ("C3", 900.0), ("C6", 1000.0), ("C8", 2e3)]]
    assert render.bounds_lines(rows, 0.5)[0].startswith("Surely fine: 10^390.87 patterns")
    assert "Surely too many: of 10^434.29 some" in render.bounds_lines(rows, 0.5)[0]


def test_bounds_in_very_many_dimensions_name_what_they_leave_out():
    result = run("bounds", "--dim", 10_000_000, "--beta", 1, "--scale", 3)
    assert result.exit_code == 0
    assert result.stderr == ""
    said = " ".join(result.stdout.split())
    assert "Surely fine: 10^2338237.73 patterns" in said
    assert "C3, C10, C6, C3 typical, C10 typical, C7, C9 are left out" in said
    assert "10^82552720.26 190084663.1 proved" in said


def test_a_bound_that_takes_long_says_how_far_it_is():
    told = []
    capacity_table(RandomMemory(2, 2.0), 0.5, lambda *done: told.append(done))
    assert told == [(done, 12) for done in range(13)]


def test_a_file_of_counterexamples_that_is_not_there_is_named():
    assert "hopfield-theory: nothing.json: No such file" in one_line(run("replay", "nothing.json"))


@pytest.mark.parametrize("dropped", [True, False])
def test_patterns_without_duplicates_are_no_sample(tmp_path, patterns, dropped):
    np.save(tmp_path / "twice.npy", torch.cat([patterns, patterns[:3]]).numpy())
    said = run("find-beta", tmp_path / "twice.npy", *["--drop-duplicates"] * dropped).stdout
    assert "sample" not in said
    assert "no pattern is retrieved" in said


def test_capacity_is_measured_between_the_bounds(tmp_path):
    out = tmp_path / "capacity.json"
    result = run("capacity", "--dim", 8, "--kappa", 8, "--precision", 0.3, "--json", out)
    measured = json.loads(out.read_text())["log_patterns"]
    assert result.exit_code == 0
    assert 2.5 < measured["low"] < measured["estimate"] < measured["high"] < 4.5
    assert f"At {math.exp(measured['estimate']):.4g} patterns" in result.stdout


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


def test_one_array_of_several_and_some_columns_of_a_table(tmp_path, patterns):
    rows = patterns.numpy()
    np.savez(tmp_path / "several.npz", keys=rows, labels=np.arange(len(rows)))
    frame = pd.DataFrame(rows, columns=[f"x{k}" for k in range(rows.shape[1])])
    frame.insert(0, "word", "a")
    frame.to_csv(tmp_path / "table.csv", index=False)
    np.save(tmp_path / "plain.npy", rows)
    wanted = strict(run("certify", tmp_path / "plain.npy", "--beta", "20", "--json", "-").stdout)
    for source, options in [
        ("several.npz", ("--name", "keys")),
        ("table.csv", ("--drop", "word")),
        ("table.csv", ("--columns", ",".join(frame.columns[1:]))),
    ]:
        found = strict(run("certify", tmp_path / source, "--beta", "20", "--json", "-", *options).stdout)
        assert found["certificate"] == wanted["certificate"]
    assert "no array called 'patterns'" in one_line(run("certify", tmp_path / "several.npz"))
    assert "not of numbers: 'word'" in one_line(run("certify", tmp_path / "table.csv"))
    assert "--name, --columns and --drop are for files" in one_line(run("certify", "digits", "--name", "x"))


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


def test_a_missing_number_is_named_by_line_and_column(tmp_path):
    (tmp_path / "holes.csv").write_text("a,b\n1,2\n3,\n")
    said = one_line(run("certify", tmp_path / "holes.csv"))
    assert "line 3 has no number in column 'b'; every cell must be a number" in said


def test_a_table_in_a_pipe_is_as_wide_as_its_content(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text("a,b\n100000,2\n300000,4.5\n-70000,1e-3\n3,1\n")
    result = subprocess.run(
        [sys.executable, "-m", "hopfield_theory", "certify", path],
        capture_output=True,
        text=True,
        check=False,
        env={key: value for key, value in os.environ.items() if key != "COLUMNS"},
    )
    assert result.returncode == 1
    assert "…" not in result.stdout


def test_the_table_of_verdicts_comes_first_if_asked_for():
    plain, tabulated = (run("verify", "T8", *options).stdout.splitlines() for options in ((), ("--table",)))
    assert plain[-1] == tabulated[-1] == "The one verdict is as expected."
    assert plain == tabulated[-len(plain) :]
    assert any(line.lstrip().startswith("T8 ") for line in tabulated)


# --- damaged copies ---


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


@pytest.mark.parametrize("option", ["--json", "--plot"])
def test_a_full_disk_names_the_file(tmp_path, source, monkeypatch, option):
    out = tmp_path / "full.png"
    write = Path.write_bytes

    def full(path, content):
        if content:
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    result = run("retrieve", source, "--noise", "0.1", option, out)
    assert result.exit_code == 2
    assert result.stderr == f"hopfield-theory: {out}: No space left on device\n"
    assert not out.exists()


@pytest.mark.parametrize(
    ("estimate", "said"), [(-math.inf, "one included"), (math.inf, "up to 100 patterns, the most")]
)
def test_a_capacity_beyond_what_was_drawn_is_no_number(estimate, said):
    found = Crossing(Interval(estimate, -math.inf, math.inf, 0.95), 0.0, (1, 100), (5, 5), (10, 10))
    (line,) = render.capacity_lines(found, "stored")
    assert line.startswith("There is no crossing: ")
    assert said in line
    assert line.endswith("(20 independent memories).")


def test_two_results_are_not_written_to_one_file(tmp_path, source):
    for line in (
        ("retrieve", source, "--noise", 0.1, "--plot", tmp_path / "a.png", "--json", f"{tmp_path}/./a.png"),
        ("verify", "T3", "--html", tmp_path / "a.html", "--json", tmp_path / "a.html"),
    ):
        assert "another result is written to this file" in one_line(run(*line))
    assert not list(tmp_path.glob("a.*"))


def test_failure_probabilities_below_all_floats_of_a_pair():
    assert run("bounds", "--dim", 2, "--kappa", 8, "--failure-probability", 1e-300).exit_code == 0
