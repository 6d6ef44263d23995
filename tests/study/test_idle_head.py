"""The tasks in which a head has nothing to do, and what is measured of it."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from simulations import sinks


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
