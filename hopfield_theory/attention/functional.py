r"""Softmax_n attention with the signature of PyTorch's ``scaled_dot_product_attention``.

It adds to :mod:`hopfield_theory.fused` what models need: grouped heads, a default scale, dropout, autocast, nested
tensors and learnt scales. Where no operator drops weights (none does on a CPU), dropout needs all of them, and the
plain formula is computed; the rest is fused.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor

from hopfield_theory.fused.attention import attend_at_once, drops_weights, fused_attention
from hopfield_theory.fused.grouped_heads import group_size, repeated_heads
from hopfield_theory.model.separation import softmax_n

__all__ = ["softmax_n_attention", "softmax_n_weights"]

_FEW_QUERIES = 64


def softmax_n_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | Tensor | None = None,
    enable_gqa: bool = False,
    *,
    n: float | Tensor | None = None,
    log_n: float | Tensor | None = None,
    return_lse: bool = False,
) -> Any:
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
    scale : float or Tensor, optional
        By default ``1/√E``. A tensor broadcasts to (..., H, L, 1) and has its gradient.
    enable_gqa : bool
        Whether groups of query heads share a key and value head.
    n : float or Tensor, optional
        No-op mass, at least 0, by default 1; a tensor broadcasts to (..., H, L, 1): one number per head has the shape
        (H, 1, 1).
    log_n : float or Tensor, optional
        Its logarithm in place of ``n``; may require a gradient.
    return_lse : bool
        Also return :math:`\log(n + \sum_\nu e^{z_\nu})`, differentiable; not with dropout.

    Returns
    -------
    Tensor, shape (..., H, L, V)
    lse : Tensor, shape (..., H, L)
        Only with ``return_lse``.

    Raises
    ------
    ValueError
        For shapes that do not fit, numbers out of range, or a mask together with ``is_causal``.
    TypeError
        For dtypes that differ or are not floating point, or a mask that is no tensor.
    NotImplementedError
        For second derivatives of the fused pass.

    Notes
    -----
    Under autocast, query, key and value are cast like the arguments of PyTorch's attention. A NaN in a key or value
    reaches every query that sees it, and a query with NaN gives NaN, as for PyTorch's attention; on a CPU, as there, it
    may give zeros where the keys are fewer than a vector of the processor holds (8 or 16). Nested tensors, jagged or
    strided, are attended to sequence by sequence, without a mask.

    Examples
    --------
    >>> query, key, value = torch.zeros(1, 2, 4), torch.zeros(1, 3, 4), torch.ones(1, 3, 4)
    >>> softmax_n_attention(query, key, value, n=1.0)[0, 0, 0]
    tensor(0.7500)
    >>> softmax_n_attention(query, key, value, attn_mask=torch.zeros(2, 3, dtype=torch.bool)).abs().max()
    tensor(0.)
    """
    if query.is_nested:
        return _nested(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa, n, log_n, return_lse)
    if attn_mask is log_n is None and dropout_p == 0.0 and not (enable_gqa or return_lse):
        found = attend_at_once(query, key, value, n, scale, is_causal)
        if found is not None:
            return found
    if not 0.0 <= dropout_p <= 1.0:
        raise ValueError(f"dropout_p is {dropout_p}: it must be in [0, 1]")
    attn_mask, is_causal = masked(attn_mask, is_causal, query, key)
    query, key, value = _autocast(query, key, value)
    query, scale = _scaled(query, scale)
    if dropout_p > 0.0 and return_lse:
        raise ValueError("return_lse is True: it must not be set together with dropout")
    groups = 1
    if enable_gqa and dropout_p > 0.0:
        key, value = (repeated_heads(query, x, name) for x, name in ((key, "key"), (value, "value")))
        enable_gqa = False
    plain = dropout_p > 0.0 and not drops_weights(query, key, value, attn_mask, scale, is_causal, dropout_p)
    if enable_gqa:
        # queries of a group are more queries of one head, where no mask tells them apart
        alike = attn_mask is None or (attn_mask.shape[-2:-1] in ((), (1,)) and attn_mask.shape[-3:-2] in ((), (1,)))
        # a GPU has operators for groups, which only few queries outrun
        alike = alike and (not query.is_cuda or 1 < query.shape[-2] <= _FEW_QUERIES)
        if alike and not is_causal and key.shape[-3:-2] == value.shape[-3:-2]:
            groups = group_size(query, key, "key")
            query = query.unflatten(-3, (-1, groups)).flatten(-3, -2)
            n = _packed_mass(n, groups, query.shape[-2])
            log_n = _packed_mass(log_n, groups, query.shape[-2])
            enable_gqa = False
    if plain:
        weights = softmax_n_weights(query, key, attn_mask, is_causal, scale, n=n, log_n=log_n)
        return torch.nn.functional.dropout(weights, dropout_p) @ value
    found = fused_attention(
        query, key, value, n, log_n=log_n, beta=scale, mask=attn_mask, is_causal=is_causal, return_lse=return_lse,
        enable_gqa=enable_gqa, dropout_p=0.0 if plain else dropout_p,
    )  # fmt: skip
    if groups == 1:
        return found
    out, lse = found if return_lse else (found, None)
    out = out.unflatten(-2, (groups, -1)).flatten(-4, -3)
    return out if lse is None else (out, lse.unflatten(-1, (groups, -1)).flatten(-3, -2))


