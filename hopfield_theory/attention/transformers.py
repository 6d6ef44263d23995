r"""Softmax_n attention in models of Hugging Face transformers.

:func:`register` adds three implementations, for ``attn_implementation=`` of any model that dispatches its attention:

``outeffhop``
    the fused softmax_n attention, which returns no weights;
``outeffhop_eager``
    the same by the plain formula, with weights, so that ``output_attentions=True`` gives them;
``outeffhop_clipped``
    clipped softmax_n, with weights.

They are added to the registry of masks too: a function without an entry there silently receives neither causal nor
padding masks. A model that computes its attention itself is refused when it is built, when its implementation is set,
and when the implementation is written into its configuration.

The method is read from the configuration of the attention module, else of the closest model around it:
``outeffhop_noop`` (default 1), ``outeffhop_gamma`` (0), ``outeffhop_alpha`` (None), ``outeffhop_length`` (None),
``outeffhop_zeta`` (1), ``outeffhop_learn_noop`` (False) and ``outeffhop_gate`` (None, or the arguments of the gates).
:func:`convert` writes them for an existing model. They are saved with the model, so that ``from_pretrained`` after
:func:`register` gives the converted model back; without it, transformers refuses the saved configuration.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hopfield_theory import _arguments
from hopfield_theory.attention._dispatch import Survey, why_not, why_not_of_config
from hopfield_theory.attention._interface import CLIPPED, EAGER, FUNCTIONS, FUSED, called, mask, opened, option
from hopfield_theory.attention._transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    PreTrainedConfig,
    PreTrainedModel,
    logging,
)
from hopfield_theory.attention.baselines import AttentionGate, clip_of, stretch

__all__ = ["Conversion", "NoopSlot", "convert", "register"]

# names of the query projections in attention modules, and of their numbers of heads
_QUERIES = ("query", "q_proj", "q", "q_lin")
_HEADS = ("num_heads", "num_attention_heads", "n_heads", "n_head", "nhead")


class NoopSlot(nn.Module):
    """A learnt ``log n`` per head: a bias, which optimisers exempt from weight decay by its name.

    Examples
    --------
    >>> NoopSlot(2, 1.0)().flatten()
    tensor([0., 0.], grad_fn=<ViewBackward0>)
    """

    def __init__(self, num_heads: int, noop: float) -> None:
        super().__init__()
        self.log_n = math.log(_arguments.positive("noop", noop))
        self.bias = nn.Parameter(torch.full((num_heads, 1, 1), self.log_n))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Return to the initial no-op mass."""
        self.bias.fill_(self.log_n)

    def forward(self) -> Tensor:
        """Return ``log n``, shape (num_heads, 1, 1)."""
        return self.bias


# --- what transformers is told ---


def register() -> None:
    """Add the implementations to transformers (extra ``transformers``); a second call changes nothing.

    Examples
    --------
    >>> from transformers import AutoModel, BertConfig
    >>> register()
    >>> config = BertConfig(hidden_size=8, num_attention_heads=2, num_hidden_layers=1, intermediate_size=8)
    >>> config.outeffhop_noop = 2.0
    >>> model = AutoModel.from_config(config, attn_implementation="outeffhop")
    """
    if FUSED in AttentionInterface._global_mapping:
        return
    for name, function in FUNCTIONS.items():
        AttentionInterface.register(name, function)
        AttentionMaskInterface.register(name, mask)
    _after(PreTrainedModel, "post_init", _extend)
    _before(PreTrainedModel, "set_attn_implementation", _refuse_to_set)
    _after(PreTrainedModel, "set_attn_implementation", _extend)
    _before(PreTrainedModel, "_initialize_weights", _initialize)
    asked: Any = PreTrainedConfig._attn_implementation

    def ask(config: PreTrainedConfig, value: Any) -> None:
        if value in FUNCTIONS and (reason := why_not_of_config(config)):
            raise ValueError(reason)
        asked.fset(config, value)
        _remember(config)

    PreTrainedConfig._attn_implementation = property(asked.fget, ask)  # pyright: ignore[reportAttributeAccessIssue]


