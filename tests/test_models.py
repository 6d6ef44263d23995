"""The study of trained models: data of one's own, bits after a killed run, every cell, every refusal in one line."""

import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import typer
from PIL import Image
from scipy import stats
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from typer.testing import CliRunner

from figures import models_table
from figures.results import UnusableError, load
from hopfield_theory.attention import softmax_n_attention
from hopfield_theory.attention.stanhop import Association
from hopfield_theory.runs.store import Cell, Store
from hopfield_theory.statements import table1
from simulations import _data as data
from simulations import _training, models, sinks
from simulations.__main__ import main
from simulations._architectures import METHODS, MODELS, Size, build
from simulations._matched import at_loss, change, common_loss, mean
from simulations._training import Recipe, Task, train

# what loads much and is not needed elsewhere is loaded by one process
TRAINED = [pytest.mark.slow, pytest.mark.xdist_group("trained")]
TINY = Size(layers=1, width=8, heads=2, length=12, batch=4, held_out=8, vocabulary=300, characters=20_000, horizon=6)


@pytest.fixture
def series_file(tmp_path):
    def write(rows=60, spoil=None):
        dates = pd.date_range("2020-01-01", periods=rows, freq="h")
        frame = pd.DataFrame({"date": dates, "A": np.sin(np.arange(rows)), "B": np.arange(rows, dtype=float)})
        frame = frame if spoil is None else spoil(frame)
        frame.to_csv(tmp_path / "own.csv", index=False)
        return str(tmp_path / "own.csv")

    return write


# --- data ---


def test_series_are_scaled_by_their_training_part_and_tests_reach_back(series_file):
    found = data.series(series_file(100), 10, 5)
    torch.testing.assert_close(found.train.mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.train.std(0, unbiased=False), torch.ones(2))
    assert (len(found.train), len(found.held_out)) == (60, 30)
    # 70 to 99 of B, in units of the first 60
    steps = (torch.arange(70.0, 100.0) - 29.5) / torch.arange(60.0).std(unbiased=False)
    torch.testing.assert_close(found.held_out[:, 1], steps)


def test_the_published_split(series_file):
    found = data.series(series_file(14_500), 168, 24)
    assert (len(found.train), len(found.held_out)) == (8640, 14_400 - 11_520 + 168)


def test_what_packages_ship():
    assert tuple(data.images().train.shape) == (1617, 1, 8, 8)
    assert data.series(None, 24, 6).train.shape == (480, 4)
    found = data.text(None, 20_000, 300)
    assert found.vocabulary == 300
    assert 0 < found.blind_loss < math.log(300)


def test_text_is_read_once_for_all_processes(tmp_path, monkeypatch):
    first = data.kept_text(str(tmp_path), None, 20_000, 300)
    monkeypatch.setattr(data, "text", None)
    second = data.kept_text(str(tmp_path), None, 20_000, 300)
    assert torch.equal(first.train, second.train)
    assert torch.equal(first.held_out, second.held_out)
    assert (first.vocabulary, first.blind_loss) == (second.vocabulary, second.blind_loss)
    with pytest.raises(TypeError):
        data.kept_text(str(tmp_path), None, 20_000, 400)


def test_text_of_one_s_own(tmp_path):
    for index in range(3):
        (tmp_path / f"{index}.txt").write_text(f"Document {index} says: häuser. " * 300)
    found = data.text(str(tmp_path), 30_000, 300)
    assert (found.train == 2).sum() == 2  # two documents end
    assert (found.held_out == 2).sum() == 1


def test_images_of_one_s_own(tmp_path):
    folder = tmp_path / "images"
    for label, shade in (("black", 0), ("white", 255)):
        (folder / label).mkdir(parents=True)
        for index in range(12):
            Image.new("RGB", (9, 7), (shade,) * 3).save(folder / label / f"{index}.png")
    found = data.images(str(folder), 4)
    assert found.train.shape[1:] == (3, 4, 4)
    assert ((found.train.mean((1, 2, 3)) > 0).long() == found.labels).all()
    np.savez(tmp_path / "x.npz", images=np.random.default_rng(0).random((30, 5, 5)), labels=np.arange(30) % 3)
    assert data.images(str(tmp_path / "x.npz"), 8).classes == 3


