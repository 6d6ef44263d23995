"""Do trained models grow outliers, and does the no-op slot, clipping or gating prevent it at the same loss?

Grid: BERT, OPT, ViT and STanHop-Net; softmax and OutEffHop, each plain, clipped and gated, and with n learnt; three
trainings of each, which draw the same weights and batches for all methods. The learning rate of a training is that of
the preset's, or the best of its few by held-out loss after a tenth of the steps.

Held against: Table 1 of Hu et al. 2024. A training is stuck, and not averaged, if it ends above 0.98 times the loss of
a model that sees no input. The quick preset proves that every cell runs, and claims nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from hopfield_theory.data.seeds import derived_seed
from hopfield_theory.runs.store import canonical
from simulations import _data
from simulations._architectures import METHODS, Built, Size, build
from simulations._training import Recipe, train

PRESETS = ("quick", "cpu", "gpu")
STUCK = 0.98
_QUICK = Size(layers=2, width=32, heads=2, length=32, batch=16, held_out=32)
_CPU = Size(6, 128, 4, 64, batch=8, held_out=256, vocabulary=2000, characters=8_000_000)
_GPU = Size(6, 256, 4, 128, batch=32, held_out=256, vocabulary=8000, characters=8_000_000)
# sizes, steps, learning rates that are tried
_PLANS: dict[str, dict[str, tuple[Size, int, str]]] = {
    "quick": {
        "BERT": (_QUICK, 60, "0.003"),
        "OPT": (_QUICK, 60, "0.003"),
        "ViT": (_QUICK, 60, "0.003"),
        "STanHop": (replace(_QUICK, layers=1, length=24, horizon=6), 60, "0.003"),
    },
    "cpu": {
        # in batches of 8 it hardly learns, and at .003 not at all
        "BERT": (replace(_CPU, batch=32), 8000, "0.001"),
        # at .001, its best rate, softmax has no outliers; at .003 it learns with outliers
        "OPT": (_CPU, 2000, "0.003"),
        # likewise: at .001 its norms are 10, at .003 20 to 33
        "ViT": (replace(_CPU, batch=64, held_out=180), 1000, "0.003"),
        "STanHop": (replace(_CPU, layers=3, width=64, length=48, horizon=6, batch=32), 1000, "0.0003,0.001"),
    },
    "gpu": {
        "BERT": (_GPU, 2500, "0.001,0.002"),
        "OPT": (_GPU, 2500, "0.001,0.002"),
        "ViT": (replace(_GPU, layers=12, width=384, heads=6, batch=64, held_out=180, patch=1), 2000, "0.0003,0.001"),
        "STanHop": (replace(_GPU, layers=11, width=256, heads=4, length=168), 1000, "0.0001,0.0003"),
    },
}
_TRAININGS = {"quick": 1, "cpu": 3, "gpu": 3}
_OWN_IMAGES = {"quick": (16, 4), "cpu": (32, 4), "gpu": (224, 16)}


def cells(preset: str) -> list[dict[str, Any]]:
    """List the parameters of all cells, first those of softmax and OutEffHop: a run that is cut short has them."""
    return _ordered(cell for name, plan in _PLANS[preset].items() for cell in _cells(preset, name, *plan))


def _ordered(cells: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(cells, key=lambda cell: cell["learnt"] or cell["method"] not in ("softmax", "OutEffHop"))


def own_cells(preset: str, data: str) -> list[dict[str, Any]]:
    """List the cells of the models that learn from the user's data, after it has been read once."""
    if not data.strip():
        raise ValueError(f"data is {data!r}: it must be a file or a folder")
    # however it is spelt, it is one file
    known = {"data": str(Path(data).resolve()), "digest": _data.fingerprint(data)}
    plans, kind = _PLANS[preset], _data.kind(data)
    if kind == "series":
        chosen = {"STanHop": (replace(plans["STanHop"][0], length=168, horizon=24), *plans["STanHop"][1:])}
    elif kind == "images":
        image, patch = _OWN_IMAGES[preset]
        chosen = {"ViT": (replace(plans["ViT"][0], image=image, patch=patch), *plans["ViT"][1:])}
    else:
        chosen = {name: plans[name] for name in ("BERT", "OPT")}
    for name, (size, *_) in chosen.items():
        _read(name, size, data)
    return _ordered(cell | known for name, plan in chosen.items() for cell in _cells(preset, name, *plan))


