"""Which modules of a model ask transformers for their attention function, and which compute attention themselves.

A class is judged by the names that its methods use: attention that can be replaced looks a function up in an
``AttentionInterface``; attention that cannot calls softmax, or one of PyTorch's attention functions, itself.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from torch import nn

from hopfield_theory.attention._transformers import AttentionInterface, PreTrainedConfig, PreTrainedModel

__all__ = ["Survey", "adds_masks", "takes_masks", "why_not", "why_not_of_config"]

_SOFTMAX = {
    "Softmax",
    "XSoftmax",
    "logsumexp",
    "multi_head_attention_forward",
    "scaled_dot_product_attention",
    "softmax",
}
# what these classes define is not theirs
_BASES = (nn.Module, PreTrainedModel)


class Survey:
    """The attention modules of a model, by name.

    Attributes
    ----------
    dispatching : dict of str to nn.Module
        They ask transformers for their attention function.
    itself : dict of str to nn.Module
        They compute attention themselves.
    configs : dict of str to PreTrainedConfig or None
        The configuration of each module, or of the closest module around it that has one.
    """

    def __init__(self, model: nn.Module) -> None:
        self.dispatching: dict[str, nn.Module] = {}
        self.itself: dict[str, nn.Module] = {}
        self.configs: dict[str, Any] = {}
        for name, module in model.named_modules():
            own = vars(module).get("config")
            outer = self.configs.get(name.rpartition(".")[0]) if name else None
            self.configs[name] = own if isinstance(own, PreTrainedConfig) else outer
            if _dispatches(type(module)):
                self.dispatching[name] = module
            elif _computes(type(module)) or (
                # kernels of their own, without softmax
                type(module).__name__.endswith("SelfAttention") and hasattr(module, "query") and _named(type(module))
            ):
                self.itself[name] = module


def why_not(name: str, survey: Survey) -> str | None:
    """Say why the attention of a model cannot be replaced; None where it can."""
    hidden = {n: m for n, m in survey.itself.items() if not survey.dispatching or takes_masks(m)}
    if not hidden:
        return None if survey.dispatching else f"{name} has no attention module that transformers knows"
    kinds = sorted({type(module).__name__ for module in hidden.values()})
    return (
        f"{name} computes its attention itself and cannot be given another: {', '.join(kinds)} at {', '.join(hidden)}"
    )


def why_not_of_config(config: PreTrainedConfig) -> str | None:
    """Say why no model of a kind of configuration takes another attention; None where some do, or none is known."""
    try:
        modeling = importlib.import_module(type(config).__module__.replace("configuration_", "modeling_"))
    except ImportError:
        return None
    own = [
        kind
        for kind in vars(modeling).values()
        if isinstance(kind, type) and issubclass(kind, nn.Module) and kind.__module__ == modeling.__name__
    ]
    for table, choices in vars(modeling).items():
        if isinstance(choices, dict) and "eager" in choices and all(isinstance(v, type) for v in choices.values()):
            return f"{type(config).__name__}: its models compute their attention themselves, by classes in {table}"
    computing = [kind.__name__ for kind in own if _computes(kind)]
    if not computing or any(_dispatches(kind) for kind in own):
        return None
    return (
        f"{type(config).__name__}: its models compute their attention themselves and cannot be given another "
        f"({', '.join(computing)})"
    )


def takes_masks(module: nn.Module) -> bool:
    """Tell whether a module is given masks of scores, whose form an attention implementation changes."""
    # PyTorch's own and those that sample positions have masks of their own form
    if isinstance(module, nn.MultiheadAttention) or hasattr(module, "sampling_offsets"):
        return False
    return any("mask" in name for name in inspect.signature(inspect.unwrap(type(module).forward)).parameters)


@functools.cache
def adds_masks(kind: type) -> bool:
    """Tell whether the models of a kind of configuration work with masks that are added to scores, not boolean ones."""
    try:
        modeling = importlib.import_module(kind.__module__.replace("configuration_", "modeling_"))
    except ImportError:
        return False
    models = [m for m in vars(modeling).values() if isinstance(m, type) and issubclass(m, PreTrainedModel)]
    return any(getattr(m, "config_class", None) is kind and not m._supports_sdpa for m in models)


@functools.cache
def _dispatches(kind: type) -> bool:
    return any(
        isinstance(function.__globals__.get(name), AttentionInterface)
        for function in _functions(kind)
        for name in _names(function.__code__)
    )


@functools.cache
def _computes(kind: type) -> bool:
    if issubclass(kind, nn.MultiheadAttention):
        return True
    return _named(kind) and any(_SOFTMAX & set(_names(function.__code__)) for function in _functions(kind))


def _named(kind: type) -> bool:
    name = kind.__name__.lower()
    return ("attention" in name or "attn" in name) and not _dispatches(kind)


def _functions(kind: type) -> Iterator[FunctionType]:
    """Yield the functions that a class runs: those that it defines, and those behind them that it calls by super."""
    hidden: set[str] = set()
    for base in kind.__mro__:
        if base in _BASES:
            return
        for name, attribute in vars(base).items():
            function = inspect.unwrap(attribute) if callable(attribute) else None
            if name in hidden or not isinstance(function, FunctionType):
                continue
            yield function
            if "super" not in function.__code__.co_names:
                hidden.add(name)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
