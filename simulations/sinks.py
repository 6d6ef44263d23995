"""Where does a head with nothing to do put its weight: on the first token, or on the no-op slot?

Grid: two tasks for layers of one head, and the no-op mass n, fixed or learnt. Backcopy (Guo et al. 2024,
arXiv:2410.13835), one layer or three: after a trigger comes the token before it, after any other token one drawn by a
table of bigrams, for which the head is not needed. Averaging (Ran-Milo 2026, arXiv:2603.11487), one layer: at a trigger
the answer is the mean of all contents so far, elsewhere it is zero.

All is measured at the last layer: the weights of its head, and the residual states that it reads, whose norm at the
first token layers below may raise to mark the sink. Its output is read at its own place alone: a peak there would serve
no head.

Held against: T22 (with softmax the weights sum to 1, so idle tokens need an empty sink; with a slot they need not), and
P29, by which a sink of any value does.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hopfield_theory.attention.layers import Hopfield
from hopfield_theory.attention.outliers import kurtosis
from hopfield_theory.data.seeds import derived_seed
from simulations._training import Recipe, Task, train

_SCALE = {"quick": (500, 1), "paper": (1000, 3), "large": (10_000, 10)}
TASKS = ("backcopy", "averaging")
# tasks, and how many layers learn them
MODELS = (("backcopy", 1), ("averaging", 1), ("backcopy", 3))
# the last is learnt and begins at 1
NOOPS = ((0.0, False), (0.25, False), (1.0, False), (4.0, False), (1.0, True))
LENGTH = 24
_WIDTH, _BATCH, _HELD_OUT = 32, 64, 256
_TOKENS, _TRIGGERS = 24, 3  # token 0 begins every sequence, the next three are triggers
_TRIGGER_SHARE = 0.15
_RATE = 0.003


def cells(preset: str) -> list[dict[str, Any]]:
    """List the parameters of all cells."""
    steps, trainings = _SCALE[preset]
    return [
        {"task": task, "layers": layers, "noop": noop, "learnt": learnt, "training": training, "steps": steps}
        for (task, layers), (noop, learnt), training in itertools.product(MODELS, NOOPS, range(trainings))
    ]


@dataclass(frozen=True)
class Head:
    """What differs between trainings: no-op mass, whether it is learnt, sequence length, a key bias, depth."""

    noop: float
    learnt: bool = False
    length: int = LENGTH
    key_bias: bool = True
    layers: int = 1


class _Layer(nn.Module):
    """One association under a causal mask, and for tokens residual sums and a perceptron."""

    def __init__(self, perceptron: bool, head: Head) -> None:
        super().__init__()
        self.head = Hopfield(_WIDTH, noop=head.noop, learn_noop=head.learnt)
        if not head.key_bias:
            # the shift of the norm before it would be one too
            self.head.stored_projection.register_parameter("bias", None)
            self.head.norm_stored_pattern.register_parameter("bias", None)
        layers = (nn.LayerNorm(_WIDTH), nn.Linear(_WIDTH, 4 * _WIDTH), nn.GELU(), nn.Linear(4 * _WIDTH, _WIDTH))
        self.perceptron = nn.Sequential(*layers) if perceptron else None

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        found = self.head(x, association_mask=hidden)
        if self.perceptron is None:
            return found
        x = x + found
        return x + self.perceptron(x)


class _Model(nn.Module):
    """Inputs and positions, layers, outputs."""

    hidden: Tensor

    def __init__(self, inputs: nn.Module, outputs: int, perceptron: bool, head: Head) -> None:
        super().__init__()
        self.inputs = inputs
        self.position = nn.Parameter(0.3 * torch.randn(head.length, _WIDTH))
        self.layers = nn.ModuleList(_Layer(perceptron, head) for _ in range(head.layers))
        self.outputs = nn.Linear(_WIDTH, outputs)
        hidden = torch.ones(head.length, head.length, dtype=torch.bool).triu(1)
        self.register_buffer("hidden", hidden, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.outputs(self.layers[-1](self.states(x), self.hidden))

    def states(self, x: Tensor) -> Tensor:
        """Return the residual states that the last layer reads, (B, L, width)."""
        x = self.inputs(x) + self.position
        for layer in self.layers[:-1]:
            x = layer(x, self.hidden)
        return x

    @property
    def head(self) -> Hopfield:
        """The head of the last layer."""
        return self.layers[-1].head  # pyright: ignore[reportReturnType]

    def weights(self, x: Tensor) -> Tensor:
        """Return the weights of the last head, (B, L, L)."""
        return self.head.get_association_matrix(self.states(x), association_mask=self.hidden)[:, 0]


def measure(parameters: Mapping[str, Any], seed: int, device: str, study: int = 0) -> list[dict[str, Any]]:
    """Train a model, from the same weights and on the same sequences for all n; one row per measurement."""
    del seed
    begin = derived_seed(study, parameters["training"])
    head = Head(parameters["noop"], parameters["learnt"], layers=parameters["layers"])
    task = build(parameters["task"], head, begin, device)
    return train(task, recipe(parameters["steps"]), begin, device)


def build(task: str, head: Head, seed: int, device: str) -> Task:
    """Build a task and its model, whose first weights come from the seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return (_backcopy if task == "backcopy" else _averaging)(head, device)


