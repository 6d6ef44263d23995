"""One training loop for every model and method: seeded, resumable, and it logs outliers while it trains.

All randomness of a step comes from (seed, step): the batch is drawn by a generator of that step, and dropout by the
global generators, seeded at each step. A checkpoint is then the weights, the optimiser and the log; a run that was
killed goes on from the last one, and on a CPU ends at the same bits as an unbroken one.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hopfield_theory.data.seeds import derived_seed, keyed_generator
from simulations import _kept

__all__ = ["Recipe", "Task", "train"]

_PLAIN_STEPS = 3


@dataclass(frozen=True)
class Task:
    """What a model is trained on.

    Attributes
    ----------
    model : nn.Module
    draw : function of a generator
        Draws a training batch.
    loss : function of (model, batch)
    measure : function of a model
        Returns held-out loss, outliers and other numbers, in evaluation mode.
    """

    model: nn.Module
    draw: Callable[[torch.Generator], tuple[Tensor, ...]]
    loss: Callable[[nn.Module, tuple[Tensor, ...]], Tensor]
    measure: Callable[[nn.Module], dict[str, Any]]


@dataclass(frozen=True)
class Recipe:
    """How it is trained: AdamW, linear warm-up over a tenth of the steps, linear decay to 0, clipped gradients."""

    steps: int
    rate: float
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    measurements: int = 10

    def share(self, step: int) -> float:
        """Return the learning rate of a step, in units of ``rate``."""
        warm = max(1, self.steps // 10)
        return min((step + 1) / warm, (self.steps - step) / max(1, self.steps - warm))

    def is_measured(self, step: int) -> bool:
        """Whether the model is measured and kept after so many steps."""
        return step == self.steps or step % max(1, self.steps // self.measurements) == 0


def train(task: Task, recipe: Recipe, seed: int, device: str, checkpoint: Path | None = None) -> list[dict[str, Any]]:
    """Train a model in place, and return its measurements along training, one row each.

    Parameters
    ----------
    task : Task
        Its model is on the device.
    recipe : Recipe
    seed : int
        Seed of batches and dropout, at least 0.
    device : str
        On CUDA the forward pass runs in bfloat16, and a step as one graph.
    checkpoint : path, optional
        Where the state is kept at each measurement, and from where it goes on if it is there and undamaged.
    """
    model, rows, begin = task.model, [], 0
    cuda = device == "cuda"
    # what is recorded reads its numbers from tensors
    options: dict[str, Any] = {"lr": torch.tensor(recipe.rate, device=device), "fused": True, "capturable": True}
    options = options if cuda else {"lr": recipe.rate}
    optimiser = torch.optim.AdamW(_groups(model, recipe.weight_decay), **options)

    def step_on(batch: tuple[Tensor, ...]) -> None:
        with torch.autocast("cuda", torch.bfloat16, enabled=cuda):
            loss = task.loss(model.train(), batch)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
        optimiser.step()

    train_step = _Recorded(step_on, optimiser.zero_grad) if cuda else step_on
    state = None if checkpoint is None else _kept.read(checkpoint, device)
    if state is not None:
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        rows, begin = state["rows"], state["step"]
    with torch.random.fork_rng(enabled=True):
        for step in range(begin, recipe.steps):
            if step == 0:
                rows.append({"step": 0, **task.measure(model.eval())})
            torch.manual_seed(derived_seed(seed, step))
            batch = task.draw(keyed_generator(seed, step, "batch"))
            rate = recipe.rate * recipe.share(step)
            for group in optimiser.param_groups:
                group["lr"] = group["lr"].fill_(rate) if cuda else rate
            train_step(tuple(x.to(device) for x in batch))
            if recipe.is_measured(step + 1):
                rows.append({"step": step + 1, **task.measure(model.eval())})
                if checkpoint is not None:
                    _keep(checkpoint, model, optimiser, rows, step + 1)
                if not math.isfinite(rows[-1]["loss"]):
                    # it will not come back
                    break
    model.eval()
    return rows


class _Recorded:
    """A step of a GPU as one CUDA graph, recorded after three plain ones: launching its kernels would take longer.

    What cannot be recorded, since it waits for the host, goes on in plain steps, and a warning says so.
    """

    def __init__(self, step: Callable[[tuple[Tensor, ...]], None], clear: Callable[[], None]) -> None:
        self._step, self._clear, self._plain_steps = step, clear, float(_PLAIN_STEPS)
        self._stream = torch.cuda.Stream()
        self._graph: torch.cuda.CUDAGraph | None = None
        self._batch: tuple[Tensor, ...] = ()

    def __call__(self, batch: tuple[Tensor, ...]) -> None:
        if self._plain_steps == 0 and self._graph is None:
            self._record(batch)
        if self._graph is None:
            self._plain_steps -= 1
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                self._step(batch)
            torch.cuda.current_stream().wait_stream(self._stream)
            return
        for mine, given in zip(self._batch, batch, strict=True):
            mine.copy_(given)
        self._graph.replay()

    def _record(self, batch: tuple[Tensor, ...]) -> None:
        """Record the step, which computes nothing."""
        self._batch = tuple(x.clone() for x in batch)
        self._clear()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self._stream):
                self._step(self._batch)
        except RuntimeError as error:
            warnings.warn(f"the step is not recorded: {str(error).splitlines()[0]}", stacklevel=2)
            self._plain_steps = math.inf
        else:
            self._graph = graph


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Exempt what is no matrix from weight decay: biases, norms, learnt no-op masses."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    exempt = [p for name, p in model.named_parameters() if p.dim() < 2 or "log_n" in name or "bias" in name]
    kept = {id(p) for p in exempt}
    decayed = [p for p in parameters if id(p) not in kept]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": exempt, "weight_decay": 0.0}]


def _keep(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, rows: list[Any], step: int) -> None:
    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "rows": rows, "step": step}
    _kept.write(path, state)
