"""Attack: minimise the slack of a part's conclusion under its hypotheses, from many starts at once.

Random instances rarely break a wrong theorem. From each start an augmented Lagrangian is minimised with gradients. Then
a random search without gradients continues from the best instance, where kinks or the boundary of the hypotheses stop
the first. Nothing is decided here: the results go to :mod:`hopfield_theory.verification.ball_arithmetic`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hopfield_theory.data.seeds import keyed_generator
from hopfield_theory.statements.arithmetic import Floats
from hopfield_theory.statements.statement import Implication, Instance
from hopfield_theory.verification.instances import Batch, draw

__all__ = ["FULL", "QUICK", "SHAPES", "Effort", "attack", "attacks", "slacks"]

SHAPES = ((1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2), (4, 3), (6, 2))
"""Numbers of patterns and dimensions that are attacked, in this order: the smallest counterexample is found first."""

# steps of Adam in units of m, or of log β, log n and log R: from the first to the last
_FIRST_STEP, _LAST_STEP = 0.1, 1e-3
_MOMENTA = 0.9, 0.98
# the weight of hypotheses, and gradient steps between updates of their multipliers
_WEIGHT, _ROUND = 10.0, 10
# log β, log n and log R stay where floats and exponentials of floats exist
_LARGEST_LOG = 45.0
# the random search's step lengths: how they change with success and failure, and their range
_WIDER, _NARROWER, _WIDEST, _NARROWEST = 1.6, 0.93, 1.0, 1e-9
# a merit above any slack: an instance outside the hypotheses, by how much it is outside
_OUTSIDE = 1e6


@dataclass(frozen=True)
class Effort:
    """Effort of an attack: starts per shape, and steps with and without gradients per start."""

    starts: int
    descent: int
    polish: int


QUICK = Effort(starts=128, descent=40, polish=40)
"""Enough for most planted errors."""

FULL = Effort(starts=512, descent=100, polish=100)
"""The attack that a statement has to survive to count as holding."""


def attacks(part: Implication, seed: int, effort: Effort, device: str = "cpu") -> Iterator[Batch]:
    """Attack a part at every shape to which it applies, the smallest first; yield the worst instance of each start.

    Examples
    --------
    >>> from hopfield_theory.statements.registry import STATEMENTS
    >>> worst = next(attacks(STATEMENTS["P1"].parts[0], 0, Effort(8, 10, 10)))
    >>> worst.values["patterns"].shape
    torch.Size([8, 1, 1])
    """
    for index, shape in enumerate(SHAPES):
        if part.speaks_of(shape[0]):
            generator = keyed_generator(seed, index)
            starts = draw(effort.starts, *shape, generator)
            yield attack(part, starts, generator, effort, device)


def attack(part: Implication, starts: Batch, generator: torch.Generator, effort: Effort, device: str = "cpu") -> Batch:
    r"""Minimise a part's slack from every instance of a batch.

    With hypotheses :math:`h_j > 0` and the conclusion's slack f, gradient steps go down

    .. math:: f + \sum_j \frac{\max(0, \lambda_j - \rho h_j)^2 - \lambda_j^2}{2 \rho},

    with multipliers :math:`\lambda_j \leftarrow \max(0, \lambda_j - \rho h_j)`. Patterns and states are in units of m;
    β, R and n > 0 are searched by their logarithms, and n = 0 stays.

    The worst instance seen from each start is returned, or the start itself if no instance met the hypotheses.
    """
    search = _Search(part, starts, device)
    search.descend(effort.descent)
    search.polish(effort.polish, generator)
    return search.found()


def slacks(parts: Sequence[Implication], values: dict[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Evaluate hypotheses (B, h) and conclusions (B,), differentiably; shared terms are evaluated once."""

    def one(values: dict[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
        instance = Instance(**values, xp=Floats())
        met = [part.hypotheses(instance) for part in parts]
        return [
            (torch.stack(hypotheses) if hypotheses else values["beta"].new_ones(0), part.conclusion(instance))
            for hypotheses, part in zip(met, parts, strict=True)
        ]

    return torch.vmap(one)(values) if parts else []


class _Search:
    """A batch of searches: their parameters, and for each the best parameters and merit so far."""

    def __init__(self, part: Implication, starts: Batch, device: str) -> None:
        self._part, self._kinds = part, starts.kinds
        values = {name: value.to(device) for name, value in starts.values.items()}
        radius = values["patterns"].norm(dim=-1).amax(-1)
        unit = torch.where(radius > 0, radius, 1.0)
        self._dense = values["noop"] == 0
        self._x = {}
        for name, value in values.items():
            if name in ("beta", "noop", "ball"):
                scaled = {"beta": value * unit**2, "noop": value, "ball": value / unit}[name]
                self._x[name] = scaled.log().clamp(-_LARGEST_LOG, _LARGEST_LOG)
            else:
                self._x[name] = value / unit.reshape(-1, *[1] * (value.ndim - 1))
        self._searched = [name for name in self._x if name in part.uses]
        self._best = dict(self._x)
        self._merit = torch.full_like(unit, math.inf)
        self._keep(self._x, *self._slacks(self._x))

    def descend(self, steps: int) -> None:
        x = {name: self._x[name].clone() for name in self._searched}
        first = {name: torch.zeros_like(value) for name, value in x.items()}
        second = {name: torch.zeros_like(value) for name, value in x.items()}
        multipliers, (keep, keep_square) = None, _MOMENTA
        for step in range(1, steps + 1):
            leaves = {name: value.detach().requires_grad_() for name, value in x.items()}
            hypotheses, conclusion = self._slacks(self._x | leaves)
            multipliers = torch.zeros_like(hypotheses).detach() if multipliers is None else multipliers
            pushed = (multipliers - _WEIGHT * hypotheses).clamp(min=0.0)
            objective = conclusion + ((pushed**2 - multipliers**2) / (2 * _WEIGHT)).sum(-1)
            # a lane without a number has no direction, and must not spoil the others
            usable = objective.isfinite()
            gradients = torch.autograd.grad(objective[usable].sum(), list(leaves.values()), allow_unused=True)
            self._keep(self._x | x, hypotheses.detach(), conclusion.detach())
            size = _FIRST_STEP * (_LAST_STEP / _FIRST_STEP) ** ((step - 1) / steps)
            for name, gradient in zip(x, gradients, strict=True):
                g = torch.zeros_like(x[name]) if gradient is None else gradient.nan_to_num(0.0, 0.0, 0.0)
                first[name] = keep * first[name] + (1 - keep) * g
                second[name] = keep_square * second[name] + (1 - keep_square) * g * g
                mean, square = first[name] / (1 - keep**step), second[name] / (1 - keep_square**step)
                x[name] = self._inside(name, x[name] - size * mean / (square.sqrt() + 1e-300))
                lost = ~usable.reshape(-1, *[1] * (g.ndim - 1))
                x[name] = torch.where(lost, self._best[name], x[name])
            if step % _ROUND == 0:
                multipliers = torch.where(usable[:, None], pushed.detach(), 0.0).clamp(max=1e3)
        self._keep(self._x | x, *self._slacks(self._x | x))

    def polish(self, steps: int, generator: torch.Generator) -> None:
        lanes = len(self._kinds)
        reach = torch.full_like(self._merit, 0.1)
        for _ in range(steps):
            trial = dict(self._best)
            # all variables together, or only one of them
            alone = torch.randint(2 * len(self._searched), (lanes,), generator=generator).to(reach.device)
            for index, name in enumerate(self._searched):
                best = self._best[name]
                noise = torch.randn(best.shape, dtype=best.dtype, generator=generator).to(reach.device)
                moved = (alone == index) | (alone >= len(self._searched))
                length = (reach * moved).reshape(-1, *[1] * (best.ndim - 1))
                trial[name] = self._inside(name, best + length * noise)
            better = self._keep(trial, *self._slacks(trial))
            reach = (reach * torch.where(better, _WIDER, _NARROWER)).clamp(_NARROWEST, _WIDEST)

    def found(self) -> Batch:
        values = {name: value.cpu() for name, value in self._values(self._best).items()}
        return Batch(values, [f"attack from {kind}" for kind in self._kinds])

    @torch.no_grad()
    def _keep(self, x: dict[str, Tensor], hypotheses: Tensor, conclusion: Tensor) -> Tensor:
        """Keep what is better than the best so far; return where that was."""
        outside = (-hypotheses).clamp(min=0.0).sum(-1)
        merit = torch.where((hypotheses > 0).all(-1), conclusion, _OUTSIDE * (1 + outside))
        # what overflowed is no direction to go on in; drawn instances leave it to balls
        merit = torch.where(merit.isfinite(), merit, math.inf)
        better = merit < self._merit
        self._merit = torch.where(better, merit, self._merit)
        for name in self._searched:
            chosen = better.reshape(-1, *[1] * (x[name].ndim - 1))
            self._best[name] = torch.where(chosen, x[name].detach(), self._best[name])
        return better

    def _slacks(self, x: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        return slacks([self._part], self._values(x))[0]

    def _values(self, x: dict[str, Tensor]) -> dict[str, Tensor]:
        values = {name: value.exp() if name in ("beta", "noop", "ball") else value for name, value in x.items()}
        values["noop"] = torch.where(self._dense, 0.0, values["noop"])
        return values

    @staticmethod
    def _inside(name: str, value: Tensor) -> Tensor:
        return value.clamp(-_LARGEST_LOG, _LARGEST_LOG) if name in ("beta", "noop", "ball") else value