def recipe(steps: int) -> Recipe:
    """Return how long, and at which rate."""
    return Recipe(steps, _RATE, weight_decay=0.0)


def _backcopy(head: Head, device: str) -> Task:
    # the table of bigrams: never a trigger after a trigger, and the first token never again
    table = torch.randn(_TOKENS, _TOKENS).mul(1.5).softmax(-1)
    table[:, 0] = 0.0
    ordinary, triggers = table[:, 1 + _TRIGGERS :], table[:, 1 : 1 + _TRIGGERS]
    table[:, 1 + _TRIGGERS :] = (1 - _TRIGGER_SHARE) * ordinary / ordinary.sum(-1, keepdim=True)
    table[:, 1 : 1 + _TRIGGERS] = _TRIGGER_SHARE * triggers / triggers.sum(-1, keepdim=True)

    def sequences(count: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        tokens = torch.zeros(count, head.length + 1, dtype=torch.long)
        for place in range(1, head.length + 1):
            before = tokens[:, place - 1]
            drawn = torch.multinomial(table[before], 1, generator=generator)[:, 0]
            if place == 1:
                # no trigger before there is anything to copy
                drawn = 1 + _TRIGGERS + torch.randint(_TOKENS - 1 - _TRIGGERS, (count,), generator=generator)
            tokens[:, place] = torch.where(_is_trigger(before), tokens[:, max(place - 2, 0)], drawn)
        return tokens[:, :-1], tokens[:, 1:], _is_trigger(tokens[:, :-1])

    def errors(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        return nn.functional.cross_entropy(model(batch[0]).transpose(1, 2), batch[1], reduction="none")

    model = _Model(nn.Embedding(_TOKENS, _WIDTH), _TOKENS, True, head)
    return _task(model, sequences, errors, device)


def _is_trigger(tokens: Tensor) -> Tensor:
    return (tokens >= 1) & (tokens <= _TRIGGERS)


def _averaging(head: Head, device: str) -> Task:
    contents, length = 8, head.length

    def sequences(count: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        x = torch.randn(count, length, contents, generator=generator)
        triggers = torch.rand(count, length, generator=generator) < _TRIGGER_SHARE
        triggers[:, 0] = False
        x[:, 0] = 0.0
        x[triggers] = 0.0
        ordinary = (~triggers).double().cumsum(1).sub(1).clamp(min=1).to(x.dtype)
        means = x.cumsum(1) / ordinary[..., None]
        first = torch.zeros(count, length, 1)
        first[:, 0] = 1.0
        marked = torch.cat([x, triggers[..., None].to(x.dtype), first], -1)
        return marked, torch.where(triggers[..., None], means, 0.0), triggers

    def errors(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        return (model(batch[0]) - batch[1]).square().mean(-1)

    return _task(_Model(nn.Linear(contents + 2, _WIDTH), contents, False, head), sequences, errors, device)


def _task(model: _Model, sequences: Any, errors: Any, device: str) -> Task:
    held_out = tuple(x.to(device) for x in sequences(_HELD_OUT, torch.Generator().manual_seed(0)))

    def measure(model: nn.Module) -> dict[str, Any]:
        assert isinstance(model, _Model)
        busy = held_out[2]
        # the first token, and the second, for which first and previous are one, tell nothing
        idle = ~busy & (torch.arange(busy.shape[1], device=busy.device) >= 2)
        with torch.inference_mode():
            weights, found, states = model.weights(held_out[0]), errors(model, held_out), model.states(held_out[0])
            values = model.head.pattern_projection(model.head.norm_pattern_projection(states)).norm(dim=-1)
        slot, first, tails = 1 - weights.sum(-1), weights[..., 0], kurtosis(states)
        return {
            "loss": found.mean().item(),
            "loss_busy": found[busy].mean().item(),
            "loss_idle": found[idle].mean().item(),
            "slot_idle": slot[idle].mean().item(),
            "slot_busy": slot[busy].mean().item(),
            "first_idle": first[idle].mean().item(),
            "first_busy": first[busy].mean().item(),
            # below 1: the value of a sink is drained
            "first_value": _first(values),
            "first_state": _first(states.norm(dim=-1)),
            "kurtosis": tails.mean().item(),
            "first_kurtosis": tails[:, 0].mean().item(),
            "log_noop": model.head.log_n.item(),
        }

    return Task(
        model.to(device),
        lambda generator: sequences(_BATCH, generator),
        lambda model, batch: errors(model, batch).mean(),
        measure,
    )


def _first(norms: Tensor) -> float:
    """Return the mean norm at the first token over that at the others, of norms (B, L)."""
    return (norms[:, 0].mean() / norms[:, 1:].mean()).item()


def cost(parameters: Mapping[str, Any]) -> tuple[float, float]:
    """Predict seconds and bytes."""
    return 0.5 + (0.003 + 0.004 * parameters["layers"]) * parameters["steps"], 2e8
