r"""W8A8 post-training quantisation, simulated: eight bits for weights and for activations.

Weights are quantised symmetrically, :math:`\Delta = \max|w|/127`; activations asymmetrically with static ranges
:math:`[a, b]` from calibration batches, :math:`\Delta = (b - a)/255`; each with one range per tensor, as in the
comparisons of Bondarenko et al. 2023 (arXiv:2306.12929) and Hu et al. 2024 (arXiv:2404.03828). Values are rounded to
their grids by PyTorch's own operators; computing with them in floating point gives the accuracy of integers.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

__all__ = ["calibrate", "quantized"]

_WEIGHT_LEVELS, _ACTIVATION_LEVELS = 127, 255
_MULTIPLYING = (nn.Linear, nn.Conv1d, nn.Conv2d)
_WITH_WEIGHTS = (*_MULTIPLYING, nn.Embedding)
_QUANTIZED = (*_WITH_WEIGHTS, nn.LayerNorm, nn.GELU, nn.ReLU, nn.SiLU, nn.Tanh)

_OfTensor = Callable[[Tensor], Tensor | None]
Ranges = dict[str, tuple[float, float]]


def calibrate(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    run: Callable[[nn.Module, Any], Any] = lambda model, batch: model(batch),
    percentile: float = 100.0,
    skip: tuple[str, ...] = (),
) -> Ranges:
    r"""Find the range of every activation on calibration batches.

    Parameters
    ----------
    model : nn.Module
        Run in its current mode (training or evaluation), without gradients.
    batches : iterable
        At least one argument for ``run``; no activation is kept.
    run : function of (model, batch)
        Runs the model; by default ``model(batch)``.
    percentile : float, in (50, 100]
        100: the ranges are running minima and maxima. Below: the percentile and its mirror image per batch, averaged
        over batches.
    skip : tuple of str
        Names of modules that stay in floating point, with their submodules, such as the head.

    Returns
    -------
    dict of str to (float, float)
        Ranges, each including 0. The key is the name of the module of the output (linear, convolution and embedding
        layers, layer norms, activation functions), or that name and ``input`` (linear and convolution layers).

    Raises
    ------
    ValueError
        For a percentile out of range, no batch, an unknown name, or activations that are not finite.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    >>> sorted(calibrate(model, [torch.randn(8, 4)]))
    ['0', '0 input', '1']
    """
    if not 50 < percentile <= 100:
        raise ValueError(f"percentile is {percentile}: it must be above 50 and at most 100")
    seen: dict[str, list[tuple[float, float]]] = {}

    def see(name: str, x: Tensor) -> None:
        if x.numel():
            seen.setdefault(name, []).append(_range(name, x.detach(), percentile))

    handles = _hooked(model, skip, lambda name: functools.partial(see, name))
    count = 0
    try:
        with torch.no_grad():
            for batch in batches:
                run(model, batch)
                count += 1
    finally:
        for handle in handles:
            handle.remove()
    if not count:
        raise ValueError("no calibration batch was given")
    of = {True: (min, max), False: (_mean, _mean)}[percentile == 100.0]
    ranges = {
        name: tuple(f(ends) for f, ends in zip(of, zip(*pairs, strict=True), strict=True))
        for name, pairs in seen.items()
    }
    return {name: (min(low, 0.0), max(high, 0.0)) for name, (low, high) in ranges.items()}


def quantized(model: nn.Module, ranges: Ranges, skip: tuple[str, ...] = ()) -> nn.Module:
    """Return a copy of a model whose weights and activations are rounded to eight bits.

    Parameters
    ----------
    model : nn.Module
        It is not changed.
    ranges : dict
        Ranges of the activations from :func:`calibrate`; an activation without a range is not rounded.
    skip : tuple of str
        Names of modules that stay in floating point, with their submodules; a weight that they share with another
        module is rounded there.

    Returns
    -------
    nn.Module
        A model for inference. Biases and norms keep their parameters.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(4, 64))
    >>> x = torch.randn(1000, 4)
    >>> rough = quantized(model, calibrate(model, [x]))
    >>> len(rough(x).unique()) <= 256, len(rough[0].weight.unique()) <= 255
    (True, True)
    """
    copied = copy.deepcopy(model)
    with torch.no_grad():
        for _, module in _chosen(copied, skip, _WITH_WEIGHTS):
            weight = cast("nn.Linear", module).weight
            weight.copy_(_rounded_weight(weight))

    def rounding(name: str) -> _OfTensor | None:
        return functools.partial(_rounded, *_grid(*ranges[name])) if name in ranges else None

    _hooked(copied, skip, rounding)
    return copied


def _chosen(model: nn.Module, skip: tuple[str, ...], kinds: tuple[type, ...]) -> list[tuple[str, nn.Module]]:
    modules = dict(model.named_modules())
    unknown = [name for name in skip if name not in modules]
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no such module in the model")
    return [
        (name, module)
        for name, module in modules.items()
        if isinstance(module, kinds) and not any(top in ("", name) or name.startswith(f"{top}.") for top in skip)
    ]


def _range(name: str, x: Tensor, percentile: float) -> tuple[float, float]:
    x = x.double().flatten()
    if not torch.isfinite(x).all():
        raise ValueError(f"{name}: its activations are not finite")
    if percentile == 100.0:
        return x.min().item(), x.max().item()
    # torch.quantile is limited to 16 million numbers; the nearest rank is not
    rank = max(1, round((1 - percentile / 100) * len(x)))
    return x.kthvalue(rank).values.item(), x.kthvalue(len(x) + 1 - rank).values.item()


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)


def _rounded_weight(weight: Tensor) -> Tensor:
    step = (weight.abs().max().float() / _WEIGHT_LEVELS).clamp(min=torch.finfo(torch.float32).tiny).item()
    rounded = torch.fake_quantize_per_tensor_affine(weight.float(), step, 0, -_WEIGHT_LEVELS, _WEIGHT_LEVELS)
    return rounded.to(weight.dtype)


def _grid(low: float, high: float) -> tuple[float, int]:
    """Return the step of a range, and the integer that stands for zero."""
    step = max((high - low) / _ACTIVATION_LEVELS, torch.finfo(torch.float32).tiny)
    return step, min(max(round(-low / step), 0), _ACTIVATION_LEVELS)


def _rounded(step: float, zero: int, x: Tensor) -> Tensor:
    return torch.fake_quantize_per_tensor_affine(x.float(), step, zero, 0, _ACTIVATION_LEVELS).to(x.dtype)


def _hooked(model: nn.Module, skip: tuple[str, ...], of: Callable[[str], _OfTensor | None]) -> list[Any]:
    """Pass the outputs of modules, and the inputs of those that multiply, through a function of their name."""
    handles = []
    for name, module in _chosen(model, skip, _QUANTIZED):
        after, before = of(name), of(f"{name} input") if isinstance(module, _MULTIPLYING) else None
        if after is not None:
            handles.append(module.register_forward_hook(functools.partial(_after, after)))
        if before is not None:
            handles.append(module.register_forward_pre_hook(functools.partial(_before, before)))
    return handles


def _after(of: _OfTensor, _module: nn.Module, _inputs: Any, output: Tensor) -> Tensor | None:
    return of(output)


def _before(of: _OfTensor, _module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
    if not inputs:
        raise TypeError(f"{type(_module).__name__} was called without positional arguments: its input cannot be seen")
    changed = of(inputs[0])
    return None if changed is None else (changed, *inputs[1:])
