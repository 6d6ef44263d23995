r"""Softmax_n attention in models of Hugging Face transformers.

:func:`register` adds three implementations, for ``attn_implementation=`` of any model that dispatches its attention:

``outeffhop``
    the fused softmax_n attention, which returns no weights;
``outeffhop_eager``
    the same by the plain formula, with weights, so that ``output_attentions=True`` gives them;
``outeffhop_clipped``
    clipped softmax_n, with weights.

They are added to the registry of masks too: a function without an entry there silently receives neither causal nor
padding masks. The no-op mass and the stretch are read from the model's configuration: ``outeffhop_noop`` (default 1),
``outeffhop_gamma`` (0), ``outeffhop_alpha`` (None) and ``outeffhop_zeta`` (1). :func:`convert` switches an existing
model, and adds learnt parameters: one no-op mass per head, or gates.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from hopfield_theory.attention.baselines import AttentionGate, clipped_weights, stretch, visible_keys
from hopfield_theory.attention.functional import repeated_heads, softmax_n_attention, softmax_n_weights

__all__ = ["Conversion", "convert", "register"]

_FUSED, _EAGER, _CLIPPED = "outeffhop", "outeffhop_eager", "outeffhop_clipped"
_DEFAULTS: dict[str, Any] = {"noop": 1.0, "gamma": 0.0, "alpha": None, "zeta": 1.0}
# names of the query projections in the library's attention modules
_QUERIES = ("query", "q_proj")


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
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    for name, function in ((_FUSED, _fused), (_EAGER, _weighted(False)), (_CLIPPED, _weighted(True))):
        AttentionInterface.register(name, function)
        AttentionMaskInterface.register(name, sdpa_mask)


class Conversion:
    """A model that :func:`convert` has switched; :meth:`undo` restores it.

    Attributes
    ----------
    model : transformers.PreTrainedModel
    attention : dict of str to nn.Module
        The attention modules that were changed, by name.
    """

    def __init__(self, model: Any, attention: dict[str, nn.Module]) -> None:
        self.model, self.attention = model, attention
        self._configs: list[tuple[nn.Module, Any]] = []
        self._hooks: list[Any] = []

    def undo(self) -> None:
        """Restore the model's own configuration, and remove what was added; a second call changes nothing."""
        while self._configs:
            module, config = self._configs.pop()
            module.config = config
        while self._hooks:
            self._hooks.pop().remove()
        for module in self.attention.values():
            for name in ("outeffhop_log_n", "outeffhop_gate"):
                if hasattr(module, name):
                    delattr(module, name)
            module.__dict__.pop("_outeffhop_gates", None)
        self.model.__dict__.pop("outeffhop_conversion", None)


