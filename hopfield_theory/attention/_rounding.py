"""What is computed between modules, made visible to measurement and rounding: scores, probabilities, residual sums."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["Between", "passed", "refuse_compiled"]

_THREAD = threading.local()
_ADDITIONS = {torch.add, Tensor.add, Tensor.__add__, Tensor.__iadd__, Tensor.add_}


def refuse_compiled(model: nn.Module) -> None:
    """Refuse a model that torch.compile has wrapped: its code runs without the hooks of its modules."""
    for name, module in model.named_modules():
        if hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None:
            raise ValueError(f"{name or 'the model'} is compiled: give the model as it was before torch.compile")


def passed(kind: str, module: nn.Module, tensor: Tensor) -> Tensor:
    """Pass a tensor of an attention module through what is active in this thread."""
    between = getattr(_THREAD, "between", None)
    return tensor if between is None else between.see(f"{between.names[id(module)]} {kind}", tensor)


class Between(TorchFunctionMode):
    """Pass scores, probabilities and residual sums of a forward pass through a function of their name.

    Residual sums, additions of two hidden states (B, L, D), are numbered within the module that adds.
    """

    def __init__(self, model: nn.Module, of: Callable[[str, Tensor], Tensor | None]) -> None:
        super().__init__()
        self.of, self.names = of, {id(module): name for name, module in model.named_modules()}
        self.handles: list[Any] = []
        for name, module in model.named_modules():
            self.handles.append(module.register_forward_pre_hook(lambda *_, name=name: _inside().append([name, 0])))
            self.handles.append(module.register_forward_hook(_leave, always_call=True))

    def see(self, name: str, tensor: Tensor) -> Tensor:
        changed = self.of(name, tensor)
        return tensor if changed is None else changed

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if function in _ADDITIONS and len(args) > 1 and _hidden(args[0], args[1], result):
            where = (_inside() or [["", 0]])[-1]
            name, count = where
            where[1] += 1
            result = self.see(f"{name} sum {count}", result)
        return result

    def __enter__(self) -> Any:
        _THREAD.between = self
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        _THREAD.between = None
        super().__exit__(*error)

    def remove(self) -> None:
        """Remove the hooks that follow which module runs."""
        while self.handles:
            self.handles.pop().remove()


def _inside() -> list[list[Any]]:
    """Return the modules that run in this thread, the innermost last, each with its number of sums."""
    if not hasattr(_THREAD, "inside"):
        _THREAD.inside = []
    return _THREAD.inside


def _leave(*_: Any) -> None:
    if _inside():
        _inside().pop()


def _hidden(first: Any, second: Any, result: Any) -> bool:
    return (
        isinstance(first, Tensor)
        and isinstance(second, Tensor)
        and isinstance(result, Tensor)
        and result.is_floating_point()
        and first.shape == second.shape
        and first.dim() == 3
    )