def spoilt(column, value, row=3):
    def spoil(frame):
        return frame.assign(**{column: [value if i == row else v for i, v in enumerate(frame[column])]})

    return spoil


@pytest.mark.parametrize(
    ("spoil", "rows", "words"),
    [
        (spoilt("A", "x"), 100, "line 5, column A: 'x' is no finite number"),
        (spoilt("A", math.nan), 100, "line 5, column A: '' is no finite number"),
        (lambda frame: frame[["date"]], 100, "has 1 column: it must have dates"),
        (lambda frame: frame.assign(A=1.0), 100, "column A is constant"),
        (None, 20, "has 20 rows: 10 steps in and 5 out need at least 25"),
    ],
)
def test_a_bad_series(series_file, spoil, rows, words):
    path = series_file(rows, spoil)
    with pytest.raises(ValueError, match=words):
        data.series(path, 10, 5)


def test_bad_text_and_images(tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9 " * 5000)
    with pytest.raises(ValueError, match=r"latin.txt is no UTF-8 text \(byte 3\)"):
        data.text(str(tmp_path / "latin.txt"))
    (tmp_path / "short.txt").write_text("too short")
    with pytest.raises(ValueError, match="holds 9 characters: it must hold at least 10000"):
        data.text(str(tmp_path / "short.txt"))
    np.savez(tmp_path / "bad.npz", images=np.zeros((30, 5, 5)), labels=np.zeros(29, dtype=int))
    with pytest.raises(ValueError, match="N integers"):
        data.images(str(tmp_path / "bad.npz"))
    np.savez(tmp_path / "one.npz", images=np.zeros((30, 5, 5)), labels=np.zeros(30, dtype=int))
    with pytest.raises(ValueError, match="holds images: 30, classes: 1;"):
        data.images(str(tmp_path / "one.npz"))
    (tmp_path / "no.npz").write_bytes(b"no")
    with pytest.raises(ValueError, match="must be a folder per class, or an"):
        data.images(str(tmp_path / "no.npz"))
    (tmp_path / "f" / "a").mkdir(parents=True)
    (tmp_path / "f" / "a" / "x.png").write_bytes(b"no")
    with pytest.raises(ValueError, match="cannot be read as an image"):
        data.images(str(tmp_path / "f"))
    with pytest.raises(ValueError, match="there is no such file or folder"):
        data.fingerprint(tmp_path / "nowhere")


# --- training ---


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


# --- models and methods ---


def test_the_quick_preset_is_every_model_with_every_method():
    cells = models.cells("quick")
    # what the question is about comes first
    plain, others = list(METHODS)[:2], list(METHODS)[2:]
    order = [(model, method) for methods in (plain, others) for model in MODELS for method in methods]
    assert [(cell["model"], cell["method"]) for cell in cells] == order
    learnt = {cell["method"] for cell in models.cells("cpu") if cell["learnt"]}
    assert learnt == {"OutEffHop", "Clipped_OutEffHop", "Gated_OutEffHop"}
    assert {cell["training"] for cell in models.cells("cpu")} == {0, 1, 2}


class Waits(TorchDispatchMode):
    """Finds what a GPU would be waited for: numbers and shapes that the host reads, numbers that it sends."""

    KINDS = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "equal", "lift_fresh")

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, operator, types, arguments=(), options=None):
        name = operator.overloadpacket.__name__
        self.found += [name] * (name in self.KINDS)
        return operator(*arguments, **(options or {}))


