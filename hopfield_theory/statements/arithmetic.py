"""The few operations that statements are written in, and their evaluation by torch.

A statement is written once, for one instance: vectors have shape (d,), pattern sets (M, d), numbers (). Operators,
indexing and ``@`` work on torch tensors and on object arrays of balls; the other operations are named here. Torch
evaluates batches through ``torch.vmap``, with gradients; :mod:`hopfield_theory.verification.ball_arithmetic` evaluates
in balls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

__all__ = ["Arithmetic", "Floats"]


class Arithmetic(Protocol):
    """Operations on the last axis of arrays, for any kind of numbers."""

    def number(self, x: float) -> Any:
        """Return a Python number exactly (a float is a binary fraction)."""
        ...

    def stack(self, numbers: list[Any]) -> Any:
        """Return numbers as an array, shape (k,)."""
        ...

    def rows(self, upper: Any, lower: Any) -> Any:
        """Return the rows of two matrices as one."""
        ...

    def exp(self, x: Any) -> Any:
        """Exponential; ``exp(-inf) = 0``."""
        ...

    def log(self, x: Any) -> Any:
        """Natural logarithm; ``log 0 = -inf``."""
        ...

    def sqrt(self, x: Any) -> Any:
        """Square root; a number below zero, which is rounding, counts as zero."""
        ...

    def abs(self, x: Any) -> Any:
        """Absolute value."""
        ...

    def sum(self, x: Any) -> Any:
        """Sum over the last axis."""
        ...

    def max(self, x: Any) -> Any:
        """Largest along the last axis."""
        ...

    def min(self, x: Any) -> Any:
        """Smallest along the last axis."""
        ...

    def descending(self, x: Any) -> Any:
        """Sort a vector, the largest first."""
        ...

    def cumulative(self, x: Any) -> Any:
        """Return the cumulative sums of a vector."""
        ...

    def norm(self, x: Any) -> Any:
        """Euclidean norm over the last axis."""
        ...

    def largest_eigenvalue(self, x: Any) -> Any:
        """Largest eigenvalue of a positive semi-definite matrix."""
        ...

    def log_sum_exp(self, x: Any, mass: Any) -> Any:
        """Return ``log(mass + Σ exp x)`` over the last axis, for ``mass >= 0``."""
        ...

    def if_positive(self, condition: Any, yes: Any, no: Any) -> Any:
        """Choose ``yes`` where a number is above 0, and ``no`` elsewhere."""
        ...

    def fixed_point(self, update: Callable[[Any], Any], jacobian: Callable[[Any], Any], start: Any) -> Any:
        """Return the fixed point to which the updates of ``start`` converge, or an enclosure of it."""
        ...


# Updates until an orbit is near its end, and Newton steps from there: those double the digits.
_UPDATES, _NEWTON_STEPS, _NEAR = 40, 6, 0.01


class Floats:
    """Double precision through torch, one instance at a time or under ``torch.vmap``.

    Examples
    --------
    >>> Floats().log_sum_exp(torch.zeros(3, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64)).exp()
    tensor(4.0000, dtype=torch.float64)
    """

    def number(self, x: float) -> Tensor:  # noqa: D102
        return torch.tensor(x, dtype=torch.float64)

    def stack(self, numbers: list[Tensor]) -> Tensor:  # noqa: D102
        return torch.stack(numbers)

    def rows(self, upper: Tensor, lower: Tensor) -> Tensor:  # noqa: D102
        return torch.cat([upper, lower])

    def exp(self, x: Tensor) -> Tensor:  # noqa: D102
        return x.exp()

    def log(self, x: Tensor) -> Tensor:  # noqa: D102
        return x.log()

    def sqrt(self, x: Tensor) -> Tensor:  # noqa: D102
        return x.clamp(min=0.0).sqrt()

    def abs(self, x: Tensor) -> Tensor:  # noqa: D102
        return x.abs()

    def sum(self, x: Tensor) -> Tensor:  # noqa: D102
        return x.sum(-1)

    def max(self, x: Tensor) -> Tensor:  # noqa: D102
        return x.amax(-1)

    def min(self, x: Tensor) -> Tensor:  # noqa: D102
        return x.amin(-1)

    def descending(self, x: Tensor) -> Tensor:  # noqa: D102
        return x.sort(descending=True).values

    def cumulative(self, x: Tensor) -> Tensor:  # noqa: D102
        return x.cumsum(-1)

    def norm(self, x: Tensor) -> Tensor:  # noqa: D102
        return torch.linalg.vector_norm(x, dim=-1)

    def largest_eigenvalue(self, x: Tensor) -> Tensor:  # noqa: D102
        return torch.linalg.eigvalsh(x)[..., -1]

    def log_sum_exp(self, x: Tensor, mass: Tensor) -> Tensor:  # noqa: D102
        return torch.logaddexp(torch.logsumexp(x, -1), mass.log())

    def if_positive(self, condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:  # noqa: D102
        return torch.where(condition > 0, yes, no)

    def fixed_point(  # noqa: D102
        self, update: Callable[[Tensor], Tensor], jacobian: Callable[[Tensor], Tensor], start: Tensor
    ) -> Tensor:
        identity = torch.eye(start.shape[-1], dtype=start.dtype, device=start.device)

        def newton(x: Tensor) -> Tensor:
            # no error where a fixed point is not isolated: NaN, which meets no hypothesis
            return x + torch.linalg.solve_ex(identity - jacobian(x), update(x) - x)[0]

        with torch.no_grad():
            end = start
            for _ in range(_UPDATES):
                end = update(end)
            x = end
            for _ in range(_NEWTON_STEPS - 1):
                x = newton(x)
        # a step from the fixed point has the derivative of the fixed point, whatever led there
        x = newton(x)
        # from a bottleneck Newton's method may jump elsewhere: the orbit must be near, and come nearer
        left, next_left = torch.linalg.vector_norm(end - x), torch.linalg.vector_norm(update(end) - x)
        arrives = (left <= _NEAR * torch.linalg.vector_norm(start)) & ((next_left < left) | (left <= 1e-12))
        return torch.where(arrives, x, torch.nan)