def _after(kind: type, name: str, action: Any) -> None:
    original = getattr(kind, name)

    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        action(self)
        return result

    setattr(kind, name, method)


def _before(kind: type, name: str, action: Any) -> None:
    original = getattr(kind, name)

    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        action(self, *args, **kwargs)
        return original(self, *args, **kwargs)

    setattr(kind, name, method)


def _remember(config: PreTrainedConfig) -> None:
    """Let a configuration be saved with its implementation, which transformers leaves out."""
    if config._attn_implementation in FUNCTIONS:
        config.attn_implementation = config._attn_implementation
    else:
        vars(config).pop("attn_implementation", None)


def _refuse_to_set(model: PreTrainedModel, attn_implementation: Any, *_: Any, **__: Any) -> None:
    if attn_implementation in tuple(FUNCTIONS) and (reason := why_not(type(model).__name__, Survey(model))):
        raise ValueError(reason)


def _initialize(_model: PreTrainedModel, module: nn.Module, *_: Any) -> None:
    """Start what no checkpoint held from its initial values: transformers leaves unknown parameters unset."""
    if isinstance(module, NoopSlot | AttentionGate) and not getattr(module, "_is_hf_initialized", False):
        parameters = list(module.parameters())
        if not any(getattr(p, "_is_hf_initialized", False) or p.is_meta for p in parameters):
            module.reset_parameters()


def _extend(model: nn.Module) -> dict[str, nn.Module]:
    """Refuse a model that asks for what it cannot have; link its configurations, add slots and gates; return the added.

    Keys are names of attention modules that got a slot or a gate.
    """
    survey = Survey(model)
    asking = {
        name: module
        for name, module in (survey.dispatching | survey.itself).items()
        if getattr(survey.configs[name], "_attn_implementation", None) in FUNCTIONS
    }
    added: dict[str, nn.Module] = {}
    if not asking:
        return added
    only = Survey(nn.Module())
    only.dispatching = {name: module for name, module in asking.items() if name in survey.dispatching}
    only.itself = {name: module for name, module in asking.items() if name in survey.itself}
    if reason := why_not(type(model).__name__, only):
        raise ValueError(reason)
    if only.itself:
        logging.get_logger(__name__).warning_once(
            f"{type(model).__name__}: not outeffhop, but computed by themselves: {', '.join(only.itself)}"
        )
    for name, module in only.dispatching.items():
        _link(module, survey.configs[name], vars(model).get("config"))
        if option(module, "learn_noop") and "outeffhop_slot" not in module._modules:
            module.outeffhop_slot = NoopSlot(_heads(module), option(module, "noop")).to(_like(module))
            # rounded to its own dtype alone
            module.outeffhop_slot.reset_parameters()
            added[name] = module
        if option(module, "gate") is not None and "outeffhop_gate" not in module._modules:
            module.outeffhop_gate = _gate(module)
            module.__dict__["_outeffhop_hook"] = module.register_forward_pre_hook(opened, with_kwargs=True)
            added[name] = module
    return added


def _link(module: nn.Module, own: Any, outer: Any) -> None:
    """Note the configurations in which a module looks options up, the closest first."""
    configs = module.__dict__.get("_outeffhop_configs", (own,))
    if isinstance(outer, PreTrainedConfig) and all(outer is not config for config in configs):
        configs = (*configs, outer)
    module.__dict__["_outeffhop_configs"] = configs


# --- converting a model in hand ---


class Conversion:
    """A model that :func:`convert` has switched; :meth:`undo` restores it.

    Attributes
    ----------
    model : nn.Module
    attention : dict of str to nn.Module
        The attention modules that were changed, by name.
    left_out : dict of str to nn.Module
        Attention modules that compute their attention themselves, and go on to do so.
    """

    def __init__(self, model: Any, survey: Survey) -> None:
        self.model, self.attention, self.left_out = model, survey.dispatching, survey.itself
        self._configs: list[tuple[nn.Module, Any]] = []
        self._links: list[tuple[nn.Module, Any]] = []
        self._added: dict[str, nn.Module] = {}

    def undo(self) -> None:
        """Restore the model's own configuration, and remove what was added; a second call changes nothing."""
        while self._configs:
            module, config = self._configs.pop()
            module.config = config
        while self._links:
            module, link = self._links.pop()
            module.__dict__.pop("_outeffhop_configs", None)
            if link is not None:
                module.__dict__["_outeffhop_configs"] = link
        while self._added:
            module = self._added.popitem()[1]
            for name in ("outeffhop_slot", "outeffhop_gate"):
                if name in module._modules:
                    delattr(module, name)
            if (hook := module.__dict__.pop("_outeffhop_hook", None)) is not None:
                hook.remove()
        self.model.__dict__.pop("outeffhop_conversion", None)


