"""The attention and mask functions that transformers calls, and what they read from the module that asks."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from hopfield_theory.attention._dispatch import adds_masks
from hopfield_theory.attention._rounding import passed
from hopfield_theory.attention._transformers import eager_mask, sdpa_mask
from hopfield_theory.attention.baselines import clipped_weights, stretch, visible_keys
from hopfield_theory.attention.functional import softmax_n_attention, softmax_n_of_scores
from hopfield_theory.fused.grouped_heads import repeated_heads

__all__ = ["CLIPPED", "DEFAULTS", "EAGER", "FUNCTIONS", "FUSED", "called", "mask", "opened", "option"]

FUSED, EAGER, CLIPPED = "outeffhop", "outeffhop_eager", "outeffhop_clipped"
DEFAULTS: dict[str, Any] = {
    "noop": 1.0,
    "gamma": 0.0,
    "alpha": None,
    "length": None,
    "zeta": 1.0,
    "learn_noop": False,
    "gate": None,
}

_WITHOUT_EFFECT = {
    "the window, chunk or packing is in the mask": {
        "cache_position",
        "chunk_size",
        "cu_seq_lens_k",
        "cu_seq_lens_q",
        "cu_seqlens",
        "max_length_k",
        "max_length_q",
        "max_seqlen",
        "position_ids",
        "seq_idx",
        "sliding_window",
        "window_size",
    },
    "positions are in the queries and keys already": {"position_embeddings"},
    "caches are merged into the keys before": {"cache", "layer_idx", "past_key_values", "use_cache"},
    "it chooses what the model returns": {
        "logits_to_keep",
        "output_attentions",
        "output_hidden_states",
        "output_router_logits",
        "return_dict",
        "return_shared_kv_states",
    },
    "it belongs to the loss": {"labels", "num_items_in_batch"},
    "it chooses a kernel of another backend": {"deterministic", "use_top_left_mask"},
}
_IGNORED = set().union(*_WITHOUT_EFFECT.values())
_THREAD = threading.local()


def option(module: nn.Module, name: str) -> Any:
    """Return an option: of the module's own configuration, else of the closest one around it."""
    for config in module.__dict__.get("_outeffhop_configs", (getattr(module, "config", None),)):
        value = getattr(config, f"outeffhop_{name}", None)
        if value is not None:
            return value
    return DEFAULTS[name]


class called:  # noqa: N801
    """Record the modules whose attention is computed here, in this thread; a context manager that gives the set."""

    def __enter__(self) -> set[nn.Module]:
        _THREAD.called = set()
        return _THREAD.called

    def __exit__(self, *error: object) -> None:
        _THREAD.called = None


