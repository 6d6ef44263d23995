"""The chunked backend, for every device, dtype, mask and value width: blocks of keys, merged one after another.

Each block yields a triple (maximum, sum, weighted sum); the backward pass recomputes the weights block by block.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["backward", "forward"]

# scores per block: 4 MiB in float32, about one core's share of the cache; a GPU wants few large kernels
_BLOCK = {"cpu": 1 << 20, "cuda": 1 << 27}


def _blocks(length: int, size: int):
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


def _block_sizes(query: Tensor, key: Tensor) -> tuple[int, int]:
    """Rows of queries and of keys whose scores, over all leading axes, fit a block."""
    block = _BLOCK.get(query.device.type, _BLOCK["cpu"])
    room = max(1, block // max(1, query.shape[0] * query.shape[1]))
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


def forward(
    query: Tensor, key: Tensor, value: Tensor, log_n: Tensor, mask: Tensor | None, beta: float, is_causal: bool
) -> tuple[Tensor, Tensor]:
    """Return ``(o_n, ℓ_n)`` of four-axis tensors."""
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


def backward(
    grad_out: Tensor,
    inner: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lse: Tensor,
    mask: Tensor | None,
    beta: float,
    is_causal: bool,
    grad_mask: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients for query, key and value; add that of the mask to ``grad_mask``.

    Given is ``inner``, ``⟨∂L/∂o_n, o_n⟩ − ∂L/∂ℓ_n`` of each query.
    """
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
            grad_scores = weights * (g @ v.mT - inner[..., rows, None])
            if grad_mask is not None:
                _add_summed(grad_mask, grad_scores, rows, columns)
            grad_scores = grad_scores * beta
            grad_queries[index] = grad_queries[index] + grad_scores @ k
            grad_k = grad_k + grad_scores.mT @ query[..., rows, :].to(work)
            grad_v = grad_v + weights.mT @ g
        grad_keys.append(grad_k.to(key.dtype))
        grad_values.append(grad_v.to(value.dtype))
    if not grad_keys or not grad_queries:
        return torch.zeros_like(query), torch.zeros_like(key), torch.zeros_like(value)
    return torch.cat(grad_queries, -2).to(query.dtype), torch.cat(grad_keys, -2), torch.cat(grad_values, -2)


def _add_summed(total: Tensor, part: Tensor, rows: slice, columns: slice) -> None:
    """Add a block to the place of its rows and columns, summed over axes along which the total has length 1."""
    ones = [axis for axis in range(4) if total.shape[axis] == 1 and part.shape[axis] != 1]
    whole = slice(None)
    place = total[..., whole if total.shape[-2] == 1 else rows, whole if total.shape[-1] == 1 else columns]
    place += part.sum(ones, keepdim=True) if ones else part