def convert(
    model: Any,
    *,
    noop: float | None = None,
    learn_noop: bool | None = None,
    clip: tuple[float, float] | None = None,
    alpha: float | None = None,
    length: int | None = None,
    gate: bool | Mapping[str, Any] | None = None,
    gate_hidden: int | None = None,
    initial_gate: float = 0.5,
    eager: bool = False,
    example: Any = None,
) -> Conversion:
    r"""Switch a model to softmax_n attention, clipped or gated: the six methods of Hu et al. 2024 (arXiv:2404.03828).

    With ``noop=0`` it is softmax, with ``clip`` or ``alpha`` clipped softmax, with ``gate`` gated attention. With
    ``noop=1`` it is OutEffHop, and its combinations with these.

    Parameters
    ----------
    model : nn.Module
        A model of transformers, or a module that holds some: adapters, ``DataParallel``, your own. Changed in place,
        except the configuration objects, of which the model gets copies.
    noop : float, at least 0, optional
        No-op mass n of every head; by default what the configuration holds, else 1. So are the next five.
    learn_noop : bool, optional
        Whether ``log n`` is learnt, one number per head, starting at ``noop > 0``: modules ``outeffhop_slot`` of the
        attention modules, each a :class:`NoopSlot`.
    clip : (gamma, zeta), optional
        Stretch of clipped softmax, at most 0 and at least 1.
    alpha : float, at least 0, optional
        Replaces gamma by ``-alpha`` divided by ``length``.
    length : int, optional
        By default the number of keys that a query sees; the papers use the longest sequence.
    gate : bool or dict, optional
        Whether each head's output is gated by a function of the hidden state that enters the attention: modules
        ``outeffhop_gate``, each an :class:`hopfield_theory.attention.AttentionGate`. A dict holds its further arguments
        (``per``, ``all_features``, ``fine_tuning``).
    gate_hidden, initial_gate
        Arguments ``hidden`` and ``initial_gate`` of the gates.
    eager : bool
        Whether the plain formula is used, which returns weights; clipped softmax always uses it.
    example : optional
        A batch on which the conversion is proved: keyword arguments of the model as a dict, or positional ones. Every
        module that is listed must have computed softmax_n attention, and at n = 0, without clip and gate, the outputs
        must be the model's own to rounding. Runs the model twice, in evaluation mode.

    Returns
    -------
    Conversion
        Also available as ``model.outeffhop_conversion``, until it is undone.

    Raises
    ------
    ValueError
        For a model without a known attention module, or whose attention cannot be replaced, for numbers out of range,
        for arguments of gates without a gate, for a second conversion, and for an example that disproves it. The model
        is then as before.

    Examples
    --------
    >>> from transformers import BertConfig, BertModel
    >>> model = BertModel(BertConfig(hidden_size=8, num_attention_heads=2, num_hidden_layers=1, intermediate_size=8))
    >>> conversion = convert(model, noop=1.0, learn_noop=True, example={"input_ids": torch.tensor([[1, 2, 3]])})
    >>> model.encoder.layer[0].attention.self.outeffhop_slot.bias.shape
    torch.Size([2, 1, 1])
    >>> conversion.undo()
    """
    survey = Survey(model)
    if "outeffhop_conversion" in vars(model):
        raise ValueError("the model is converted already: call model.outeffhop_conversion.undo() first")
    if (not survey.dispatching or example is None) and (reason := why_not(type(model).__name__, survey)):
        raise ValueError(reason)
    options: dict[str, Any] = {}
    if noop is not None:
        options["noop"] = _arguments.real("noop", noop, 0)
    if learn_noop is not None:
        options["learn_noop"] = learn_noop
    if clip is not None or alpha is not None:
        gamma, zeta = (0.0, 1.0) if clip is None else clip_of(clip)
        stretch(torch.ones(()), gamma, alpha)
        options |= {"gamma": gamma, "zeta": zeta, "alpha": alpha, "length": length}
    if length is not None:
        _arguments.integer("length", length, 1)
        if alpha is None:
            raise ValueError(f"length is {length}: it belongs to alpha, which is None")
    if not isinstance(gate, bool | Mapping | None):
        raise TypeError(f"gate is {gate!r}: it must be True, False, or arguments of the gates")
    for name, value, usual in (("gate_hidden", gate_hidden, None), ("initial_gate", initial_gate, 0.5)):
        if not gate and value != usual:
            raise ValueError(f"{name} is {value}: it belongs to gate, which is {gate}")
    if gate:
        options["gate"] = {"hidden": gate_hidden, "initial_gate": initial_gate, **(gate if gate is not True else {})}
        AttentionGate(1, 1, **options["gate"])
    elif gate is not None:
        options["gate"] = None
    before = _outputs(model, example) if example is not None else None
    register()
    conversion = Conversion(model, survey)
    try:
        _switch(conversion, survey, options, eager)
        if before is not None:
            _prove(conversion, example, before)
    except BaseException:
        conversion.undo()
        raise
    model.__dict__["outeffhop_conversion"] = conversion
    return conversion


