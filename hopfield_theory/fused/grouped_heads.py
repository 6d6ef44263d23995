"""Grouped heads: several query heads share the keys and values of one."""

from __future__ import annotations

from torch import Tensor

__all__ = ["group_size", "repeated_heads"]


def group_size(query: Tensor, x: Tensor, name: str) -> int:
    """Return how many heads of ``query`` share a head of ``x``, both third from last; ValueError if they do not fit.

    Examples
    --------
    >>> import torch
    >>> group_size(torch.zeros(8, 5, 4), torch.zeros(2, 9, 4), "key")
    4
    """
    if min(query.dim(), x.dim()) < 3 or x.shape[-3] == 0 or query.shape[-3] % x.shape[-3]:
        raise ValueError(
            f"query {tuple(query.shape)} and {name} {tuple(x.shape)}: the heads, third from last, must be a multiple"
        )
    return query.shape[-3] // x.shape[-3]


def repeated_heads(query: Tensor, x: Tensor, name: str) -> Tensor:
    """Repeat key or value heads for the query heads of their group.

    Examples
    --------
    >>> import torch
    >>> repeated_heads(torch.zeros(4, 1, 1), torch.tensor([[[1.0]], [[2.0]]]), "key").flatten()
    tensor([1., 1., 2., 2.])
    """
    groups = group_size(query, x, name)
    return x if groups == 1 else x.repeat_interleave(groups, -3)
