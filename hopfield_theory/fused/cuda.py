r"""The CUDA backend: PyTorch's own attention operators, and one gate for the no-op slot.

An operator gives :math:`(o, \ell)`, the gate turns it into :math:`(o_n, \ell_n)`, and the backward pass of the same
operator, called with these in place of :math:`(o, \ell)`, is exact: it only ever forms :math:`p = e^{s - \ell_n}` and
:math:`\langle \partial L/\partial o_n, o_n\rangle`. A gradient :math:`g_\ell` of :math:`\ell_n` enters that inner
product through eight more columns, of which the values are zero: :math:`-g_\ell` in :math:`o_n`, 1 in its gradient.

The operators are called directly, where they check little: outside of the conditions below they return wrong numbers,
or break the process's CUDA context. So every condition is checked before the call.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from torch import Tensor

from hopfield_theory.fused.gate import FEW, gate_, gate_seen_, mass_gradient

__all__ = ["attend", "attend_simply", "chosen", "compute_capability", "operator", "takes_groups"]

_HALF = (torch.float16, torch.bfloat16)
_aten: Any = torch.ops.aten
_functorch: Any = getattr(torch._C, "_functorch")  # noqa: B009
_CUDNN = _aten._scaled_dot_product_cudnn_attention.default
_FLASH = _aten._scaled_dot_product_flash_attention.default
_EFFICIENT = _aten._scaled_dot_product_efficient_attention.default
_CUDNN_BACKWARD = _aten._scaled_dot_product_cudnn_attention_backward.default
_FLASH_BACKWARD = _aten._scaled_dot_product_flash_attention_backward.default
_EFFICIENT_BACKWARD = _aten._scaled_dot_product_efficient_attention_backward.default
# the launch grids of the operators end here
_MOST = 65535
_FEW_ROWS, _MANY_KEYS = 64, 4096
_WIDEST_WITH_LSE = 120


@functools.cache
def compute_capability(device: torch.device) -> tuple[int, int]:
    """Return what the card can do, major and minor: (9, 0) is Hopper."""
    return torch.cuda.get_device_capability(device)


_SWITCHES = {
    "cudnn": torch.backends.cuda.cudnn_sdp_enabled,
    "flash": torch.backends.cuda.flash_sdp_enabled,
    "efficient": torch.backends.cuda.mem_efficient_sdp_enabled,
}


def _allowed(name: str) -> bool:
    """Tell whether PyTorch's own switches leave the operator on."""
    # they cannot be traced, and are on unless someone turned them off
    return torch.compiler.is_compiling() or _SWITCHES[name]()


