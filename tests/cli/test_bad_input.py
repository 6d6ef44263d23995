"""Bad input is one line, and nothing is written."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from hopfield_theory.certificates import certify
from tests.cli.running import one_line, run

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


@pytest.mark.parametrize("error", [MemoryError("no more"), RuntimeError("DefaultCPUAllocator: not enough memory")])
def test_memory_that_runs_out_is_one_line(source, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(certify, "certified_balls", fail)
    assert "too large for this machine's memory" in one_line(run("certify", source))


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
