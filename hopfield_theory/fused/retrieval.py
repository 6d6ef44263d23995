"""Retrieval on a GPU: some queries and very many keys of one head, which are shared out among the processors."""

from __future__ import annotations

import torch
from torch import Tensor

from hopfield_theory.fused import kernels
from hopfield_theory.fused.cuda import compute_capability

__all__ = ["applies", "forward"]

# below it one kernel launch for each step of the plain way is as quick
_MANY_KEYS = 1 << 14
# widths up to which a kernel keeps its sums in registers
_WIDEST = {torch.float32: 128, torch.float64: 64}


def applies(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, is_causal: bool) -> bool:
    """Tell whether a kernel computes this: one head on a GPU, float32, or float64 where tensor cores have it."""
    if (
        not query.is_cuda
        or mask is not None
        or is_causal
        or query.dtype not in _WIDEST
        or query.shape[:2] != (1, 1)
        or query.shape[2] == 0
        or key.shape[2] < max(_MANY_KEYS, query.shape[2])
        or max(key.shape[3], value.shape[3]) > _WIDEST[query.dtype]
        or min(key.shape[3], value.shape[3]) == 0
        or torch.compiler.is_compiling()
        or not kernels.available()
    ):
        return False
    has = compute_capability(query.device)
    return has in ((8, 0), (9, 0)) if query.dtype == torch.float64 else has >= (8, 0)


def forward(query: Tensor, key: Tensor, value: Tensor, log_n: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Return ``(o_n, ℓ_n)`` of four-axis tensors of one head.

    Scores and sums of float32 are as exact as in float32 products, and never rounded to TF32: for keys and queries of
    length up to r and R, the log-sum-exp is at most about 2⁻²¹ β r R off.
    """
    from hopfield_theory.fused.kernels import pull

    q, k = query[0, 0].contiguous(), key[0, 0].contiguous()
    same = value.data_ptr() == key.data_ptr() and value.shape == key.shape and value.stride() == key.stride()
    v = k if same else value[0, 0].contiguous()
    compute = pull.pull_float32 if query.dtype == torch.float32 else pull.pull_float64
    average, lse = compute(q, k, v, beta)
    joined = torch.logaddexp(lse, log_n[0, 0].double())
    out = average * torch.exp(lse - joined).unsqueeze(-1)
    return out.to(query.dtype)[None, None], joined.to(log_n.dtype)[None, None]
