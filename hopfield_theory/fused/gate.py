r"""The no-op slot as a gate of finished attention.

.. math:: \ell_n = \mathrm{logaddexp}(\ell, \log n), \quad o_n = o\, e^{\ell - \ell_n}, \quad
          \partial L/\partial\log n = -e^{\log n - \ell_n}\,\langle \partial L/\partial o_n, o_n\rangle,

with the log-sum-exp :math:`\ell` of a query's scores and its softmax average :math:`o`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hopfield_theory.fused import kernels

__all__ = ["FEW", "gate_", "gate_seen_", "mass_gradient"]

# below it, launching two or three small kernels of PyTorch's is as quick as Triton's launcher
FEW = 1 << 21


def gate_(out: Tensor, lse: Tensor, log_n: Tensor | float) -> None:
    r"""Gate a softmax average in place.

    Parameters
    ----------
    out : Tensor, shape (B, H, L, V)
        :math:`o`, last stride 1; becomes :math:`o_n`, zeros where no key is seen.
    lse : Tensor, shape (B, H, L), float32
        :math:`\ell`; −∞ where no key is seen. It becomes :math:`\ell_n`, but 0 where no key is seen and n = 0.
        Where it is NaN, so is everything.
    log_n : Tensor or float
        A tensor broadcasts to (B, H, L).

    Examples
    --------
    >>> out, lse = torch.ones(1, 1, 1, 2), torch.zeros(1, 1, 1)
    >>> gate_(out, lse, 0.0)
    >>> out, lse.exp()
    (tensor([[[[0.5000, 0.5000]]]]), tensor([[[2.]]]))
    """
    if _in_triton(out):
        from hopfield_theory.fused.kernels import gate

        gate.gate_(out, lse, log_n)
        return
    mass = log_n.to(lse.dtype) if isinstance(log_n, Tensor) else lse.new_full((), log_n)
    joined = torch.logaddexp(lse, mass).expand(lse.shape)
    joined = joined.masked_fill(joined == -math.inf, 0.0)
    # what an operator leaves where no key is seen may be NaN
    out.masked_fill_((lse == -math.inf).unsqueeze(-1), 0.0)
    out.mul_(torch.exp(lse - joined).unsqueeze(-1))
    lse.copy_(joined)


def gate_seen_(out: Tensor, lse: Tensor, log_n: float, keep: bool) -> None:
    """Do what :func:`gate_` does where every query sees a key and ``log_n`` is a number, in fewer steps.

    Without ``keep`` nobody reads ``lse`` afterwards, and it may stay as it is.

    Examples
    --------
    >>> out, lse = torch.ones(1, 1, 1, 2), torch.zeros(1, 1, 1)
    >>> gate_seen_(out, lse, 0.0, True)
    >>> out, lse.exp()
    (tensor([[[[0.5000, 0.5000]]]]), tensor([[[2.]]]))
    """
    if log_n == -math.inf:
        return
    if (keep or out.numel() >= FEW) and _in_triton(out):
        from hopfield_theory.fused.kernels import gate

        gate.gate_(out, lse, log_n)
        return
    share = torch.sigmoid(lse if log_n == 0.0 else lse - log_n)
    if keep:
        lse.copy_(torch.logaddexp(lse, lse.new_full((), log_n)))
    out.mul_(share.unsqueeze(-1))


def mass_gradient(out: Tensor, grad: Tensor, lse: Tensor, log_n: Tensor) -> Tensor:
    r"""Return the gradient for :math:`\log n` of each query, shape (B, H, L), float32.

    Parameters
    ----------
    out, grad : Tensor, shape (B, H, L, V)
        :math:`o_n` and :math:`\partial L/\partial o_n`, last stride 1.
    lse : Tensor, shape (B, H, L)
        :math:`\ell_n`, as :func:`gate_` leaves it.
    log_n : Tensor
        Broadcasts to (B, H, L).

    Examples
    --------
    >>> out, lse = torch.full((1, 1, 1, 2), 0.5), torch.tensor([[[2.0]]]).log()
    >>> mass_gradient(out, torch.ones(1, 1, 1, 2), lse, torch.zeros(1))
    tensor([[[-0.5000]]])
    """
    if _in_triton(out):
        from hopfield_theory.fused.kernels import gate

        return gate.mass_gradient(out, grad, lse, log_n)
    inner = (out.to(lse.dtype) * grad).sum(-1)
    return -torch.exp(log_n.to(lse.dtype) - lse) * inner


def _in_triton(out: Tensor) -> bool:
    # a compiler fuses the plain formula as well as a kernel does
    return out.is_cuda and not torch.compiler.is_compiling() and kernels.available()
