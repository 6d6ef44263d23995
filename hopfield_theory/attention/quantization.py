r"""W8A8 post-training quantisation, simulated: few bits for weights and for activations.

Weights are quantised symmetrically, :math:`\Delta = \max|w|/127` at eight bits; activations asymmetrically with static
ranges :math:`[a, b]` from calibration batches, :math:`\Delta = (b - a)/255`; each with one range per tensor, as in the
comparisons of Bondarenko et al. 2023 (arXiv:2306.12929) and Hu et al. 2024 (arXiv:2404.03828). Values are rounded to
their grids by PyTorch's own operators; computing with them in floating point gives the accuracy of integers.

``protocol="bondarenko"`` follows the code of those papers where it differs from what is the default here: ranges are
running averages (momentum 0.9) of the batches' extremes or of NumPy's percentiles, and attention scores, probabilities,
contexts and residual sums are rounded too. Attention then has to be visible: ``convert(model, eager=True)``, with
``noop=0`` for the dense model.

Every matrix is rounded: weights of linear, convolution and embedding layers, of transformers' ``Conv1D``, stacked
experts, projections of ``nn.MultiheadAttention``, and any other parameter of two axes or more.
Norms and biases stay as they are, and so do the activations that ``quantized(...).left_out`` names. Where a module
holds several matrices, as stacked experts do, what it multiplies by them, and the products, have a range per parameter.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from hopfield_theory import _arguments
from hopfield_theory.attention._rounding import Between, Products, is_number, refuse_compiled

__all__ = ["calibrate", "quantized"]

_MULTIPLYING = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d)
_WHOLE = (*_MULTIPLYING, nn.Embedding)
_ACTIVATIONS = (nn.GELU, nn.ReLU, nn.SiLU, nn.Tanh)
_MOMENTUM = 0.9
# shares of the largest range among which the mean square error chooses
_SHARES = 100

# what is between modules, see Between
_BETWEEN = (["scores"], ["probabilities"], ["context"], ["sum"])

_OfTensor = Callable[[Tensor], Tensor | None]
Ranges = dict[str, tuple[float, float]]


def calibrate(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    run: Callable[[nn.Module, Any], Any] = lambda model, batch: model(batch),
    percentile: float = 100.0,
    skip: tuple[str, ...] = (),
    mse: bool = False,
    bits: int = 8,
    protocol: str | None = None,
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
    mse : bool
        Whether each batch's range is the share of its extremes that rounds it with the least mean square error.
    bits : int, at least 2
        For which ``mse`` chooses.
    protocol : "bondarenko", optional
        See the module's description.

    Returns
    -------
    dict of str to (float, float)
        Ranges, each including 0. The key is the name of the module of the output (layers with weights, norms,
        activation functions), or that name and ``input`` (layers that multiply), or that name, the name of one of
        several matrices, and ``input`` or ``output``; with the protocol also the name and ``scores``,
        ``probabilities``, ``context`` or ``sum`` and its number.

    Raises
    ------
    ValueError
        For a percentile out of range, no batch, an unknown name, a compiled model, or activations that are not finite.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    >>> sorted(calibrate(model, [torch.randn(8, 4)]))
    ['0', '0 input', '1']
    """
    if not 50 < percentile <= 100:
        raise ValueError(f"percentile is {percentile}: it must be above 50 and at most 100")
    if mse and percentile != 100.0:
        raise ValueError(f"mse is True and percentile {percentile}: choose one")
    _check(protocol)
    refuse_compiled(model)
    published = protocol is not None
    seen: dict[str, list[tuple[float, float]]] = {}
    levels = 2 ** _arguments.integer("bits", bits, 2, 16) - 1

    def see(name: str, x: Tensor) -> None:
        if x.numel():
            batch = _least(name, x, levels) if mse else _range(name, x.detach(), percentile, published)
            if published:
                # a running average is all that it keeps
                [old] = seen.get(name, [batch])
                low, high = (_MOMENTUM * a + (1 - _MOMENTUM) * b for a, b in zip(old, batch, strict=True))
                seen[name] = [(low, high)]
            else:
                seen.setdefault(name, []).append(batch)

    handles = _hooked(model, skip, lambda name: functools.partial(see, name))
    between = Between(model, lambda name, x: see(name, x.detach())) if published else None
    count = 0
    try:
        with torch.no_grad():
            for batch in batches:
                if between is None:
                    run(model, batch)
                else:
                    with between:
                        run(model, batch)
                count += 1
    finally:
        for handle in handles:
            handle.remove()
        if between is not None:
            between.remove()
    if not count:
        raise ValueError("no calibration batch was given")
    if published and any(_attends(m) for m in model.modules()) and not any(n.endswith(" scores") for n in seen):
        raise ValueError("the attention's scores cannot be seen: convert(model, eager=True) first (noop=0 for softmax)")
    of = (min, max) if percentile == 100.0 and not mse else (_mean, _mean)
    ranges = {
        name: tuple(f(ends) for f, ends in zip(of, zip(*pairs, strict=True), strict=True))
        for name, pairs in seen.items()
    }
    return {name: (min(low, 0.0), max(high, 0.0)) for name, (low, high) in ranges.items()}


