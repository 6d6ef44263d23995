r"""Fused association: queries, keys and values to values, by softmax_n, without ever holding queries × keys.

.. math:: o = \sum_\mu p_\mu v_\mu, \quad p = \mathrm{softmax}_n(\beta\, q K^\top), \quad
          \ell_n = \log(n + \sum_\mu e^{\beta\langle q, k_\mu\rangle}).

Two paths compute it, and one exact backward pass serves both ideas:

* the *flash* path: the no-op slot is a sigmoid gate of the ordinary log-sum-exp :math:`\ell`,
  :math:`o_n = o\, e^{\ell - \ell_n}` with :math:`\ell_n = \mathrm{logaddexp}(\ell, \log n)`, and the flash backward
  pass called with :math:`(o_n, \ell_n)` in place of :math:`(o, \ell)` is exact, since it only ever forms
  :math:`p = e^{s - \ell_n}` and :math:`\langle \partial L/\partial o_n, o_n\rangle`;
* the *chunked* path: triples (maximum, sum, weighted sum) over blocks of keys, merged associatively, with a backward
  pass that recomputes the weights block by block. It takes every dtype, device, mask and value width.

The gradient for the no-op mass is :math:`\partial L/\partial\log n = -\sum p_0 \langle \partial L/\partial o_n,
o_n\rangle`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hopfield_theory.model.separation import log_noop

__all__ = ["association", "association_with_lse"]

# numbers of scores that one block of the chunked path holds: 4 MiB in float32, about a core's share of cache
_BLOCK = 1 << 20

_flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
_flash_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward.default


def association(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    n: float | Tensor = 1.0,
    *,
    log_n: float | Tensor | None = None,
    beta: float = 1.0,
    mask: Tensor | None = None,
    is_causal: bool = False,
) -> Tensor:
    r"""Associate each query with a mixture of values: :math:`\mathrm{softmax}_n(\beta\, q K^\top)\, V`.

    Exact first derivatives for ``query``, ``key``, ``value`` and ``log_n``; second derivatives raise. Memory beyond
    the result is bounded by a constant plus what grows with the queries, never queries × keys.

    Parameters
    ----------
    query : Tensor, shape (..., L, E)
        Queries :math:`q`; floating point. Leading shapes of the three broadcast.
    key : Tensor, shape (..., S, E)
        Keys :math:`k_\mu`, of the dtype of ``query``.
    value : Tensor, shape (..., S, V)
        Values :math:`v_\mu`, of the dtype of ``query``.
    n : float or Tensor
        No-op mass, as in :func:`hopfield_theory.softmax_n`; a tensor broadcasts to (..., L, 1).
    log_n : float or Tensor, optional
        Its logarithm in place of ``n``; may require a gradient.
    beta : float
        Inverse temperature, a finite number.
    mask : Tensor, optional
        Broadcasts to (..., L, S): boolean (``True`` takes part) or added to the scores (finite or ``−inf``). It must
        not require a gradient.
    is_causal : bool
        Query ``i`` sees the keys ``j ≤ i`` alone.

    Returns
    -------
    Tensor, shape (..., L, V)
        Zeros for a query that sees no key.

    Raises
    ------
    ValueError
        For shapes that do not fit, or numbers out of range.
    TypeError
        For dtypes that differ or are not floating point, and for a mask that requires a gradient.

    Examples
    --------
    >>> key = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> association(torch.zeros(1, 2), key, key, n=2.0)
    tensor([[0.2500, 0.2500]])
    """
    return _associate(query, key, value, n, log_n, beta, mask, is_causal, with_lse=False)[0]


def association_with_lse(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    n: float | Tensor = 1.0,
    *,
    log_n: float | Tensor | None = None,
    beta: float = 1.0,
    mask: Tensor | None = None,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor]:
    r"""Like :func:`association`, with :math:`\ell_n = \log(n + \sum_\mu e^{z_\mu})` of the same pass beside it.

    Parameters, errors
        Those of :func:`association`.

    Returns
    -------
    tuple of Tensor
        The values (..., L, V), and :math:`\ell_n` (..., L): float64 for float64 input, float32 else; ``−inf`` for a
        query that sees no key at ``n = 0``. Both are differentiable.

    Examples
    --------
    >>> key = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> association_with_lse(torch.zeros(1, 2), key, key, n=2.0)[1].exp()
    tensor([4.])
    """
    return _associate(query, key, value, n, log_n, beta, mask, is_causal, with_lse=True)


def _associate(query, key, value, n, log_n, beta, mask, is_causal, *, with_lse: bool) -> tuple[Tensor, Tensor]:
    lead = _check(query, key, value, beta, mask)
    length, num_keys = query.shape[-2], key.shape[-2]
    work = torch.promote_types(query.dtype, torch.float32)
    log_n = torch.as_tensor(log_noop(n, log_n), dtype=work, device=query.device)
    try:
        log_n = log_n.expand(*lead, length, 1)
        if mask is not None:
            mask.expand(*lead, length, num_keys)
    except RuntimeError as error:
        raise ValueError(
            f"n of shape {tuple(log_n.shape)} and mask of shape {None if mask is None else tuple(mask.shape)} must "
            f"broadcast to {(*lead, length, 1)} and {(*lead, length, num_keys)}"
        ) from error
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.to(work)

    def four_axes(tensor: Tensor) -> Tensor:
        tensor = tensor.expand(*lead, *tensor.shape[-2:])
        if len(lead) > 2:
            return tensor.flatten(0, -4)
        return tensor.reshape((1,) * (2 - len(lead)) + tensor.shape)

    def mask_axes(mask: Tensor) -> Tensor:
        # what a mask has in common for heads or queries stays in one place
        mask = mask.reshape((1,) * (len(lead) + 2 - mask.dim()) + mask.shape)
        mask = mask.expand(*mask.shape[:-1], num_keys)
        return four_axes(mask) if len(lead) > 2 else mask.reshape((1,) * (2 - len(lead)) + mask.shape)

    out, lse = _Association.apply(
        four_axes(query),
        four_axes(key),
        four_axes(value),
        four_axes(log_n).squeeze(-1),
        None if mask is None else mask_axes(mask),
        beta,
        is_causal,
        with_lse,
    )
    return out.reshape(*lead, length, value.shape[-1]), lse.reshape(*lead, length)


def _check(query: Tensor, key: Tensor, value: Tensor, beta: float, mask: Tensor | None) -> torch.Size:
    """Refuse what cannot be associated; return the common leading shape."""
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        if tensor.dim() < 2:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}: it must have at least two axes")
        if not tensor.is_floating_point() or tensor.dtype != query.dtype:
            raise TypeError(f"{name} is {tensor.dtype}: query, key and value must share one floating point dtype")
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ValueError(
            f"query {tuple(query.shape)}, key {tuple(key.shape)} and value {tuple(value.shape)} do not fit: they must "
            "be (..., L, E), (..., S, E) and (..., S, V)"
        )
    # comparisons can be traced where the size, and so the scale, is symbolic
    if not -math.inf < beta < math.inf:
        raise ValueError(f"beta is {beta}: it must be a finite number")
    if mask is not None:
        if mask.requires_grad:
            raise TypeError("mask requires a gradient: masks are constants here")
        if mask.dtype != torch.bool and not mask.is_floating_point():
            raise TypeError(f"mask is {mask.dtype}: it must be boolean or floating point")
    try:
        return torch.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    except RuntimeError as error:
        raise ValueError(
            f"the leading shapes of query {tuple(query.shape)}, key {tuple(key.shape)} and value {tuple(value.shape)} "
            "do not broadcast"
        ) from error


def _fold(info, in_dims, args):
    """Fold the axis that ``vmap`` adds into the first of the four: the operators have no batching rule."""
    args = [
        arg
        if not isinstance(arg, Tensor)
        else arg.expand(info.batch_size, *arg.shape)
        if dim is None
        else arg.movedim(dim, 0)
        for arg, dim in zip(args, in_dims, strict=True)
    ]
    # a mask may have one entry for all of that axis
    first = max(arg.shape[1] for arg in args if isinstance(arg, Tensor))
    return [
        arg.expand(info.batch_size, first, *arg.shape[2:]).flatten(0, 1) if isinstance(arg, Tensor) else arg
        for arg in args
    ]


def _unfold(info, outputs):
    outputs = tuple(output.unflatten(0, (info.batch_size, -1)) for output in outputs)
    return outputs, (0,) * len(outputs)


class _Association(torch.autograd.Function):
    """``(o_n, ℓ_n)`` of four-axis tensors, and its exact backward pass."""

    @staticmethod
    def forward(query, key, value, log_n, mask, beta, is_causal, with_lse):
        if _flash_applies(query, key, value, mask, beta, is_causal):
            return _flash_forward(query, key, value, log_n, mask, beta, is_causal)
        return _chunked_forward(query, key, value, log_n, mask, beta, is_causal)

    @staticmethod
    def setup_context(ctx, inputs, output):
        query, key, value, log_n, mask, ctx.beta, ctx.is_causal, ctx.with_lse = inputs
        ctx.save_for_backward(query, key, value, log_n, mask, *output)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, grad_out, grad_lse):  # pyright: ignore[reportIncompatibleMethodOverride]
        query, key, value, log_n, mask, out, lse = ctx.saved_tensors
        # a compiled graph passes zeros for what nobody used
        grad_lse = grad_lse if ctx.with_lse else None
        if grad_out is None and grad_lse is None:
            return (None,) * 8
        if grad_out is None:
            grad_out = torch.zeros_like(out)
        grads = _AssociationBackward.apply(
            grad_out, grad_lse, query, key, value, log_n, mask, out, lse, ctx.beta, ctx.is_causal
        )
        return (*grads, None, None, None, None)

    @staticmethod
    def vmap(info, in_dims, *args):
        return _unfold(info, _Association.apply(*_fold(info, in_dims, args)))


class _AssociationBackward(torch.autograd.Function):
    """The backward pass as a function of its own, so that differentiating it again is refused, not wrong."""

    @staticmethod
    def forward(grad_out, grad_lse, query, key, value, log_n, mask, out, lse, beta, is_causal):
        # ℓ_n = −∞ only where n = 0 and no key is seen: there every weight is zero, which any finite value gives
        lse = torch.where(lse == -math.inf, 0.0, lse)
        inner = (grad_out.to(lse.dtype) * out).sum(-1)
        if grad_lse is not None:
            inner = inner - grad_lse
        grad_log_n = -torch.exp(log_n - lse) * inner
        # the flash backward pass recomputes `inner` from grad_out and out, and works on one thread a head
        heads = query.shape[0] * query.shape[1]
        if grad_lse is None and heads >= _threads() and _flash_applies(query, key, value, mask, beta, is_causal):
            query, key, value, grad_out, out = (_unit_stride(t) for t in (query, key, value, grad_out, out))
            grads = _flash_backward(
                grad_out, query, key, value, out, lse, 0.0, is_causal, attn_mask=_additive(mask, query), scale=beta
            )
            return (*grads, grad_log_n)
        grads = _chunked_backward(grad_out, inner, query, key, value, lse, mask, beta, is_causal)
        return (*grads, grad_log_n)

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, *grads):
        raise NotImplementedError(
            "the fused association has first derivatives only: for second ones use softmax_n(beta * q @ k.mT) @ v"
        )

    @staticmethod
    def vmap(info, in_dims, *args):
        return _unfold(info, _AssociationBackward.apply(*_fold(info, in_dims, args)))


def _flash_applies(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, beta: float, is_causal: bool
) -> bool:
    """Whether PyTorch's CPU flash operator computes this correctly: it crashes or errs on all the rest."""
    return (
        query.device.type == "cpu"
        and query.dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64)
        and query.shape[-1] == value.shape[-1]
        and min(*query.shape, key.shape[-2]) > 0
        and not (is_causal and (mask is not None or query.shape[-2] != key.shape[-2]))
        # it multiplies the −∞ of what is masked by the scale, and rounds a mask to the dtype of the query
        and beta != 0
        and not (mask is not None and mask.is_floating_point() and query.dtype.itemsize < 4)
    )


