r"""STanHop-Net: forecasting of multivariate series by Hopfield layers along time and across variates.

After Wu et al. 2024 (arXiv:2312.17346), in the form in which Hu et al. 2024 (arXiv:2404.03828) compare methods: of the
four norms of each layer the third alone remains. Segments of each variate are embedded; an encoder of
:class:`SparseModules` keeps the output of every layer, of ever coarser segments; a decoder looks each of them up, and
the predictions of its layers are summed.

Every association is :class:`Association`, our :class:`~hopfield_theory.attention.Hopfield` layer whose values are
projections of the projected stored patterns, :math:`V = W_V W_K Y`, with the activation of one of the methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hopfield_theory import _arguments
from hopfield_theory.attention.baselines import AttentionGate, clip_of, clipped_weights
from hopfield_theory.attention.layers import Hopfield
from hopfield_theory.model.separation import Entmax

__all__ = ["Association", "STanHop", "SparseModules"]


class Association(Hopfield):
    r"""A Hopfield layer with the activation of one of the methods that are compared.

    Parameters
    ----------
    size : int
        Size of inputs and output, a multiple of ``num_heads``.
    num_heads : int, at least 1
    entmax : float or "learnt", optional
        α of α-entmax weights in place of softmax_n: 2 is the sparse layer (sparsemax). Learnt is the generalised sparse
        one, :math:`\alpha = 1 + \sigma(a)` in (1, 2), one per head, starting at 1.5. Only with ``noop=0``.
    clip : (gamma, zeta), optional
        Stretch of clipped softmax_n.
    gate : float, in (0, 1), optional
        Mean initial value of the gates of the heads' outputs, linear maps of the state patterns.
    noop, learn_noop, dropout
        Same as for :class:`~hopfield_theory.attention.Hopfield`.

    Examples
    --------
    >>> Association(8, 2, entmax=2.0, noop=0.0)(torch.randn(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    def __init__(
        self,
        size: int,
        num_heads: int = 1,
        *,
        entmax: float | str | None = None,
        clip: tuple[float, float] | None = None,
        gate: float | None = None,
        noop: float = 1.0,
        learn_noop: bool = False,
        dropout: float = 0.0,
    ) -> None:
        if size % num_heads:
            raise ValueError(f"size is {size}: it must be a multiple of num_heads, {num_heads}")
        if entmax is not None and (noop != 0 or clip is not None):
            raise ValueError(
                f"entmax is {entmax!r}, noop {noop}, clip {clip}: entmax goes with noop=0 and without clip"
            )
        if entmax is not None and entmax != "learnt" and not (isinstance(entmax, float) and 1 < entmax <= 2):
            raise ValueError(f"entmax is {entmax!r}: it must be 'learnt', or a float above 1 and at most 2")
        clip = None if clip is None else clip_of(clip)
        super().__init__(
            size,
            hidden_size=size // num_heads,
            num_heads=num_heads,
            normalize_stored_pattern=False,
            normalize_state_pattern=False,
            normalize_pattern_projection=False,
            pattern_projection_as_connected=True,
            dropout=dropout,
            noop=noop,
            learn_noop=learn_noop,
        )
        self.entmax, self.clip = entmax, clip
        if entmax == "learnt":
            self.logit_alpha = nn.Parameter(torch.zeros(num_heads, 1, 1))
        if gate is not None:
            self.gate = AttentionGate(num_heads, size // num_heads, initial_gate=gate)

    def weights(self, input: Any) -> Tensor:
        """Return the weights of the association, shape (B, num_heads, L, S)."""
        if self.entmax is None:
            weights = self.get_association_matrix(input)
            return weights if self.clip is None else clipped_weights(weights, *self.clip)
        query, key, _ = self._projected(input)
        scores = self._scale() * query @ key.mT
        if not isinstance(self.entmax, str):
            return Entmax(self.entmax).weights(scores)
        # only this variant needs it
        from entmax import entmax_bisect

        return entmax_bisect(scores, alpha=1 + self.logit_alpha.sigmoid(), dim=-1)  # pyright: ignore[reportArgumentType]

    def forward(self, input: Any) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Retrieve; the argument is the same as for :class:`~hopfield_theory.attention.Hopfield`, without masks."""
        if self.entmax is None and self.clip is None and not hasattr(self, "gate"):
            return super().forward(input)
        weights = nn.functional.dropout(self.weights(input), self.dropout, self.training)
        heads = weights @ self._projected(input)[2]
        if hasattr(self, "gate"):
            heads = heads * self.gate(input if isinstance(input, Tensor) else input[1])
        return self.output_projection(heads.transpose(-3, -2).flatten(-2))


def _perceptron(size: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, hidden), nn.GELU(), nn.Linear(hidden, size))


class SparseModules(nn.Module):
    """One layer: an association along the segments of each variate, then one across the variates of each segment.

    Across variates, ``factor`` learnt patterns gather from the variates, and the variates retrieve from what they hold.

    Parameters
    ----------
    size, hidden, num_heads, factor : int
        Sizes of an embedding and of the perceptrons' hidden layer, numbers of heads and of gathering patterns.
    dropout : float
    method : mapping
        Further arguments of :class:`Association`.
    """

    def __init__(
        self, size: int, hidden: int, num_heads: int, factor: int, dropout: float, method: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self.along, self.gather, self.spread = (
            Association(size, num_heads, dropout=dropout, **method) for _ in range(3)
        )
        self.gathering = nn.Parameter(torch.randn(1, factor, size) * 0.02)
        self.first, self.second = (_perceptron(size, hidden) for _ in range(2))
        self.norm = nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the same shape, (B, variates, segments, size)."""
        batch, _, segments, _ = x.shape
        h = x.flatten(0, 1)
        h = h + self.dropout(self.along(h))
        h = h + self.dropout(self.first(h))
        # (B · segments, variates, size)
        h = h.unflatten(0, (batch, -1)).transpose(1, 2).flatten(0, 1)
        gathered = self.gather((h, self.gathering.expand(len(h), -1, -1), h))
        h = self.norm(h + self.dropout(self.spread((gathered, h, gathered))))
        h = h + self.dropout(self.second(h))
        return h.unflatten(0, (batch, segments)).transpose(1, 2)


class _Decoding(nn.Module):
    """One layer of the decoder: its own modules, an association with an output of the encoder, and a prediction."""

    def __init__(
        self,
        size: int,
        hidden: int,
        num_heads: int,
        factor: int,
        dropout: float,
        segment: int,
        method: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.layer = SparseModules(size, hidden, num_heads, factor, dropout, method)
        self.cross = Association(size, num_heads, dropout=dropout, **method)
        self.norm, self.last_norm = nn.LayerNorm(size), nn.LayerNorm(size)
        self.perceptron = _perceptron(size, size)
        self.predict = nn.Linear(size, segment)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, encoded: Tensor) -> tuple[Tensor, Tensor]:
        x = self.layer(x)
        variates = x.shape[1]
        x, encoded = x.flatten(0, 1), encoded.flatten(0, 1)
        x = self.norm(x + self.dropout(self.cross((encoded, x, encoded))))
        x = self.last_norm(x + self.perceptron(x)).unflatten(0, (-1, variates))
        return x, self.predict(x)


class STanHop(nn.Module):
    """STanHop-Net.

    Parameters
    ----------
    variates, length, horizon : int, at least 1
        Number of series, and how many steps of each are seen and forecast.
    segment : int, at least 1
        Steps per segment. The input is padded at its front by its first step, and the forecast is cut at its end.
    window : int, at least 1
        How many adjacent segments every layer of the encoder but the first merges; a last incomplete group is filled up
        with the last segments.
    factor, size, hidden, num_heads, layers : int, at least 1
        See :class:`SparseModules`; number of layers of the encoder. The decoder has one more.
    dropout : float
    **method
        Further arguments of :class:`Association`: ``noop``, ``learn_noop``, ``entmax``, ``clip``, ``gate``.

    Examples
    --------
    >>> net = STanHop(3, length=10, horizon=5, segment=4, size=8, hidden=8, num_heads=2, layers=2, factor=2)
    >>> net(torch.randn(6, 10, 3)).shape
    torch.Size([6, 5, 3])
    """

    def __init__(
        self,
        variates: int,
        length: int = 168,
        horizon: int = 24,
        segment: int = 6,
        window: int = 1,
        factor: int = 10,
        size: int = 256,
        hidden: int = 512,
        num_heads: int = 4,
        layers: int = 11,
        dropout: float = 0.0,
        **method: Any,
    ) -> None:
        super().__init__()
        counts = {"variates": variates, "length": length, "horizon": horizon, "segment": segment, "window": window}
        counts |= {"factor": factor, "size": size, "hidden": hidden, "num_heads": num_heads, "layers": layers}
        for name, count in counts.items():
            _arguments.integer(name, count, 1)
        self.variates, self.length, self.horizon, self.segment, self.window = variates, length, horizon, segment, window
        seen, ahead = -(-length // segment), -(-horizon // segment)
        self.embed = nn.Linear(segment, size)
        self.position = nn.Parameter(torch.randn(1, variates, seen, size))
        self.norm = nn.LayerNorm(size)
        merged = layers - 1 if window > 1 else 0
        self.merges = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(window * size), nn.Linear(window * size, size)) for _ in range(merged)
        )
        shared = (size, hidden, num_heads, factor, dropout)
        self.encoder = nn.ModuleList(SparseModules(*shared, method) for _ in range(layers))
        self.queries = nn.Parameter(torch.randn(1, variates, ahead, size))
        self.decoder = nn.ModuleList(_Decoding(*shared, segment, method) for _ in range(layers + 1))

    def segments(self, x: Tensor) -> Tensor:
        """Cut series (B, length, variates), padded at the front, into (B, variates, segments, segment)."""
        x = torch.cat([x[:, :1].expand(-1, -self.length % self.segment, -1), x], 1)
        return x.transpose(1, 2).unflatten(-1, (-1, self.segment))

    def coarsened(self, x: Tensor) -> Tensor:
        """Join ``window`` adjacent segments of (B, variates, segments, size) into one, ``window`` times as wide."""
        lacking = -x.shape[2] % self.window
        # fewer segments than are needed: the last one, over and over
        tail = x[:, :, -lacking:] if lacking <= x.shape[2] else x[:, :, -1:].expand(-1, -1, lacking, -1)
        x = torch.cat([x, tail], 2) if lacking else x
        return x.unflatten(2, (-1, self.window)).flatten(3)

    def forward(self, x: Tensor) -> Tensor:
        """Forecast: (B, length, variates) to (B, horizon, variates)."""
        if x.shape[1:] != (self.length, self.variates):
            raise ValueError(f"x is {tuple(x.shape)}: it must be (B, {self.length}, {self.variates})")
        h = self.norm(self.embed(self.segments(x)) + self.position)
        encoded = [h]
        for index, layer in enumerate(self.encoder):
            if index and self.window > 1:
                h = self.merges[index - 1](self.coarsened(h))
            h = layer(h)
            encoded.append(h)
        h, parts = self.queries.expand(len(x), -1, -1, -1), []
        for layer, states in zip(self.decoder, encoded, strict=True):
            h, part = layer(h, states)
            parts.append(part)
        return torch.stack(parts).sum(0).flatten(2)[..., : self.horizon].transpose(1, 2)
