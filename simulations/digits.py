"""Which handwritten digits does each model store and complete, raw, centred and normalised?

Grid: preparation of the 1 797 images, model and β. Queries: the images themselves, and the images with their lower
half hidden. Cells that are ``pictured`` keep images instead: two cues, their updates, and their ends.

Held against: the certificate (a digit that is proved stored must be retrieved).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import torch

from hopfield_theory.certificates.certify import certify
from hopfield_theory.data import corruption, files
from hopfield_theory.model.memory import Memory
from hopfield_theory.model.retrieval import retrieve
from hopfield_theory.statistics import wilson
from simulations._shared import columns

_PREPARATIONS = {"raw": (False, False), "centred": (True, False), "normalised": (True, True)}
# raw images have norms of about 55, so that the same κ = β m² takes a smaller β
_KAPPAS = {
    "quick": (16.0, 64.0, 256.0, 1024.0),
    "paper": tuple(2.0**k for k in range(2, 13)),
    "large": tuple(2.0 ** (k / 2) for k in range(4, 27)),
}
# a mass far below, at, and inside the window in which unmatched cues are drained and matched ones are not
_PICTURED_KAPPA, _PICTURED_NOOPS, _PICTURED_STEPS = 64.0, (0.0, 1.0, math.exp(36.0)), 3
_SUBSET = {"quick": 400, "paper": 1797, "large": 1797}


def cells(preset: str) -> list[dict[str, Any]]:
    """List the parameters of all cells."""
    measured = [
        {"preparation": preparation, "noop": noop, "kappa": kappa, "patterns": _SUBSET[preset]}
        for preparation, noop, kappa in itertools.product(_PREPARATIONS, (0.0, 1.0), _KAPPAS[preset])
    ]
    shared = {"preparation": "normalised", "kappa": _PICTURED_KAPPA, "patterns": _SUBSET[preset], "pictured": True}
    return measured + [shared | {"noop": noop} for noop in _PICTURED_NOOPS]


def measure(parameters: Mapping[str, Any], seed: int, device: str, study: int = 0) -> list[dict[str, Any]]:
    """Measure one cell: one row for whole images, one for half hidden ones; the study's seed chooses the images."""
    del seed
    images = files.digits()[0].double()
    # the same images for every model: cells differ only in the model
    generator = torch.Generator().manual_seed(study)
    images = images[torch.randperm(len(images), generator=generator)[: parameters["patterns"]]].to(device)
    centre, normalise = _PREPARATIONS[parameters["preparation"]]
    plain = Memory(images, 1.0, parameters["noop"], centre=centre, normalise=normalise)
    typical = plain.patterns.norm(dim=-1).square().mean().item()
    memory = Memory(images, parameters["kappa"] / typical, parameters["noop"], centre=centre, normalise=normalise)
    proof = certify(memory)
    mean = images.mean(0) if centre else torch.zeros_like(images[0])
    hidden = corruption.mask_tail(images - mean, 0.5) + mean
    if parameters.get("pictured", False):
        return _pictures(memory, images, hidden)
    rows, own = [], torch.arange(len(images), device=images.device)
    for cue, queries in (("whole", images), ("half hidden", hidden)):
        found = retrieve(memory, queries, 1e-8, 2000)
        answer, distance = memory.nearest(found.state)
        right = (answer == own) & (distance <= 0.5 * typical**0.5)
        rate = wilson(int(right.sum()), len(images))
        rows.append(
            {
                "cue": cue,
                "beta": memory.beta,
                **columns("rate", rate),
                "proved": float(proof.stored.double().mean()),
                "broken_promises": int((proof.stored & (answer != own)).sum()) if cue == "whole" else 0,
                "answer_norm": found.state.norm(dim=-1).median().item() / typical**0.5,
                "steps": found.steps.double().median().item(),
            }
        )
    return rows


def _pictures(memory: Memory, images: torch.Tensor, hidden: torch.Tensor) -> list[dict[str, Any]]:
    """Keep the path of the first image, half hidden and with its pixels shuffled."""
    shuffled = images[:1, torch.randperm(images.shape[1], generator=torch.Generator().manual_seed(1))]
    rows = []
    for cue, query in (("matched", hidden[:1]), ("unmatched", shuffled)):
        state = memory.prepare(query)
        pictures = [("query", state)]
        for step in range(1, _PICTURED_STEPS + 1):
            state = memory.update(state)
            pictures.append((f"after {step}", state))
        pictures += [("answer", retrieve(memory, query, 1e-8, 2000).state), ("pattern", memory.patterns[:1])]
        rows += [
            {"cue": cue, "picture": name, "beta": memory.beta, "image": x[0].tolist(), "norm": x.norm().item()}
            for name, x in pictures
        ]
    return rows


def cost(parameters: Mapping[str, Any]) -> tuple[float, float]:
    """Predict seconds and bytes."""
    return 1e-6 * parameters["patterns"] ** 2 + 0.3, 4e8
