r"""Hopfield layers: association, pooling and lookup, with a no-op slot.

Arguments, tensor layouts and defaults mostly follow the layers of Ramsauer et al. 2021 (arXiv:2008.02217);
``attention.hflayers`` maps their weights. In each head the state patterns q, the stored patterns k and the values v are
projections of the inputs, and

.. math:: q \leftarrow k^\top\mathrm{softmax}_n(\beta\, k q) \quad\text{(updates)}, \qquad
          o = v^\top\mathrm{softmax}_n(\beta\, k q).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from hopfield_theory._arguments import positive
from hopfield_theory.attention.functional import softmax_n_attention, softmax_n_weights
from hopfield_theory.model.fixed_point import differentiable
from hopfield_theory.model.separation import log_noop

__all__ = ["Hopfield", "HopfieldLayer", "HopfieldPooling"]

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
    scaling : float or Tensor, optional
        β, above 0; by default ``1/√hidden_size``. A tensor of num_heads numbers is one β per head; a parameter learns.
    update_steps_max : int or None
        Number of updates of the state patterns before the association. None means until convergence, with gradients by
        the implicit function theorem, whose memory does not grow with the number of updates.
    update_steps_eps : float
        A query stops when its update, relative to its norm, is no longer than this.
    normalize_stored_pattern, normalize_state_pattern, normalize_pattern_projection : bool
        Whether inputs are normalised (layer norm with learnt scale and shift).
    stored_pattern_size, pattern_projection_size : int, optional
        Sizes of those inputs; by default ``input_size``.
    stored_pattern_as_static, state_pattern_as_static, pattern_projection_as_static : bool
        Whether inputs enter the association space as they are; their size is then num_heads times that of a head.
    pattern_projection_as_connected : bool
        Whether values pass the projection of the stored patterns before their own: with the stored patterns as values,
        the :math:`Y W_K W_V` of Ramsauer et al. 2021. Both inputs then have one size.
    add_bias_kv : bool
        Whether a learnt stored pattern and its value are appended, which every query sees.
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
    stop_together : bool
        Whether all queries of a head stop at once, as in ``hflayers``: when in every sample the association's weights,
        that of the no-op slot among them, have changed by no more than ``update_steps_eps`` in the Frobenius norm. What
        a sample retrieves then depends on its batch, and gradients are those of the updates taken.

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
        scaling: float | Tensor | None = None,
        update_steps_max: int | None = 0,
        update_steps_eps: float = 1e-4,
        normalize_stored_pattern: bool = True,
        normalize_state_pattern: bool = True,
        normalize_pattern_projection: bool = True,
        stored_pattern_size: int | None = None,
        pattern_projection_size: int | None = None,
        stored_pattern_as_static: bool = False,
        state_pattern_as_static: bool = False,
        pattern_projection_as_static: bool = False,
        pattern_projection_as_connected: bool = False,
        add_bias_kv: bool = False,
        batch_first: bool = True,
        dropout: float = 0.0,
        input_bias: bool = True,
        disable_out_projection: bool = False,
        noop: float = 1.0,
        learn_noop: bool = False,
        stop_together: bool = False,
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
        if isinstance(scaling, Tensor):
            if scaling.numel() not in (1, num_heads) or not ((scaling > 0) & scaling.isfinite()).all():
                raise ValueError(f"scaling is {scaling}: it must be one finite number above 0, or one per head")
        elif scaling is not None:
            scaling = positive("scaling", scaling)
        if update_steps_max is not None and update_steps_max < 0:
            raise ValueError(f"update_steps_max is {update_steps_max}: it must be at least 0, or None for convergence")
        if not 0 <= update_steps_eps < math.inf or not 0 <= dropout < 1:
            raise ValueError(
                f"update_steps_eps is {update_steps_eps}, dropout {dropout}: they must be in [0, ∞) and [0, 1)"
            )
        if learn_noop and noop <= 0:
            raise ValueError(f"noop is {noop}: it must be above 0 where it is learnt")
        self.num_heads, self.batch_first, self.dropout = num_heads, batch_first, dropout
        self.scaling: float | Tensor
        if isinstance(scaling, Tensor) and not isinstance(scaling, nn.Parameter):
            self.register_buffer("scaling", scaling.detach().clone())
        else:
            self.scaling = 1.0 / math.sqrt(hidden_size) if scaling is None else scaling
        self.hidden_size = hidden_size
        self.update_steps_max, self.update_steps_eps = update_steps_max, update_steps_eps
        self.stop_together = stop_together
        self.norm_state_pattern = nn.LayerNorm(input_size) if normalize_state_pattern else nn.Identity()
        self.norm_stored_pattern = nn.LayerNorm(stored_size) if normalize_stored_pattern else nn.Identity()
        self.norm_pattern_projection = nn.LayerNorm(value_size) if normalize_pattern_projection else nn.Identity()
        self.connected = pattern_projection_as_connected
        space, values = num_heads * hidden_size, num_heads * pattern_size
        if pattern_projection_as_connected and stored_size != value_size:
            raise ValueError(
                f"stored_pattern_size is {stored_size}, pattern_projection_size {value_size}: connected projections "
                "take inputs of one size"
            )

        def projection(name: str, size: int, width: int, static: bool) -> nn.Module:
            if static and size != width:
                raise ValueError(f"{name} is static and of size {size}: it must be that of all heads, {width}")
            return nn.Identity() if static else nn.Linear(size, width, input_bias)

        self.state_projection = projection("state_pattern", input_size, space, state_pattern_as_static)
        self.stored_projection = projection("stored_pattern", stored_size, space, stored_pattern_as_static)
        value_width = space if pattern_projection_as_connected else value_size
        self.pattern_projection = projection("pattern_projection", value_width, values, pattern_projection_as_static)
        self.stored_size, self.value_size = stored_size, value_size
        if add_bias_kv:
            self.bias_k = nn.Parameter(torch.randn(1, 1, space) * space**-0.5)
            self.bias_v = nn.Parameter(torch.randn(1, 1, values) * values**-0.5)
        self.add_bias_kv = add_bias_kv
        output = (
            nn.Identity() if disable_out_projection else nn.Linear(num_heads * pattern_size, output_size, input_bias)
        )
        self.output_projection = output
        log_n = torch.full((num_heads, 1, 1), float(log_noop(noop, None)))
        if learn_noop:
            self.log_n = nn.Parameter(log_n)
        else:
            self.register_buffer("log_n", log_n)

    def _load_from_state_dict(self, state_dict: Any, prefix: Any, *others: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Keep this layer's no-op masses where another layer, loaded here, has none or has fixed ones."""
        key, errors = f"{prefix}log_n", others[-1]
        loaded = state_dict.get(key)
        if loaded is not None and loaded.shape == self.log_n.shape:
            fixed = not isinstance(self.log_n, nn.Parameter)
            differs = fixed and not torch.equal(loaded.to(self.log_n), self.log_n.detach())
            dense = bool((loaded == -math.inf).any())
            if dense or differs:
                state_dict = state_dict | {key: self.log_n.detach()}
            if differs and not dense:
                errors.append(
                    f"{key} is {loaded.flatten().tolist()}: the layer was built with a fixed n of another size"
                )
        super()._load_from_state_dict(state_dict, prefix, *others)

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
            Broadcasts to (B, num_heads, L, S), or has shape (B · num_heads, L, S): boolean, True where a state pattern
            may *not* see a stored one (as in ``hflayers``), or added to the scores.

        Returns
        -------
        Tensor, shape (B, L, output_size)
        """
        query, key, value, mask = self._settled(input, stored_pattern_padding_mask, association_mask)
        dropout = self.dropout if self.training else 0.0
        heads = softmax_n_attention(query, key, value, mask, dropout, scale=self._scale(), log_n=self.log_n)
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
        query, key, _, mask = self._settled(input, stored_pattern_padding_mask, association_mask)
        scale = self._scale()
        lse = softmax_n_attention(query, key, key, mask, scale=scale, log_n=self.log_n, return_lse=True)[1]
        return 0.5 * (query * query).sum(-1) - lse / (scale.squeeze(-1) if isinstance(scale, Tensor) else scale)

    def get_association_matrix(
        self,
        input: Patterns,
        stored_pattern_padding_mask: Tensor | None = None,
        association_mask: Tensor | None = None,
    ) -> Tensor:
        """Return the weights of the association, after the updates.

        Parameters
        ----------
        input, stored_pattern_padding_mask, association_mask
            Same as for :meth:`forward`.

        Returns
        -------
        Tensor, shape (B, num_heads, L, S)
            With ``add_bias_kv`` S + 1 columns, the learnt pattern last. Rows sum to 1 minus the weight of the slot.
        """
        query, key, _, mask = self._settled(input, stored_pattern_padding_mask, association_mask)
        return softmax_n_weights(query, key, mask, scale=self._scale(), log_n=self.log_n)

    def _scale(self) -> float | Tensor:
        """Return β as a number, or as a tensor that broadcasts to (num_heads, L, 1)."""
        return self.scaling.reshape(-1, 1, 1) if isinstance(self.scaling, Tensor) else self.scaling

    def _expanded(self, patterns: Tensor, input: Tensor) -> Tensor:
        """Return patterns (1, quantity, size) for every sample of an input, in the layout of the layer."""
        if self.batch_first:
            return patterns.expand(len(input), -1, -1)
        return patterns.transpose(0, 1).expand(-1, input.shape[1], -1)

    def _settled(
        self, input: Patterns, padding_mask: Tensor | None, association_mask: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Return states after the updates, keys, values and the mask."""
        query, key, value = self._projected(input)
        mask = self._joined(padding_mask, association_mask, query)
        return self._updated(query, key, mask), key, value, mask

    def _projected(self, input: Patterns) -> tuple[Tensor, Tensor, Tensor]:
        stored, state, pattern = (input,) * 3 if isinstance(input, Tensor) else input
        if not self.batch_first:
            stored, state, pattern = (x.transpose(0, 1) for x in (stored, state, pattern))
        state = self.state_projection(self.norm_state_pattern(state))
        source, pattern = self.norm_stored_pattern(stored), self.norm_pattern_projection(pattern)
        stored = self.stored_projection(source)
        if self.connected:
            pattern = stored if pattern is source else self.stored_projection(pattern)
        pattern = self.pattern_projection(pattern)
        if self.add_bias_kv:
            stored, pattern = (
                torch.cat([x, bias.expand(len(x), -1, -1)], 1)
                for x, bias in ((stored, self.bias_k), (pattern, self.bias_v))
            )
        query, key, value = (x.unflatten(-1, (self.num_heads, -1)).transpose(-3, -2) for x in (state, stored, pattern))
        return query, key, value

    def _updated(self, query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
        def update(state: Tensor) -> Tensor:
            return softmax_n_attention(state, key, key, mask, scale=self._scale(), log_n=self.log_n)

        if self.update_steps_max is not None or self.stop_together:
            return self._followed(query, key, mask, update)
        with torch.no_grad():
            state = self._followed(query, key, mask, update)
        return differentiable(update, state)

    def _followed(self, state: Tensor, key: Tensor, mask: Tensor | None, update: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the states after the updates: a state stops by itself, or with ``stop_together`` its whole head does.

        In the latter case the weights decide, and a head moves on until they are at rest for every sample of the batch.
        """
        moving = weights = None
        for _ in range(_MOST_UPDATES if self.update_steps_max is None else self.update_steps_max):
            if self.stop_together:
                before, weights = weights, softmax_n_weights(state, key, mask, scale=self._scale(), log_n=self.log_n)
                moving = None if before is None else self._changed(weights - before)
                new = weights @ key
                state = new if moving is None else torch.where(moving, new, state)
            else:
                state, moving = self._stepped(state, update(state), moving)
            if self.update_steps_max is None and moving is not None and not moving.any():
                break
        return state

    def _changed(self, change: Tensor) -> Tensor:
        """Tell, head by head, where the weights of some sample still change, shape (num_heads, 1, 1)."""
        change = change.detach()
        # what the patterns gain the slot loses
        squares = change.square().sum((-2, -1)) + change.sum(-1).square().sum(-1)
        return (squares.amax(0).sqrt() > self.update_steps_eps)[:, None, None]

    def _joined(self, padding: Tensor | None, mask: Tensor | None, query: Tensor) -> Tensor | None:
        """Join both masks into one of four axes: boolean, True where a pattern may be seen, or additive."""
        if padding is not None and (padding.dtype != torch.bool or padding.dim() != 2):
            raise TypeError(
                f"stored_pattern_padding_mask is {padding.dtype} of shape {tuple(padding.shape)}: it must be boolean, "
                "(B, S), True where a stored pattern is padding"
            )
        if mask is not None and mask.dtype != torch.bool and not mask.is_floating_point():
            raise TypeError(
                f"association_mask is {mask.dtype}: it must be boolean (True hides) or floating point (added)"
            )
        batch, heads = query.shape[:2]
        if mask is not None and mask.dim() == 3 and len(mask) == batch * heads:
            mask = mask.unflatten(0, (batch, heads))
        visible = None if padding is None else ~padding[:, None, None, :]
        if mask is not None and mask.dtype == torch.bool:
            mask = ~mask if visible is None else visible & ~mask
        elif mask is not None and visible is not None:
            mask = mask.to(query.dtype).masked_fill(~visible, -math.inf)
        else:
            mask = visible if mask is None else mask
        if mask is None or not self.add_bias_kv or mask.shape[-1] == 1:
            return mask
        return nn.functional.pad(mask, (0, 1), value=mask.dtype == torch.bool)

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
    trainable : bool
        Whether they are learnt, or stay as they were drawn.
    **association
        Further arguments of :class:`Hopfield`.

    Examples
    --------
    >>> HopfieldPooling(8, quantity=2)(torch.randn(3, 5, 8)).shape
    torch.Size([3, 16])
    """

    def __init__(self, input_size: int, quantity: int = 1, *, trainable: bool = True, **association: object) -> None:
        super().__init__()
        self.hopfield = Hopfield(input_size, **association)  # pyright: ignore[reportArgumentType]
        self.pooling_weights = _patterns(quantity, input_size, trainable)

    def forward(
        self,
        input: Tensor | tuple[Tensor, Tensor],
        stored_pattern_padding_mask: Tensor | None = None,
        association_mask: Tensor | None = None,
    ) -> Tensor:
        """Pool.

        Parameters
        ----------
        input : Tensor, shape (B, S, input_size), or tuple of two
            Stored patterns, and values of their own. Or (S, B, input_size) without ``batch_first``.
        stored_pattern_padding_mask, association_mask
            Same as for :class:`Hopfield`.

        Returns
        -------
        Tensor, shape (B, quantity · output_size)
        """
        pooled = self.hopfield(self._with_queries(input), stored_pattern_padding_mask, association_mask)
        return (pooled if self.hopfield.batch_first else pooled.transpose(0, 1)).flatten(1)

    def get_association_matrix(
        self,
        input: Tensor | tuple[Tensor, Tensor],
        stored_pattern_padding_mask: Tensor | None = None,
        association_mask: Tensor | None = None,
    ) -> Tensor:
        """Return the weights of the association, after the updates.

        Parameters
        ----------
        input, stored_pattern_padding_mask, association_mask
            Same as for :meth:`forward`.

        Returns
        -------
        Tensor, shape (B, num_heads, quantity, S)
        """
        return self.hopfield.get_association_matrix(
            self._with_queries(input), stored_pattern_padding_mask, association_mask
        )

    def _with_queries(self, input: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        stored, values = (input, input) if isinstance(input, Tensor) else input
        return stored, self.hopfield._expanded(self.pooling_weights, stored), values


class HopfieldLayer(nn.Module):
    """Look inputs up in learnt stored patterns, and return learnt targets.

    Parameters
    ----------
    input_size : int
        Size of the inputs, the state patterns.
    quantity : int, at least 1
        Number of learnt stored patterns.
    trainable : bool
        Whether they are learnt, or stay as they were drawn.
    lookup_weights_as_separated : bool
        Whether the targets are patterns of their own, or the stored patterns themselves.
    lookup_targets_as_trainable : bool
        Whether targets of their own are learnt.
    **association
        Further arguments of :class:`Hopfield`.

    Examples
    --------
    >>> HopfieldLayer(8, quantity=16, output_size=4)(torch.randn(3, 5, 8)).shape
    torch.Size([3, 5, 4])
    """

    def __init__(
        self,
        input_size: int,
        quantity: int = 1,
        *,
        trainable: bool = True,
        lookup_weights_as_separated: bool = True,
        lookup_targets_as_trainable: bool = True,
        **association: object,
    ) -> None:
        super().__init__()
        self.hopfield = Hopfield(input_size, **association)  # pyright: ignore[reportArgumentType]
        stored_size, value_size = self.hopfield.stored_size, self.hopfield.value_size
        self.lookup_weights = _patterns(quantity, stored_size, trainable)
        if lookup_weights_as_separated:
            self.lookup_targets = _patterns(quantity, value_size, lookup_targets_as_trainable)
        elif stored_size != value_size:
            raise ValueError(
                f"stored_pattern_size is {stored_size}, pattern_projection_size {value_size}: targets that are the "
                "stored patterns have their size"
            )
        else:
            self.lookup_targets = None

    def forward(
        self,
        input: Tensor,
        stored_pattern_padding_mask: Tensor | None = None,
        association_mask: Tensor | None = None,
    ) -> Tensor:
        """Look up.

        Parameters
        ----------
        input : Tensor, shape (B, L, input_size)
            Or (L, B, input_size) without ``batch_first``.
        stored_pattern_padding_mask, association_mask
            Same as for :class:`Hopfield`; S is ``quantity``.

        Returns
        -------
        Tensor, shape (B, L, output_size)
        """
        return self.hopfield(self._with_patterns(input), stored_pattern_padding_mask, association_mask)

    def get_association_matrix(
        self,
        input: Tensor,
        stored_pattern_padding_mask: Tensor | None = None,
        association_mask: Tensor | None = None,
    ) -> Tensor:
        """Return the weights of the association, after the updates.

        Parameters
        ----------
        input, stored_pattern_padding_mask, association_mask
            Same as for :meth:`forward`.

        Returns
        -------
        Tensor, shape (B, num_heads, L, quantity)
        """
        return self.hopfield.get_association_matrix(
            self._with_patterns(input), stored_pattern_padding_mask, association_mask
        )

    def _with_patterns(self, input: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        stored = self.hopfield._expanded(self.lookup_weights, input)
        targets = stored if self.lookup_targets is None else self.hopfield._expanded(self.lookup_targets, input)
        return stored, input, targets


def _patterns(quantity: int, size: int, trainable: bool) -> nn.Parameter:
    if quantity < 1:
        raise ValueError(f"quantity is {quantity}: it must be at least 1")
    return nn.Parameter(torch.randn(1, quantity, size) * 0.02, trainable)