def test_waits_are_found():
    with Waits() as waits:
        torch.zeros(2).sum().item()
        torch.tensor(2.0)
        torch.ones(2).add_(torch.full((), 1.0))
    assert waits.found == ["_local_scalar_dense", "lift_fresh"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", [pytest.param(n, marks=TRAINED * (n != "STanHop")) for n in MODELS])
def test_one_batch_through_every_cell(name, method):
    size = replace(TINY, length=24, segment=6)
    built = build(name, method, METHODS[method][0] > 0, size, 0, "cpu", None)
    batch = built.task.draw(torch.Generator().manual_seed(0))
    # a step that waits cannot be recorded as a graph of a GPU
    with Waits() as waits:
        built.task.loss(built.task.model.train(), batch).backward()
    assert waits.found == []
    lacking = [key for key, p in built.task.model.named_parameters() if p.requires_grad and p.grad is None]
    # no hidden state is masked in training
    assert set(lacking) <= {"vit.embeddings.mask_token"}
    row = built.task.measure(built.task.model.eval())
    assert 1 <= row["kurtosis"] < math.inf
    assert 0 < row["norm"] < math.inf
    assert 0 < row["kurtosis_published"] < math.inf
    assert 0 < row["norm_published"] < math.inf
    assert built.rounded()["loss_w8a8"] == pytest.approx(row["loss"], rel=0.2)


def test_methods_of_one_training_begin_with_the_same_weights():
    weights = [
        build("STanHop", m, False, TINY, 7, "cpu", None).task.model.state_dict() for m in ("softmax", "OutEffHop")
    ]
    assert all(torch.equal(x, weights[1][key]) for key, x in weights[0].items() if "log_n" not in key)


def test_a_cell_of_one_s_own_data(series_file):
    cells = models.own_cells("quick", series_file(1000))
    assert {cell["model"] for cell in cells} == {"STanHop"}
    assert (cells[0]["length"], cells[0]["horizon"]) == (168, 24)
    rows = pd.DataFrame(models.measure(cells[0] | {"steps": 2, "width": 8, "held_out": 8}, 0, "cpu"))
    assert rows["step"].tolist() == [0, 1, 2]
    assert rows["last"].tolist() == [False, False, True]
    with pytest.raises(ValueError, match="has 319 rows: 168 steps in and 24 out need at least 320"):
        models.own_cells("quick", series_file(319))
    assert models.own_cells("quick", series_file(320))


def test_a_file_is_one_however_it_is_spelt(series_file, monkeypatch):
    path = Path(series_file(400))
    monkeypatch.chdir(path.parent)
    spelt = [str(path), path.name, f"./{path.name}", f"../{path.parent.name}/{path.name}"]
    assert len({str(models.own_cells("quick", each)) for each in spelt}) == 1


def test_several_data_sets_are_not_averaged(series_file, tmp_path):
    store = Store(tmp_path / "results")
    for rows in (400, 500):
        [cell, *_] = models.own_cells("quick", series_file(rows))
        store.write(Cell("models", "own", 0, cell), [{"step": 0, "last": True}], seconds=1.0, device="cpu")
        if rows == 400:
            assert len(load(store.folder, "models").frame) == 1
    with pytest.raises(UnusableError, match="are of several data sets or presets: give each its own folder"):
        load(store.folder, "models")


@pytest.mark.slow
@pytest.mark.xdist_group("trained")
def test_the_rate_is_the_best_of_a_short_search():
    [cell] = [c for c in models.cells("quick") if c["model"] == "STanHop" and c["method"] == "OutEffHop"]
    rows = models.measure(cell | vars(TINY) | {"steps": 20, "rates": "1e-09,0.003"}, 0, "cpu")
    assert rows[0]["rate"] == 0.003


def test_t8_outeffhop_is_attention_whose_gate_is_the_mass_off_the_slot():
    """softmax_1 attention is softmax attention times σ(log Σ exp z), the gate that the scores themselves give."""
    q, k, v = torch.randn(3, 2, 4, 9, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    dense, lse = softmax_n_attention(q, k, v, n=0.0, return_lse=True)
    for n in (0.25, 1.0, 4.0):
        gate = (lse - math.log(n)).sigmoid().unsqueeze(-1)
        torch.testing.assert_close(gate * dense, softmax_n_attention(q, k, v, n=n), rtol=1e-12, atol=1e-12)


class GateByScores(torch.nn.Module):
    """T8's gate of a layer, in place of the one that it learns from its states."""

    def __init__(self, layer, log_n):
        super().__init__()
        # no submodule: it is part of the layer
        self.layer, self.log_n = [layer], log_n

    def forward(self, states):
        query, key, _ = self.layer[0]._projected(states)
        return ((self.layer[0]._scale() * query @ key.mT).logsumexp(-1, keepdim=True) - self.log_n).sigmoid()


def associations(n):
    """A layer with a slot, and gated attention of the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        slot, gated = Association(8, 2, noop=n).double(), Association(8, 2, noop=0.0, gate=0.25).double()
    gated.load_state_dict({**slot.state_dict(), "log_n": gated.log_n}, strict=False)
    return slot, gated


@pytest.mark.parametrize("n", [0.25, 1.0, 4.0])
def test_t8_outeffhop_is_gated_attention_whose_gate_is_forced(n):
    slot, gated = associations(n)
    x = torch.randn(20, 7, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert (gated(x) - slot(x)).norm() > 0.1 * slot(x).norm()
    gated.gate = GateByScores(gated, slot.log_n)
    torch.testing.assert_close(gated(x), slot(x), rtol=1e-12, atol=1e-13)


def test_t8_no_gate_that_ignores_the_scores_is_outeffhop():
    """Over sets of stored patterns that the same states meet, the best gate that reads the states alone is off."""
    slot, gated = associations(4.0)
    generator = torch.Generator().manual_seed(1)
    states, stored = (torch.randn(*shape, 8, generator=generator, dtype=torch.float64) for shape in ((1, 3), (200, 2)))
    inputs = (2 * stored, 2 * states.expand(200, -1, -1), 2 * stored)
    dense, wanted = (layer.weights(inputs) @ layer._projected(inputs)[2] for layer in (gated, slot))
    blind = (dense * wanted).sum((0, -1), keepdim=True) / dense.square().sum((0, -1), keepdim=True)
    learnt = gated.gate(inputs[1])
    assert blind.shape == learnt[:1].shape
    torch.testing.assert_close(learnt, learnt[:1].expand_as(learnt))  # it reads the states alone
    by_scores = (wanted * dense).sum(-1) / dense.square().sum(-1)
    assert by_scores.std(0).min() > 0.02
    assert (blind * dense - wanted).norm() > 0.1 * wanted.norm()
    assert (blind * dense - wanted).norm() < (learnt * dense - wanted).norm()


def test_the_page_s_table_of_the_paper_is_that_of_the_statements():
    assert list(table1.ROWS) == [(model, method) for model in MODELS for method in METHODS]
    page = (Path(__file__).parent.parent / "docs" / "outliers.md").read_text(encoding="utf-8")
    assert models_table.published() in page


# --- comparisons ---


def made_up(stuck=()):
    """Trainings whose log kurtosis is (4 − loss) times a slope of the method, with noise of the training."""
    rows = []
    for training in range(3):
        for method, slope, pace in (("softmax", 2.0, 1.0), ("OutEffHop", 0.5, 0.5)):
            for step in range(5):
                loss = 4.0 - pace * step * 0.5
                row = {"training": training, "method": method, "learnt": False, "step": step, "loss": loss}
                row |= {
                    "kurtosis": math.exp((slope + 0.1 * training) * (4 - loss)),
                    "stuck": (training, method) in stuck,
                }
                rows.append(row)
    return pd.DataFrame(rows)


def test_matched_loss_is_not_matched_steps():
    frame = made_up()
    # at loss 3 both have fallen by 1: the slopes; at step 4 softmax by 2 and the other by 1
    assert common_loss(frame) == 3.0
    assert change(frame, "OutEffHop", "kurtosis", same_loss=True) == pytest.approx([-1.5] * 3)
    assert change(frame, "OutEffHop", "kurtosis") == pytest.approx([-3.5, -3.6, -3.7])
    assert change(made_up({(1, "OutEffHop")}), "OutEffHop", "kurtosis", same_loss=True) == pytest.approx([-1.5] * 2)
    # of the pair alone, whatever a third method reaches
    third = frame[frame["method"] == "OutEffHop"].assign(method="Gated_Attention", loss=3.9)
    assert change(pd.concat([frame, third]), "OutEffHop", "kurtosis", same_loss=True) == pytest.approx([-1.5] * 3)
    # a loss that the other never reaches, or above where it begins, is no match
    assert np.isnan(at_loss(frame[frame["training"] == 0].query("method == 'OutEffHop'"), "kurtosis", 2.5))
    assert np.isnan(at_loss(frame[frame["training"] == 0].query("method == 'softmax'"), "kurtosis", 4.5))


def test_intervals_need_three_trainings():
    assert mean(np.array([1.0, 2.0, math.nan])) is None
    found = mean(np.array([1.0, 2.0, 3.0]))
    # Student's 97.5% quantile with two degrees of freedom is 4.3027
    assert found.high == pytest.approx(2 + 4.3027 / math.sqrt(3), abs=1e-4)


def test_the_tables_leave_out_what_is_stuck_and_pair_by_training():
    frame = made_up({(1, "OutEffHop")}).assign(model="BERT", norm=1.0, perplexity=2.0, perplexity_w8a8=3.0)
    frame = frame.assign(kurtosis_published=4.0, norm_published=5.0, norm_layer="head", last=frame["step"] == 4)
    softmax, outeff = models_table.values(frame).splitlines()[2:]
    # softmax ends at loss 2 with e^(2 + 0.1 t) squared, the other at loss 3 in the trainings 0 and 2
    kurtosis = np.exp([4.0, 4.2, 4.4]).mean()
    assert softmax == f"| BERT | softmax | 0 | 3 | 0 | 2 | {kurtosis:.4g} | 1 | 4 | 5 | 2 | 3 | head |"
    kurtosis = np.exp([0.5, 0.7]).mean()
    assert outeff == f"| BERT | OutEffHop | 1 | 3 | 1 | 3 | {kurtosis:.4g} | 1 | 4 | 5 | 2 | 3 | head |"
    [row] = models_table.changes(frame).splitlines()[2:]
    steps, loss = np.exp([-3.6, -1.5])
    assert row == f"| BERT | OutEffHop | 1 | 2 | {steps:.3f} | {loss:.2f} | 1.00 | 1.00 |"
    [row] = models_table.changes(frame.assign(stuck=False)).splitlines()[2:]
    assert "[" in row


# --- a head with nothing to do ---


@pytest.mark.parametrize("task", ["backcopy", "averaging"])
def test_tasks_ask_for_what_they_say(task):
    x, target, busy = sinks.build(task, sinks.Head(1.0), 0, "cpu").draw(torch.Generator().manual_seed(0))
    assert 0.05 < busy.double().mean() < 0.25
    assert not busy[:, 0].any()
    for row, place in busy.nonzero().tolist():
        if task == "backcopy":
            assert target[row, place] == x[row, place - 1]
        else:
            before = [x[row, i, :8] for i in range(1, place) if not busy[row, i]]
            wanted = torch.stack(before).mean(0) if before else torch.zeros(8)
            torch.testing.assert_close(target[row, place], wanted)
    if task == "averaging":
        assert (target[~busy] == 0).all()


def test_idle_weight_is_the_slot_s_without_patterns():
    """At zero scores every token gives the slot n / (n + its number of visible tokens)."""
    task = sinks.build("averaging", sinks.Head(4.0), 0, "cpu")
    with torch.no_grad():
        task.model.head.state_projection.weight.zero_()
        task.model.head.state_projection.bias.zero_()
    weights = task.model.weights(task.draw(torch.Generator().manual_seed(0))[0])
    seen = torch.arange(1.0, sinks.LENGTH + 1)
    torch.testing.assert_close(1 - weights.sum(-1), (4 / (4 + seen)).expand(len(weights), -1))


@torch.no_grad()
@pytest.mark.parametrize("layers", [1, 3])
def test_norms_and_kurtosis_are_those_of_the_states_before_the_last_layer(layers, monkeypatch):
    """By softmax with one more score, log n, of value 0."""
    monkeypatch.setattr(sinks, "_HELD_OUT", 64)  # as many as are drawn
    task = sinks.build("backcopy", sinks.Head(4.0, layers=layers), 0, "cpu")
    model = task.model
    tokens, _, busy = task.draw(torch.Generator().manual_seed(0))
    x = model.inputs(tokens) + model.position
    hidden = torch.ones(sinks.LENGTH, sinks.LENGTH).triu(1) * -1e9
    for layer in model.layers:
        head, states = layer.head, x
        query = head.state_projection(head.norm_state_pattern(x))
        key = head.stored_projection(head.norm_stored_pattern(x))
        values = head.pattern_projection(head.norm_pattern_projection(x))
        scores = query @ key.mT / math.sqrt(x.shape[-1]) + hidden
        weights = nn.functional.pad(scores, (0, 1), value=math.log(4)).softmax(-1)[..., :-1]
        x = x + head.output_projection(weights @ values)
        x = x + layer.perceptron(x)
    torch.testing.assert_close(model(tokens), model.outputs(x))
    found, idle = task.measure(model), ~busy & (torch.arange(sinks.LENGTH) >= 2)
    for name, of in (("first_state", states), ("first_value", values)):
        norms = np.linalg.norm(of.numpy(), axis=-1)
        assert found[name] == pytest.approx(norms[:, 0].mean() / norms[:, 1:].mean(), rel=1e-5)
    tails = stats.kurtosis(states.numpy().astype(float), axis=-1, fisher=False)
    assert found["kurtosis"] == pytest.approx(tails.mean(), rel=1e-6)
    assert found["first_kurtosis"] == pytest.approx(tails[:, 0].mean(), rel=1e-6)
    assert found["first_idle"] == pytest.approx(weights[..., 0][idle].mean().item(), rel=1e-5)
    assert found["slot_idle"] == pytest.approx(1 - weights.sum(-1)[idle].mean().item(), rel=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("layers", [1, 3])
def test_a_planted_peak_is_seen_at_the_first_token(layers):
    """Of 32 features one spike has kurtosis 32²/31 − 3, and ±1 have 1; layers that add nothing leave them so."""
    task = sinks.build("backcopy", sinks.Head(0.0, layers=layers), 0, "cpu")
    model = task.model
    model.position.zero_()
    model.inputs.weight.copy_(torch.tensor([1.0, -1.0]).repeat(16))
    model.inputs.weight[0] = 100 * torch.eye(32)[5]
    for layer in model.layers:
        for last in (layer.head.output_projection, layer.perceptron[-1]):
            last.weight.zero_()
            last.bias.zero_()
    found = task.measure(model)
    # a mean of 256 · 23 numbers of 24 bits
    assert found["first_state"] == pytest.approx(100 / math.sqrt(32), rel=math.sqrt(256 * 23) * 2**-23)
    assert found["first_kurtosis"] == pytest.approx(32**2 / 31 - 3)
    assert found["kurtosis"] == pytest.approx((found["first_kurtosis"] + 23) / 24)
