"""Every model with every method, one batch each, and the gates that OutEffHop is."""

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from figures import models_table
from figures.results import UnusableError, load
from hopfield_theory.attention import softmax_n_attention
from hopfield_theory.attention.stanhop import Association
from hopfield_theory.runs.store import Cell, Store
from hopfield_theory.statements import table1
from simulations import models
from simulations._architectures import METHODS, MODELS, Size, build

# what loads much and is not needed elsewhere is loaded by one process
TRAINED = [pytest.mark.slow, pytest.mark.xdist_group("trained")]
TINY = Size(layers=1, width=8, heads=2, length=12, batch=4, held_out=8, vocabulary=300, characters=20_000, horizon=6)


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
    page = (Path(__file__).parents[2] / "docs" / "outliers.md").read_text(encoding="utf-8")
    assert models_table.published() in page
