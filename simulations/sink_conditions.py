"""Does the weight of the slot depend on the length of the sequences, and does a key bias do what n does?

Grid: the tasks and no-op masses of ``sinks``; one layer is trained at each length, with a key bias as there, and at the
length of ``sinks`` also without one. Idle tokens of the first and of the last quarter are measured apart: they see few
and many tokens with the same weights of the layer.

Held against: at scores of mean z the slot has at most the weight n/(n + L e^z) of L tokens (T14), which training may
make up for; and with a slot a key bias is a no-op mass that each query chooses (T23), with softmax it is nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from hopfield_theory.data.seeds import derived_seed, keyed_generator
from simulations import sinks
from simulations._training import train

# steps, trainings, and lengths other than that of sinks
_SCALE = {"quick": (300, 1, (12,)), "paper": (1000, 3, (12, 48)), "large": (10_000, 10, (12, 48, 96))}


def cells(preset: str) -> list[dict[str, Any]]:
    """List the parameters of all cells."""
    steps, trainings, lengths = _SCALE[preset]
    conditions = [(sinks.LENGTH, True), (sinks.LENGTH, False), *((length, True) for length in lengths)]
    grid = itertools.product(conditions, sinks.TASKS, sinks.NOOPS, range(trainings))
    return [
        {"task": task, "noop": noop, "learnt": learnt, "length": length, "key_bias": key_bias}
        | {"training": training, "steps": steps}
        for (length, key_bias), task, (noop, learnt), training in grid
    ]


def measure(parameters: Mapping[str, Any], seed: int, device: str, study: int = 0) -> list[dict[str, Any]]:
    """Train one layer as ``sinks`` does, and return its last measurement."""
    del seed
    begin = derived_seed(study, parameters["training"])
    names = ("noop", "learnt", "length", "key_bias")
    task = sinks.build(parameters["task"], sinks.Head(**{name: parameters[name] for name in names}), begin, device)
    drawn = task.draw(keyed_generator(study, parameters["training"], "drawn"))
    x, _, busy = (part.to(device) for part in drawn)

    def by_place(model: nn.Module) -> dict[str, Any]:
        with torch.inference_mode():
            slot = 1 - model.weights(x).sum(-1)  # pyright: ignore[reportCallIssue]
        place, quarter = torch.arange(busy.shape[1], device=busy.device), busy.shape[1] // 4
        early, late = ~busy & (place >= 2) & (place < quarter), ~busy & (place >= len(place) - quarter)
        return {"slot_early": slot[early].mean().item(), "slot_late": slot[late].mean().item()}

    measured = replace(task, measure=lambda model: task.measure(model) | by_place(model))
    return train(measured, sinks.recipe(parameters["steps"]), begin, device)[-1:]


def cost(parameters: Mapping[str, Any]) -> tuple[float, float]:
    """Predict seconds and bytes."""
    return 0.5 + 0.003 * parameters["steps"] * (1 + parameters["length"] / 16), 2e8
