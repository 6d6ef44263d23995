r"""softmax_n attention, without ever holding queries × keys.

.. math:: o = \sum_\mu p_\mu v_\mu, \quad p = \mathrm{softmax}_n(\beta\, q K^\top), \quad
          \ell_n = \log(n + \sum_\mu e^{\beta\langle q, k_\mu\rangle}).

This module checks the arguments, chooses a backend, and defines the exact backward pass. The backends:

* :mod:`~hopfield_theory.fused.cpu`: the no-op slot is a sigmoid gate of the ordinary log-sum-exp :math:`\ell`,
  :math:`o_n = o\, e^{\ell - \ell_n}` with :math:`\ell_n = \mathrm{logaddexp}(\ell, \log n)`, and PyTorch's flash
  backward pass called with :math:`(o_n, \ell_n)` in place of :math:`(o, \ell)` is exact, since it only ever forms
  :math:`p = e^{s - \ell_n}` and :math:`\langle \partial L/\partial o_n, o_n\rangle`;
* :mod:`~hopfield_theory.fused.cuda`: the same with a GPU's operators, which also drop weights and know groups of heads;
* :mod:`~hopfield_theory.fused.retrieval`: one head with very many keys on a GPU, by a kernel;
* :mod:`~hopfield_theory.fused.chunked`: everything else.

The gradient for the no-op mass is :math:`\partial L/\partial\log n = -\sum p_0 \langle \partial L/\partial o_n,
o_n\rangle`.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from hopfield_theory.fused import chunked, cpu, cuda, retrieval
from hopfield_theory.fused.grouped_heads import repeated_heads
from hopfield_theory.model.separation import log_noop

__all__ = ["attend_at_once", "drops_weights", "fused_attention"]

_level: Any = getattr(torch._C, "_functorch").maybe_current_level  # noqa: B009


def fused_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    n: float | Tensor | None = None,
    *,
    log_n: float | Tensor | None = None,
    beta: float = 1.0,
    mask: Tensor | None = None,
    is_causal: bool = False,
    return_lse: bool = False,
    enable_gqa: bool = False,
    dropout_p: float = 0.0,
) -> Any:
    r"""Mix values by softmax_n weights: :math:`\mathrm{softmax}_n(\beta\, q K^\top)\, V`.

    First derivatives for ``query``, ``key``, ``value``, ``log_n`` and ``mask`` are exact; second derivatives raise.
    Memory beyond the result is a constant plus an amount proportional to the number of queries, never queries × keys.

    Parameters
    ----------
    query : Tensor, shape (..., L, E)
        Queries :math:`q`; floating point. Leading shapes of the three broadcast.
    key : Tensor, shape (..., S, E)
        Keys :math:`k_\mu`, same dtype as ``query``.
    value : Tensor, shape (..., S, V)
        Values :math:`v_\mu`, same dtype as ``query``.
    n : float or Tensor, optional
        No-op mass, as in :func:`hopfield_theory.softmax_n`, by default 1; a tensor broadcasts to (..., L, 1).
    log_n : float or Tensor, optional
        Its logarithm in place of ``n``; may require a gradient.
    beta : float
        Inverse temperature, a finite number.
    mask : Tensor, optional
        Broadcasts to (..., L, S): boolean (``True`` takes part) or added to the scores (finite or ``−inf``); its
        gradient has its own size. Keys all of which a dtype's least number hides are averaged where n = 0, and the
        gradient of such a query is lost in rounding, both as in PyTorch.
    is_causal : bool
        Query ``i`` sees only the keys ``j ≤ i``.
    return_lse : bool
        Also return :math:`\ell_n`, from the same pass.
    enable_gqa : bool
        Whether key and value may have fewer heads, third from last, than ``query``: groups of query heads share one.
    dropout_p : float, in [0, 1)
        Probability with which a weight is dropped, the others growing by ``1/(1 − dropout_p)``; above 0 only where
        :func:`drops_weights` says so.

    Returns
    -------
    Tensor, shape (..., L, V)
        Zeros for a query that sees no key.
    lse : Tensor, shape (..., L)
        Only with ``return_lse``: float64 for float64 input, else float32; ``−inf`` for a query that sees no key at
        ``n = 0``; differentiable.

    Raises
    ------
    ValueError
        For shapes that do not fit, numbers out of range, or dropout where weights are not dropped.
    TypeError
        For dtypes that differ or are not floating point.

    Examples
    --------
    >>> key = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> fused_attention(torch.zeros(1, 2), key, key, n=2.0)
    tensor([[0.2500, 0.2500]])
    >>> fused_attention(torch.zeros(1, 2), key, key, n=2.0, return_lse=True)[1].exp()
    tensor([4.])
    """
    if is_causal and 0 < query.shape[-2] < key.shape[-2]:
        # no query sees the keys behind the last of them
        key, value = key[..., : query.shape[-2], :], value[..., : query.shape[-2], :]
        mask = mask if mask is None or mask.shape[-1] == 1 else mask[..., : query.shape[-2]]
    gpu = query.is_cuda
    if not isinstance(n, Tensor) and log_n is None and mask is None and not dropout_p and _fits(query, key, value):
        mass = 0.0 if n is None or (type(n) is float and n == 1.0) else log_noop(n)
        if -math.inf < beta < math.inf:
            if gpu and not return_lse and not retrieval.applies(query, key, value, None, is_causal):
                out = cuda.attend_simply(query, key, value, float(mass), beta, is_causal)
                if out is not None:
                    return out
            if not cuda.wants_gradient(query, key, value) and cpu.applies(query, key, value, None, beta, is_causal):
                out, lse = cpu.forward(query, key, value, mass, None, beta, is_causal, return_lse)
                return (out, lse) if return_lse else out
    shared = enable_gqa and gpu and cuda.takes_groups(query, key, value)
    if enable_gqa and not shared:
        key, value = repeated_heads(query, key, "key"), repeated_heads(query, value, "value")
    lead = _check(query, key[:, :1] if shared else key, value[:, :1] if shared else value, beta, mask)
    length, num_keys = query.shape[-2], key.shape[-2]
    work = torch.promote_types(query.dtype, torch.float32)
    mass = log_noop(n, log_n)
    try:
        if isinstance(mass, Tensor):
            mass = mass.to(query.device, work).expand(*lead, length, 1)
        if mask is not None:
            mask.expand(*lead, length, num_keys)
    except RuntimeError as error:
        raise ValueError(
            f"n of shape {tuple(torch.as_tensor(mass).shape)} and mask of shape "
            f"{None if mask is None else tuple(mask.shape)} must broadcast to {(*lead, length, 1)} and "
            f"{(*lead, length, num_keys)}"
        ) from error
    if mask is not None and mask.dtype not in (torch.bool, query.dtype):
        mask = mask.to(work)

    def four_axes(tensor: Tensor) -> Tensor:
        tensor = tensor.expand(*lead, *tensor.shape[-2:])
        if len(lead) > 2:
            return tensor.flatten(0, -4)
        return tensor.reshape((1,) * (2 - len(lead)) + tensor.shape)

    def mask_axes(mask: Tensor) -> Tensor:
        # axes along which a mask is constant are not copied
        mask = mask.reshape((1,) * (len(lead) + 2 - mask.dim()) + mask.shape)
        mask = mask.expand(*mask.shape[:-1], num_keys)
        return four_axes(mask) if len(lead) > 2 else mask.reshape((1,) * (2 - len(lead)) + mask.shape)

    query = four_axes(query)
    if not shared:
        key, value = four_axes(key), four_axes(value)
    mask = None if mask is None else mask_axes(mask)
    if isinstance(mass, Tensor):
        mass = four_axes(mass).squeeze(-1)
    name = None
    if gpu and (dropout_p or not retrieval.applies(query, key, value, mask, is_causal)):
        name = cuda.chosen(query, key, value, mass, mask, beta, is_causal, dropout_p, return_lse)
    if name is None and shared:
        key, value = repeated_heads(query, key, "key"), repeated_heads(query, value, "value")
        name = cuda.chosen(query, key, value, mass, mask, beta, is_causal, dropout_p, return_lse)
    if name is not None:
        out, lse = cuda.attend(name, query, key, value, mass, mask, beta, is_causal, dropout_p, return_lse)
    elif dropout_p:
        raise ValueError(f"dropout_p is {dropout_p}: no operator drops weights of these tensors; see drops_weights")
    else:
        if not isinstance(mass, Tensor):
            mass = query.new_full((), mass, dtype=work).expand(query.shape[:-1])
        given = query, key, value, mass, mask, beta, is_causal, return_lse
        # what lets it be differentiated takes longer than an update of a small memory
        plain = _is_plain() and not cuda.wants_gradient(query, key, value, mass, *(() if mask is None else (mask,)))
        out, lse = _FusedAttention.forward(*given) if plain else _FusedAttention.apply(*given)
    out = out.reshape(*lead, length, value.shape[-1])
    return out if lse is None or not return_lse else (out, lse.reshape(*lead, length))


def attend_at_once(
    query: Tensor, key: Tensor, value: Tensor, n: float | Tensor | None, scale: float | Tensor | None, is_causal: bool
) -> Tensor | None:
    r"""Return what :func:`fused_attention` does, where questions could cost as much as the answer.

    That is for few keys on a CPU, and on a GPU for what an operator takes as it is.

    Parameters
    ----------
    query, key, value, is_causal
        Same as for :func:`fused_attention`.
    n, scale : float, Tensor or None
        No-op mass and factor of the scores; None for 1 and :math:`1/\sqrt E`.

    Returns
    -------
    Tensor, shape (..., L, V), or None
        None for all but the simplest case, also where :func:`fused_attention` would raise.

    Examples
    --------
    >>> key = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).reshape(1, 1, 2, 2)
    >>> attend_at_once(torch.zeros(1, 1, 1, 2), key, key, 2.0, None, False)
    tensor([[[[0.2500, 0.2500]]]])
    """
    if (
        (n is None or (type(n) is float and 0 <= n < math.inf))
        and (scale is None or (type(scale) is float and 0 < scale < math.inf))
        and _fits(query, key, value)
    ):
        if query.is_cpu and not cuda.wants_gradient(query, key, value) and not torch.is_autocast_enabled("cpu"):
            return cpu.few_keys(query, key, value, n, scale, is_causal)
        if query.is_cuda and not torch.is_autocast_enabled("cuda") and query.shape[3] > 0:
            if retrieval.applies(query, key, value, None, is_causal):
                return None
            beta = query.shape[3] ** -0.5 if scale is None else scale
            mass = 0.0 if n is None else math.log(n) if n else -math.inf
            return cuda.attend_simply(query, key, value, mass, beta, is_causal)
    return None


def drops_weights(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, beta: float, is_causal: bool, dropout_p: float
) -> bool:
    """Tell whether :func:`fused_attention` takes ``dropout_p``: on a GPU, for four axes that fit.

    Examples
    --------
    >>> x = torch.zeros(1, 1, 4, 8)
    >>> drops_weights(x, x, x, None, 1.0, False, 0.1)
    False
    """
    return (
        query.is_cuda
        and dropout_p < 1
        and query.dim() == key.dim() == value.dim() == 4
        and query.shape[:2] == key.shape[:2] == value.shape[:2]
        and query.dtype == key.dtype == value.dtype
        and (mask is None or mask.dim() <= 4)
        and cuda.chosen(query, key, value, 0.0, mask, beta, is_causal, dropout_p, False) is not None
    )


def _is_plain() -> bool:
    """Tell whether this is outside of transforms, and not compiled."""
    return _level() is None and not torch.compiler.is_compiling()


def _fits(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Tell whether these are plain tensors that fit, outside of transforms."""
    # a call of few keys costs as much as these questions: no slices, no loops
    shape, keys = query.shape, key.shape
    return (
        len(shape) == len(keys) == 4
        and keys == value.shape
        and shape[3] == keys[3]
        and shape[1] == keys[1]
        and shape[0] == keys[0]
        and query.dtype == key.dtype == value.dtype
        and _is_plain()
    )


