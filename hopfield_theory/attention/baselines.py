r"""The methods that outlier-efficient attention is compared with: clipped softmax and gated attention.

Both are from Bondarenko et al. 2023 (arXiv:2306.12929), and both can be combined with a no-op slot: {softmax, clipped,
gated} with n = 0 and with n > 0 are the six methods of Hu et al. 2024 (arXiv:2404.03828).
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor, nn

from hopfield_theory._arguments import one_of, real
from hopfield_theory.attention.functional import masked, softmax_n_weights
from hopfield_theory.fused.grouped_heads import repeated_heads

# code that hides a key adds -10 000, -1e9 or the lowest number of a dtype to its score; no bias is that large
_HIDING = -5e3

__all__ = ["AttentionGate", "clipped_attention", "clipped_weights"]


def clipped_weights(weights: Tensor, gamma: float | Tensor = 0.0, zeta: float = 1.0) -> Tensor:
    r"""Stretch weights and clip them: :math:`\mathrm{clip}((\zeta - \gamma)\,p + \gamma,\ 0,\ 1)`.

    Weights below :math:`-\gamma/(\zeta - \gamma)` become exactly 0, and those above :math:`(1 - \gamma)/(\zeta -
    \gamma)` exactly 1. Neither needs large scores, nor has a gradient that would make them larger.

    Parameters
    ----------
    weights : Tensor
        p, in [0, 1].
    gamma : float or Tensor
        At most 0; ``-α/length`` makes the effect independent of the length. A tensor broadcasts, and its values are not
        checked.
    zeta : float
        At least 1.

    Returns
    -------
    Tensor, shape and dtype of ``weights``

    Examples
    --------
    >>> clipped_weights(torch.tensor([0.01, 0.5, 0.98]), gamma=-0.03, zeta=1.03)
    tensor([0.0000, 0.5000, 1.0000])
    """
    number = 0.0 if isinstance(gamma, Tensor) else gamma
    if not -math.inf < number <= 0 or not 1 <= zeta < math.inf:
        raise ValueError(f"gamma is {gamma} and zeta {zeta}: they must be at most 0 and at least 1")
    return ((zeta - gamma) * weights + gamma).clamp(0.0, 1.0)


def clip_of(clip: Any) -> tuple[float, float]:
    """Return gamma and zeta of a pair that may be a user's.

    Examples
    --------
    >>> clip_of((-0.025, 1))
    (-0.025, 1.0)
    """
    try:
        gamma, zeta = clip
    except (TypeError, ValueError):
        raise ValueError(f"clip is {clip!r}: it must be two numbers, gamma and zeta") from None
    gamma, zeta = real("gamma", gamma), real("zeta", zeta)
    clipped_weights(torch.zeros(()), gamma, zeta)
    return gamma, zeta


def visible_keys(query: Tensor, key: Tensor, attn_mask: Tensor | None, is_causal: bool) -> Tensor:
    """Return how many keys each query sees, broadcasting to (..., L, 1).

    Examples
    --------
    >>> visible_keys(torch.zeros(3, 4), torch.zeros(5, 4), None, True).flatten()
    tensor([1, 2, 3])
    """
    length, keys = query.shape[-2], key.shape[-2]
    if is_causal:
        return torch.arange(1, length + 1, device=query.device)[:, None].clamp(max=keys)
    if attn_mask is None:
        return torch.full((1, 1), keys, device=query.device)
    seen = attn_mask if attn_mask.dtype == torch.bool else attn_mask > _HIDING
    return seen.expand(*seen.shape[:-1], keys).sum(-1, keepdim=True)


def stretch(keys: Tensor | int, gamma: float = 0.0, alpha: float | None = None) -> float | Tensor:
    """Return gamma of clipped softmax: ``gamma``, or ``-alpha`` divided by the number of keys that a query sees.

    Examples
    --------
    >>> stretch(torch.tensor([8]), alpha=2.0)
    tensor([-0.2500])
    """
    if alpha is None:
        return gamma
    if gamma != 0 or not 0 <= alpha < math.inf:
        raise ValueError(f"alpha is {alpha} and gamma {gamma}: alpha must be at least 0, and stands in place of gamma")
    return -alpha / (keys.clamp(min=1) if isinstance(keys, Tensor) else max(keys, 1))


def clipped_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    gamma: float = 0.0,
    alpha: float | None = None,
    zeta: float = 1.0,
    length: int | None = None,
    n: float | Tensor | None = None,
    log_n: float | Tensor | None = None,
) -> Tensor:
    r"""Attend with clipped softmax_n weights.

    Parameters and errors are the same as in :func:`hopfield_theory.attention.softmax_n_attention` and
    :func:`clipped_weights`; ``n = 0``, the default, is clipped softmax. Masked keys have weight zero. With
    ``alpha >= 0`` in place of ``gamma``, gamma is ``-alpha/S`` for a query that sees S keys: the effect on a uniform
    weight is then the same at every length, with or without padding. With ``length``, gamma is ``-alpha/length``, as in
    the papers.

    Returns
    -------
    Tensor, shape (..., H, L, V)

    Examples
    --------
    >>> query, key = torch.zeros(1, 2, 4), torch.zeros(1, 4, 4)
    >>> clipped_attention(query, key, key + 1.0, gamma=-0.5)[0, 0, 0]
    tensor(0.)
    """
    attn_mask, is_causal = masked(attn_mask, is_causal, query, key)
    if enable_gqa:
        key, value = repeated_heads(query, key, "key"), repeated_heads(query, value, "value")
    n = 0.0 if n is None and log_n is None else n
    weights = softmax_n_weights(query, key, attn_mask, is_causal, scale, n=n, log_n=log_n)
    keys = visible_keys(query, key, attn_mask, is_causal) if length is None else length
    stretched = stretch(keys, gamma, alpha)
    return nn.functional.dropout(clipped_weights(weights, stretched, zeta), dropout_p) @ value


class AttentionGate(nn.Module):
    r"""Gate each head's output: :math:`\sigma(g_h(x))`, g a linear map, a small network, or a constant.

    Parameters
    ----------
    num_heads : int, at least 1
    head_size : int, at least 1
        Size of a head's input: the token's hidden state, cut into heads.
    hidden : int, optional
        Width of the single hidden layer (ReLU); by default the map is linear.
    initial_gate : float, in (0, 1)
        Mean value of the gate at the start: the last bias is its logit.
    per : {"token", "head", "constant"}
        One gate per token and head, one per head from the logits' mean over tokens, or one learnt number per head.
    all_features : bool
        Whether each head sees the whole hidden state, not its own part alone.
    fine_tuning : bool
        Whether gates are divided by ``initial_gate`` and weights start near 0 (standard deviation 0.01), so that a
        trained model starts where it was: factors in (0, 1/initial_gate).

    References
    ----------
    Bondarenko et al. 2023 (arXiv:2306.12929), section 4.2 and appendix B.

    Examples
    --------
    >>> gate = AttentionGate(2, 4, initial_gate=0.5)
    >>> gate(torch.zeros(1, 3, 8)).shape, gate(torch.zeros(1, 3, 8))[0, 0, 0]
    (torch.Size([1, 2, 3, 1]), tensor([0.5000], grad_fn=<SelectBackward0>))
    """

    def __init__(
        self,
        num_heads: int,
        head_size: int,
        hidden: int | None = None,
        initial_gate: float = 0.5,
        *,
        per: str = "token",
        all_features: bool = False,
        fine_tuning: bool = False,
    ) -> None:
        super().__init__()
        if num_heads < 1 or head_size < 1 or (hidden is not None and hidden < 1):
            raise ValueError(
                f"num_heads is {num_heads}, head_size {head_size}, hidden {hidden}: each must be at least 1"
            )
        if not 0 < initial_gate < 1:
            raise ValueError(f"initial_gate is {initial_gate}: it must lie between 0 and 1")
        one_of("per", per, ("token", "head", "constant"))
        if per == "constant" and (hidden is not None or all_features):
            raise ValueError("per is 'constant': it has neither a hidden layer nor features")
        self.num_heads, self.per, self.all_features, self.fine_tuning = num_heads, per, all_features, fine_tuning
        self.initial_gate = initial_gate
        width = num_heads * head_size if all_features else head_size
        widths = [] if per == "constant" else [width, 1] if hidden is None else [width, hidden, 1]
        self.layers = max(1, len(widths) - 1)
        # parameters of their own: the copies that DataParallel makes have no lists
        for index, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
            self.register_parameter(f"weight_{index}", nn.Parameter(torch.empty(num_heads, fan_in, fan_out)))
            self.register_parameter(f"bias_{index}", nn.Parameter(torch.empty(num_heads, 1, fan_out)))
        if per == "constant":
            self.register_parameter("bias_0", nn.Parameter(torch.empty(num_heads, 1, 1)))
        self.reset_parameters()

    @property
    def weights(self) -> list[Tensor]:
        """The weights, layer by layer, each (num_heads, in, out)."""
        return [getattr(self, f"weight_{i}") for i in range(self.layers) if self.per != "constant"]

    @property
    def biases(self) -> list[Tensor]:
        """The biases, layer by layer, each (num_heads, 1, out)."""
        return [getattr(self, f"bias_{i}") for i in range(self.layers)]

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the weights, and set the last bias to the logit of the initial gate."""
        for weight in self.weights:
            bound = 1.0 / math.sqrt(weight.shape[1])
            weight.normal_(0.0, 0.01) if self.fine_tuning else weight.uniform_(-bound, bound)
        for bias in self.biases:
            bias.zero_()
        self.biases[-1].fill_(math.log(self.initial_gate / (1 - self.initial_gate)))

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Return the gates.

        Parameters
        ----------
        hidden_states : Tensor, shape (..., L, num_heads · head_size)

        Returns
        -------
        Tensor, shape (..., num_heads, L, 1)
            Factors for the outputs of the heads; L is 1 with one gate per head or a constant.
        """
        if self.per == "constant":
            x = self.biases[0]
        else:
            x = hidden_states.unflatten(-1, (1 if self.all_features else self.num_heads, -1)).transpose(-3, -2)
            for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
                x = x @ weight + bias
                x = x if index == self.layers - 1 else x.relu()
            x = x.mean(-2, keepdim=True) if self.per == "head" else x
        gate = x.sigmoid()
        return gate / self.initial_gate if self.fine_tuning else gate
