r"""The model at one instance, in any arithmetic: scores, weights, energy, update, covariance.

These are the definitions used in the statements; :class:`hopfield_theory.Memory` is the fast implementation, and tests
compare the two.
"""

from __future__ import annotations

import functools
from typing import Any

from hopfield_theory.statements.arithmetic import Arithmetic

__all__ = ["Dynamics"]


class Dynamics:
    r"""Patterns, β and n, as functions of a state x of shape (d,).

    Attributes
    ----------
    radius : number
        :math:`m = \max_\mu \|\xi_\mu\|`.
    gap : number or None
        :math:`\Delta_1 = \min_{\nu\neq1}\langle\xi_1, \xi_1-\xi_\nu\rangle` of the first pattern; None without others.

    Examples
    --------
    >>> import torch
    >>> from hopfield_theory.statements.arithmetic import Floats
    >>> one = torch.ones((), dtype=torch.float64)
    >>> Dynamics(torch.eye(2, dtype=torch.float64), one, one, Floats()).update(torch.zeros(2, dtype=torch.float64))
    tensor([0.3333, 0.3333], dtype=torch.float64)
    """

    def __init__(self, patterns: Any, beta: Any, noop: Any, xp: Arithmetic) -> None:
        self.patterns, self.beta, self.noop, self.xp = patterns, beta, noop, xp
        self.count = len(patterns)
        self.radius = xp.max(xp.norm(patterns))

    def scores(self, x: Any) -> Any:
        r""":math:`z = \beta\,\Xi x`, shape (M,)."""
        return self.beta * (self.patterns @ x)

    def log_partition(self, x: Any) -> Any:
        r""":math:`\log(n + \sum_\mu e^{z_\mu}) = \beta\,\mathrm{lse}_n(\beta, \Xi x)`."""
        return self.xp.log_sum_exp(self.scores(x), self.noop)

    def weights(self, x: Any) -> Any:
        r""":math:`p = \mathrm{softmax}_n(z)`, shape (M,)."""
        scores = self.scores(x)
        return self.xp.exp(scores - self.xp.log_sum_exp(scores, self.noop))

    def sparse_weights(self, x: Any) -> Any:
        r""":math:`\mathrm{sparsemax}(z) = \max(0, z - \tau)`, shape (M,), without the no-op slot.

        The threshold τ at which they sum to 1 is the largest of
        :math:`(\sum_{i\le k} z_{(i)} - 1)/k`, with :math:`z_{(1)} \ge z_{(2)} \ge \dots`.
        """
        xp = self.xp
        sums = xp.cumulative(xp.descending(self.scores(x)))
        threshold = xp.max(xp.stack([(sums[k] - 1) / (k + 1) for k in range(self.count)]))
        above = self.scores(x) - threshold
        return (above + xp.abs(above)) / 2

    def noop_weight(self, x: Any) -> Any:
        r""":math:`p_0 = n / (n + \sum_\mu e^{z_\mu})`."""
        return self.xp.exp(self.xp.log(self.noop) - self.log_partition(x))

    def update(self, x: Any) -> Any:
        r""":math:`T(x) = \Xi^\top p`, shape (d,)."""
        return self.weights(x) @ self.patterns

    def orbit(self, x: Any, steps: int) -> list[Any]:
        """Return x and its first ``steps`` updates."""
        states = [x]
        for _ in range(steps):
            states.append(self.update(states[-1]))
        return states

    def fixed_point(self, x: Any) -> Any:
        """Return the fixed point to which x converges; NaN, or no decision, if that takes too many updates."""
        return self.xp.fixed_point(self.update, self.jacobian, x)

    @functools.cached_property
    def first_fixed_point(self) -> Any:
        """The fixed point to which the first pattern converges."""
        return self.fixed_point(self.patterns[0])

    def energy(self, x: Any) -> Any:
        r""":math:`E(x) = \tfrac12\|x\|^2 - \mathrm{lse}_n + \tfrac12 m^2 + \beta^{-1}\log(n + M)`."""
        constant = self.radius * self.radius / 2 + self.xp.log(self.noop + self.count) / self.beta
        return x @ x / 2 - self.log_partition(x) / self.beta + constant

    def covariance(self, x: Any, v: Any) -> Any:
        r""":math:`v^\top\mathrm{Cov}\,v` of the law that puts :math:`p_\mu` on :math:`\xi_\mu` and :math:`p_0` on 0."""
        along = self.patterns @ v
        mean = self.weights(x) @ along
        return self.weights(x) @ ((along - mean) * (along - mean)) + self.noop_weight(x) * mean * mean

    def jacobian(self, x: Any) -> Any:
        r""":math:`J(x) = \beta(\sum_\mu p_\mu\xi_\mu\xi_\mu^\top - T(x)T(x)^\top)`, shape (d, d)."""
        p = self.weights(x)
        mean = p @ self.patterns
        return self.beta * (self.patterns.T @ (p[:, None] * self.patterns) - mean[:, None] * mean[None, :])

    @functools.cached_property
    def diameter(self) -> Any:
        r"""Diameter D of the patterns, with the origin if there is a no-op slot (``n > 0``)."""
        apart = self.xp.norm(self.patterns[:, None] - self.patterns[None]).reshape(-1)
        among = self.xp.max(apart)
        to_origin = self.xp.max(self.xp.norm(self.patterns))
        wider = self.xp.if_positive(to_origin - among, to_origin, among)
        return self.xp.if_positive(self.noop, wider, among)

    @property
    def gap(self) -> Any:  # noqa: D102
        first = self.patterns[0]
        return None if self.count == 1 else self.xp.min((first - self.patterns[1:]) @ first)

    def displacement(self, ball: Any, others: float = 2.0, slot: float = 1.0, reach: float = 2.0) -> Any:
        r""":math:`\varepsilon(R) = 2m(M-1)e^{-\beta(\Delta_1-2mR)} + m n e^{-\beta(\|\xi_1\|^2-mR)}`."""
        a, b = self._rivals(ball, reach)
        return self.radius * (others * a + slot * b)

    def lipschitz(self, ball: Any, others: float = 4.0) -> Any:
        r""":math:`L(R) = \beta m^2(4(M-1)e^{-\beta(\Delta_1-2mR)} + n e^{-\beta(\|\xi_1\|^2-mR)})`."""
        a, b = self._rivals(ball)
        return self.beta * self.radius * self.radius * (others * a + b)

    def _rivals(self, ball: Any, reach: float = 2.0) -> tuple[Any, Any]:
        first, moved = self.patterns[0], self.radius * ball
        slot = self.xp.exp(self.xp.log(self.noop) - self.beta * (first @ first - moved))
        if self.gap is None:
            return 0 * slot, slot
        return (self.count - 1) * self.xp.exp(-self.beta * (self.gap - reach * moved)), slot

    @functools.cached_property
    def top(self) -> Any:
        r""":math:`G = \lambda_{\max}(\Xi^\top\Xi)`."""
        return self.xp.largest_eigenvalue(self.patterns.T @ self.patterns)

    @functools.cached_property
    def start(self) -> Any:
        r""":math:`s = \|T(0)\| = \|\sum_\nu\xi_\nu\|/(n + M)`."""
        return self.xp.norm(self.patterns.T.sum(-1)) / (self.noop + self.count)

    @property
    def noop_reach(self) -> Any:
        r""":math:`w = m + s`, or 1 if all patterns are zero."""
        reach = self.radius + self.start
        return self.xp.if_positive(reach, reach, 1 + 0 * reach)

    def from_zero(self, ball: Any, start: float = 1.0, top: float = 1.0) -> Any:
        r""":math:`E(R) = s + G(e^{\beta wR} - 1)/(w(n + M))`."""
        w = self.noop_reach
        grown = self.xp.exp(self.beta * w * ball) - 1
        return start * self.start + top * self.top * grown / (w * (self.noop + self.count))

    def lipschitz_at_zero(self, ball: Any, top: float = 1.0, rate: float = 1.0) -> Any:
        r""":math:`L(R) = \beta Ge^{\beta wR}/(n + M)`."""
        return (
            top
            * self.beta
            * self.top
            * self.xp.exp(rate * self.beta * self.noop_reach * ball)
            / (self.noop + self.count)
        )

    def in_ball(self, ball: Any, direction: Any) -> Any:
        r"""Return :math:`\xi_1 + R\,v/\max(m, \|v\|)`, a point of the ball of radius R around the first pattern."""
        length = self.xp.norm(direction)
        scale = self.xp.if_positive(length - self.radius, length, self.radius)
        # both are zero: any scale will do
        return self.patterns[0] + ball * direction / self.xp.if_positive(scale, scale, 1 + 0 * scale)

    def square(self, *states: Any) -> Any:
        r"""Return the scale of energies, :math:`m^2 + \sum\|x\|^2 + 1/\beta`."""
        return self.radius * self.radius + sum(x @ x for x in states) + 1 / self.beta

    def length(self, *states: Any) -> Any:
        """Return the scale of lengths, the root of :meth:`square`."""
        return self.xp.sqrt(self.square(*states))