def _check(query: Tensor, key: Tensor, value: Tensor, beta: float, mask: Tensor | None) -> torch.Size:
    """Refuse tensors that do not fit; return the common leading shape."""
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
    # comparisons, unlike math.isfinite, can be traced where the size, and so the scale, is symbolic
    if not -math.inf < beta < math.inf:
        raise ValueError(f"beta is {beta}: it must be a finite number")
    if mask is not None and mask.dtype != torch.bool and not mask.is_floating_point():
        raise TypeError(f"mask is {mask.dtype}: it must be boolean or floating point")
    lead = query.shape[:-2]
    if key.shape[:-2] == lead == value.shape[:-2]:
        return lead
    try:
        return torch.broadcast_shapes(lead, key.shape[:-2], value.shape[:-2])
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


class _FusedAttention(torch.autograd.Function):
    """``(o_n, ℓ_n)`` of four-axis tensors, and its exact backward pass."""

    @staticmethod
    def forward(query, key, value, log_n, mask, beta, is_causal, with_lse):
        if retrieval.applies(query, key, value, mask, is_causal):
            return retrieval.forward(query, key, value, log_n, beta)
        backend = cpu if cpu.applies(query, key, value, mask, beta, is_causal) else chunked
        return backend.forward(query, key, value, log_n, mask, beta, is_causal)

    @staticmethod
    def setup_context(ctx, inputs, output):
        query, key, value, log_n, mask, ctx.beta, ctx.is_causal, ctx.with_lse = inputs
        ctx.save_for_backward(query, key, value, log_n, mask, *output)
        ctx.learns_mask = mask is not None and mask.requires_grad
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, grad_out, grad_lse):  # pyright: ignore[reportIncompatibleMethodOverride]
        query, key, value, log_n, mask, out, lse = ctx.saved_tensors
        # a compiled graph passes zeros for an unused output
        grad_lse = grad_lse if ctx.with_lse else None
        if grad_out is None and grad_lse is None:
            return (None,) * 8
        if grad_out is None:
            grad_out = torch.zeros_like(out)
        grads = _FusedAttentionBackward.apply(
            grad_out, grad_lse, query, key, value, log_n, mask, out, lse, ctx.beta, ctx.is_causal, ctx.learns_mask
        )
        return (*grads, None, None, None)

    @staticmethod
    def vmap(info, in_dims, *args):
        return _unfold(info, _FusedAttention.apply(*_fold(info, in_dims, args)))


