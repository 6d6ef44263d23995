"""Which rivals (patterns other than the target) are drawn one by one: all, or those above a fixed threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopfield_theory import _arguments
from hopfield_theory._arguments import Floats

__all__ = ["Plan"]

# Up to this many rivals all are drawn; for more, the error of the normal law of the others is below 0.01.
_ALL_DRAWN = 8000
_EXPECTED_DRAWN = 1000.0
# The number drawn exceeds its mean by 8 standard deviations with probability below 1e-13.
_SPREADS = 8.0
# For more rivals their number follows a Poisson law, which differs from the binomial one by at most the share drawn.
_MOST_COUNTED = 1e15


@dataclass(frozen=True)
class Plan:
    """Which rivals are drawn: all, or those above a threshold that ``drawn`` of them exceed on average.

    Attributes
    ----------
    log_rivals, rivals : float, at least 0 for ``rivals``
        Number of rivals M - 1, and its logarithm; for huge M, where rounding hides the difference, M in place of M - 1.
    drawn : float, above 0
        Mean number of drawn rivals; ``inf`` for all.

    Examples
    --------
    >>> Plan.of(math.log(100)).complete, Plan.of(600.0).drawn
    (True, 1000.0)
    """

    log_rivals: float
    rivals: float
    drawn: float

    @classmethod
    def of(cls, log_patterns: float, drawn: float = _EXPECTED_DRAWN, all_drawn: float = _ALL_DRAWN) -> Plan:
        """Return the plan for a memory of ``exp(log_patterns)`` patterns, the target among them.

        Parameters
        ----------
        log_patterns : float, at least 0
        drawn : float, at least 1
            Mean number of drawn rivals.
        all_drawn : float, at least ``drawn``
            Up to this many rivals, all are drawn.
        """
        log_patterns = _arguments.real("log_patterns", log_patterns, 0.0)
        if log_patterns > math.log(_MOST_COUNTED):
            return cls(log_patterns, math.exp(min(log_patterns, 709.0)), drawn)
        rivals = float(round(math.exp(log_patterns)) - 1)
        log_rivals = math.log(rivals) if rivals > 0 else -math.inf
        return cls(log_rivals, rivals, drawn if rivals > all_drawn else math.inf)

    @property
    def complete(self) -> bool:
        """Whether every rival is drawn."""
        return math.isinf(self.drawn)

    @property
    def log_share(self) -> float:
        """Logarithm of the tail probability of the threshold."""
        return math.log(self.drawn) - self.log_rivals

    @property
    def width(self) -> int:
        """Largest number of rivals drawn in a trial."""
        return int(self.rivals) if self.complete else math.ceil(self.drawn + _SPREADS * math.sqrt(self.drawn) + 8.0)

    def counts(self, generator: np.random.Generator, trials: int) -> NDArray[np.int64]:
        """Draw the numbers of rivals above the threshold, shape (trials,), each at most ``width``."""
        if self.rivals <= _MOST_COUNTED:
            found = generator.binomial(int(self.rivals), self.drawn / self.rivals, trials)
        else:
            found = generator.poisson(self.drawn, trials)
        return np.minimum(found, self.width)

    def log_rest(self, counts: NDArray[np.int64]) -> Floats:
        """Return the logarithms of the numbers of undrawn rivals, shape of ``counts``."""
        if self.rivals > _MOST_COUNTED:
            return np.full(counts.shape, self.log_rivals)
        with np.errstate(divide="ignore"):
            return np.log(self.rivals - counts)
