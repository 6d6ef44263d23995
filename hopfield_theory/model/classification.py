r"""The no-op classification of the outlier-efficient model, literally: augment, classify, collapse, update.

Queries and patterns get one more coordinate: :math:`\bar x = (x, 0)`, :math:`\bar\xi_\mu = (\xi_\mu, \omega_\mu)` with
:math:`\omega_\mu \ne 0` exactly for no-op patterns (outliers). The map :math:`\Lambda` sends every no-op pattern to the
one vector :math:`\Omega = (0, \dots, 0, C)`, orthogonal to all queries: as a key its score is 0, so it enters the
partition sum as :math:`e^0 = 1`; as a value it is 0 once the update is projected back on
:math:`\mathbb R^d \times \{0\}`. So a dense update on :math:`n` copies of :math:`\Omega` and the other patterns is the
softmax_n update on the other patterns, which is what :meth:`hopfield_theory.Memory.classified` uses. These functions
keep the construction itself, so that tests can hold the two together (Hu et al. 2024, arXiv:2404.03828).
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["augment", "classify", "collapse", "literal_update"]


def augment(patterns: Tensor, is_noop: Tensor) -> Tensor:
    r"""Append the coordinate :math:`\omega_\mu`: 1 for no-op patterns, 0 for the others.

    Parameters
    ----------
    patterns : Tensor, shape (M, d)
    is_noop : Tensor of bool, shape (M,)

    Returns
    -------
    Tensor, shape (M, d + 1)

    Raises
    ------
    ValueError
        If ``is_noop`` is not one boolean a pattern.

    Examples
    --------
    >>> augment(torch.tensor([[2.0], [9.0]]), torch.tensor([False, True]))
    tensor([[2., 0.],
            [9., 1.]])
    """
    if is_noop.dtype != torch.bool or is_noop.shape != patterns.shape[:1]:
        raise ValueError(
            f"is_noop is {is_noop.dtype} of shape {tuple(is_noop.shape)}: it must be one boolean a pattern, "
            f"shape {tuple(patterns.shape[:1])}"
        )
    return torch.cat([patterns, is_noop.to(patterns.dtype).unsqueeze(1)], 1)


def classify(augmented: Tensor, size: float = 1.0) -> Tensor:
    r"""Apply :math:`\Lambda`: every row with :math:`\omega \ne 0` becomes :math:`\Omega = (0, \dots, 0, C)`.

    Parameters
    ----------
    augmented : Tensor, shape (M, d + 1)
    size : float
        :math:`C \ne 0`; it leaves every retrieval as it is.

    Returns
    -------
    Tensor, shape (M, d + 1)

    Examples
    --------
    >>> classify(torch.tensor([[2.0, 0.0], [9.0, 1.0]]), size=5.0)
    tensor([[2., 0.],
            [0., 5.]])
    """
    omega = torch.zeros_like(augmented[0])
    omega[-1] = size
    return torch.where(augmented[:, -1:] != 0, omega, augmented)


def collapse(classified: Tensor) -> Tensor:
    r"""Keep one copy of :math:`\Omega`: the other patterns in their order, then :math:`\Omega` if there was any.

    Examples
    --------
    >>> collapse(torch.tensor([[0.0, 5.0], [2.0, 0.0], [0.0, 5.0]]))
    tensor([[2., 0.],
            [0., 5.]])
    """
    is_noop = classified[:, -1] != 0
    return torch.cat([classified[~is_noop], classified[is_noop][:1]])


def literal_update(classified: Tensor, query: Tensor, beta: float) -> Tensor:
    r"""One dense update on augmented patterns, projected back on :math:`\mathbb R^d \times \{0\}`.

    Without the projection the update would return :math:`(T_n(x),\, C p_0)`, and the next one would see a query that
    overlaps :math:`\Omega`.

    Parameters
    ----------
    classified : Tensor, shape (M, d + 1)
    query : Tensor, shape (..., d)
    beta : float

    Returns
    -------
    Tensor, shape (..., d)

    Examples
    --------
    >>> literal_update(torch.tensor([[2.0, 0.0], [0.0, 5.0]]), torch.tensor([0.0]), beta=1.0)
    tensor([1.])
    """
    augmented_query = torch.cat([query, torch.zeros_like(query[..., :1])], -1)
    weights = torch.softmax(beta * augmented_query @ classified.mT, -1)
    return (weights @ classified)[..., :-1]
