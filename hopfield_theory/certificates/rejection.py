r"""The no-op state near 0, to which queries go that belong to no pattern: a proved ball around 0, and from which n on.

Let :math:`m_\nu = \|\xi_\nu\| \le m`, :math:`s = \|T(0)\| = \|\sum_\nu\xi_\nu\|/(n + M)` and
:math:`G_k = \lambda_{\max}(\sum_\nu m_\nu^k\,\xi_\nu\xi_\nu^\top)`. At ``x`` the weight of ν is
:math:`e^{\beta\langle\xi_\nu, x\rangle}/(n + M)`, divided by the mean of these exponentials over the patterns and the
slot, which by Jensen's inequality is at least :math:`e^{\beta\langle T(0), x\rangle}`. So on the ball :math:`B(0, R)`
it is at most :math:`e^{\beta(m_\nu + s)R}/(n + M)`, and, with the chord of :math:`e^{\beta m_\nu R}` between the norms
0 and m,

.. math:: \|J(x)\|_2 \le \beta\,\lambda_{\max}\Bigl(\sum_\nu p_\nu\xi_\nu\xi_\nu^\top\Bigr) \le L(R)
          = \frac{\beta e^{\beta sR}}{n + M}\Bigl(G_0 + \frac{e^{\beta mR} - 1}{m}\,G_1\Bigr), \qquad
          \|T(x)\| \le \varepsilon(R) = s + \int_0^R L(t)\,dt.

As for the ball of a pattern (:mod:`~hopfield_theory.certificates.ball_bound`), :math:`\varepsilon` is convex with the
derivative L. So if :math:`\varepsilon(R) < R` for one ``R``, these radii form an interval :math:`[r, \bar r]` with
:math:`L(r) < 1`: every query closer than :math:`\bar r` to 0 converges to one fixed point, the no-op state, at most
``r`` from 0. If :math:`\bar r > m` all queries do, since no update is longer than m. By :math:`G_1 \le m G_0` this is
never weaker than T20. Both s and L fall with n: what is proved at one n is proved at every larger one.

The slot counts as a pattern at 0: its ball is reported only where r is below half the least norm of a pattern, so that
the no-op state is closer to 0 than to every pattern.

A query whose scores :math:`\beta\langle\xi_\nu, x\rangle` are all at most σ is updated into a ball of the radius

.. math:: \min\Bigl(\frac{m\,Me^\sigma}{n + Me^\sigma},\;
          \sqrt{G_0 e^\sigma}\,\frac{\sqrt t}{n + t}\Bigr), \quad t = \min(n, Me^\sigma),

since its update is :math:`\Xi^\top q/(n + \|q\|_1)` with :math:`0 \le q_\nu \le e^\sigma`, hence
:math:`\|\Xi^\top q\| \le \min(m\|q\|_1, \sqrt{G_0\,e^\sigma\|q\|_1})`.

Rounding is towards "no ball": lengths are in units of m, eigenvalues are raised by the rounding of their matrix, and
bounds by the margin of :mod:`~hopfield_theory.certificates.growth`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from hopfield_theory import _arguments
from hopfield_theory.certificates.growth import MARGIN, Growth, largest_eigenvalue
from hopfield_theory.model.memory import Memory
from hopfield_theory.model.separation import SoftmaxN

__all__ = ["Rejection", "least_noop", "rejection"]

_UNIT = 2.0**-53


@dataclass(frozen=True)
class Rejection:
    """The ball around 0 whose queries are proved to end at the no-op state; lengths in the units of the patterns.

    Attributes
    ----------
    radius : float
        Every query closer than this to 0 ends at the no-op state; ``inf`` if all queries do.
    error : float
        Bound on the norm of the no-op state.
    contraction : float
        Bound on ``‖J‖`` in the ball of radius ``error``.
    score : float
        A query ends at the no-op state if its scores ``β⟨ξ_ν, x⟩`` are all at most this; ``inf`` if all queries do.
    """

    radius: float
    error: float
    contraction: float
    score: float


def rejection(memory: Memory) -> Rejection | None:
    """Prove a ball around 0 whose queries end at the no-op state; None if there is none, or no no-op slot.

    Examples
    --------
    >>> memory = Memory(torch.eye(2, dtype=torch.float64), beta=20.0, noop=1e4)
    >>> proof = rejection(memory)
    >>> 0.4 < proof.radius < 0.42, proof.error < 2e-4, proof.score
    (True, True, 8.84...)
    >>> rejection(memory.at(noop=1.0)) is None
    True
    """
    _arguments.instance("memory", memory, Memory)
    if not memory.noop or not _may_contract(memory, memory.noop):
        return None
    return _Crowd.of(memory).rejection(memory.noop)


def least_noop(memory: Memory) -> float:
    """Return the least no-op mass from which on :func:`rejection` proves a ball, up to 0.1% and from above.

    It is ``inf`` if a pattern is zero, and for a separation without no-op slot; 0 if it is below
    10⁻²¹.

    Examples
    --------
    >>> memory = Memory(torch.eye(2, dtype=torch.float64), beta=20.0)
    >>> n = least_noop(memory)
    >>> rejection(memory.at(noop=n)) is None, rejection(memory.at(noop=0.99 * n)) is None
    (False, True)
    """
    _arguments.instance("memory", memory, Memory)
    if not isinstance(memory.separation, SoftmaxN):
        return math.inf
    crowd = _Crowd.of(memory)
    low, high = -50.0, 700.0

    def proved(log_n: float) -> bool:
        return crowd.rejection(math.exp(log_n)) is not None

    if not proved(high):
        return math.inf
    if proved(low):
        return 0.0
    while high - low > 1e-3:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if proved(middle) else (middle, high)
    return math.exp(high)


def _may_contract(memory: Memory, noop: float) -> bool:
    """Whether the mean eigenvalue allows L(0) < 1, which the largest then may or may not."""
    unit = memory.radius or 1.0
    trace = sum((block.double() / unit).square().sum().item() for block in memory.patterns.split(1 << 16))
    rank = min(memory.patterns.shape)
    return memory.beta * unit**2 * trace / rank < noop + memory.num_patterns


@dataclass(frozen=True)
class _Crowd:
    """What the bound needs of the patterns, in units in which m = 1; upper bounds, but for ``least``."""

    unit: float
    kappa: float
    count: int
    total: float  # ‖Σξ‖
    plain: float  # G_0
    tilted: float  # G_1
    least: float  # the least norm

    @classmethod
    def of(cls, memory: Memory) -> _Crowd:
        unit = memory.radius or 1.0
        rows = memory.patterns.double() / unit
        norms = torch.linalg.vector_norm(rows, dim=1)
        rounding = (memory.num_patterns + memory.dim) * _UNIT * norms.sum().item()
        return cls(
            unit,
            memory.beta * unit**2,
            memory.num_patterns,
            torch.linalg.vector_norm(rows.sum(0)).item() + rounding,
            largest_eigenvalue(rows),
            largest_eigenvalue(rows * norms.sqrt().unsqueeze(1)),
            norms.min().item() * (1 - MARGIN),
        )

    def rejection(self, noop: float) -> Rejection | None:
        """Return the proof at a no-op mass."""
        mass = self.kappa / (noop + self.count)
        start = self.total / (noop + self.count)
        rates = self.kappa * start, self.kappa * (start + 1)
        growth = Growth(start, ((mass * max(self.plain - self.tilted, 0.0), rates[0]), (mass * self.tilted, rates[1])))
        radii = growth.radii(2.0)
        if radii is None or radii[0] >= 0.5 * self.least:
            return None
        error, radius = radii
        everything = radius > 1 + MARGIN
        return Rejection(
            math.inf if everything else radius * self.unit,
            error * self.unit,
            growth.contraction(error),
            math.inf if everything else self.score(radius, noop),
        )

    def score(self, R: float, noop: float) -> float:
        """The largest score of which all updates are shorter than ``R < 1``."""
        log_n, log_count = math.log(noop), math.log(self.count)
        first = log_n - log_count + math.log(R) - math.log1p(-R) if R < 1 else math.inf
        room = math.sqrt(self.plain * self.count) - R * self.count
        few = log_n + math.log(R) - math.log(room) if room > 0 else math.inf
        # while M e^σ ≤ n the second bound has t = M e^σ, afterwards t = n
        turn = log_n - log_count
        second = few if few <= turn else max(turn, log_n + math.log(4 * R * R / self.plain))
        best = max(first, second)
        return best - 1e-9 * (1 + abs(best))
