r"""Hopfield layers: association, pooling and lookup, with a no-op slot.

Arguments, tensor layouts and defaults mostly follow the layers of Ramsauer et al. 2021 (arXiv:2008.02217);
:func:`from_hflayers` maps their weights. In each head the state patterns q, the stored patterns k and the values v are
projections of the inputs, and

.. math:: q \leftarrow k^\top\mathrm{softmax}_n(\beta\, k q) \quad\text{(updates)}, \qquad
          o = v^\top\mathrm{softmax}_n(\beta\, k q).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hopfield_theory.attention.functional import softmax_n_attention
from hopfield_theory.fused.attention import fused_attention
from hopfield_theory.model.fixed_point import differentiable
from hopfield_theory.model.separation import log_noop

__all__ = ["Hopfield", "HopfieldLayer", "HopfieldPooling", "from_hflayers"]

# largest number of updates "until convergence"; a query that has not converged by then is used as it is
_MOST_UPDATES = 1000

Patterns = Tensor | tuple[Tensor, Tensor, Tensor]


class Hopfield(nn.Module):
    r"""Associate state patterns with stored patterns, and return a projection of what they retrieve.

    Parameters
    ----------
    input_size : int
        Size of the state patterns.
    hidden_size : int, optional
        Size of the association space of one head; by default ``input_size``.
    output_size : int, optional
        Size of the output; by default ``input_size``.
    pattern_size : int, optional
        Size of the values of one head; by default ``hidden_size``.
    num_heads : int, at least 1
    scaling : float, optional
        β, above 0; by default ``1/√hidden_size``.
    update_steps_max : int or None
        Number of updates of the state patterns before the association. None means until convergence, with gradients by
        the implicit function theorem, whose memory does not grow with the number of updates.
    update_steps_eps : float
        A query stops when its update, relative to its norm, is no longer than this.
    normalize_stored_pattern, normalize_state_pattern, normalize_pattern_projection : bool
        Whether inputs are normalised (layer norm with learnt scale and shift).
    stored_pattern_size, pattern_projection_size : int, optional
        Sizes of those inputs; by default ``input_size``.
    batch_first : bool
        Whether inputs and outputs are (batch, sequence, size) or (sequence, batch, size).
    dropout : float, in [0, 1)
        Dropout of the association's weights, in training.
    input_bias : bool
        Whether projections have a bias.
    disable_out_projection : bool
        Whether the heads' values are returned concatenated, without a projection.
    noop : float
        No-op mass n of every head: 1 is OutEffHop, 0 the dense layer.
    learn_noop : bool
        Whether ``log n`` is learnt, one number per head, starting at ``noop > 0``.

    Examples
    --------
    >>> layer = Hopfield(8, num_heads=2, noop=1.0)
    >>> layer(torch.randn(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int | None = None,
        output_size: int | None = None,
        pattern_size: int | None = None,
        num_heads: int = 1,
        scaling: float | None = None,
        update_steps_max: int | None = 0,
        update_steps_eps: float = 1e-4,
        normalize_stored_pattern: bool = True,
        normalize_state_pattern: bool = True,
        normalize_pattern_projection: bool = True,
        stored_pattern_size: int | None = None,
        pattern_projection_size: int | None = None,
        batch_first: bool = True,
        dropout: float = 0.0,
        input_bias: bool = True,
        disable_out_projection: bool = False,
        noop: float = 1.0,
        learn_noop: bool = False,
    ) -> None:
        super().__init__()
        hidden_size = input_size if hidden_size is None else hidden_size
        pattern_size = hidden_size if pattern_size is None else pattern_size
        stored_size = input_size if stored_pattern_size is None else stored_pattern_size
        value_size = input_size if pattern_projection_size is None else pattern_projection_size
        output_size = input_size if output_size is None else output_size
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "pattern_size": pattern_size}
        sizes |= {"stored_pattern_size": stored_size, "pattern_projection_size": value_size}
        for name, size in (sizes | {"output_size": output_size, "num_heads": num_heads}).items():
            if size < 1:
                raise ValueError(f"{name} is {size}: it must be at least 1")
        if scaling is not None and not 0 < scaling < math.inf:
            raise ValueError(f"scaling is {scaling}: it must be a finite number above 0")
        if update_steps_max is not None and update_steps_max < 0:
            raise ValueError(f"update_steps_max is {update_steps_max}: it must be at least 0, or None for convergence")
        if not 0 <= update_steps_eps < math.inf or not 0 <= dropout < 1:
            raise ValueError(
                f"update_steps_eps is {update_steps_eps}, dropout {dropout}: they must be in [0, ∞) and [0, 1)"
            )
        if learn_noop and noop <= 0:
            raise ValueError(f"noop is {noop}: it must be above 0 where it is learnt")
        self.num_heads, self.batch_first, self.dropout = num_heads, batch_first, dropout
        self.scaling = 1.0 / math.sqrt(hidden_size) if scaling is None else scaling
        self.update_steps_max, self.update_steps_eps = update_steps_max, update_steps_eps
        self.norm_state_pattern = nn.LayerNorm(input_size) if normalize_state_pattern else nn.Identity()
        self.norm_stored_pattern = nn.LayerNorm(stored_size) if normalize_stored_pattern else nn.Identity()
        self.norm_pattern_projection = nn.LayerNorm(value_size) if normalize_pattern_projection else nn.Identity()
        self.state_projection = nn.Linear(input_size, num_heads * hidden_size, input_bias)
        self.stored_projection = nn.Linear(stored_size, num_heads * hidden_size, input_bias)
        self.pattern_projection = nn.Linear(value_size, num_heads * pattern_size, input_bias)
        output = (
            nn.Identity() if disable_out_projection else nn.Linear(num_heads * pattern_size, output_size, input_bias)
        )
        self.output_projection = output
        log_n = torch.full((num_heads, 1, 1), float(log_noop(noop, None)))
        if learn_noop:
            self.log_n = nn.Parameter(log_n)
        else:
            self.register_buffer("log_n", log_n)

    def forward(
        self,
        input: Patterns,
        stored_pattern_padding_mask: Tensor | None = None,
        association_mask: Tensor | None = None,
    ) -> Tensor:
        """Retrieve.

        Parameters
        ----------
        input : Tensor, or tuple of three
            Stored patterns (B, S, stored_pattern_size), state patterns (B, L, input_size) and values
            (B, S, pattern_projection_size); a single tensor stands for all three.
        stored_pattern_padding_mask : Tensor of bool, shape (B, S), optional
            True where a stored pattern is padding.
        association_mask : Tensor, optional
            Broadcasts to (B, num_heads, L, S): boolean, True where a state pattern may *not* see a stored one (as in
            ``hflayers``), or added to the scores.

        Returns
        -------
        Tensor, shape (B, L, output_size)
        """
        query, key, value = self._projected(input)
        mask = _joined(stored_pattern_padding_mask, association_mask, query.dtype)
        query = self._updated(query, key, mask)
        dropout = self.dropout if self.training else 0.0
        heads = softmax_n_attention(query, key, value, mask, dropout, scale=self.scaling, log_n=self.log_n)
        merged = self.output_projection(heads.transpose(-3, -2).flatten(-2))
        return merged if self.batch_first else merged.transpose(0, 1)

    def energy(
        self,
        input: Patterns,
        stored_pattern_padding_mask: Tensor | None = None,
        association_mask: Tensor | None = None,
    ) -> Tensor:
        r"""Return the energy that the updates decrease, at the state that they reach.

        It is the energy in the association space of each head, for the stored patterns that a query sees, without the
        constant that makes it at least 0,

        .. math:: E(q) = \tfrac12\|q\|^2 - \beta^{-1}\log(n + \sum_\mu e^{\beta\langle k_\mu, q\rangle}).

        Parameters
        ----------
        input, stored_pattern_padding_mask, association_mask
            Same as for :meth:`forward`.

        Returns
        -------
        Tensor, shape (B, num_heads, L)
            ``+∞`` for a query that sees no pattern at n = 0.
        """
        query, key, _ = self._projected(input)
        mask = _joined(stored_pattern_padding_mask, association_mask, query.dtype)
        query = self._updated(query, key, mask)
        lse = fused_attention(query, key, key, log_n=self.log_n, beta=self.scaling, mask=mask, return_lse=True)[1]
        return 0.5 * (query * query).sum(-1) - lse / self.scaling

    def _projected(self, input: Patterns) -> tuple[Tensor, Tensor, Tensor]:
        stored, state, pattern = (input,) * 3 if isinstance(input, Tensor) else input
        if not self.batch_first:
            stored, state, pattern = (x.transpose(0, 1) for x in (stored, state, pattern))
        state = self.state_projection(self.norm_state_pattern(state))
        stored = self.stored_projection(self.norm_stored_pattern(stored))
        pattern = self.pattern_projection(self.norm_pattern_projection(pattern))
        query, key, value = (x.unflatten(-1, (self.num_heads, -1)).transpose(-3, -2) for x in (state, stored, pattern))
        return query, key, value

    def _updated(self, query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
        def update(state: Tensor) -> Tensor:
            return softmax_n_attention(state, key, key, mask, scale=self.scaling, log_n=self.log_n)

        if self.update_steps_max is None:
            with torch.no_grad():
                state, moving = query, None
                for _ in range(_MOST_UPDATES):
                    state, moving = self._stepped(state, update(state), moving)
                    if not moving.any():
                        break
            return differentiable(update, state)
        moving = None
        for _ in range(self.update_steps_max):
            query, moving = self._stepped(query, update(query), moving)
        return query

    def _stepped(self, state: Tensor, new: Tensor, moving: Tensor | None) -> tuple[Tensor, Tensor]:
        """Take a step where queries still move; return where the step was long."""
        length = torch.linalg.vector_norm((new - state).detach(), dim=-1, keepdim=True)
        # steps never become shorter than a few roundings
        enough = max(self.update_steps_eps, 4 * torch.finfo(new.dtype).eps) if self.update_steps_eps else 0.0
        long = length > enough * torch.linalg.vector_norm(new.detach(), dim=-1, keepdim=True)
        if moving is None:
            return new, long
        return torch.where(moving, new, state), moving & long


class HopfieldPooling(nn.Module):
    """Pool a set: learnt state patterns retrieve from it.

    Parameters
    ----------
    input_size : int
        Size of the patterns in the set.
    quantity : int, at least 1
        Number of learnt state patterns.
    **association
        Further arguments of :class:`Hopfield`.

    Examples
    --------
    >>> HopfieldPooling(8, quantity=2)(torch.randn(3, 5, 8)).shape
    torch.Size([3, 16])
    """

    def __init__(self, input_size: int, quantity: int = 1, **association: object) -> None:
        super().__init__()
        if quantity < 1:
            raise ValueError(f"quantity is {quantity}: it must be at least 1")
        self.hopfield = Hopfield(input_size, **association)  # pyright: ignore[reportArgumentType]
        self.pooling_weights = nn.Parameter(torch.randn(1, quantity, input_size) * 0.02)

    def forward(
        self,
        input: Tensor,
        stored_pattern_padding_mask: Tensor | None = None,
        association_mask: Tensor | None = None,
    ) -> Tensor:
        """Pool.

        Parameters
        ----------
        input : Tensor, shape (B, S, input_size)
            Or (S, B, input_size) without ``batch_first``.
        stored_pattern_padding_mask, association_mask
            Same as for :class:`Hopfield`.

        Returns
        -------
        Tensor, shape (B, quantity · output_size)
        """
        batch_first = self.hopfield.batch_first
        state = self.pooling_weights.expand(input.shape[0 if batch_first else 1], -1, -1)
        state = state if batch_first else state.transpose(0, 1)
        pooled = self.hopfield((input, state, input), stored_pattern_padding_mask, association_mask)
        return (pooled if batch_first else pooled.transpose(0, 1)).flatten(1)


class HopfieldLayer(nn.Module):
    """Look inputs up in learnt stored patterns, and return learnt targets.

    Parameters
    ----------
    input_size : int
        Size of the inputs, the state patterns.
    quantity : int, at least 1
        Number of learnt stored patterns.
    **association
        Further arguments of :class:`Hopfield`.

    Examples
    --------
    >>> HopfieldLayer(8, quantity=16, output_size=4)(torch.randn(3, 5, 8)).shape
    torch.Size([3, 5, 4])
    """

    def __init__(self, input_size: int, quantity: int = 1, **association: object) -> None:
        super().__init__()
        if quantity < 1:
            raise ValueError(f"quantity is {quantity}: it must be at least 1")
        self.hopfield = Hopfield(input_size, **association)  # pyright: ignore[reportArgumentType]
        stored_size = self.hopfield.stored_projection.in_features
        value_size = self.hopfield.pattern_projection.in_features
        self.lookup_weights = nn.Parameter(torch.randn(1, quantity, stored_size) * 0.02)
        self.lookup_targets = nn.Parameter(torch.randn(1, quantity, value_size) * 0.02)

    def forward(self, input: Tensor, association_mask: Tensor | None = None) -> Tensor:
        """Look up.

        Parameters
        ----------
        input : Tensor, shape (B, L, input_size)
            Or (L, B, input_size) without ``batch_first``.
        association_mask : Tensor, optional
            Same as for :class:`Hopfield`.

        Returns
        -------
        Tensor, shape (B, L, output_size)
        """
        batch_first = self.hopfield.batch_first
        batch = input.shape[0 if batch_first else 1]
        stored, targets = (x.expand(batch, -1, -1) for x in (self.lookup_weights, self.lookup_targets))
        if not batch_first:
            stored, targets = stored.transpose(0, 1), targets.transpose(0, 1)
        return self.hopfield((stored, input, targets), association_mask=association_mask)


def from_hflayers(state: dict[str, Tensor], layer: Hopfield) -> dict[str, Tensor]:
    """Map the weights of a ``Hopfield`` layer of the ``hflayers`` package to a layer of this package.

    ====================================  =====================================================
    ``hflayers``                          here
    ====================================  =====================================================
    ``association_core.in_proj_weight``   ``state_projection``, ``stored_projection`` and
                                          ``pattern_projection``, one below the other
    ``association_core.q_proj_weight``    ``state_projection.weight``; likewise k and v
    ``association_core.in_proj_bias``     the three biases, one after the other
    ``association_core.out_proj``         ``output_projection``
    ``norm_…``                            the same names
    ====================================  =====================================================

    Parameters
    ----------
    state : dict
        The ``state_dict`` of the other layer.
    layer : Hopfield
        A layer of the same sizes; it keeps its no-op masses.

    Returns
    -------
    dict
        Argument for ``layer.load_state_dict``.

    Raises
    ------
    ValueError
        For weights that this layer does not have.

    Examples
    --------
    >>> layer = Hopfield(2, disable_out_projection=True)
    >>> weight = {"association_core.in_proj_weight": torch.ones(6, 2), "association_core.in_proj_bias": torch.zeros(6)}
    >>> mapped = from_hflayers(weight | {k: v for k, v in layer.state_dict().items() if k.startswith("norm")}, layer)
    >>> layer.load_state_dict(mapped)
    <All keys matched successfully>
    """
    names = ("state_projection", "stored_projection", "pattern_projection")
    sizes = [getattr(layer, name).out_features for name in names]
    mapped = {"log_n": layer.log_n.detach().clone()}
    for name, tensor in state.items():
        core = name.removeprefix("association_core.")
        if core.startswith("norm_"):
            mapped[core] = tensor
        elif core in ("in_proj_weight", "in_proj_bias") and tensor.shape[0] == sum(sizes):
            kind = core.removeprefix("in_proj_")
            mapped |= {f"{own}.{kind}": part for own, part in zip(names, tensor.split(sizes), strict=True)}
        elif core in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
            mapped[f"{names['qkv'.index(core[0])]}.weight"] = tensor
        elif core in ("out_proj.weight", "out_proj.bias"):
            mapped[f"output_projection.{core.removeprefix('out_proj.')}"] = tensor
        else:
            raise ValueError(f"{name} of shape {tuple(tensor.shape)} has no place in this layer")
    return mapped


def _joined(padding: Tensor | None, mask: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """Join both masks into one of four axes: boolean, True where a pattern may be seen, or additive."""
    visible = None if padding is None else ~padding[:, None, None, :]
    if mask is None:
        return visible
    if mask.dtype == torch.bool:
        return ~mask if visible is None else visible & ~mask
    return mask if visible is None else mask.to(dtype).masked_fill(~visible, -math.inf)