def _threads() -> int:
    # the number cannot be traced; a compiled graph takes the operators as they are
    return 1 if torch.compiler.is_compiling() else torch.get_num_threads()


def _unit_stride(tensor: Tensor) -> Tensor:
    # the operator reads rows as if they were dense
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


def _additive(mask: Tensor | None, query: Tensor) -> Tensor | None:
    """The mask as the flash operator takes it: four axes that broadcast, added to the scores, the query's dtype."""
    if mask is None:
        return None
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(~mask, -math.inf)
    return mask.to(query.dtype).contiguous()


def _flash_forward(query, key, value, log_n, mask, beta, is_causal):
    query, key, value = (_unit_stride(t) for t in (query, key, value))
    additive = _additive(mask, query)
    threads = _threads()
    # the operator shares out queries over its threads, never keys
    if additive is None and not is_causal and query.shape[:2] == (1, 1) and query.shape[-2] <= 16 * threads:
        out, lse = _flash_split(query, key, value, beta, threads)
    else:
        out, lse = _flash(query, key, value, 0.0, is_causal, attn_mask=additive, scale=beta)
    if additive is not None:
        # the operator reports 0 where nothing was summed
        lse = torch.where((additive == -math.inf).all(-1), -math.inf, lse)
    lse_n = torch.logaddexp(lse, log_n.to(lse.dtype))
    gate = torch.exp(lse - torch.where(lse_n == -math.inf, 0.0, lse_n))
    return (out * gate.unsqueeze(-1)).to(out.dtype), lse_n