def quantized(
    model: nn.Module,
    ranges: Ranges,
    skip: tuple[str, ...] = (),
    *,
    bits: int = 8,
    per_channel: bool = False,
    mse: bool = False,
) -> nn.Module:
    """Return a copy of a model whose weights and activations are rounded to few bits.

    Parameters
    ----------
    model : nn.Module
        It is not changed.
    ranges : dict
        Ranges of the activations from :func:`calibrate`; an activation without a range is not rounded.
    skip : tuple of str
        Names of modules that stay in floating point, with their submodules; a weight that they share with another
        module is rounded there.
    bits : int, in [2, 16]
        Bit width of weights and activations.
    per_channel : bool
        Whether weights have one range per output channel.
    mse : bool
        Whether a weight's range is the share of its largest entry that rounds it with the least mean square error.

    Returns
    -------
    nn.Module
        A model for inference. Biases and norms keep their parameters; weights that are computed from parameters (weight
        norm) become parameters. Its attribute ``left_out`` names the activations that stay in floating point: those
        without a range, as keys of ``ranges``, and as a module's name and ``inside`` those that a module multiplies by
        its own matrices where they were not all seen.

    Raises
    ------
    ValueError
        For a compiled model, and for names in ``ranges`` or ``skip`` that the model does not have.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(4, 64))
    >>> x = torch.randn(1000, 4)
    >>> rough = quantized(model, calibrate(model, [x]))
    >>> len(rough(x).unique()) <= 256, len(rough[0].weight.unique()) <= 255
    (True, True)
    """
    levels = 2 ** _arguments.integer("bits", bits, 2, 16) - 1
    refuse_compiled(model)
    copied = copy.deepcopy(model)
    names = {name for name, _ in _chosen(copied, skip)}
    unknown = [name for name in ranges if name.split(" ")[0] not in dict(copied.named_modules())]
    if unknown:
        raise ValueError(f"ranges hold {', '.join(unknown)}: no such module in the model")
    done: dict[int, Tensor] = {}
    with torch.no_grad():
        for _, module in _chosen(copied, skip):
            _plain(module)
            for key, weight in module.named_parameters(recurse=False):
                if _is_matrix(module, key, weight) and id(weight) not in done:
                    done[id(weight)] = weight
                    weight.copy_(_rounded_weight(module, weight, levels, per_channel, mse))

    def rounding(name: str) -> _OfTensor | None:
        return functools.partial(_rounded, *_grid(*ranges[name], levels), levels) if name in ranges else None

    wanted: list[str] = []
    _hooked(copied, skip, lambda name: wanted.append(name) or rounding(name))
    products = {name: _products(name, module) for name, module in _chosen(copied, skip)}
    left = [name for name in wanted if name not in ranges and name not in {x for xs in products.values() for x in xs}]
    left += [f"{name} inside" for name, keys in products.items() if not ranges.keys() >= set(keys)]
    cast("Any", copied).left_out = tuple(left)
    if any(name.split(" ")[1:2] in _BETWEEN for name in ranges):
        _between(copied, lambda name: rounding(name) if name.split(" ")[0] in names else None)
    return copied


