"""A shell of C10 in ball arithmetic: what the pair does to a state, and whether the limits suffice."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from flint import arb

from hopfield_theory.bounds._shell_proof import CELLS, MOST_UPDATES, Shell, kinds
from hopfield_theory.bounds.random_memory import RandomMemory
from hopfield_theory.verification._sphere_balls import Ball


@dataclass(frozen=True)
class Pull:
    """Bounds on what a pair does to the states of a cell, as in the floats."""

    gain: Ball
    along: Ball
    left: Ball
    right: Ball
    spread: Ball
    lift: Ball


class Neighbour:
    """A second pattern at a height in ``[low, high]`` and an axis at an angle ``turn``, all exact numbers."""

    def __init__(self, kappa: float, low: float, high: float, turn: float) -> None:
        self._kappa, self._low, self._high, self._turn = arb(kappa), arb(low), arb(high), arb(turn)
        self.height, self.side = 1 - self._turn.cos(), self._turn.sin()
        self.shift = 2 * (self._turn / 2).sin()
        if math.isfinite(low):
            near, far = ((1 - u).acos() - self._turn for u in (self._low, self._high))
            self.between = near - self._turn
            self._near, self._far = ((1 - psi.cos(), psi.sin()) for psi in (near, far))
            self.within = ((2 * self._low).sqrt() - self.shift) ** 2 / 2

    def pull(self, low: Ball, high: Ball, side: Ball) -> Pull:
        """Bound it where ``low <= s <= high`` and ``|y| <= side``."""
        (near, near_side), (far, far_side) = self._near, self._far
        least = (near_side * low).min(far_side * low) + self.side * low - (far - self.height) * (1 + side)
        most = (near_side * high).max(far_side * high) + self.side * high - (near - self.height) * (1 - side)
        few, many = (1 / (1 + (-self._kappa * x).exp()) for x in (least, most))
        half = many.min(arb(0.5))
        return Pull(
            (1 - few) * (self._kappa * (self.height * (1 + side) + self.side * high)).exp(),
            (1 - many) * self.height + many * far,
            few * near_side - (1 - few) * self.side,
            many * far_side - (1 - many) * self.side,
            2 * self._high * half * (1 - half),
            far**2 * half * (1 - half),
        )


@dataclass(frozen=True)
class _Box:
    low: Ball
    high: Ball
    side: Ball


def stored(memory: RandomMemory, shell: Shell) -> bool | None:
    """Return whether a pattern is stored where no sum exceeds its limit, None if the balls do not decide it."""
    there = math.isfinite(shell.low)
    exact = (
        shell.ball > 0.0
        and (shell.turn >= 0.0 and shell.low < shell.high <= 1.0 if there else shell.turn == 0.0)
        and len(shell.limits) == len(kinds(shell))
        and min(shell.limits) > 0.0
        and all(shell.limits[k] < shell.limits[k + 1] for k in (2, 5)[: 1 + there])
    )
    if not exact:
        return False
    update = _Update(memory, shell)
    slacks = update.slacks(there)
    if not there:
        slacks += update.alone()
    if any(slack < 0 for slack in slacks):
        return False
    if not all(slack >= 0 for slack in slacks):
        return None
    if not there:
        return True
    box = update.of_ball()
    for _ in range(MOST_UPDATES):
        room = arb(shell.reach) ** 2 - (-box.low).max(box.high) ** 2 - box.side**2
        if not room >= 0:
            return False if room < 0 else None
        image, slacks = update.of_box(box)
        slacks += [image.low - box.low, box.high - image.high, box.side - image.side, update.in_ball(box)]
        if all(slack > 0 for slack in slacks):
            return True
        box = image
    return False if any(slack <= 0 for slack in slacks) else None


class _Update:
    """What the limits of a shell tell about an update of sets of states."""

    def __init__(self, memory: RandomMemory, shell: Shell) -> None:
        self._neighbour = Neighbour(memory.kappa, shell.low, shell.high, shell.turn)
        self._kappa, self._rho, self._reach = arb(memory.kappa), arb(shell.ball), arb(shell.reach)
        self._shell, self._limits = shell, [arb(x) for x in shell.limits]
        slotted = math.isfinite(memory.log_noop)
        self._leak = (arb(memory.log_noop) - self._kappa).exp() if slotted else arb(0)

    def slacks(self, there: bool) -> list[Ball]:
        """Return what must not be negative: the ball's room, that of the limits, and the axis between the two."""
        shell, turned = self._shell, self._neighbour
        found = [
            2 * arb(shell.low if there else shell.crowd_cap) - 4 * self._rho**2,
            self._reach - self._rho - turned.shift,
            1 - self._reach,
        ]
        return [*found, turned.between] if there else found

    def alone(self) -> list[Ball]:
        """Return the slacks of the two conditions without a neighbour."""
        along, across, *_ = self._limits
        slope, mean = self._slopes(2, self._rho)
        leaked = self._leak * (self._kappa * self._rho).exp()
        start = ((along + self._leak) ** 2 + across**2).sqrt()
        moved = start + self._rho * mean + leaked - self._leak
        return [self._rho - moved, 1 - slope - self._kappa * leaked]

    def of_ball(self) -> _Box:
        turned, cells = self._neighbour, []
        for low, high in _edges(-self._rho, self._rho):
            closest = low.max(-high).max(arb(0))
            side = turned.height + (self._rho**2 - closest**2).max(arb(0)).sqrt()
            cells.append((low - turned.side, high - turned.side, side))
        return self._image(cells)[0]

    def of_box(self, box: _Box) -> tuple[_Box, list[Ball]]:
        return self._image([(low, high, box.side) for low, high in _edges(box.low, box.high)])

    def in_ball(self, box: _Box) -> Ball:
        """Return what is positive if a box lies in the ball around the pattern."""
        turned = self._neighbour
        furthest = (-(box.low + turned.side)).max(box.high + turned.side)
        return self._rho**2 - furthest**2 - (box.side + turned.height) ** 2

    def _image(self, cells: list[tuple[Ball, Ball, Ball]]) -> tuple[_Box, list[Ball]]:
        along, across, _, _, drift, *_ = self._limits
        kappa, image, slacks = self._kappa, _Box(arb(0), arb(0), arb(0)), []
        for low, high, side in cells:
            pull = self._neighbour.pull(low, high, side)
            most = (-low).max(high)
            r = (most**2 + side**2).sqrt().min(self._reach)
            leaked = self._leak * (kappa * r).exp()
            slope, mean = self._slopes(2, r)
            slope, mean = slope + kappa * leaked, mean + (leaked - self._leak) / r
            slope_e, mean_e = self._slopes(5, r)
            mixed = (mean * mean_e).sqrt()
            ahead = mean_e * most + mixed * side
            right = pull.right + pull.gain * (drift + (mean * (high + r) / 2).min(ahead))
            left = pull.left - pull.gain * (drift + (mean * (r - low) / 2).min(ahead))
            aside = (mean * (side + r) / 2).min(mixed * most + mean * side)
            still = ((pull.along + pull.gain * (along + self._leak)) ** 2 + (pull.gain * across) ** 2).sqrt()
            image = _Box(image.low.min(left), image.high.max(right), image.side.max(still + pull.gain * aside))
            pair, lift = kappa * (pull.spread + (-pull.left).max(pull.right) ** 2), kappa * (pull.lift + pull.along**2)
            first, second = 1 - pair - pull.gain * slope_e, 1 - lift - pull.gain * slope
            cross = (pair * lift).sqrt() + pull.gain * (slope * slope_e).sqrt()
            slacks += [first, second, first * second - cross**2]
        return image, slacks

    def _slopes(self, index: int, r: Ball) -> tuple[Ball, Ball]:
        start, end = self._limits[index : index + 2]
        grown = r * (end / start).log() / self._reach
        return start * grown.exp(), start * grown.expm1() / grown


def _edges(low: Ball, high: Ball) -> list[tuple[Ball, Ball]]:
    ends = [low + (high - low) * k / CELLS for k in range(CELLS + 1)]
    return list(itertools.pairwise(ends))