def operator(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    beta: float,
    is_causal: bool,
    *,
    dropout: float = 0.0,
    needs_grad: bool = True,
    needs_grad_of_lse: bool = False,
    capability: tuple[int, int] | None = None,
) -> str | None:
    """Choose the operator for four-axis tensors.

    Parameters
    ----------
    query, key, value : Tensor, shapes (B, H, L, E), (B, G, S, E), (B, G, S, V)
        G divides H.
    mask : Tensor, optional
        Boolean, or added to the scores.
    beta : float
    is_causal : bool
    dropout : float
    needs_grad, needs_grad_of_lse : bool
        Whether a backward pass may follow, and whether one through the log-sum-exp.
    capability : (int, int), optional
        That of the device, by default of the query's.

    Returns
    -------
    str or None
        ``"cudnn"``, ``"flash"`` or ``"efficient"``, in the order of PyTorch's attention; ``None`` where none is right.

    Examples
    --------
    >>> x = torch.zeros(2, 4, 16, 64, dtype=torch.bfloat16)
    >>> operator(x, x, x, None, 1.0, False, capability=(9, 0)), operator(x, x, x, None, 1.0, False, capability=(8, 0))
    ('cudnn', 'flash')
    >>> operator(x.double(), x.double(), x.double(), None, 1.0, False, capability=(9, 0)) is None
    True
    """
    dtype, (batch, heads, length, width), (groups, keys) = query.dtype, query.shape, key.shape[1:3]
    widest = max(width, value.shape[-1])
    half = dtype in _HALF
    if (
        not (half or dtype == torch.float32)
        or min(batch, heads, length, width, groups, keys, value.shape[-1]) == 0
        or beta == 0
        or max(batch, heads) > _MOST
        or (mask is not None and (is_causal or mask.requires_grad))
        or (mask is not None and mask.is_floating_point() and mask.dtype != dtype)
    ):
        return None
    if capability is None:
        # a cached answer cannot be traced
        ask = torch.cuda.get_device_capability if torch.compiler.is_compiling() else compute_capability
        capability = ask(query.device)
    grouped = groups != heads
    # cuDNN's widest heads; its dropout is untried here
    reach = {9: 256, 10: 128}.get(capability[0], 0)
    cudnn = half and widest + 8 * needs_grad_of_lse <= reach and not (length == keys == 1) and not dropout
    flash = (
        half
        and capability >= (8, 0)
        and mask is None
        and not (is_causal and length != keys)
        and widest <= 256
        and not needs_grad_of_lse
        and not (grouped and needs_grad)
    )
    # it shares out the keys of few queries among the processors
    if flash and length <= _FEW_ROWS and keys >= _MANY_KEYS and not needs_grad and _allowed("flash"):
        return "flash"
    if cudnn and _allowed("cudnn"):
        return "cudnn"
    if flash and _allowed("flash"):
        return "flash"
    # of wide heads of half the bits its backward pass errs with the columns for the log-sum-exp: NaN at 256
    efficient = not grouped and capability >= (5, 0) and not (half and needs_grad_of_lse and widest > _WIDEST_WITH_LSE)
    return "efficient" if efficient and _allowed("efficient") else None


def _even(tensor: Tensor, width: int) -> Tensor:
    """Widen with zero columns, and copy what the operators misread: rows that do not begin at multiples of 16 bytes."""
    if tensor.shape[-1] != width:
        return torch.nn.functional.pad(tensor, (0, width - tensor.shape[-1]))
    # an address cannot be traced
    if _is_dense(tensor) and (torch.compiler.is_compiling() or tensor.data_ptr() % 16 == 0):
        return tensor
    return tensor.clone(memory_format=torch.contiguous_format)


def _is_dense(tensor: Tensor) -> bool:
    """Tell whether rows are in one piece, of multiples of eight numbers, and so far apart."""
    if tensor.shape[-1] % 8 == 0 and tensor.is_contiguous():
        return True
    strides = zip(tensor.stride()[:-1], tensor.shape[:-1], strict=True)
    return tensor.stride(-1) == 1 and all(size == 1 or (step > 0 and step % 8 == 0) for step, size in strides)


