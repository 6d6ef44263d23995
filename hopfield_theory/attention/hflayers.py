"""Weights of the ``hflayers`` package (Ramsauer et al. 2021) in the Hopfield layers of this one, or a refusal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hopfield_theory.attention.layers import Hopfield, HopfieldLayer, HopfieldPooling

__all__ = ["from_hflayers"]


def from_hflayers(
    state: dict[str, Tensor],
    layer: Hopfield | HopfieldPooling | HopfieldLayer,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Tensor]:
    """Map the weights of a layer of the ``hflayers`` package to a layer of this package.

    The two are then the same function, gradients included, unless this layer's no-op masses are above 0.

    ====================================  =====================================================
    ``hflayers``                          here
    ====================================  =====================================================
    ``association_core.in_proj_weight``   ``state_projection``, ``stored_projection`` and
                                          ``pattern_projection``, one below the other
    ``association_core.q_proj_weight``    ``state_projection.weight``; likewise k and v
    ``association_core.in_proj_bias``     the three biases, one after the other
    ``association_core.out_proj``         ``output_projection``
    ``association_core.bias_k``, bias_v   left out: they are never used
    ``norm_…``, ``pooling_weights``,      the same names
    ``lookup_weights``
    ``target_weights``                    ``lookup_targets``
    ====================================  =====================================================

    Parameters
    ----------
    state : dict
        The ``state_dict`` of the other layer.
    layer : Hopfield, HopfieldPooling or HopfieldLayer
        A layer of the same sizes; it keeps its no-op masses.
    options : dict
        The arguments that the other layer was built with, ``{}`` for none. A state dict does not show its connected
        projections, zero association, scaling, activation or epsilons, so it is refused without them.

    Returns
    -------
    dict
        Argument for ``layer.load_state_dict``.

    Raises
    ------
    ValueError
        For weights that either layer does not have, and for options by which the two layers would differ.

    Examples
    --------
    >>> layer = Hopfield(2, disable_out_projection=True)
    >>> weight = {"association_core.in_proj_weight": torch.ones(6, 2), "association_core.in_proj_bias": torch.zeros(6)}
    >>> weight |= {k: v for k, v in layer.state_dict().items() if k.startswith("norm")}
    >>> layer.load_state_dict(from_hflayers(weight, layer, {}))
    <All keys matched successfully>
    """
    if options is None:
        raise ValueError(
            "options is None: a state dict does not show connected projections, zero association, scaling, activation "
            "and epsilons; give the arguments that the other layer was built with, {} for none"
        )
    association = layer if isinstance(layer, Hopfield) else layer.hopfield
    _check_options(association, options)
    own = layer.state_dict()
    prefix = "" if layer is association else "hopfield."
    kept = (f"{prefix}log_n", f"{prefix}scaling")
    mapped = {name: x.detach().clone() for name, x in own.items() if name in kept}
    learnt = {"target_weights": "lookup_targets", "pooling_weights": "pooling_weights"}
    learnt["lookup_weights"] = "lookup_weights"
    for name, tensor in state.items():
        if name in learnt:
            # theirs are (quantity, 1, size) where sequences come first
            places = {learnt[name]: tensor if association.batch_first else tensor.transpose(0, 1)}
        elif name.startswith(prefix):
            places = _places(name.removeprefix(prefix), tensor, association, options)
            places = {f"{prefix}{place}": part for place, part in places.items()}
        else:
            places = {name: tensor}
        for place, part in places.items():
            if place not in own or own[place].shape != part.shape:
                raise ValueError(f"{name} of shape {tuple(tensor.shape)} has no place in this layer")
        mapped |= places
    missing = [name for name in own if name not in mapped]
    if missing:
        raise ValueError(f"the state has no weights for {', '.join(missing)}")
    return mapped


def _places(name: str, tensor: Tensor, layer: Hopfield, options: Mapping[str, Any]) -> dict[str, Tensor]:
    """Say where a weight of the other association goes: it may be split, or left out."""
    names = ("state_projection", "stored_projection", "pattern_projection")
    core = name.removeprefix("association_core.")
    if core in ("in_proj_weight", "in_proj_bias"):
        sizes = [getattr(getattr(layer, own), "out_features", 0) for own in names]
        if core == "in_proj_bias" and not sizes[-1]:
            # theirs has a bias, never used, for static values too
            tensor = tensor[: sum(sizes)]
        if len(tensor) != sum(sizes):
            return {name: tensor}
        parts = zip(names, tensor.split(sizes), strict=True)
        return {f"{own}.{core.removeprefix('in_proj_')}": part for own, part in parts if len(part)}
    if core in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
        return {f"{names['qkv'.index(core[0])]}.weight": tensor}
    if core in ("bias_k", "bias_v") and options.get("concat_bias_pattern"):
        return {}
    return {core.replace("out_proj", "output_projection"): tensor}


def _check_options(layer: Hopfield, options: Mapping[str, Any]) -> None:
    """Refuse arguments of a layer of ``hflayers`` that make it another function than this layer."""
    sides = ("state_pattern", "stored_pattern", "pattern_projection")
    projections = (layer.state_projection, layer.stored_projection, layer.pattern_projection)
    static = {f"{side}_as_static": isinstance(p, nn.Identity) for side, p in zip(sides, projections, strict=True)}
    here = static | {
        "pattern_projection_as_connected": layer.connected,
        "normalize_hopfield_space": False,
        "association_activation": None,
        "batch_first": layer.batch_first,
        "num_heads": layer.num_heads,
        "dropout": layer.dropout,
        "update_steps_max": layer.update_steps_max,
    }
    theirs: dict[str, Any] = {"num_heads": 1, "batch_first": True, "association_activation": None, "dropout": 0.0}
    theirs |= {"update_steps_max": 0, "update_steps_eps": 1e-4}
    for side in sides:
        norm = getattr(layer, f"norm_{side}")
        here[f"normalize_{side}"] = isinstance(norm, nn.LayerNorm)
        theirs |= {f"normalize_{side}": True, f"normalize_{side}_affine": True, f"normalize_{side}_eps": 1e-5}
        if isinstance(norm, nn.LayerNorm):
            here |= {f"normalize_{side}_affine": norm.elementwise_affine, f"normalize_{side}_eps": norm.eps}
    if layer.update_steps_max != 0:
        here["update_steps_eps"] = layer.update_steps_eps
    no_matter = {"input_size", "hidden_size", "output_size", "pattern_size", "quantity", "trainable"}
    no_matter |= {"stored_pattern_size", "pattern_projection_size", "disable_out_projection", "input_bias"}
    no_matter |= {"normalize_hopfield_space_affine", "normalize_hopfield_space_eps", "lookup_weights_as_separated"}
    no_matter |= {"lookup_targets_as_trainable", "add_zero_association", "concat_bias_pattern", "scaling"}
    unknown = set(options) - set(here) - set(theirs) - no_matter
    if unknown:
        raise ValueError(f"options hold {', '.join(sorted(unknown))}, which this layer does not know")
    given = theirs | {name: _of_all_heads(name, value) for name, value in options.items()}
    if given["update_steps_max"] is not None and given["update_steps_max"] < 0:
        given["update_steps_max"] = None
    different = [name for name, value in here.items() if given.get(name, False) != value]
    if different:
        raise ValueError(f"the layers differ in {', '.join(different)}")
    if layer.num_heads > 1 and any(static.values()):
        raise ValueError(
            f"num_heads is {layer.num_heads}: there every head takes a static pattern whole, and samples are mixed up; "
            "here heads share it out"
        )
    if layer.add_bias_kv:
        raise ValueError("add_bias_kv is True: concat_bias_pattern makes weights there, which are never used")
    if layer.update_steps_max != 0 and not layer.stop_together:
        raise ValueError("stop_together is False: there all queries of a head stop at once")
    # a zero pattern with the value zero is a slot of mass 1
    if given.get("add_zero_association") and bool((layer.log_n != 0).any()):
        raise ValueError("add_zero_association is True: build this layer with noop=1")
    scaling = given.get("scaling")
    if scaling is None:
        whole = all(static.values()) and not layer.connected and isinstance(layer.output_projection, nn.Identity)
        scaling = 1.0 if whole else 1.0 / math.sqrt(layer.hidden_size)
    scale = layer.scaling.detach() if isinstance(layer.scaling, Tensor) else torch.tensor(layer.scaling)
    if not torch.allclose(torch.as_tensor(scaling).to(scale), scale):
        raise ValueError(f"scaling is {scaling}: this layer has {layer.scaling}")


def _of_all_heads(name: str, value: Any) -> Any:
    """Return the number that a tensor of equal numbers stands for."""
    if not isinstance(value, Tensor):
        return value
    first, *others = value.flatten().tolist()
    if any(other != first for other in others):
        more = ": there it multiplies every num_heads-th feature, not a head" if name == "scaling" else ""
        raise ValueError(f"{name} is {value.tolist()}, not one number for all heads{more}")
    return first