def _between(model: nn.Module, of: Callable[[str], _OfTensor | None]) -> None:
    """Round what is between modules whenever the model runs."""

    def change(name: str, x: Tensor) -> Tensor | None:
        function = of(name)
        return None if function is None else function(x)

    between = Between(model, change)
    forward = model.forward

    @functools.wraps(forward)
    def rounded(*args: Any, **kwargs: Any) -> Any:
        with between:
            return forward(*args, **kwargs)

    model.forward = rounded


def _check(protocol: str | None) -> None:
    if protocol is not None:
        _arguments.one_of("protocol", protocol, ("bondarenko",))


def _attends(module: nn.Module) -> bool:
    return "attention" in type(module).__name__.lower()


def _plain(module: nn.Module) -> None:
    """Make weights that are computed before each call parameters."""
    if parametrize.is_parametrized(module):
        weights = {name: getattr(module, name).detach().clone() for name in cast("Any", module).parametrizations}
        # PyTorch's own removal changes the class, which a copy shares with its original
        module.__class__ = parametrize.type_before_parametrizations(module)
        del module._modules["parametrizations"]
        for name, weight in weights.items():
            module.register_parameter(name, nn.Parameter(weight))
    hooks: list[Any] = list(module._forward_pre_hooks.values())
    for hook in hooks:
        if type(hook).__name__ == "WeightNorm":
            nn.utils.remove_weight_norm(module, hook.name)
        elif type(hook).__name__ == "SpectralNorm":
            nn.utils.remove_spectral_norm(module, hook.name)


def _is_norm(module: nn.Module) -> bool:
    return "norm" in type(module).__name__.lower()


def _is_matrix(module: nn.Module, name: str, weight: Tensor) -> bool:
    return weight.dim() > 1 and weight.is_floating_point() and "bias" not in name and not _is_norm(module)


def _multiplies(module: nn.Module) -> bool:
    """Tell whether a module multiplies its input by a matrix of its own."""
    if (
        isinstance(module, nn.Embedding)
        or _is_norm(module)
        or parametrize.type_before_parametrizations(module) is nn.Embedding
    ):
        return False
    if isinstance(module, _MULTIPLYING):
        return True
    return any(_is_matrix(module, name, p) for name, p in module.named_parameters(recurse=False))


def _hides(module: nn.Module) -> bool:
    """Tell whether a module goes from matrix to matrix by itself, where no hook sees the activations."""
    matrices = [p for name, p in module.named_parameters(recurse=False) if _is_matrix(module, name, p)]
    return not isinstance(module, _WHOLE) and (len(matrices) > 1 or any(p.dim() > 2 for p in matrices))


def _products(name: str, module: nn.Module) -> list[str]:
    """Name the inputs and outputs of the products that a module computes by itself."""
    if not (_multiplies(module) and _hides(module)):
        return []
    own = [key for key, p in module.named_parameters(recurse=False) if _is_matrix(module, key, p)]
    return [f"{name} {key} {side}" for key in own for side in ("input", "output")]


def _rounds(module: nn.Module) -> bool:
    """Tell whether the output of a module is rounded."""
    kind = type(module)
    return (
        _multiplies(module)
        or isinstance(module, (nn.Embedding, *_ACTIVATIONS))
        or (_is_norm(module) and not any(module.children()))
        or kind.__module__ == "transformers.activations"
    )


def _chosen(model: nn.Module, skip: tuple[str, ...]) -> list[tuple[str, nn.Module]]:
    modules = dict(model.named_modules())
    unknown = [name for name in skip if name not in modules]
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no such module in the model")
    return [
        (name, module)
        for name, module in modules.items()
        if not any(top in ("", name) or name.startswith(f"{top}.") for top in skip)
        # the computation of a weight is no layer
        and ".parametrizations" not in f".{name}"
    ]


def _range(name: str, x: Tensor, percentile: float, interpolated: bool) -> tuple[float, float]:
    x = x.double().flatten()
    if not torch.isfinite(x).all():
        raise ValueError(f"{name}: its activations are not finite")
    if percentile == 100.0:
        return x.min().item(), x.max().item()
    if interpolated:
        low, high = np.percentile(x.cpu().numpy(), [100.0 - percentile, percentile])
        return float(low), float(high)
    # torch.quantile is limited to 16 million numbers; the nearest rank is not
    rank = max(1, round((1 - percentile / 100) * len(x)))
    return x.kthvalue(rank).values.item(), x.kthvalue(len(x) + 1 - rank).values.item()


