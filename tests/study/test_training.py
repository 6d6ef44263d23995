"""The training loop: an interrupted, a killed and a damaged run end at the same bits."""

import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import typer
from typer.testing import CliRunner

from hopfield_theory.runs.store import Store
from simulations import _data as data
from simulations import _training, models
from simulations.__main__ import main
from simulations._training import Recipe, Task, train


def regression(seed, fails_at=None):
    """A small task with dropout, which raises when it draws the batch of a step for the first time."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 1))
    drawn = []

    def draw(generator):
        drawn.append(0)
        if len(drawn) == fails_at:
            raise KeyboardInterrupt
        x = torch.randn(16, 3, generator=generator)
        return x, x.sum(-1, keepdim=True)

    def loss(model, batch):
        return torch.nn.functional.mse_loss(model(batch[0]), batch[1])

    return Task(model, draw, loss, lambda model: {"loss": loss(model, (torch.ones(1, 3), torch.ones(1, 1))).item()})


def test_an_interrupted_training_ends_at_the_same_bits(tmp_path):
    recipe = Recipe(20, 0.01, measurements=5)
    whole = regression(0)
    rows = train(whole, recipe, 3, "cpu")
    assert [row["step"] for row in rows] == [0, 4, 8, 12, 16, 20]
    for stop in (1, 2, 5, 9, 16, 20):
        path = tmp_path / f"{stop}.pt"
        with pytest.raises(KeyboardInterrupt):
            train(regression(0, stop), recipe, 3, "cpu", path)
        torch.manual_seed(99)
        other = regression(0)
        assert train(other, recipe, 3, "cpu", path) == rows
        for mine, theirs in zip(whole.model.parameters(), other.model.parameters(), strict=True):
            assert torch.equal(mine, theirs)
    # a finished one is read, not repeated
    assert train(regression(0, 1), recipe, 3, "cpu", path) == rows
    assert train(regression(0), recipe, 4, "cpu") != rows


@pytest.mark.parametrize("damage", ["half", "empty", "one weight"])
def test_a_damaged_checkpoint_is_as_good_as_none(tmp_path, capsys, damage):
    recipe, path, task = Recipe(4, 0.01, measurements=2), tmp_path / "a.pt", regression(0)
    rows = train(task, recipe, 3, "cpu", path)
    whole, weight = path.read_bytes(), task.model[0].weight.detach().numpy().tobytes()[:4]
    assert weight in whole
    damaged = {"half": whole[: len(whole) // 2], "empty": b"", "one weight": whole.replace(weight, b"abcd")}
    path.write_bytes(damaged[damage])
    assert train(regression(0), recipe, 3, "cpu", path) == rows
    assert capsys.readouterr().err == f"{path} is damaged: what it held is computed again\n"
    # it was written anew
    assert train(regression(0, 1), recipe, 3, "cpu", path) == rows


def test_damaged_tokens_are_made_anew(tmp_path, monkeypatch):
    first = data.kept_text(str(tmp_path), None, 20_000, 300)
    [path] = tmp_path.glob("*.tokens")
    path.write_bytes(path.read_bytes()[:1000])
    assert torch.equal(data.kept_text(str(tmp_path), None, 20_000, 300).train, first.train)
    monkeypatch.setattr(data, "text", None)
    data.kept_text(str(tmp_path), None, 20_000, 300)


def test_a_checkpoint_outlives_the_writing_of_its_cell(tmp_path, monkeypatch):
    size, _, rates = models._PLANS["quick"]["STanHop"]
    monkeypatch.setitem(models._PLANS["quick"], "STanHop", (size, 3, rates))
    experiments = typer.Typer()
    experiments.command()(main)
    line = ["models", "--model", "STanHop", "--method", "softmax", "--device", "cpu", "--out", str(tmp_path)]

    def full_disk(*_):
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "write", full_disk)
        assert CliRunner().invoke(experiments, line).exit_code == 2
    [path] = (tmp_path / "unfinished").glob("*.pt")
    state = path.read_bytes()
    steps = []
    monkeypatch.setattr(_training, "_keep", lambda *given: steps.append(given))
    assert CliRunner().invoke(experiments, line).exit_code == 0
    assert steps == []
    assert not path.exists()
    # as if it was killed after the writing
    path.write_bytes(state)
    assert "1 finished before" in CliRunner().invoke(experiments, line).output
    assert not path.exists()


def test_training_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    task = regression(0)
    torch.random.set_rng_state(before)
    train(task, Recipe(3, 0.01), 0, "cpu")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_rate_warms_up_and_falls_to_nothing():
    recipe = Recipe(100, 1.0)
    shares = [recipe.share(step) for step in range(101)]
    assert shares[0] == 0.1
    assert max(shares) == shares[9] == 1.0
    assert shares[100] == 0.0
    assert np.diff(shares[10:]).max() < 0


@pytest.mark.slow
@pytest.mark.xdist_group("trained")
def test_a_killed_run_ends_at_the_same_bits(tmp_path, monkeypatch):
    """The command is killed after its first checkpoint; the second run's rows are those of an unbroken one."""
    size, _, rates = models._PLANS["quick"]["STanHop"]
    monkeypatch.setitem(models._PLANS["quick"], "STanHop", (size, 3, rates))
    line = ["models", "--model", "STanHop", "--method", "Gated_OutEffHop", "--out"]
    shorter = f"""
import os, signal, typer
from simulations import _training, models, __main__ as command
models._PLANS["quick"]["STanHop"] = (models.{size}, 3, {rates!r})
keep = _training._keep
_training._keep = lambda *given: (keep(*given), os.kill(os.getpid(), signal.SIGKILL))
typer.run(command.main)
"""
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    killed = subprocess.run([sys.executable, "-c", shorter, *line, str(tmp_path / "a")], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not list((tmp_path / "a").glob("*.parquet"))
    assert list((tmp_path / "a" / "unfinished").glob("*.pt"))
    found = []
    experiments = typer.Typer()
    experiments.command()(main)
    for name in ("a", "b"):
        assert CliRunner().invoke(experiments, [*line, str(tmp_path / name)]).exit_code == 0
        [path] = (tmp_path / name).glob("*.parquet")
        found.append(pd.read_parquet(path).drop(columns="seconds"))
        assert not list((tmp_path / name / "unfinished").glob("*.pt"))
    pd.testing.assert_frame_equal(*found)