def _read(name: str, size: Size, path: str) -> object:
    if name == "STanHop":
        return _data.series(path, size.length, size.horizon)
    if name == "ViT":
        return _data.images(path, size.image)
    return _data.text(path, size.characters, size.vocabulary).above(size.length, path)


def _cells(preset: str, name: str, size: Size, steps: int, rates: str) -> list[dict[str, Any]]:
    return [
        {"model": name, "method": method, "learnt": learnt, "training": training, "steps": steps, "rates": rates}
        | vars(size)
        for method, (noop, *_) in METHODS.items()
        for learnt in ((False, True) if noop and preset != "quick" else (False,))
        for training in range(_TRAININGS[preset])
    ]


def measure(
    parameters: Mapping[str, Any], seed: int, device: str, study: int = 0, unfinished: str | None = None
) -> list[dict[str, Any]]:
    """Train one model; one row per measurement along the training, the last one with the numbers after W8A8.

    With a folder for what is unfinished, a killed training goes on from its last measurement; :func:`forget` clears it.
    """
    del seed
    begin = derived_seed(study, parameters["training"])

    def trained(rate: float, steps: int) -> tuple[Built, list[dict[str, Any]]]:
        built = _built(parameters, begin, device, unfinished)
        path = (
            None if unfinished is None else Path(unfinished) / f"{_name(parameters, study, device)}-{rate}-{steps}.pt"
        )
        return built, train(built.task, Recipe(steps, rate), begin, device, path)

    steps, rates = parameters["steps"], [float(rate) for rate in parameters["rates"].split(",")]
    losses = {rate: trained(rate, steps // 10)[1][-1]["loss"] for rate in (rates if len(rates) > 1 else ())}
    # a loss that is not a number is never the least
    rate = min(rates, key=lambda rate: (not losses.get(rate, 0.0) < float("inf"), losses.get(rate, 0.0)))
    built, rows = trained(rate, steps)
    stuck = not rows[-1]["loss"] < STUCK * built.blind_loss
    known = {"rate": rate, "blind_loss": built.blind_loss, "stuck": stuck, "parameters": _count(built)}
    rows = [row | known | {"last": False} for row in rows]
    rows[-1] |= {"last": True, **(built.rounded() if rows[-1]["loss"] < float("inf") else {})}
    return rows


def forget(parameters: Mapping[str, Any], device: str, study: int, unfinished: str) -> None:
    """Remove the checkpoints of a model whose rows are stored."""
    for path in Path(unfinished).glob(f"{_name(parameters, study, device)}-*.pt"):
        path.unlink(missing_ok=True)


def _built(parameters: Mapping[str, Any], seed: int, device: str, folder: str | None) -> Built:
    path = parameters.get("data")
    if path is not None and _data.fingerprint(path) != parameters["digest"]:
        raise ValueError(f"{path} has changed since the grid was made: run the command again")
    size = Size(**{each.name: parameters[each.name] for each in fields(Size)})
    chosen = parameters["model"], parameters["method"], parameters["learnt"]
    return build(*chosen, size, seed, device, path, folder)


def _count(built: Built) -> int:
    return sum(p.numel() for p in built.task.model.parameters())


def _name(parameters: Mapping[str, Any], study: int, device: str) -> str:
    return hashlib.sha256(f"{canonical(parameters)} {study} {device}".encode()).hexdigest()[:16]


def cost(parameters: Mapping[str, Any], device: str = "cpu") -> tuple[float, float]:
    """Predict seconds, of one core or of a GPU, and bytes."""
    width, layers = parameters["width"], parameters["layers"]
    weights = 12 * layers * width**2 + parameters["vocabulary"] * width
    tokens = parameters["batch"] * parameters["length"]
    searches = 1.3 if "," in parameters["rates"] else 1.0
    # three trainings of BERT side by side made some 100 steps a second on an H100, with their measurements
    overhead, speed = (0.02, 2e10) if device == "cpu" else (0.01, 2e14)
    transformer = parameters["model"] != "STanHop"
    seconds = 1.0 + transformer + parameters["steps"] * searches * (overhead + 6 * weights * tokens / speed)
    return seconds, 4e8 + 16 * weights + 100 * layers * tokens * width