def convert(
    model: Any,
    *,
    noop: float = 1.0,
    learn_noop: bool = False,
    clip: tuple[float, float] | None = None,
    alpha: float | None = None,
    gate: bool = False,
    gate_hidden: int | None = None,
    initial_gate: float = 0.5,
    eager: bool = False,
) -> Conversion:
    r"""Switch a model to softmax_n attention, clipped or gated: the six methods of Hu et al. 2024 (arXiv:2404.03828).

    With ``noop=0`` it is softmax, with ``clip`` or ``alpha`` clipped softmax, with ``gate`` gated attention. With
    ``noop=1`` it is OutEffHop, and its combinations with these.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        Changed in place, except its configuration object, of which the model gets a copy.
    noop : float, at least 0
        No-op mass n of every head.
    learn_noop : bool
        Whether ``log n`` is learnt, one number per head, starting at ``noop > 0``: parameters ``outeffhop_log_n`` of
        the attention modules.
    clip : (gamma, zeta), optional
        Stretch of clipped softmax, at most 0 and at least 1.
    alpha : float, at least 0, optional
        Replaces gamma by ``-alpha`` divided by the number of keys that a query sees.
    gate : bool
        Whether each head's output is gated by a function of the hidden state that enters the attention: modules
        ``outeffhop_gate``, each an :class:`hopfield_theory.attention.AttentionGate`.
    gate_hidden, initial_gate
        Arguments ``hidden`` and ``initial_gate`` of the gates.
    eager : bool
        Whether the plain formula is used, which returns weights; clipped softmax always uses it.

    Returns
    -------
    Conversion
        Also available as ``model.outeffhop_conversion``, until it is undone.

    Raises
    ------
    ValueError
        For a model without a known attention module, or whose attention cannot be replaced, for numbers out of range,
        and for a second conversion.

    Notes
    -----
    To load the weights of a converted model with learnt slots or gates, convert a model of the same configuration with
    the same arguments, then call ``load_state_dict``: ``from_pretrained`` does not know about slots and gates.

    Examples
    --------
    >>> from transformers import BertConfig, BertModel
    >>> model = BertModel(BertConfig(hidden_size=8, num_attention_heads=2, num_hidden_layers=1, intermediate_size=8))
    >>> conversion = convert(model, noop=1.0, learn_noop=True)
    >>> model.encoder.layer[0].attention.self.outeffhop_log_n.shape
    torch.Size([2, 1, 1])
    >>> conversion.undo()
    """
    if not 0 <= noop < math.inf or (learn_noop and noop == 0):
        raise ValueError(f"noop is {noop}: it must be a finite number of at least 0, and above 0 where it is learnt")
    clipped = clip is not None or alpha is not None
    gamma, zeta = clip or (0.0, 1.0)
    clipped_weights(torch.zeros(()), gamma, zeta)
    stretch(torch.ones(()), gamma, alpha)
    attention = {name: module for name, module in model.named_modules() if _heads(module) is not None}
    if not attention:
        raise ValueError(f"{type(model).__name__} has no attention module with a projection named query or q_proj")
    if not all(getattr(m, "_supports_attention_backend", True) for m in model.modules()):
        raise ValueError(
            f"{type(model).__name__} computes its attention itself and cannot be given another: it does not support "
            "the attention interface of transformers"
        )
    if hasattr(model, "outeffhop_conversion"):
        raise ValueError("the model is converted already: call model.outeffhop_conversion.undo() first")
    # check everything before the first change
    gates = {n: _gate(m, gate_hidden, initial_gate) for n, m in attention.items()} if gate else {}
    register()
    conversion = model.outeffhop_conversion = Conversion(model, attention)
    options = {"noop": float(noop), "gamma": gamma, "alpha": alpha, "zeta": zeta}
    _switch(conversion, options, _CLIPPED if clipped else _EAGER if eager else _FUSED)
    for name, module in attention.items():
        if learn_noop:
            weight = _query(module).weight
            log_n = torch.full((_heads(module) or 0, 1, 1), math.log(noop), dtype=weight.dtype, device=weight.device)
            module.outeffhop_log_n = nn.Parameter(log_n)
        if gate:
            module.outeffhop_gate = gates[name]
            conversion._hooks.append(module.register_forward_pre_hook(_opened, with_kwargs=True))
    return conversion


def _switch(conversion: Conversion, options: dict[str, Any], implementation: str) -> None:
    """Give each module that holds the model's configuration, or a part of it, a copy."""
    copies: dict[int, Any] = {}
    copied = copy.deepcopy(conversion.model.config, copies)
    held = [(m, m.config) for m in conversion.model.modules() if id(getattr(m, "config", None)) in copies]
    for config in [copied, *(copies[id(old)] for _, old in held)]:
        for name, value in options.items():
            setattr(config, f"outeffhop_{name}", value)
        config._attn_implementation = implementation
    for module, old in held:
        conversion._configs.append((module, old))
        module.config = copies[id(old)]


def _query(module: nn.Module) -> nn.Linear:
    return next(getattr(module, name) for name in _QUERIES if isinstance(getattr(module, name, None), nn.Linear))