class _FusedAttentionBackward(torch.autograd.Function):
    """The backward pass as a separate function, so that differentiating it again is refused, not wrong."""

    @staticmethod
    def forward(grad_out, grad_lse, query, key, value, log_n, mask, out, lse, beta, is_causal, learns_mask):
        # ℓ_n = −∞ only where n = 0 and no key is seen: there every weight is zero, which any finite value gives
        lse = torch.where(lse == -math.inf, 0.0, lse)
        inner = (grad_out.to(lse.dtype) * out).sum(-1)
        if grad_lse is not None:
            inner = inner - grad_lse
        grad_log_n = -torch.exp(log_n - lse) * inner
        grad_mask = torch.zeros_like(mask, dtype=lse.dtype) if learns_mask else None
        # the operator's backward pass recomputes `inner` from grad_out and out, and leaves the mask out
        if (
            grad_lse is None
            and not learns_mask
            and cpu.backward_applies(query)
            and cpu.applies(query, key, value, mask, beta, is_causal)
        ):
            grads = cpu.backward(grad_out, query, key, value, out, lse, mask, beta, is_causal)
        else:
            grads = chunked.backward(grad_out, inner, query, key, value, lse, mask, beta, is_causal, grad_mask)
        return (*grads, grad_log_n, grad_mask if grad_mask is None else grad_mask.to(mask.dtype))

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, *grads):
        raise NotImplementedError(
            "the fused attention has first derivatives only: for second ones use softmax_n(beta * q @ k.mT) @ v"
        )

    @staticmethod
    def vmap(info, in_dims, *args):
        *outputs, grad_mask = _FusedAttentionBackward.apply(*_fold(info, in_dims, args))
        outputs, dims = _unfold(info, outputs)
        if grad_mask is not None:
            [grad_mask], _ = _unfold(info, [grad_mask])
        return (*outputs, grad_mask), (*dims, None if grad_mask is None else 0)
