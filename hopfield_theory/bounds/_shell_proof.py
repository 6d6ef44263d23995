"""What the limits of a shell of C10 prove: beside the nearest neighbour, seven sums tell how the crowd pulls."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hopfield_theory._arguments import Floats
from hopfield_theory.bounds._crowd import SHELL, Crowd, Event
from hopfield_theory.bounds._neighbour import Neighbour
from hopfield_theory.bounds.random_memory import RandomMemory

# Cells of a ball and of a box, and the number of updates after which nothing is settled.
CELLS, MOST_UPDATES = 16, 100


@dataclass(frozen=True)
class Shell:
    """One case of C10: the range of a pattern's nearest neighbour, a ball, an axis and limits on sums over the others.

    ``low`` and ``high`` enclose the height of the nearest neighbour; both are infinite if no pattern is near. ``ball``
    is a radius around the pattern, ``turn`` the angle from it to the axis c, towards the neighbour. No further pattern
    may lie below the height ``crowd_cap`` over the axis. With heights u and parts τ about the axis, the distances w
    from c, ``h = exp(-κ u)``, and e the unit vector across the axis towards the neighbour, the limits are on ``Σ h u``,
    on the length of ``Σ h τ``, on the largest eigenvalues of ``κ Σ h exp(κ w r) (ξ - c) (ξ - c)ᵀ`` for ``r = 0`` and
    for ``reach``, on ``|Σ h <τ, e>|``, and on ``κ Σ h exp(κ w r) <τ, e>²`` for the same r; without a neighbour only on
    the first four. The log tilts are the logarithms of the Chernoff parameters of their tails.
    """

    crowd_cap: float
    ball: float
    reach: float
    limits: tuple[float, ...]
    log_tilts: tuple[float, ...]
    low: float = math.inf
    high: float = math.inf
    turn: float = 0.0

    def neighbour(self, memory: RandomMemory) -> Neighbour:
        """Return the nearest neighbour as it is seen from the axis."""
        return Neighbour(memory.kappa, self.low, self.high, self.turn)


@dataclass(frozen=True)
class Box:
    """The states ``c + s e + y`` with ``low <= s <= high`` and ``|y| <= side``, y across e."""

    low: float
    high: float
    side: float

    @property
    def reach(self) -> float:
        """Return the largest distance from c."""
        return math.hypot(max(-self.low, self.high), self.side)

    def within(self, box: "Box") -> bool:
        """Whether the box lies in another one."""
        return box.low <= self.low and self.high <= box.high and self.side <= box.side


def stored(memory: RandomMemory, shell: Shell) -> bool:
    """Whether the limits of a shell, if no sum exceeds its own, imply that the pattern is stored."""
    rho, neighbour = shell.ball, shell.neighbour(memory)
    if not (
        0.0 < 2.0 * rho <= math.sqrt(2.0 * (shell.low if neighbour.there else shell.crowd_cap))
        and rho + neighbour.shift <= shell.reach < 1.0
        and (neighbour.between if neighbour.there else shell.turn == 0.0)
        and len(shell.limits) == len(kinds(shell))
        and min(shell.limits) > 0.0
        and all(shell.limits[k] < shell.limits[k + 1] for k in ((2, 5) if neighbour.there else (2,)))
    ):
        return False
    update = Update(memory, shell)
    if not neighbour.there:
        return update.alone(rho)
    box = update.of_ball()
    for _ in range(MOST_UPDATES):
        if not box.reach <= shell.reach:
            return False
        image, contracted = update.of_box(box)
        if contracted and image.within(box) and update.in_ball(box):
            return True
        box = image
    return False


class Update:
    """What the limits of a shell tell about an update of sets of states."""

    def __init__(self, memory: RandomMemory, shell: Shell) -> None:
        self._kappa, self._neighbour, self._shell = memory.kappa, shell.neighbour(memory), shell
        self._leak = leak(memory, 0.0)

    def alone(self, radius: float) -> bool:
        """Whether, without a neighbour, a ball is carried into itself and contracted."""
        along, across, *_ = self._shell.limits
        slope, mean = self._slopes(2, np.array(radius))
        leaked = self._leak * math.exp(min(self._kappa * radius, 700.0))
        moved = math.hypot(along + self._leak, across) + radius * float(mean) + leaked - self._leak
        return moved <= radius and float(slope) + self._kappa * leaked < 1.0

    def of_ball(self) -> Box:
        """Return a box that holds the images of the states in the ball."""
        rho, turned = self._shell.ball, self._neighbour
        edges = np.linspace(-rho, rho, CELLS + 1)
        closest = np.maximum(np.maximum(edges[:-1], -edges[1:]), 0.0)
        side = turned.height + np.sqrt(np.maximum(rho**2 - closest**2, 0.0))
        return self._image(edges[:-1] - turned.side, edges[1:] - turned.side, side)[0]

    def of_box(self, box: Box) -> tuple[Box, bool]:
        """Return a box that holds the images of the states of a box, and whether the update contracts it."""
        edges = np.linspace(box.low, box.high, CELLS + 1)
        return self._image(edges[:-1], edges[1:], np.full(CELLS, box.side))

    def in_ball(self, box: Box) -> bool:
        """Whether a box lies in the ball around the pattern."""
        turned = self._neighbour
        furthest = max(-(box.low + turned.side), box.high + turned.side)
        return math.hypot(furthest, box.side + turned.height) <= self._shell.ball

    def _image(self, low: Floats, high: Floats, side: Floats) -> tuple[Box, bool]:
        along, across, _, _, drift, *_ = self._shell.limits
        pull = self._neighbour.pull(low, high, side)
        most = np.maximum(-low, high)
        r = np.minimum(np.hypot(most, side), self._shell.reach)
        leaked = self._leak * np.exp(np.minimum(self._kappa * r, 700.0))
        slope, mean = self._slopes(2, r)
        slope, mean = slope + self._kappa * leaked, mean + (leaked - self._leak) / r
        slope_e, mean_e = self._slopes(5, r)
        mixed = np.sqrt(mean * mean_e)
        ahead = mean_e * most + mixed * side
        right = pull.right + pull.gain * (drift + np.minimum(0.5 * mean * (high + r), ahead))
        left = pull.left - pull.gain * (drift + np.minimum(0.5 * mean * (r - low), ahead))
        aside = np.minimum(0.5 * mean * (side + r), mixed * most + mean * side)
        still = np.hypot(pull.along + pull.gain * (along + self._leak), pull.gain * across)
        image = Box(min(left.min(), 0.0), max(right.max(), 0.0), float((still + pull.gain * aside).max()))
        # the second moment about c, of the pair and of the crowd, along e and across it
        pair = self._kappa * (pull.spread + np.maximum(-pull.left, pull.right) ** 2)
        lift = self._kappa * (pull.lift + pull.along**2)
        first, second = pair + pull.gain * slope_e, lift + pull.gain * slope
        cross = np.sqrt(pair * lift) + pull.gain * np.sqrt(slope * slope_e)
        contracted = (first < 1.0) & (second < 1.0) & (cross**2 < (1.0 - first) * (1.0 - second))
        return image, bool(contracted.all())

    def _slopes(self, index: int, r: Floats) -> tuple[Floats, Floats]:
        """Return a slope at a distance r from c, and its mean from 0 to r, from its limits at 0 and at the reach."""
        start, end = self._shell.limits[index : index + 2]
        grown = r * (math.log(end / start) / self._shell.reach)
        return start * np.exp(grown), start * np.expm1(grown) / grown


def leak(memory: RandomMemory, high: float) -> float:
    """Return the no-op slot's weight, relative to the pattern's, at most."""
    return math.exp(min(memory.log_noop - memory.kappa * (1.0 - high), 300.0))


def kinds(shell: Shell) -> tuple[str, ...]:
    """Return the kinds of the sums of a shell."""
    return SHELL if math.isfinite(shell.low) else SHELL[:4]


def crowd_of(memory: RandomMemory, cap: float) -> Crowd:
    """Return the patterns above a cap; what they share along a direction has a kink at the height 2/d."""
    return Crowd(memory, cap, 2.0 / memory.dim)


def events(memory: RandomMemory, shell: Shell) -> Iterator[Event]:
    """Return the tails of the sums of a shell."""
    crowd = crowd_of(memory, shell.crowd_cap)
    which = kinds(shell)
    rates = crowd.shell_rates(shell.reach)[: len(which)]
    yield from crowd.events(which, rates, shell.limits, shell.log_tilts)
