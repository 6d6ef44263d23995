r"""Softmax_n attention with the signature of PyTorch's ``scaled_dot_product_attention``.

It adds to :mod:`hopfield_theory.fused` what models need: grouped heads, a default scale, dropout, autocast, and learnt
masks. Dropout and learnt masks need the weights, so with them the plain formula is computed; everything else is fused.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hopfield_theory.fused.attention import fused_attention
from hopfield_theory.model.separation import softmax_n

__all__ = ["softmax_n_attention", "softmax_n_weights"]


def softmax_n_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    n: float | Tensor = 1.0,
    log_n: float | Tensor | None = None,
) -> Tensor:
    r"""Attend with :math:`p_\mu = e^{z_\mu} / (n + \sum_\nu e^{z_\nu})`, :math:`z = \text{scale}\cdot q K^\top`.

    It replaces :func:`torch.nn.functional.scaled_dot_product_attention`. Part of the weight goes to a no-op slot of
    mass n, which returns zero. ``n = 0`` is ordinary attention, ``n = 1`` that of OutEffHop (Softmax₁), and a learnt
    ``log_n`` with one number per head is an attention sink.

    Parameters
    ----------
    query : Tensor, shape (..., H, L, E)
        Floating point. Leading shapes of the three broadcast.
    key : Tensor, shape (..., G, S, E)
        G is H; with ``enable_gqa`` H may be a multiple of it.
    value : Tensor, shape (..., G, S, V)
    attn_mask : Tensor, optional
        Broadcasts to (..., H, L, S): boolean (``True`` takes part) or added to the scores (finite or ``−inf``). A query
        that may see no key gets zeros, and finite gradients.
    dropout_p : float, in [0, 1]
        Probability with which a weight is dropped; the others grow by ``1/(1 − dropout_p)``.
    is_causal : bool
        Query ``i`` sees only the keys ``j ≤ i``, also if L and S differ. Not together with a mask.
    scale : float, optional
        By default ``1/√E``.
    enable_gqa : bool
        Whether groups of query heads share a key and value head.
    n : float or Tensor
        No-op mass, at least 0; a tensor broadcasts to (..., H, L, 1): one number per head has the shape (H, 1, 1).
    log_n : float or Tensor, optional
        Its logarithm in place of ``n``; may require a gradient.

    Returns
    -------
    Tensor, shape (..., H, L, V)

    Raises
    ------
    ValueError
        For shapes that do not fit, numbers out of range, or a mask together with ``is_causal``.
    TypeError
        For dtypes that differ or are not floating point.
    NotImplementedError
        For second derivatives of the fused pass.

    Notes
    -----
    Under autocast, query, key and value are cast like the arguments of PyTorch's attention.

    Examples
    --------
    >>> query, key, value = torch.zeros(1, 2, 4), torch.zeros(1, 3, 4), torch.ones(1, 3, 4)
    >>> softmax_n_attention(query, key, value, n=1.0)[0, 0, 0]
    tensor(0.7500)
    >>> softmax_n_attention(query, key, value, attn_mask=torch.zeros(2, 3, dtype=torch.bool)).abs().max()
    tensor(0.)
    """
    if not 0.0 <= dropout_p <= 1.0:
        raise ValueError(f"dropout_p is {dropout_p}: it must be in [0, 1]")
    if scale is not None and not -math.inf < scale < math.inf:
        raise ValueError(f"scale is {scale}: it must be a finite number")
    if is_causal and attn_mask is not None:
        raise ValueError("is_causal must not be set together with attn_mask: put the causal part into the mask")
    query, key, value = _autocast(query, key, value)
    if enable_gqa:
        key, value = (repeated_heads(query, x, name) for x, name in ((key, "key"), (value, "value")))
    scale = 1.0 / math.sqrt(max(1, query.shape[-1])) if scale is None else scale
    if dropout_p == 0.0 and not (attn_mask is not None and attn_mask.requires_grad):
        return fused_attention(query, key, value, n, log_n=log_n, beta=scale, mask=attn_mask, is_causal=is_causal)
    weights = softmax_n_weights(query, key, attn_mask, is_causal=is_causal, scale=scale, n=n, log_n=log_n)
    return torch.nn.functional.dropout(weights, dropout_p) @ value


def softmax_n_weights(
    query: Tensor,
    key: Tensor,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    *,
    n: float | Tensor = 1.0,
    log_n: float | Tensor | None = None,
) -> Tensor:
    r"""Return the weights :math:`p_\mu` of softmax_n attention: L × S numbers, twice differentiable.

    Parameters and errors are the same as in :func:`softmax_n_attention`.

    Returns
    -------
    Tensor, shape (..., H, L, S)
        Same dtype as ``query``; computed in float32 at least. A row sums to 1 minus the weight of the no-op slot.

    Examples
    --------
    >>> softmax_n_weights(torch.zeros(1, 4), torch.zeros(3, 4), n=1.0)
    tensor([[0.2500, 0.2500, 0.2500]])
    """
    scale = 1.0 / math.sqrt(max(1, query.shape[-1])) if scale is None else scale
    work = torch.promote_types(query.dtype, torch.float32)
    scores = (query.to(work) * scale) @ key.to(work).mT
    if is_causal:
        rows, columns = (torch.arange(size, device=query.device) for size in scores.shape[-2:])
        scores = scores.masked_fill(columns > rows[:, None], -math.inf)
    if attn_mask is not None:
        boolean = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -math.inf) if boolean else scores + attn_mask
    return softmax_n(scores, n, log_n=log_n).to(query.dtype)


def _autocast(*tensors: Tensor) -> list[Tensor]:
    """Cast as autocast does for attention: it does not know the operators used here."""
    kind = tensors[0].device.type
    if not torch.is_autocast_enabled(kind):
        return list(tensors)
    dtype = torch.get_autocast_dtype(kind)
    return [x if x.dtype == torch.float64 else x.to(dtype) for x in tensors]


def repeated_heads(query: Tensor, x: Tensor, name: str) -> Tensor:
    """Repeat key or value heads for the query heads of their group."""
    if min(query.dim(), x.dim()) < 3 or x.shape[-3] == 0 or query.shape[-3] % x.shape[-3]:
        raise ValueError(
            f"query {tuple(query.shape)} and {name} {tuple(x.shape)}: the heads, third from last, must be a multiple"
        )
    return x.repeat_interleave(query.shape[-3] // x.shape[-3], -3)
