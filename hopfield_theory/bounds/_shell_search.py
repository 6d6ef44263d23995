"""The search for the shells of C10: cases of the nearest neighbour, each with a ball, an axis and limits of its own."""

import math
from dataclasses import replace

import numpy as np

from hopfield_theory.bounds import _quadrature, _shell_proof, cap_heights, sphere
from hopfield_theory.bounds._crowd import SHELL
from hopfield_theory.bounds._directional_proof import Failure, Witness
from hopfield_theory.bounds._neighbour import Neighbour
from hopfield_theory.bounds._shell_proof import Shell
from hopfield_theory.bounds.random_memory import RandomMemory

_ROUNDING = 1e-12
# Widths of the shells relative to their height over the floor 2/κ, at most so much of the height.
_WIDTH, _WIDEST, _NARROWEST, _MOST_SHELLS = 0.3, 0.05, 0.2, 40
# The share of p that the case without a near neighbour may take, and that of a shell's failure for a third pattern.
_LONE, _THIRD = 0.1, 0.7
# The worst chance of a failure in a shell that is worth having, and the share of p that is not worth a search.
_WORST, _NEGLIGIBLE = 0.8, 0.001
# Steps in the logarithms of a chance of failure, of a ball and of a height.
_STEP, _BALL_STEP, _HEIGHT_STEP = 0.1, 0.1, 0.03
# The balls that are tried: first those of the first case, times κ, and last shares of half the distance.
_BALLS, _SHARES = (4.0, 2.5, 6.0, 1.5, 8.0), (0.5, 0.7, 0.85)
# The axis lies so much beyond the state of the pair alone, as the crowd pulls too.
_TURN = 1.1
# How far beyond the best number shells are tried first, in log M; a step that is not worth another round.
_BEYOND, _TOLERANCE, _ROUNDS = 1.0, 0.01, 6


def with_shells(memory: RandomMemory, plain: Witness, log_p: float) -> Witness:
    """Improve a witness for a typical pattern by treating the nearest neighbour separately, where that helps."""
    best, log_patterns = plain, plain.log_patterns + _BEYOND
    for _ in range(_ROUNDS):
        witness = _ShellSearch(memory, log_patterns, log_p).witness()
        if witness is None:
            # Too many patterns: even those without a near neighbour are lost.
            log_patterns = 0.5 * (log_patterns + best.log_patterns)
            continue
        failure = Failure(memory, witness, "typical")
        if failure(0.0) <= log_p:
            most = _quadrature.last_below(failure, log_p, 0.0, memory.kappa + 50.0)
            best = max(best, replace(witness, log_patterns=most), key=lambda w: w.log_patterns)
        step = max(0.5 * (log_p - failure(log_patterns)), -_BEYOND)
        if abs(step) < _TOLERANCE or log_patterns + step < best.log_patterns + _TOLERANCE:
            break
        log_patterns += step
    return best


