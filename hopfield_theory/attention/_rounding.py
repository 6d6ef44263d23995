"""What no module's input or output shows, made visible to measurement and rounding.

Between modules: scores, probabilities, residual sums; inside a module: its products with matrices of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakTensorKeyDictionary

__all__ = ["Between", "Products", "passed", "refuse_compiled"]

_THREAD = threading.local()
_PRODUCTS = {"__matmul__", "__rmatmul__", "_grouped_mm", "addmm", "baddbmm", "bmm", "einsum", "grouped_mm"}
_PRODUCTS |= {"grouped_mm_fallback", "linear", "matmul", "mm"}
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


class Products(TorchFunctionMode):
    """Pass what a module multiplies by matrices of its own, and the products, through a function of the matrix' name.

    A tensor computed from parameters of the module alone, such as the matrix of one expert, is still a parameter.
    """

    def __init__(self, module: nn.Module, of: Callable[[str, Tensor], Tensor | None]) -> None:
        super().__init__()
        self.of, self.names = of, WeakTensorKeyDictionary()
        for name, parameter in module.named_parameters(recurse=False):
            self.names[parameter] = name

    @staticmethod
    def enter(of: Callable[[str, Tensor], Tensor | None], module: nn.Module, _inputs: Any) -> None:
        """Begin, as a hook before a module runs."""
        mode = Products(module, of)
        mode.__enter__()
        _modes().append(mode)

    @staticmethod
    def leave(*_: Any) -> None:
        """End, as a hook after it."""
        if _modes():
            _modes().pop().__exit__(None, None, None)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        numbers = [x for x in tree_leaves((args, kwargs)) if is_number(x)]
        own = [x for x in numbers if x in self.names]
        if not own:
            return function(*args, **kwargs)
        name = self.names[max(own, key=Tensor.dim)]
        if len(own) == len(numbers):
            result = function(*args, **kwargs)
            self.names.update((x, name) for x in tree_leaves(result) if is_number(x))
            return result
        if getattr(function, "__name__", None) not in _PRODUCTS:
            return function(*args, **kwargs)

        def passed_on(x: Any) -> Any:
            return self.see(f"{name} input", x) if is_number(x) and x not in self.names else x

        args, kwargs = tree_map(passed_on, (args, kwargs))
        return self.see(f"{name} output", function(*args, **kwargs))

    def see(self, name: str, x: Tensor) -> Tensor:
        changed = self.of(name, x)
        return x if changed is None else changed


def _modes() -> list[Products]:
    if not hasattr(_THREAD, "modes"):
        _THREAD.modes = []
    return _THREAD.modes


def is_number(x: Any) -> TypeGuard[Tensor]:
    return isinstance(x, Tensor) and x.is_floating_point()


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