def _least(name: str, x: Tensor, levels: int) -> tuple[float, float]:
    """Return the share of the extremes whose grid has the least mean square error."""
    low, high = _range(name, x.detach(), 100.0, False)
    low, high = min(low, 0.0), max(high, 0.0)
    x = x.detach().float().flatten()
    best = (np.inf, low, high)
    for share in range(_SHARES // 5, _SHARES + 1):
        ends = low * share / _SHARES, high * share / _SHARES
        error = (_rounded(*_grid(*ends, levels), levels, x) - x).square().mean().item()
        best = min(best, (error, *ends))
    return best[1], best[2]


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)


def _rounded_weight(module: nn.Module, weight: Tensor, levels: int, per_channel: bool, mse: bool) -> Tensor:
    half, w = levels // 2, weight.float()
    stacked = w.dim() > 2 and not isinstance(module, _WHOLE)
    if per_channel:
        # transformers' Conv1D and stacked experts hold (in, out)
        axis = -1 if stacked or type(module).__name__ == "Conv1D" else 1 if "Transpose" in type(module).__name__ else 0
        axes = [i for i in range(w.dim()) if i != axis % w.dim() and not (stacked and i < w.dim() - 2)]
    else:
        axes = list(range(w.dim()))
    top = w.abs().amax(axes, keepdim=True)
    best, least = w, torch.full_like(top, torch.inf)
    for share in range(_SHARES // 5, _SHARES + 1) if mse else (_SHARES,):
        step = (top * (share / _SHARES) / half).clamp(min=torch.finfo(torch.float32).tiny)
        rounded = (w / step).round().clamp(-half, half) * step
        error = (rounded - w).square().sum(axes, keepdim=True)
        best, least = torch.where(error < least, rounded, best), torch.minimum(error, least)
    return best.to(weight.dtype)


def _grid(low: float, high: float, levels: int) -> tuple[float, int]:
    """Return the step of a range, and the integer that stands for zero."""
    step = max((high - low) / levels, torch.finfo(torch.float32).tiny)
    return step, min(max(round(-low / step), 0), levels)


def _rounded(step: float, zero: int, levels: int, x: Tensor) -> Tensor:
    return torch.fake_quantize_per_tensor_affine(x.float(), step, zero, 0, levels).to(x.dtype)


def _hooked(model: nn.Module, skip: tuple[str, ...], of: Callable[[str], _OfTensor | None]) -> list[Any]:
    """Pass the outputs of modules, and the inputs of those that multiply, through a function of their name."""
    handles = []
    for name, module in _chosen(model, skip):
        if not _rounds(module):
            continue
        after, before = of(name), of(f"{name} input") if _multiplies(module) else None
        if after is not None:
            handles.append(module.register_forward_hook(functools.partial(_after, after)))
        if before is not None:
            handles.append(module.register_forward_pre_hook(functools.partial(_before, before), with_kwargs=True))
        inside: dict[str, _OfTensor | None] = {}
        # a matrix that a module hands to another that multiplies is an activation there
        if not any(_multiplies(child) for child in module.modules() if child is not module):
            inside = {key.removeprefix(f"{name} "): of(key) for key in _products(name, module)}
        if any(inside.values()):
            enter = functools.partial(Products.enter, functools.partial(_at, inside))
            handles.append(module.register_forward_pre_hook(enter))
            handles.append(module.register_forward_hook(Products.leave, always_call=True))
    return handles


def _at(functions: dict[str, _OfTensor | None], name: str, x: Tensor) -> Tensor | None:
    # a parameter that is no matrix has none
    function = functions.get(name)
    return None if function is None else function(x)


def _after(of: _OfTensor, _module: nn.Module, _inputs: Any, output: Any) -> Any:
    if isinstance(output, tuple) and output and is_number(output[0]):
        changed = of(output[0])
        return None if changed is None else (changed, *output[1:])
    return of(output) if is_number(output) else None


def _before(of: _OfTensor, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if args:
        changed = of(args[0]) if is_number(args[0]) else None
        return None if changed is None else ((changed, *args[1:]), kwargs)
    for name, value in kwargs.items():
        if is_number(value):
            changed = of(value)
            return None if changed is None else (args, kwargs | {name: changed})
    return None