def _switch(conversion: Conversion, survey: Survey, options: dict[str, Any], eager: bool) -> None:
    """Give each module that holds a configuration of attention a copy with the options; add slots and gates."""
    for module in conversion.attention.values():
        link = module.__dict__.get("_outeffhop_configs")
        conversion._links.append((module, link))
    held = [(m, m.config) for m in conversion.model.modules() if isinstance(vars(m).get("config"), PreTrainedConfig)]
    left = {id(survey.configs[name]) for name in survey.itself} - {id(survey.configs[n]) for n in survey.dispatching}
    copies: dict[int, Any] = {}
    for _, config in held:
        copy.deepcopy(config, copies)
    for number, config in list(copies.items()):
        if not isinstance(config, PreTrainedConfig) or number in left:
            continue
        for name, value in options.items():
            setattr(config, f"outeffhop_{name}", value)
        clipped = getattr(config, "outeffhop_gamma", 0.0) != 0 or getattr(config, "outeffhop_alpha", None) is not None
        clipped = clipped or getattr(config, "outeffhop_zeta", 1.0) != 1
        kept = config._attn_implementation if config._attn_implementation in FUNCTIONS else FUSED
        config._attn_implementation_internal = CLIPPED if clipped else EAGER if eager else kept
        _remember(config)
    for module, config in held:
        conversion._configs.append((module, config))
        module.config = copies[id(config)]
    for module, link in conversion._links:
        if link is not None:
            module.__dict__["_outeffhop_configs"] = tuple(copies.get(id(config), config) for config in link)
    # models inside, from the innermost, link what is outside of them
    models = [m for m in conversion.model.modules() if isinstance(m, PreTrainedModel)]
    for model in [*reversed(models), conversion.model]:
        conversion._added |= {f"{id(m)}": m for m in _extend(model).values()}