def opened(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Compute the gates of a call, as a hook before it: the attention function does not see the hidden state."""
    states = args[0] if args else kwargs["hidden_states"]
    if not hasattr(_THREAD, "gates"):
        _THREAD.gates = {}
    _THREAD.gates[id(module)] = cast("nn.Module", module.outeffhop_gate)(states)


def mask(
    q_length: int, kv_length: int, allow_is_causal_skip: bool = True, config: Any = None, **others: Any
) -> Tensor | None:
    """Build a mask in the form that a model works with.

    A boolean mask is left out only where ``is_causal`` of as many queries as keys says the same.
    """
    if config is not None and adds_masks(type(config)):
        # its modules may not say whether they are causal: no mask is left out
        others["allow_is_bidirectional_skip"] = False
        return eager_mask(q_length=q_length, kv_length=kv_length, config=config, **others)
    # layers that share keys drop queries after the mask is made
    shares = bool(getattr(config, "num_kv_shared_layers", 0))
    skip = allow_is_causal_skip and not shares and q_length in (1, kv_length)
    return sdpa_mask(q_length=q_length, kv_length=kv_length, allow_is_causal_skip=skip, **others)


class _Call:
    """One call of an attention function: masks, slots and what else a model asks for."""

    def __init__(
        self,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        attention_mask: Tensor | None,
        is_causal: bool | None,
        others: dict[str, Any],
    ) -> None:
        asked = {name: value for name, value in others.items() if value is not None and name not in _IGNORED}
        if getattr(_THREAD, "called", None) is not None:
            _THREAD.called.add(module)
        causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
        length, keys = query.shape[2], key.shape[2]
        self.causal = bool(length > 1 and attention_mask is None and causal)
        self.mask, self.softcap = attention_mask, asked.pop("softcap", None)
        if self.causal and keys != length:
            raise ValueError(
                f"{type(module).__name__}: {length} queries and {keys} keys came without a mask: which are causal is "
                "unknown, since a mask is left out for as many queries as keys alone"
            )
        if (indices := asked.pop("indices", None)) is not None:
            chosen = torch.zeros(*indices.shape[:-1], keys + 1, dtype=torch.bool, device=query.device)
            chosen.scatter_(-1, torch.where(indices < 0, keys, indices).long(), True)
            self._join(chosen[:, None, :, :keys])
        if (blocks := asked.pop("block_indices", None)) is not None:
            positions = others.get("position_ids")
            positions = torch.arange(keys - length, keys, device=query.device) if positions is None else positions
            positions = positions.reshape(-1, length).expand(query.shape[0], -1)
            indexer = cast("Any", module).indexer
            seen = indexer.build_block_mask(blocks, self.mask, keys, query.dtype, query.device, positions)
            self.mask, self.causal = seen == 0, False
        if (bias := asked.pop("position_bias", None)) is not None:
            if self.causal:
                self._join(torch.ones(length, keys, dtype=torch.bool, device=query.device).tril())
            hidden = self.mask is not None and self.mask.dtype == torch.bool
            bias = bias[..., :keys]
            self.mask = (
                bias
                if self.mask is None
                else torch.where(self.mask, bias, bias.new_full((), -math.inf))
                if hidden
                else self.mask + bias
            )
        sink = asked.pop("s_aux", None)
        sink = None if sink is None else sink.reshape(-1, 1, 1)
        if (sinks := asked.pop("sinks", None)) is not None:
            sink = sinks
        if asked:
            raise ValueError(
                f"{type(module).__name__}: its attention is given {', '.join(sorted(asked))}, which outeffhop does not "
                "know"
            )
        self.slot = _slot(module, query, sink)

    def _join(self, seen: Tensor) -> None:
        self.causal = False
        if self.mask is None:
            self.mask = seen
        elif self.mask.dtype == torch.bool:
            self.mask = self.mask & seen
        else:
            self.mask = self.mask.masked_fill(~seen, -math.inf)


def _slot(module: nn.Module, query: Tensor, sink: Tensor | None) -> dict[str, Any]:
    """Return the no-op mass plus the model's own sink."""
    learnt = module._modules.get("outeffhop_slot")
    log_n = None if learnt is None else learnt()
    if log_n is not None and log_n.shape[0] != query.shape[1]:
        raise ValueError(f"{type(module).__name__} has {query.shape[1]} heads: its learnt no-op has {log_n.shape[0]}")
    noop = option(module, "noop")
    if sink is None:
        return {"n": noop} if log_n is None else {"log_n": log_n}
    if log_n is None:
        log_n = sink.new_full((), math.log(noop) if noop else -math.inf)
    return {"log_n": torch.logaddexp(log_n, sink)}


def _finished(module: nn.Module, heads: Tensor) -> Tensor:
    gates = getattr(_THREAD, "gates", {}).pop(id(module), None) if "outeffhop_gate" in module._modules else None
    heads = heads if gates is None else heads * gates
    return heads.transpose(1, 2).contiguous()


def _weights(query: Tensor, key: Tensor, call: _Call, scaling: float | None, module: nn.Module) -> Tensor:
    scale = 1.0 / math.sqrt(query.shape[-1]) if scaling is None else scaling
    work = torch.promote_types(query.dtype, torch.float32)
    scores = query.to(work) * scale @ key.to(work).mT
    if call.softcap is not None:
        scores = call.softcap * torch.tanh(scores / call.softcap)
    scores = passed("scores", module, scores)
    return softmax_n_of_scores(scores, call.mask, call.causal, **call.slot).to(query.dtype)


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
    call = _Call(module, query, key, attention_mask, is_causal, others)
    if call.softcap is not None:
        key, value = repeated_heads(query, key, "key"), repeated_heads(query, value, "value")
        weights = _weights(query, key, call, scaling, module)
        heads = nn.functional.dropout(weights, dropout, module.training) @ value
        return _finished(module, heads), None
    grouped = key.shape[1] != query.shape[1]
    heads = softmax_n_attention(query, key, value, call.mask, dropout, call.causal, scaling, grouped, **call.slot)
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
        call = _Call(module, query, key, attention_mask, is_causal, others)
        key, value = repeated_heads(query, key, "key"), repeated_heads(query, value, "value")
        weights = _weights(query, key, call, scaling, module)
        if clipped:
            gamma, alpha, zeta, length = (option(module, name) for name in ("gamma", "alpha", "zeta", "length"))
            seen = visible_keys(query, key, call.mask, call.causal) if length is None else length
            weights = clipped_weights(weights, stretch(seen, gamma, alpha), zeta)
        weights = nn.functional.dropout(weights, dropout, module.training)
        weights = passed("probabilities", module, weights)
        return _finished(module, passed("context", module, weights @ value)), weights

    return attend


FUNCTIONS: dict[str, Callable[..., Any]] = {FUSED: _fused, EAGER: _weighted(False), CLIPPED: _weighted(True)}
