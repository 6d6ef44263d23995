r"""Separation functions: how scores become weights.

A modern Hopfield model turns the scores :math:`z = \beta\,\Xi x` of a query into weights :math:`p` on the stored
patterns by the gradient of a convex function :math:`\Psi^*`, the conjugate of a (negative) entropy on the simplex:

===================  ===================================================  =================================
separation           :math:`\Psi^*(z)`                                    :math:`p = \nabla\Psi^*(z)`
===================  ===================================================  =================================
``SoftmaxN(0)``      :math:`\log\sum_\mu e^{z_\mu}`                       softmax (dense model)
``SoftmaxN(n)``      :math:`\log(n + \sum_\mu e^{z_\mu})`                 softmax_n (n = 1: Softmax₁)
``Entmax(α)``        :math:`\max_p \langle p, z\rangle - \Psi_\alpha(p)`  α-entmax (α = 2: sparsemax)
===================  ===================================================  =================================

Everything here is a composition of differentiable public operations, so derivatives of every order, ``vmap``,
``jacrev`` and ``torch.compile`` work. The fused versions for many patterns are in
:mod:`hopfield_theory.fused.attention`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from hopfield_theory import _arguments

__all__ = ["Entmax", "Separation", "SoftmaxN", "log_noop", "lse_n", "softmax_n"]


def log_noop(n: float | Tensor | None, log_n: float | Tensor | None = None) -> float | Tensor:
    r"""Return :math:`\log n` of a no-op mass given as ``n`` or as ``log_n``; it is 1 if both are ``None``.

    Parameters
    ----------
    n : float or Tensor, optional
        No-op mass, ``0 ≤ n < ∞``. The values of a tensor are not checked; a tensor that requires a gradient is
        refused, since :math:`\partial/\partial n` is infinite on the log scale at ``n = 0``.
    log_n : float or Tensor, optional
        Its logarithm, ``−∞ ≤ log_n < ∞``; may require a gradient.

    Returns
    -------
    float or Tensor
        ``log n``, ``−inf`` for ``n = 0``.

    Raises
    ------
    ValueError
        If a Python number is out of range, or both are given.
    TypeError
        If ``n`` is a tensor that requires a gradient, or either is no number.

    Examples
    --------
    >>> log_noop(1.0), log_noop(0.0), log_noop(None, log_n=-800.0)
    (0.0, -inf, -800.0)
    """
    if log_n is not None:
        if n is not None:
            raise ValueError(f"n is {n} and log_n {log_n}: one must be None")
        if not isinstance(log_n, Tensor) and not _number("log_n", log_n) < math.inf:
            raise ValueError(f"log_n is {log_n}: it must be below infinity (-inf stands for n = 0)")
        return log_n
    if n is None:
        return 0.0
    if isinstance(n, Tensor):
        if n.requires_grad:
            raise TypeError("n requires a gradient: learn its logarithm instead and pass it as log_n")
        # float32 at least, since the half types cannot hold the logarithm to their own relative precision
        return n.to(torch.promote_types(n.dtype, torch.float32)).log()
    if not 0 <= _number("n", n) < math.inf:
        raise ValueError(f"n is {n}: the no-op mass must be a finite number of at least 0")
    return math.log(n) if n > 0 else -math.inf


def _number(name: str, value: Any) -> Any:
    if not isinstance(value, Real):
        raise TypeError(f"{name} is {value!r}: it must be a number or a tensor")
    return value


def _exponentials(scores: Tensor, log_n: float | Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """``e^{z − s}``, ``n e^{−s} + Σ e^{z − s}`` and the shift ``s = max(log n, max z)``, in float32 or float64."""
    if not scores.is_floating_point():
        raise TypeError(f"scores are {scores.dtype}: they must be floating point")
    if not -scores.dim() <= dim < scores.dim():
        raise ValueError(f"dim is {dim}: it must be in [{-scores.dim()}, {scores.dim() - 1}] for {scores.dim()} axes")
    work = torch.promote_types(scores.dtype, torch.float32)
    z = scores.to(work)
    # a number is filled in where the scores are: a copy from the host would wait for the device
    log_n = z.new_full((), log_n) if isinstance(log_n, float) else torch.as_tensor(log_n, dtype=work, device=z.device)
    kept = list(z.shape)
    kept[dim] = 1
    try:
        # torch.broadcast_shapes loads sympy, which takes a second
        floor, _ = torch.broadcast_tensors(log_n.detach(), z.new_empty(()).expand(kept))
    except RuntimeError:
        floor = None
    if floor is None or floor.shape[dim] != 1:
        raise ValueError(
            f"n has shape {tuple(log_n.shape)}: it must broadcast to {tuple(kept)}, the shape of the scores with "
            f"length 1 along dim={dim}"
        )
    shift = floor if z.shape[dim] == 0 else torch.maximum(z.detach().amax(dim, keepdim=True), floor)
    # the value does not depend on the shift, so a detached shift gives exact derivatives; where nothing is finite,
    # any finite shift will do
    shift = torch.where(shift == -math.inf, torch.zeros_like(shift), shift)
    exponentials = torch.exp(z - shift)
    total = exponentials.sum(dim, keepdim=True) + torch.exp(log_n - shift)
    return exponentials, total, shift


def softmax_n(
    scores: Tensor, n: float | Tensor | None = None, dim: int = -1, *, log_n: float | Tensor | None = None
) -> Tensor:
    r"""Softmax with a no-op slot of mass ``n``: :math:`p_\mu = e^{z_\mu} / (n + \sum_\nu e^{z_\nu})`.

    Outputs and derivatives are finite for all scores that are finite or ``−inf`` and for every ``n``, in every dtype:
    the exponentials are shifted by ``max(log n, max z)``. A row of ``−inf`` gives zeros with zero gradient, at
    ``n = 0`` too.

    Parameters
    ----------
    scores : Tensor, shape (..., M, ...)
        Scaled overlaps :math:`z = \beta\,\Xi x`, floating point; half types are computed in float32.
    n : float or Tensor, optional
        No-op mass, ``n ≥ 0``: 0 is the ordinary softmax, 1 (the default) is Softmax₁. A tensor broadcasts against
        the scores with length 1 along ``dim``.
    dim : int
        The axis of the patterns.
    log_n : float or Tensor, optional
        :math:`\log n`, in place of ``n``; may require a gradient.

    Returns
    -------
    Tensor, shape and dtype of ``scores``
        Weights in [0, 1] with sum ``1 − p_0 ≤ 1``.

    Raises
    ------
    TypeError
        For scores that are not floating point, or ``n`` that requires a gradient.
    ValueError
        For a number ``n`` outside [0, ∞), a tensor whose shape does not fit, or both ``n`` and ``log_n``.

    References
    ----------
    Hu et al. 2024 (arXiv:2404.03828), with n = 1; Miller 2023, "Attention is off by one".

    Examples
    --------
    >>> softmax_n(torch.tensor([0.0, 0.0]), n=2.0)
    tensor([0.2500, 0.2500])
    >>> softmax_n(torch.full((2,), -torch.inf))
    tensor([0., 0.])
    """
    exponentials, total, _ = _exponentials(scores, log_noop(n, log_n), dim)
    return (exponentials / torch.where(total > 0, total, torch.ones_like(total))).to(scores.dtype)


def lse_n(
    scores: Tensor, n: float | Tensor | None = None, dim: int = -1, *, log_n: float | Tensor | None = None
) -> Tensor:
    r"""Log-sum-exp with a no-op slot of mass ``n``: :math:`\log(n + \sum_\mu e^{z_\mu})`.

    Its gradient is :func:`softmax_n`. The function :math:`\mathrm{lse}_n(\beta, s)` of the energies is
    ``lse_n(beta * s) / beta``.

    Parameters and errors are the same as in :func:`softmax_n`.

    Returns
    -------
    Tensor
        The shape of ``scores`` without ``dim``; ``−inf`` where ``n = 0`` and no score is finite.

    Examples
    --------
    >>> lse_n(torch.tensor([0.0, 0.0]), n=2.0).exp()
    tensor(4.)
    """
    _, total, shift = _exponentials(scores, log_noop(n, log_n), dim)
    empty = total == 0
    log_total = torch.log(torch.where(empty, torch.ones_like(total), total))
    return torch.where(empty, -math.inf, log_total + shift).squeeze(dim).to(scores.dtype)


@runtime_checkable
class Separation(Protocol):
    """Methods of a separation function that a memory calls; all three act on the last axis."""

    def weights(self, scores: Tensor) -> Tensor:
        """Weights ``p = ∇Ψ*(z)``, the shape of ``scores``."""
        ...

    def conjugate(self, scores: Tensor) -> Tensor:
        """The convex conjugate ``Ψ*(z)``, the shape of ``scores`` without the last axis."""
        ...

    def curvature(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """``s`` (the shape of ``weights``) and ``c`` (last axis 1) with ``∂p/∂z = diag(s) − s sᵀ / c``."""
        ...


@dataclass(frozen=True)
class SoftmaxN:
    """The separation of the dense (``noop = 0``) and the outlier-efficient (``noop > 0``) model.

    Parameters
    ----------
    noop : float
        No-op mass ``n``, finite and at least 0.

    Examples
    --------
    >>> SoftmaxN(2.0).weights(torch.zeros(2))
    tensor([0.2500, 0.2500])
    """

    noop: float = 1.0
    log_n: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "noop", _arguments.real("noop", self.noop, 0))
        object.__setattr__(self, "log_n", float(log_noop(self.noop)))

    def weights(self, scores: Tensor) -> Tensor:
        """:func:`softmax_n` over the last axis."""
        return softmax_n(scores, log_n=self.log_n)

    def conjugate(self, scores: Tensor) -> Tensor:
        """:func:`lse_n` over the last axis."""
        return lse_n(scores, log_n=self.log_n)

    def curvature(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """``s = p`` and ``c = 1``: the covariance of a multinomial whose no-op slot is left out."""
        return weights, torch.ones_like(weights[..., :1])


@dataclass(frozen=True)
class Entmax:
    r"""α-entmax, the separation of the sparse (α = 2, sparsemax) and the generalised sparse Hopfield models.

    :math:`p = \arg\max_{p \in \Delta} \langle p, z\rangle - \Psi_\alpha(p)` with the negative Tsallis entropy
    :math:`\Psi_\alpha(p) = \frac{1}{\alpha(\alpha-1)} \sum_\mu (p_\mu^\alpha - p_\mu)`; computed by the ``entmax``
    package. A row of ``−inf`` gives zeros, one with NaN or ``+inf`` gives NaN, as softmax does.

    Parameters
    ----------
    alpha : float
        ``1 < α < ∞``; 1.5 and 2 are computed by sorting, other values by bisection.

    References
    ----------
    Peters, Niculae and Martins 2019 (arXiv:1905.05702); Hu et al. 2023 (arXiv:2309.12673); Wu et al. 2024
    (arXiv:2312.17346).

    Examples
    --------
    >>> Entmax(2.0).weights(torch.tensor([1.0, 0.5, -3.0]))
    tensor([0.7500, 0.2500, 0.0000])
    """

    alpha: float

    def __post_init__(self) -> None:
        alpha = _arguments.real("alpha", self.alpha)
        if alpha <= 1:
            raise ValueError(f"alpha is {alpha}: it must be a finite number above 1 (SoftmaxN(0) is the limit 1)")
        object.__setattr__(self, "alpha", alpha)

    @property
    def margin(self) -> float:
        """The lead ``1/(α − 1)`` of one score over all others that gives its pattern all the weight."""
        return 1 / (self.alpha - 1)

    def weights(self, scores: Tensor) -> Tensor:
        """α-entmax over the last axis."""
        # loaded here: who never asks for it does not need the package
        import entmax

        z = scores.to(torch.promote_types(scores.dtype, torch.float32))
        if z.shape[-1] == 0:
            return scores
        # weights depend on differences alone, and a score that is 1/(α − 1) or more below the largest has none
        top = z.detach().amax(-1, keepdim=True)
        nothing, undefined = top == -math.inf, top.isnan() | (top == math.inf)
        # sorting fails on NaN, which these rows get in the end
        z = torch.where(undefined, 0.0, z)
        z = (z - torch.where(nothing | undefined, 0.0, top)).clamp(min=-2.0 * max(1.0, self.margin))
        if self.alpha == 2:
            p = entmax.sparsemax(z, dim=-1)
        elif self.alpha == 1.5:
            p = entmax.entmax15(z, dim=-1)
        else:
            p = entmax.entmax_bisect(z, alpha=self.alpha, dim=-1)
        return torch.where(undefined, math.nan, torch.where(nothing, 0.0, p)).to(scores.dtype)

    def conjugate(self, scores: Tensor) -> Tensor:
        """``⟨p, z⟩ − Ψ_α(p)`` at the maximiser ``p``."""
        z = scores.to(torch.promote_types(scores.dtype, torch.float32))
        p = self.weights(z)
        if z.shape[-1] == 0:
            return scores.new_full(z.shape[:-1], -math.inf)
        # the weights add up to 1; sums of scores near the largest float would overflow
        top = z.detach().amax(-1, keepdim=True)
        overlap = top.squeeze(-1) + (p * (z - top).masked_fill(p == 0, 0.0)).sum(-1)
        negative_entropy = (p**self.alpha - p).sum(-1) / (self.alpha * (self.alpha - 1))
        nothing = (z == -math.inf).all(-1)
        return torch.where(nothing, -math.inf, overlap - negative_entropy).to(scores.dtype)

    def curvature(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """``s = p^{2−α}`` on the support, 0 off it, and ``c = Σ s``."""
        s = torch.where(weights > 0, weights.clamp_min(torch.finfo(weights.dtype).tiny) ** (2 - self.alpha), 0.0)
        return s, s.sum(-1, keepdim=True)