class _ShellSearch:
    """A witness with shells for a number of patterns."""

    def __init__(self, memory: RandomMemory, log_patterns: float, log_p: float) -> None:
        self._memory, self._log_patterns, self._log_p = memory, log_patterns, log_p

    def witness(self) -> Witness | None:
        """Return the cases from the lone one inwards, None if even that is not found."""
        lone = self._lone()
        if lone is None:
            return None
        shells: list[Shell] = []
        high, ball, floor = lone.crowd_cap, lone.ball, 2.0 / self._memory.kappa
        width = 1.0
        # Fewer pairs than this below the first shell would not change M by the tolerance.
        while (self._memory.dim - 1) * (high / floor - 1.0) > _TOLERANCE and len(shells) < _MOST_SHELLS:
            low = high - width * min(_WIDTH * (high - floor), _WIDEST * high)
            shell = self._shell(low, high, ball)
            if shell is not None:
                shells.insert(0, shell)
                high, ball = low, shell.ball
            elif width > _NARROWEST:
                width *= 0.5
            else:
                break
        return Witness(self._log_patterns, high, lone, tuple(shells))

    def _lone(self) -> Shell | None:
        """Return the case of no neighbour below the lowest height at which its failure takes its share of p."""
        level = math.log(4.0 / _LONE) - self._log_p
        found = None
        low, cap = 2.0 / self._memory.kappa, min(30.0 / self._memory.kappa, 1.0)
        for most, share in (*((x / self._memory.kappa, 1.0) for x in _BALLS), *((1.0, x) for x in _SHARES)):
            while cap > low:
                ball = min(most, share * math.sqrt(0.5 * cap))
                trial = limited(self._memory, ball, cap, self._log_patterns, level)
                if trial is None:
                    break
                found, cap = trial, cap * math.exp(-_HEIGHT_STEP)
        return found

    def _shell(self, low: float, high: float, ball: float) -> Shell | None:
        """Return a shell with a ball of about the least chance of failure, None if that is too large."""
        memory = self._memory
        inner, outer = sphere.log_cap(np.array([low, high]), memory.dim).tolist()
        turn = pair_turn(memory.kappa, low)
        within = float(sphere.log_cap(Neighbour(memory.kappa, low, high, turn).within, memory.dim))

        def at(log_chance: float, ball: float) -> Shell | None:
            share = np.logaddexp(within, log_chance + math.log(_THIRD) - self._log_patterns)
            # what is farther than this has no weight that a float holds
            cap = min(100.0 / memory.kappa, cap_heights.widest(float(share), memory.dim))
            level = math.log(len(SHELL) / (1.0 - _THIRD)) - log_chance
            return limited(memory, ball, cap, self._log_patterns, level, low, high, turn)

        expected = self._log_patterns + outer + math.log(-math.expm1(inner - outer))
        found, chance = None, math.log(_WORST)
        enough = min(max(math.log(_NEGLIGIBLE) + self._log_p - expected, -20.0), chance)
        sizes = [ball * math.exp(x * _BALL_STEP) for x in (0.0, 1.0, -1.0, 2.0)]
        for size in sizes + [x * math.sqrt(0.5 * low) for x in _SHARES]:
            wanted = chance if found is None else max(chance - _STEP, enough)
            if (trial := at(wanted, size)) is None:
                continue
            found, chance, below = trial, wanted, enough
            if (trial := at(enough, size)) is not None:
                return trial
            while chance - below > _STEP:
                between = 0.5 * (chance + below)
                if (trial := at(between, size)) is None:
                    below = between
                else:
                    found, chance = trial, between
        return found


def pair_turn(kappa: float, height: float) -> float:
    """Return somewhat more than the angle from a pattern to the state of it and a neighbour alone, not half way."""
    angle, share = 2.0 * math.asin(math.sqrt(0.5 * height)), 0.0
    for _ in range(200):
        share = 1.0 / (1.0 + math.exp(kappa * height * (1.0 - 2.0 * share)))
    return min(_TURN * math.atan2(share * math.sin(angle), 1.0 - share * height), 0.49 * angle)


def limited(
    memory: RandomMemory,
    ball: float,
    cap: float,
    log_patterns: float,
    level: float,
    low: float = math.inf,
    high: float = math.inf,
    turn: float = 0.0,
) -> Shell | None:
    """Return a case each of whose tails is ``exp(-level)`` at most, None if its limits prove nothing."""
    reach = (ball + Neighbour(memory.kappa, low, high, turn).shift) * (1.0 + _ROUNDING)
    if reach >= 1.0 or 2.0 * ball > math.sqrt(2.0 * min(low, cap)):
        return None
    crowd = _shell_proof.crowd_of(memory, cap)
    kinds = SHELL if math.isfinite(low) else SHELL[:4]
    found = crowd.limited(kinds, crowd.shell_rates(reach)[: len(kinds)], log_patterns, level)
    shell = Shell(cap, ball, reach, **found, low=low, high=high, turn=turn)
    return shell if _shell_proof.stored(memory, shell) else None
