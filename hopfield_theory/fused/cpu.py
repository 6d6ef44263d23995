"""The CPU backend: PyTorch's flash operator, with a gate for the no-op slot and guards where the operator is wrong."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

__all__ = ["applies", "backward", "backward_applies", "forward"]

# without them the chunked backend computes everything
# torch's own binding costs half of what torch.ops does
_flash: Any = getattr(torch, "_scaled_dot_product_flash_attention_for_cpu", None)
_flash_backward: Any = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu_backward", None)

_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
# keys that are worth sharing out among threads
_MANY = 1024


def applies(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, beta: float, is_causal: bool) -> bool:
    """Tell whether PyTorch's CPU flash operator computes this correctly; in other cases it crashes or is wrong."""
    return (
        query.is_cpu
        and _flash is not None
        and _flash_backward is not None
        and query.dtype in _DTYPES
        and query.shape[-1] == value.shape[-1]
        and query.numel() > 0
        and key.shape[-2] > 0
        and not (is_causal and (mask is not None or query.shape[-2] != key.shape[-2]))
        # it multiplies the −∞ of masked scores by the scale, and rounds a mask to the dtype of the query
        and beta != 0
        and not (mask is not None and mask.is_floating_point() and mask.dtype != query.dtype)
    )


def backward_applies(query: Tensor) -> bool:
    """Tell whether the operator's backward pass is faster: it uses one thread per head."""
    return query.shape[0] * query.shape[1] >= _threads()


def _is_traced(tensor: Tensor) -> bool:
    """Tell whether the values cannot be read, since a graph is made."""
    return torch.compiler.is_compiling() or type(tensor) is not Tensor


def _threads() -> int:
    # the number of threads cannot be traced; a compiled graph always takes the operators
    return 1 if torch.compiler.is_compiling() else torch.get_num_threads()


def _unit_stride(tensor: Tensor) -> Tensor:
    # the operator reads rows as if they were dense
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


def _additive(mask: Tensor | None, query: Tensor) -> Tensor | None:
    """The mask in the form of the flash operator: four broadcast axes, added to the scores, in the query's dtype."""
    if mask is None:
        return None
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(~mask, -math.inf)
    return mask.to(query.dtype).contiguous()


def few_keys(
    query: Tensor, key: Tensor, value: Tensor, n: float | None, scale: float | None, is_causal: bool
) -> Tensor | None:
    """Return ``o_n`` of four-axis tensors that fit, without a mask; None where :func:`forward` takes more care."""
    if (
        _flash is None
        or query.dtype not in _DTYPES
        or not 0 < key.shape[2] < _MANY
        or (is_causal and query.shape[2] != key.shape[2])
        or not query.numel()
        or not query.stride(3) == key.stride(3) == value.stride(3) == 1
    ):
        return None
    out, lse = _flash(query, key, value, 0.0, is_causal, scale=scale)
    if n == 0:
        return out
    if n is not None and n != 1:
        lse.sub_(math.log(n))
    return out.mul_(lse.sigmoid_().unsqueeze_(-1))


def forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    log_n: Tensor | float,
    mask: Tensor | None,
    beta: float,
    is_causal: bool,
    with_lse: bool = True,
) -> tuple[Tensor, Tensor]:
    """Return ``(o_n, ℓ_n)`` of four-axis tensors; without ``with_lse`` the second is of no meaning for a number."""
    if not query.stride(-1) == key.stride(-1) == value.stride(-1) == 1:
        query, key, value = _unit_stride(query), _unit_stride(key), _unit_stride(value)
    additive = None if mask is None else _additive(mask, query)
    # the operator distributes queries over its threads, never keys
    one = key.shape[-2] >= _MANY and additive is None and not is_causal and query.shape[:2] == (1, 1)
    if one and query.shape[-2] <= 16 * _threads():
        out, lse = _flash_split(query, key, value, beta, _threads())
    else:
        out, lse = _flash(query, key, value, 0.0, is_causal, attn_mask=additive, scale=beta)
    # the operator reports 0 where nothing was summed
    if additive is not None and (_is_traced(lse) or bool((lse == 0).any())):
        lse = torch.where((additive == -math.inf).all(-1), -math.inf, lse)
    if not isinstance(log_n, Tensor):
        if log_n == -math.inf:
            return out, lse
        # without a mask every query sees a key: ℓ is finite
        if not with_lse:
            gate = lse.sigmoid_() if log_n == 0 else lse.sub_(log_n).sigmoid_()
            return out.mul_(gate.unsqueeze_(-1)), lse
        gate = (lse - log_n).sigmoid_()
        return out.mul_(gate.unsqueeze_(-1)), torch.logaddexp(lse, lse.new_tensor(log_n))
    lse_n = torch.logaddexp(lse, log_n.to(lse.dtype))
    gate = torch.exp(lse - torch.where(lse_n == -math.inf, 0.0, lse_n))
    return (out * gate.unsqueeze(-1)).to(out.dtype), lse_n


def backward(
    grad_out: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    out: Tensor,
    lse: Tensor,
    mask: Tensor | None,
    beta: float,
    is_causal: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients for query, key and value from ``(o_n, ℓ_n)``."""
    query, key, value, grad_out, out = (_unit_stride(t) for t in (query, key, value, grad_out, out))
    return _flash_backward(
        grad_out, query, key, value, out, lse, 0.0, is_causal, attn_mask=_additive(mask, query), scale=beta
    )


def _flash_split(query, key, value, beta, parts):
    """Attend from few queries to many keys: the keys are ``parts`` heads and a remainder, merged by log-sum-exps."""
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