def _prove(conversion: Conversion, example: Any, before: list[Tensor]) -> None:
    """Run the converted model at n = 0, plain, and compare."""
    configs = {id(c): c for m in conversion.attention.values() for c in m.__dict__["_outeffhop_configs"]}.values()
    held = [(vars(c), {k: v for k, v in vars(c).items() if k.startswith("outeffhop_")}) for c in configs]
    plain = [(vars(c), c._attn_implementation) for c in configs]
    modules = [
        (m, {k: m._modules.pop(k) for k in ("outeffhop_slot", "outeffhop_gate") if k in m._modules})
        for m in conversion.attention.values()
    ]
    hooks = [(m, m.__dict__["_forward_pre_hooks"].copy()) for m in conversion.attention.values()]
    for module, _ in hooks:
        hook = module.__dict__.get("_outeffhop_hook")
        if hook is not None:
            module._forward_pre_hooks.pop(hook.id, None)
    try:
        for attributes, options in held:
            attributes.update(dict.fromkeys(options, None))
            attributes["outeffhop_noop"] = 0.0
            attributes["_attn_implementation_internal"] = FUSED
        with called() as modules_called:
            after = _outputs(conversion.model, example)
    finally:
        for attributes, options in held:
            attributes.pop("outeffhop_noop", None)
            attributes.update(options)
        for attributes, implementation in plain:
            attributes["_attn_implementation_internal"] = implementation
        for module, kept in modules:
            module._modules.update(kept)
        for module, kept in hooks:
            module._forward_pre_hooks.update(kept)
    silent = [name for name, module in conversion.attention.items() if module not in modules_called]
    if silent:
        raise ValueError(f"the example does not reach {', '.join(silent)}: give one that runs every attention module")
    padding = example.get("attention_mask") if isinstance(example, Mapping) else None
    for own, other in zip(before, after, strict=True):
        if padding is not None and padding.dim() == 2 and padding.shape == own.shape[:2]:
            # what stands at padding depends on how an implementation hides keys
            own, other = own[padding.bool()], other[padding.bool()]
        both = own.isfinite() & other.isfinite()
        size = own[both].abs().max().item() if both.any() else 0.0
        away = (own[both].double() - other[both].double()).abs().max().item() if both.any() else 0.0
        if away > 2**10 * torch.finfo(own.dtype).eps * max(1.0, size):
            raise ValueError(f"at n = 0 the example gives outputs {away:.1e} away from the model's own")


@torch.no_grad()
def _outputs(model: nn.Module, example: Any) -> list[Tensor]:
    """Return the floating point outputs for a batch, with the same random numbers each time."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            if isinstance(example, Mapping):
                output = model(**copy.copy(dict(example)))
            else:
                output = model(*example) if isinstance(example, tuple | list) else model(example)
    finally:
        for module in training:
            module.training = True
    return list(_tensors(output))


def _tensors(output: Any) -> Any:
    if isinstance(output, Tensor):
        if output.is_floating_point():
            yield output
    elif isinstance(output, Mapping):
        for name, value in output.items():
            # weights, which a fused attention does not return, and caches are not outputs
            if "attentions" not in name:
                yield from _tensors(value)
    elif isinstance(output, tuple | list):
        for value in output:
            yield from _tensors(value)


def _query(module: nn.Module) -> Any:
    for name in _QUERIES:
        query: Any = getattr(module, name, None)
        while hasattr(query, "base_layer"):
            query = query.base_layer
        if isinstance(query, nn.Module) and hasattr(query, "out_features"):
            return query
    return None


def _like(module: nn.Module) -> Tensor:
    """Return a parameter whose dtype and device new parameters of a module take."""
    return next((p for p in module.parameters() if p.is_floating_point()), torch.empty(()))


def _heads(module: nn.Module) -> int:
    query = _query(module)
    size = getattr(module, "head_dim", getattr(module, "attention_head_size", None))
    if query is not None and isinstance(size, int) and size > 0:
        return query.out_features // size
    for holder in (module, _config(module)):
        for name in _HEADS:
            if isinstance(heads := getattr(holder, name, None), int):
                return heads
    raise ValueError(f"{type(module).__name__}: its number of heads is unknown, which a learnt no-op and gates need")


def _config(module: nn.Module) -> Any:
    """Return the configuration that is closest to an attention module."""
    return module.__dict__["_outeffhop_configs"][0]


def _gate(module: nn.Module) -> AttentionGate:
    query, heads = _query(module), _heads(module)
    features = getattr(query, "in_features", None) or getattr(_config(module), "hidden_size", None)
    if not isinstance(features, int) or features % heads:
        raise ValueError(f"{type(module).__name__}: {heads} heads do not share a hidden state of {features} numbers")
    return AttentionGate(heads, features // heads, **option(module, "gate")).to(_like(module))