def _flash_split(query, key, value, beta, parts):
    """A few queries on many keys: the keys as ``parts`` heads and a remainder, merged by their log-sum-exps."""
    size = key.shape[-2] // parts
    pieces = []
    if size:
        heads = [t[0, 0, : parts * size].unflatten(0, (parts, size)).unsqueeze(0) for t in (key, value)]
        pieces.append(_flash(query.expand(1, parts, -1, -1), *heads, scale=beta))
    if key.shape[-2] > parts * size:
        pieces.append(_flash(query, key[..., parts * size :, :], value[..., parts * size :, :], scale=beta))
    outs, lses = (torch.cat(tensors, 1) for tensors in zip(*pieces, strict=True))
    shares = torch.softmax(lses, 1).unsqueeze(-1)
    return (outs * shares).sum(1, keepdim=True).to(outs.dtype), lses.logsumexp(1, keepdim=True)


def _blocks(length: int, size: int):
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


def _block_sizes(query: Tensor, key: Tensor) -> tuple[int, int]:
    """Rows of queries and of keys whose scores, over all leading axes, fit a block."""
    room = max(1, _BLOCK // max(1, query.shape[0] * query.shape[1]))
    rows = min(max(1, query.shape[-2]), max(1, math.isqrt(room)))
    return rows, max(1, room // rows)


def _scores(query, key, mask, beta, is_causal, rows, columns):
    """Scores of one block, in the dtype of the accumulators, masked."""
    work = torch.promote_types(query.dtype, torch.float32)
    scores = (query[..., rows, :].to(work) * beta) @ key[..., columns, :].to(work).mT
    if mask is not None:
        part = mask.expand(*mask.shape[:2], query.shape[-2], key.shape[-2])[..., rows, columns]
        scores = scores.masked_fill(~part, -math.inf) if part.dtype == torch.bool else scores + part
    if is_causal:
        row = torch.arange(rows.start, rows.stop, device=query.device)
        column = torch.arange(columns.start, columns.stop, device=query.device)
        scores = scores.masked_fill(column > row[:, None], -math.inf)
    return scores


def _chunked_forward(query, key, value, log_n, mask, beta, is_causal):
    row_size, column_size = _block_sizes(query, key)
    outs, lses = [], []
    for rows in _blocks(query.shape[-2], row_size):
        # the no-op slot is the first summand: value zero, score log n
        top = log_n[..., rows, None]
        total = (top > -math.inf).to(top.dtype)
        weighted = torch.zeros_like(top)
        for columns in _blocks(key.shape[-2], column_size):
            scores = _scores(query, key, mask, beta, is_causal, rows, columns)
            new_top = torch.maximum(top, scores.amax(-1, keepdim=True))
            shift = torch.where(new_top == -math.inf, 0.0, new_top)
            rescale = torch.exp(top - shift)
            exponentials = torch.exp(scores - shift)
            total = total * rescale + exponentials.sum(-1, keepdim=True)
            weighted = weighted * rescale + exponentials @ value[..., columns, :].to(scores.dtype)
            top = new_top
        empty = total == 0
        safe = torch.where(empty, 1.0, total)
        outs.append((weighted / safe).expand(*total.shape[:-1], value.shape[-1]).to(query.dtype))
        lses.append(torch.where(empty, -math.inf, top + torch.log(safe)).squeeze(-1))
    if not outs:
        return query.new_zeros(*query.shape[:-1], value.shape[-1]), log_n.clone()
    return torch.cat(outs, -2), torch.cat(lses, -1)


def _chunked_backward(grad_out, inner, query, key, value, lse, mask, beta, is_causal):
    row_size, column_size = _block_sizes(query, key)
    work = lse.dtype
    grad_queries = [torch.zeros_like(query[..., rows, :], dtype=work) for rows in _blocks(query.shape[-2], row_size)]
    grad_keys, grad_values = [], []
    for columns in _blocks(key.shape[-2], column_size):
        k, v = key[..., columns, :].to(work), value[..., columns, :].to(work)
        grad_k, grad_v = torch.zeros_like(k), torch.zeros_like(v)
        for index, rows in enumerate(_blocks(query.shape[-2], row_size)):
            weights = torch.exp(_scores(query, key, mask, beta, is_causal, rows, columns) - lse[..., rows, None])
            g = grad_out[..., rows, :].to(work)
            grad_scores = weights * (g @ v.mT - inner[..., rows, None]) * beta
            grad_queries[index] = grad_queries[index] + grad_scores @ k
            grad_k = grad_k + grad_scores.mT @ query[..., rows, :].to(work)
            grad_v = grad_v + weights.mT @ g
        grad_keys.append(grad_k.to(key.dtype))
        grad_values.append(grad_v.to(value.dtype))
    if not grad_keys or not grad_queries:
        return torch.zeros_like(query), torch.zeros_like(key), torch.zeros_like(value)
    return torch.cat(grad_queries, -2).to(query.dtype), torch.cat(grad_keys, -2), torch.cat(grad_values, -2)
