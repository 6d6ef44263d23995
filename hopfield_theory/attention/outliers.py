r"""Outliers in activations: kurtosis and infinity norm, measured by hooks while a model runs.

*Average kurtosis*: the fourth standardised moment :math:`E(x - \mu)^4/\sigma^4` over the features of a token (or of a
sample), averaged over tokens (samples), then over layers; 3 for a Gaussian, up to the number of features for a single
spike. *Maximum infinity norm*: :math:`\max |x|` of a batch, averaged over batches, then the largest over layers.

``protocol="bondarenko"`` gives the numbers of Bondarenko et al. 2023 (arXiv:2306.12929) and Hu et al. 2024
(arXiv:2404.03828) as their code has them: the kurtosis of a whole sample, flattened, is
:math:`E(x - \mu)^4/(s^4 + 10^{-6})` with the unbiased s; :math:`\max |x|` is per sample and averaged over samples, so
that it does not depend on the batch size; and what is measured are the outputs of feed-forward blocks and the norms.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from hopfield_theory._arguments import one_of
from hopfield_theory.attention._rounding import refuse_compiled

__all__ = ["LayerOutliers", "OutlierMeter", "kurtosis"]

# last layers of feed-forward blocks and of attention outputs, by their names in models of transformers
_FEED_FORWARD = ("output.dense", "fc2", "down_proj", "mlp.c_proj", "wo", "lin2")
_EPSILON = 1e-6
# rows are converted to float64 in pieces of so many numbers
_PIECE = 1 << 20


def kurtosis(x: Tensor) -> Tensor:
    r"""Return the fourth standardised moment :math:`E(x - \mu)^4/\sigma^4` over the last axis.

    It is computed in float64, so that squares and fourth powers of half-precision outliers neither overflow nor cancel.

    Parameters
    ----------
    x : Tensor, shape (..., D)
        Floating point.

    Returns
    -------
    Tensor of float64, shape (...)
        In [1, D]; NaN, undefined, where all D numbers are equal.

    Examples
    --------
    >>> kurtosis(torch.tensor([[1.0, -1.0, 1.0, -1.0], [0.0, 0.0, 0.0, 1.0]]))
    tensor([1.0000, 2.3333], dtype=torch.float64)
    """
    rows = x.detach().reshape(-1, x.shape[-1])
    pieces = [_moments(piece.double()) for piece in rows.split(max(1, _PIECE // max(1, x.shape[-1])))]
    return torch.cat(pieces).reshape(x.shape[:-1]) if pieces else x.new_zeros(x.shape[:-1], dtype=torch.float64)


def _moments(rows: Tensor) -> Tensor:
    centred = rows - rows.mean(-1, keepdim=True)
    # the mean of equal numbers may be rounded
    centred = torch.where((rows == rows[:, :1]).all(-1, keepdim=True), 0.0, centred)
    # in units of the largest, so that fourth powers are at most 1
    unit = centred / centred.abs().amax(-1, keepdim=True)
    squares = unit * unit
    return (squares * squares).mean(-1) / squares.mean(-1) ** 2


@dataclass
class LayerOutliers:
    """Statistics of one layer's outputs.

    Attributes
    ----------
    average_kurtosis : float
        Mean over all tokens (samples); NaN if all were constant, or there were none.
    maximum_infinity_norm : float
        Mean over batches.
    largest : float
        Largest over all batches.
    rows, batches : int
        Number of tokens (samples) in the mean, and of batches (with the protocol of samples).
    """

    rows: int = 0
    batches: int = 0
    largest: float = 0.0
    _kurtosis_sum: float = field(default=0.0, repr=False)
    _norm_sum: float = field(default=0.0, repr=False)

    @property
    def average_kurtosis(self) -> float:  # noqa: D102
        return self._kurtosis_sum / self.rows if self.rows else float("nan")

    @property
    def maximum_infinity_norm(self) -> float:  # noqa: D102
        return self._norm_sum / self.batches if self.batches else float("nan")

    def see(self, output: Tensor, per: str, published: bool = False) -> None:
        """Add a batch of outputs, shape (B, ..., D)."""
        if not output.numel():
            return
        if published:
            samples = output.detach().flatten(1).double()
            fourth = (samples - samples.mean(1, keepdim=True)).pow(4).mean(1)
            norms = samples.abs().amax(1)
            self.rows, self.batches = self.rows + len(samples), self.batches + len(samples)
            self._kurtosis_sum += (fourth / (samples.var(1).square() + _EPSILON)).sum().item()
            self._norm_sum += norms.sum().item()
            self.largest = max(self.largest, norms.max().item())
            return
        rows = output.flatten(1) if per == "sample" else output
        values = kurtosis(rows)
        said = values.isfinite()
        norm = output.detach().abs().max().double().item()
        self.rows += int(said.sum())
        self.batches += 1
        self._kurtosis_sum += values[said].sum().item()
        self._norm_sum += norm
        self.largest = norm if math.isnan(norm) else max(self.largest, norm)


class OutlierMeter:
    """Measure the outliers of a model's layers while it runs; a context manager that leaves no hook behind.

    Parameters
    ----------
    model : nn.Module
    layers : function of (name, module), optional
        Which modules to measure, at least one; by default all linear layers (transformers' ``Conv1D`` and stacked
        experts too), with the protocol the outputs of feed-forward blocks and the norms.
    per : {"token", "sample"}
        Whether a moment is over the features of a token, or over a whole sample.
    protocol : "bondarenko", optional
        See the module's description.

    Attributes
    ----------
    layers : dict of str to LayerOutliers
        The keys are the names of the modules.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> with OutlierMeter(model) as meter:
    ...     _ = model(torch.randn(3, 4))
    >>> sorted(meter.layers), meter.layers["0"].rows
    (['0', '2'], 3)
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Callable[[str, nn.Module], bool] | None = None,
        per: str = "token",
        protocol: str | None = None,
    ) -> None:
        refuse_compiled(model)
        if protocol is not None:
            one_of("protocol", protocol, ("bondarenko",))
        if per not in ("token", "sample"):
            raise ValueError(f"per is {per!r}: it must be token or sample")
        chosen = layers or (_is_linear if protocol is None else _is_published)
        self._modules = {name: module for name, module in model.named_modules() if chosen(name, module)}
        if not self._modules:
            raise ValueError("no module of the model is chosen: there is nothing to measure")
        self._per, self._published = per, protocol is not None
        self._handles: list[Any] = []
        self.layers = {name: LayerOutliers() for name in self._modules}

    @property
    def average_kurtosis(self) -> float:
        """Mean over layers; NaN if a layer was not run."""
        return sum(layer.average_kurtosis for layer in self.layers.values()) / len(self.layers)

    @property
    def maximum_infinity_norm(self) -> float:
        """Largest over layers of the mean over batches; NaN if a layer was not run."""
        norms = [layer.maximum_infinity_norm for layer in self.layers.values()]
        return torch.tensor(norms, dtype=torch.float64).amax().item()

    @property
    def largest_layer(self) -> str:
        """Name of the layer with the maximum infinity norm."""
        return max(self.layers, key=lambda name: self.layers[name].maximum_infinity_norm)

    def __enter__(self) -> Self:
        for name, module in self._modules.items():
            layer = self.layers[name]
            self._handles.append(module.register_forward_hook(lambda *seen, layer=layer: self._see(layer, seen[-1])))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._handles:
            self._handles.pop().remove()

    def _see(self, layer: LayerOutliers, output: Any) -> None:
        # modules of transformers return tuples, whose first element is the hidden state
        tensor = output[0] if isinstance(output, tuple | list) else output
        if isinstance(tensor, Tensor) and tensor.is_floating_point():
            layer.see(tensor, self._per, self._published)


def _is_linear(_name: str, module: nn.Module) -> bool:
    kind = type(module).__name__
    return isinstance(module, nn.Linear) or kind == "Conv1D" or (kind.endswith("Experts") and not hasattr(module, "0"))


def _is_published(name: str, module: nn.Module) -> bool:
    norm = "norm" in type(module).__name__.lower() and not any(module.children())
    return norm or (name.endswith(_FEED_FORWARD) and not name.endswith("attention.output.dense"))