def _eights(width: int) -> int:
    return -(-width // 8) * 8


def _bias(mask: Tensor | None, query: Tensor, key: Tensor, name: str) -> Tensor | None:
    """The mask as what the operator adds to the scores: in the query's dtype, rows in one piece."""
    if mask is None:
        return None
    keys = key.shape[-2]
    mask = mask.expand(*mask.shape[:-1], keys)
    if name != "efficient" and mask.dtype == torch.bool and not torch.compiler.is_compiling():
        # the logarithms of 1 and 0, by two kernels
        return mask.to(query.dtype, memory_format=torch.contiguous_format).log_()
    if name == "efficient":
        # its rows begin at multiples of 16 numbers
        room = query.new_zeros(*mask.shape[:-1], -(-keys // 16) * 16)[..., :keys]
    else:
        room = query.new_zeros(mask.shape)
    bias = room.masked_fill_(~mask, -math.inf) if mask.dtype == torch.bool else room.copy_(mask)
    return bias.expand(query.shape[0], query.shape[1], query.shape[2], keys) if name == "efficient" else bias


def _unseeing(mask: Tensor) -> Tensor:
    """Tell which queries see no key: the operators say so as −∞, or as a number that a mask could add."""
    return ~mask.any(-1) if mask.dtype == torch.bool else (mask == -math.inf).all(-1)


def _call(
    name: str, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, dropout: float, causal: bool, beta: float
) -> tuple[Any, ...]:
    """Call an operator; return its output, its log-sum-exp in a shape of its own, and what its backward pass wants."""
    if name == "cudnn":
        return _CUDNN(query, key, value, bias, True, dropout, causal, False, scale=beta)[:8]
    if name == "flash":
        return _FLASH(query, key, value, dropout, causal, False, scale=beta)[:8]
    out, lse, seed, offset = _EFFICIENT(query, key, value, bias, True, dropout, causal, scale=beta)
    return out, lse, None, None, 0, 0, seed, offset


def _call_backward(
    name: str,
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None,
    out: Tensor,
    lse: Tensor,
    more: tuple[Any, ...],
    dropout: float,
    causal: bool,
    beta: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Call the operator's backward pass; return the gradients for query, key and value."""
    starts_q, starts_k, most_q, most_k, seed, offset = more
    if name == "cudnn":
        return _CUDNN_BACKWARD(
            grad, query, key, value, out, lse, seed, offset, bias, starts_q, starts_k, most_q, most_k, dropout, causal,
            scale=beta,
        )  # fmt: skip
    if name == "flash":
        return _FLASH_BACKWARD(
            grad, query, key, value, out, lse, starts_q, starts_k, most_q, most_k, dropout, causal, seed, offset,
            scale=beta,
        )  # fmt: skip
    return _EFFICIENT_BACKWARD(
        grad, query, key, value, bias, out, lse, seed, offset, dropout, [True, True, True, False], causal, scale=beta
    )[:3]


def _rows(lse: Tensor, length: int) -> Tensor:
    """The log-sum-exps of the queries, as a view of (B, H, L): an operator may add an axis, or rows."""
    return (lse.squeeze(-1) if lse.dim() == 4 else lse)[..., :length]


def _widths(name: str, query: Tensor, value: Tensor) -> tuple[int, int]:
    width, value_width = _eights(query.shape[-1]), _eights(value.shape[-1])
    # flash has one width for both
    both = max(width, value_width)
    return (both, both) if name == "flash" else (width, value_width)


def _run(name, query, key, value, log_n, mask, beta, causal, dropout, keep):
    width, value_width = _widths(name, query, value)
    # a negative scale is that of the negated queries
    query = -query if beta < 0 else query
    query, key, value = _even(query, width), _even(key, width), _even(value, value_width)
    bias = _bias(mask, query, key, name)
    out, lse, *more = _call(name, query, key, value, bias, dropout, causal, abs(beta))
    rows = _rows(lse, query.shape[2])
    if mask is not None:
        rows.masked_fill_(_unseeing(mask), -math.inf)
    if mask is None and not isinstance(log_n, Tensor) and not torch.compiler.is_compiling():
        gate_seen_(out, rows, log_n, keep)
    else:
        gate_(out, rows, log_n)
    return query, key, value, bias, out, lse, rows, more


def _reported(rows: Tensor, log_n: Tensor | float, mask: Tensor | None) -> Tensor:
    """The log-sum-exps as they are given to the caller: −∞ where no key is seen and n = 0."""
    no_slot = log_n == -math.inf
    if mask is None or no_slot is False:
        return rows.clone()
    return rows.masked_fill(_unseeing(mask) & no_slot, -math.inf)


def chosen(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    log_n: Tensor | float,
    mask: Tensor | None,
    beta: float,
    is_causal: bool,
    dropout: float,
    with_lse: bool,
) -> str | None:
    """Name the operator for what :func:`attend` is given, or ``None``; inside of function transforms there is none."""
    if not torch.compiler.is_compiling() and _functorch.maybe_current_level() is not None:
        return None
    learns = wants_gradient(query, key, value, log_n)
    return operator(
        query, key, value, mask, beta, is_causal, dropout=dropout, needs_grad=learns,
        needs_grad_of_lse=learns and with_lse,
    )  # fmt: skip


def wants_gradient(*arguments: Any) -> bool:
    """Tell whether a gradient with respect to any of these, as far as they are tensors, will be asked for."""
    return torch.is_grad_enabled() and any(isinstance(x, Tensor) and x.requires_grad for x in arguments)


def attend_simply(
    query: Tensor, key: Tensor, value: Tensor, log_n: float, beta: float, is_causal: bool
) -> Tensor | None:
    """Return :math:`o_n` of four-axis tensors that fit, by the steps that the simplest case needs.

    ``None`` where no operator is right for the tensors as they are.
    """
    learns = wants_gradient(query, key, value)
    # a GPU waits for these questions, where there is little to compute: they are asked once
    name = _simplest(
        query.shape, key.shape, query.stride(), key.stride(), value.stride(), query.dtype, query.device, is_causal,
        learns, *(switch() for switch in _SWITCHES.values()),
    )  # fmt: skip
    if name is None or not beta > 0 or (query.data_ptr() | key.data_ptr() | value.data_ptr()) % 16:
        return None
    if learns:
        return _Attend.apply(query, key, value, log_n, None, name, beta, is_causal, 0.0, False)
    out, lse, *_ = _call(name, query, key, value, None, 0.0, is_causal, beta)
    if out.numel() < FEW and lse.dim() == 4:
        # the same without a view
        out.mul_(torch.sigmoid(lse if log_n == 0.0 else lse - log_n))
    else:
        gate_seen_(out, _rows(lse, query.shape[2]), log_n, False)
    return out


@functools.lru_cache(maxsize=4096)
def _simplest(
    queries: torch.Size,
    keys: torch.Size,
    query_stride: tuple[int, ...],
    key_stride: tuple[int, ...],
    value_stride: tuple[int, ...],
    dtype: torch.dtype,
    device: torch.device,
    is_causal: bool,
    learns: bool,
    *allowed: bool,
) -> str | None:
    query, key, value = (
        torch.empty_strided(shape, stride, dtype=dtype, device="meta")
        for shape, stride in ((queries, query_stride), (keys, key_stride), (keys, value_stride))
    )
    if queries[3] % 8 or not all(map(_is_dense, (query, key, value))):
        return None
    capability = compute_capability(device)
    return operator(query, key, value, None, 1.0, is_causal, needs_grad=learns, capability=capability)


def attend(
    name: str,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    log_n: Tensor | float,
    mask: Tensor | None,
    beta: float,
    is_causal: bool,
    dropout: float = 0.0,
    with_lse: bool = True,
) -> tuple[Tensor, Tensor | None]:
    """Return ``(o_n, ℓ_n)`` by the named operator, with first derivatives for query, key, value and ``log_n``.

    ``log_n`` is a number, or broadcasts to (B, H, L); ``ℓ_n`` is ``None`` without ``with_lse``.
    """
    if wants_gradient(query, key, value, log_n):
        found = _Attend.apply(query, key, value, log_n, mask, name, beta, is_causal, dropout, with_lse)
        return found if with_lse else (found, None)
    *_, out, _, rows, _ = _run(name, query, key, value, log_n, mask, beta, is_causal, dropout, with_lse)
    return out[..., : value.shape[-1]], _reported(rows, log_n, mask) if with_lse else None


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query, key, value, log_n, mask, name, beta, is_causal, dropout, with_lse):
        ctx.widths = query.shape[-1], value.shape[-1]
        query, key, value, bias, out, lse, rows, more = _run(
            name, query, key, value, log_n, mask, beta, is_causal, dropout, True
        )
        starts_q, starts_k, *most, seed, offset = more
        ctx.save_for_backward(
            query, key, value, bias, out, lse, log_n if isinstance(log_n, Tensor) else None, starts_q, starts_k, seed,
            offset,
        )  # fmt: skip
        ctx.call = name, most, dropout, is_causal, beta
        ctx.set_materialize_grads(False)
        shown = out if out.shape[-1] == ctx.widths[1] else out[..., : ctx.widths[1]].contiguous()
        return (shown, _reported(rows, log_n, mask)) if with_lse else shown

    @staticmethod
    def backward(ctx, grad_out, grad_lse=None):  # pyright: ignore[reportIncompatibleMethodOverride]
        if grad_out is None and grad_lse is None:
            return (None,) * 10
        # what is not differentiated again needs no function of its own
        again = torch.is_grad_enabled() or torch.compiler.is_compiling()
        backward: Any = _Backward.apply if again else _gradients
        grads = backward(grad_out, grad_lse, *ctx.saved_tensors, ctx.widths, ctx.call, ctx.needs_input_grad[3])
        return (*grads, *(None,) * 6)


class _Backward(torch.autograd.Function):
    """A function of its own, so that differentiating it again is refused."""

    @staticmethod
    def forward(ctx, *arguments):
        return _gradients(*arguments)

    @staticmethod
    def backward(ctx, *grads):
        raise NotImplementedError(
            "the fused attention has first derivatives only: for second ones use softmax_n(beta * q @ k.mT) @ v"
        )


def _gradients(
    grad, grad_lse, query, key, value, bias, out, lse, log_n, starts_q, starts_k, seed, offset, widths, call, learns
):  # fmt: skip
    name, most, dropout, is_causal, beta = call
    width, value_width = widths
    if grad is not None and grad.stride() == out.stride() and grad.shape == out.shape and _even(grad, width) is grad:
        g = grad
    else:
        # a copy in the strides of the output: cuDNN misreads gradients that have others
        g = torch.empty_like(out)
        if grad is None or out.shape[-1] != value_width:
            g.zero_()
        if grad is not None:
            g[..., :value_width].copy_(grad)
    grad_log_n = None
    if learns:
        rows = _rows(lse, query.shape[2])
        grad_log_n = mass_gradient(out, g, rows, log_n)
        if grad_lse is not None:
            grad_log_n = grad_log_n + torch.exp(log_n.to(rows.dtype) - rows) * grad_lse
        grad_log_n = grad_log_n.sum_to_size(log_n.shape).to(log_n.dtype)
    if grad_lse is not None:
        out, g, value = _with_columns(out, g, value, grad_lse)
    more = starts_q, starts_k, *most, seed, offset
    grads = _call_backward(name, g, query, key, value, bias, out, lse, more, dropout, is_causal, abs(beta))
    grad_query, grad_key, grad_value = grads
    grad_query = grad_query[..., :width]
    return (
        -grad_query if beta < 0 else grad_query,
        grad_key[..., :width],
        grad_value[..., :value_width],
        grad_log_n,
    )


def _with_columns(out: Tensor, grad: Tensor, value: Tensor, grad_lse: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Eight more columns: the operator's inner product of output and gradient loses the gradient of ``ℓ_n``."""
    zeros = out.new_zeros(*out.shape[:-1], 8)
    high = (-grad_lse).to(out.dtype)
    extra = zeros.clone()
    extra[..., 0] = high
    # in two parts, since one number of a half type is not exact
    extra[..., 1] = (-grad_lse - high.to(grad_lse.dtype)).to(out.dtype)
    ones = zeros.clone()
    ones[..., :2] = 1.0
    wider = torch.nn.functional.pad(value, (0, 8))
    return torch.cat([out, extra], -1), torch.cat([grad, ones], -1), wider


def takes_groups(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Tell whether tensors of fewer key than query heads may be given to :func:`chosen`: four axes, one batch."""
    return (
        query.dim() == key.dim() == value.dim() == 4
        and query.shape[0] == key.shape[0] == value.shape[0]
        and key.shape[1] == value.shape[1] > 0
        and query.shape[1] % key.shape[1] == 0
    )