def softmax_n_weights(
    query: Tensor,
    key: Tensor,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | Tensor | None = None,
    *,
    n: float | Tensor | None = None,
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
    attn_mask, is_causal = masked(attn_mask, is_causal, query, key)
    work = torch.promote_types(query.dtype, torch.float32)
    query, scale = _scaled(query, scale)
    scores = (query.to(work) * scale) @ key.to(work).mT
    return softmax_n_of_scores(scores, attn_mask, is_causal, n=n, log_n=log_n).to(query.dtype)


def softmax_n_of_scores(
    scores: Tensor,
    attn_mask: Tensor | None,
    is_causal: bool,
    *,
    n: float | Tensor | None = None,
    log_n: float | Tensor | None = None,
) -> Tensor:
    """Return softmax_n of scores (..., L, S) under a mask."""
    if is_causal:
        rows, columns = (torch.arange(size, device=scores.device) for size in scores.shape[-2:])
        scores = scores.masked_fill(columns > rows[:, None], -math.inf)
    if attn_mask is not None:
        boolean = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -math.inf) if boolean else scores + attn_mask
    return softmax_n(scores, n, log_n=log_n)


def _scaled(query: Tensor, scale: float | Tensor | None) -> tuple[Tensor, float]:
    """Return queries and a number: a scale that is a tensor, and may learn, is multiplied into the queries."""
    if scale is None:
        return query, 1.0 / math.sqrt(max(1, query.shape[-1]))
    if isinstance(scale, Tensor):
        return (query * scale).to(query.dtype), 1.0
    if not -math.inf < scale < math.inf:
        raise ValueError(f"scale is {scale}: it must be a finite number")
    return query, float(scale)


def masked(mask: Tensor | None, is_causal: bool, query: Tensor, key: Tensor) -> tuple[Tensor | None, bool]:
    """Check a mask, and write PyTorch's ``CausalBias``, which holds no numbers, as a mask that does."""
    if mask is None:
        return None, is_causal
    if not isinstance(mask, Tensor):
        raise TypeError(f"attn_mask is {type(mask).__name__}: it must be a tensor")
    if is_causal:
        raise ValueError("is_causal must not be set together with attn_mask: put the causal part into the mask")
    if type(mask) not in (Tensor, torch.nn.Parameter):
        # this loads PyTorch's compiler, which takes seconds
        from torch.nn.attention.bias import CausalBias, CausalVariant

        if isinstance(mask, CausalBias):
            length, keys = query.shape[-2], key.shape[-2]
            if (mask.seq_len_q, mask.seq_len_kv) != (length, keys):
                raise ValueError(
                    f"attn_mask is causal for {mask.seq_len_q} queries and {mask.seq_len_kv} keys: there are {length} "
                    f"and {keys}"
                )
            if mask.variant == CausalVariant.UPPER_LEFT or length == keys:
                return None, True
            return torch.ones(length, keys, dtype=torch.bool, device=query.device).tril(keys - length), False
    if mask.dtype != torch.bool and not mask.is_floating_point():
        raise TypeError(f"attn_mask is {mask.dtype}: it must be boolean (True takes part) or floating point (added)")
    return mask, False


def _packed_mass(mass: Any, groups: int, rows: int) -> Any:
    """Make a mass that broadcasts to (..., H, L, 1) one for packed queries."""
    if not isinstance(mass, Tensor) or mass.dim() < 2 or groups == 1:
        return mass
    length = rows // groups
    if mass.dim() == 2 or mass.shape[-3] == 1:
        return mass if mass.shape[-2] == 1 else mass.repeat(*(1,) * (mass.dim() - 2), groups, 1)
    mass = mass.expand(*mass.shape[:-2], length, mass.shape[-1])
    return mass.unflatten(-3, (-1, groups)).flatten(-3, -2)


def _nested(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, *others: Any) -> Tensor:
    """Attend sequence by sequence; the result has the layout of the queries."""
    *arguments, return_lse = others
    if mask is not None or return_lse:
        raise ValueError("nested tensors are taken without attn_mask and return_lse")
    rows = zip(query.unbind(), key.unbind(), value.unbind(), strict=True)
    outs = [softmax_n_attention(q, k, v, None, *arguments[:4], n=arguments[4], log_n=arguments[5]) for q, k, v in rows]
    if query.layout != torch.jagged:
        return torch.nested.as_nested_tensor(outs)
    values = torch.cat([out.transpose(-3, -2) for out in outs])
    return torch.nested.nested_tensor_from_jagged(values, cast("Any", query).offsets()).transpose(1, 2)


def _autocast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Cast as autocast does for attention: it does not know the operators used here."""
    kind = tensors[0].device.type
    # the question whether a device has autocast cannot be traced
    if not (kind in ("cpu", "cuda") or torch.amp.is_autocast_available(kind)) or not torch.is_autocast_enabled(kind):
        return tensors
    dtype = torch.get_autocast_dtype(kind)
    return tuple(x if x.dtype == torch.float64 else x.to(dtype) for x in tensors)