def _gate(module: nn.Module, hidden: int | None, initial_gate: float) -> AttentionGate:
    query, heads = _query(module), _heads(module) or 0
    if query.in_features % heads:
        raise ValueError(f"{heads} heads do not share a hidden state of {query.in_features} numbers")
    return AttentionGate(heads, query.in_features // heads, hidden, initial_gate).to(query.weight)


def _heads(module: nn.Module) -> int | None:
    """Return the number of query heads of an attention module; None for other modules."""
    if not any(isinstance(getattr(module, name, None), nn.Linear) for name in _QUERIES):
        return None
    size = getattr(module, "head_dim", getattr(module, "attention_head_size", None))
    return None if size is None else _query(module).out_features // size


def _opened(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    # the attention function does not see the hidden state: compute the gates here
    states = args[0] if args else kwargs["hidden_states"]
    module.__dict__["_outeffhop_gates"] = cast("AttentionGate", module.outeffhop_gate)(states)


# --- the attention functions ---


def _slot(module: nn.Module, others: dict[str, Any]) -> dict[str, Any]:
    """Return the no-op mass plus the model's own sink; refuse features that would be ignored."""
    left_out = [name for name in ("softcap", "position_bias") if others.get(name) is not None]
    if left_out:
        raise ValueError(f"{type(module).__name__}: its attention uses {', '.join(left_out)}, which outeffhop does not")
    sink, noop = others.get("s_aux"), _option(module, "noop")
    learnt = getattr(module, "outeffhop_log_n", None)
    if sink is None:
        return {"n": noop} if learnt is None else {"log_n": learnt}
    if learnt is None:
        learnt = torch.tensor(math.log(noop) if noop else -math.inf, dtype=sink.dtype, device=sink.device)
    return {"log_n": torch.logaddexp(cast("Tensor", learnt), sink.reshape(-1, 1, 1))}


def _option(module: nn.Module, name: str) -> Any:
    return getattr(getattr(module, "config", None), f"outeffhop_{name}", _DEFAULTS[name])


def _visible(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, is_causal: bool | None
) -> tuple[Tensor, Tensor, bool]:
    """Return keys, values and whether the attention has to apply the causal mask, as for PyTorch's own."""
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    length = query.shape[2]
    causal = bool(length > 1 and mask is None and causal)
    if causal and key.shape[2] > length:
        # the unused end of a static cache
        key, value = key[:, :, :length], value[:, :, :length]
    return key, value, causal


def _finished(module: nn.Module, heads: Tensor) -> Tensor:
    gates = module.__dict__.pop("_outeffhop_gates", None)
    heads = heads if gates is None else heads * gates
    return heads.transpose(1, 2).contiguous()


def _fused(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    key, value, causal = _visible(module, query, key, value, attention_mask, is_causal)
    heads = softmax_n_attention(
        query,
        key,
        value,
        attention_mask,
        dropout,
        causal,
        scaling,
        key.shape[1] != query.shape[1],
        **_slot(module, others),
    )
    return _finished(module, heads), None


def _weighted(clipped: bool) -> Callable[..., tuple[Tensor, Tensor]]:
    """Return the attention function that returns weights, clipped or not."""

    def attend(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        dropout: float = 0.0,
        scaling: float | None = None,
        is_causal: bool | None = None,
        **others: Any,
    ) -> tuple[Tensor, Tensor]:
        key, value, causal = _visible(module, query, key, value, attention_mask, is_causal)
        key, value = repeated_heads(query, key, "key"), repeated_heads(query, value, "value")
        weights = softmax_n_weights(query, key, attention_mask, causal, scaling, **_slot(module, others))
        if clipped:
            gamma, alpha, zeta = (_option(module, name) for name in ("gamma", "alpha", "zeta"))
            seen = visible_keys(query, key, attention_mask, causal)
            weights = clipped_weights(weights, stretch(seen, gamma, alpha), zeta)
        weights = nn.functional.dropout(weights, dropout, module.training)
        return _finished(module, weights @ value), weights

    return attend
