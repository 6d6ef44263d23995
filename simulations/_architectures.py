"""The models and methods that are compared, as tasks for the training loop.

BERT (masked tokens), OPT (next token) and ViT (classes) are transformers' own classes, from a configuration, with the
attention of a method put in by :func:`hopfield_theory.attention.transformers.convert`; softmax goes the same way, with
n = 0. STanHop-Net is :class:`hopfield_theory.attention.stanhop.STanHop`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hopfield_theory.attention.outliers import OutlierMeter
from hopfield_theory.attention.quantization import calibrate, quantized
from hopfield_theory.attention.stanhop import STanHop
from simulations import _data
from simulations._training import Task

__all__ = ["METHODS", "MODELS", "Built", "Size", "build"]

MODELS = ("BERT", "OPT", "ViT", "STanHop")
# no-op mass, clipped, gated
METHODS = {
    "softmax": (0.0, False, False),
    "OutEffHop": (1.0, False, False),
    "Clipped_Softmax": (0.0, True, False),
    "Clipped_OutEffHop": (1.0, True, False),
    "Gated_Attention": (0.0, False, True),
    "Gated_OutEffHop": (1.0, False, True),
}
# as published: gamma and zeta, OPT's gamma by alpha = 12; initial gates
_CLIP = {"BERT": (-0.025, 1.0), "OPT": None, "ViT": (-1e-5, 1.0), "STanHop": (-0.1, 1.1)}
_OPT_ALPHA, _GATE = 12.0, 0.25
# a gate of BERT is a small network, per token
_GATE_HIDDEN = {"BERT": 4, "OPT": None, "ViT": None}
_HEADS = {"BERT": "cls", "OPT": "lm_head", "ViT": "classifier"}
_MASKED, _LABEL_IGNORED = 0.15, -100
_CALIBRATION = 4


@dataclass(frozen=True)
class Size:
    """Sizes of a model and its data; ``length`` is in tokens or steps."""

    layers: int
    width: int
    heads: int
    length: int
    batch: int
    held_out: int
    vocabulary: int = 1000
    characters: int = 300_000
    image: int = 8
    patch: int = 2
    segment: int = 6
    horizon: int = 24
    dropout: float = 0.0


@dataclass(frozen=True)
class Built:
    """A task, the loss of a model that sees no input, and the numbers after W8A8."""

    task: Task
    blind_loss: float
    rounded: Callable[[], dict[str, float]]


def build(
    name: str,
    method: str,
    learnt: bool,
    size: Size,
    seed: int,
    device: str,
    path: str | None = None,
    folder: str | None = None,
) -> Built:
    """Build a model with a method, of weights drawn from a seed, and the task that it learns.

    ``path`` has the user's own data; in ``folder`` tokens are kept for other processes.
    """
    noop, clipped, gated = METHODS[method]
    if learnt and not noop:
        raise ValueError(f"learnt is True: {method} has no no-op mass to learn")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if name == "STanHop":
            batches, model = _forecasting(size, path), None
            source = _data.series(path, size.length, size.horizon)
            clip, gate = _CLIP[name] if clipped else None, _GATE if gated else None
            options = {"noop": noop, "learn_noop": learnt, "clip": clip, "gate": gate, "dropout": size.dropout}
            sizes = {"size": size.width, "hidden": 2 * size.width, "num_heads": size.heads, "layers": size.layers}
            model = STanHop(source.train.shape[1], size.length, size.horizon, size.segment, **sizes, **options)
        else:
            from hopfield_theory.attention.transformers import convert

            source = _data.images(path, size.image) if name == "ViT" else None
            source = source or _data.kept_text(folder, path, size.characters, size.vocabulary)
            batches = _images(source, size) if name == "ViT" else _tokens(source, size, masked=name == "BERT")
            model = _transformer(name, size, source)
            gate = {"gate": True, "gate_hidden": _GATE_HIDDEN[name], "initial_gate": _GATE} if gated else {}
            clip: dict[str, Any] = {"clip": _CLIP[name]} if clipped else {}
            if clipped and name == "OPT":
                clip = {"alpha": _OPT_ALPHA, "length": size.length}
            convert(model, noop=noop, learn_noop=learnt, **clip, **gate)
    model = model.to(device)
    draw, held_out, loss, scores = batches
    held_out = [tuple(x.to(device) for x in batch) for batch in held_out]
    chosen = _published(name)

    def numbers(model: nn.Module) -> dict[str, Any]:
        with torch.inference_mode():
            return scores(model, held_out)

    def measure(model: nn.Module) -> dict[str, Any]:
        with OutlierMeter(model) as ours, OutlierMeter(model, chosen, protocol="bondarenko") as published:
            row = numbers(model)
        return row | {
            "kurtosis": ours.average_kurtosis,
            "norm": ours.maximum_infinity_norm,
            "norm_layer": ours.largest_layer,
            "kurtosis_published": published.average_kurtosis,
            "norm_published": published.maximum_infinity_norm,
            "norm_layer_published": published.largest_layer,
        }

    def rounded() -> dict[str, float]:
        skip = ("lm_head",) if name == "OPT" else ()
        generator = torch.Generator().manual_seed(0)
        batches = [tuple(x.to(device) for x in draw(generator)) for _ in range(_CALIBRATION)]
        ranges = calibrate(model.eval(), batches, run=loss, skip=skip)
        return {f"{key}_w8a8": value for key, value in numbers(quantized(model, ranges, skip)).items()}

    return Built(Task(model, draw, loss, measure), source.blind_loss, rounded)


def _published(name: str) -> Callable[[str, nn.Module], bool] | None:
    """Choose the modules whose outputs the papers measure."""
    if name == "STanHop":
        # what is called: containers are not, nor are the norms that are left out
        return lambda name, module: bool(name) and not isinstance(module, nn.ModuleList | nn.Identity)
    if name == "OPT":
        last = ("fc2", "final_layer_norm", "out_proj", "self_attn_layer_norm")
        return lambda name, _: name.endswith(last) or name.rpartition(".")[0].endswith("layers")
    return None


def _transformer(name: str, size: Size, source: Any) -> nn.Module:
    import transformers

    shared = {"hidden_size": size.width, "num_attention_heads": size.heads, "num_hidden_layers": size.layers}
    if name == "OPT":
        return transformers.OPTForCausalLM(
            transformers.OPTConfig(
                **shared,
                ffn_dim=4 * size.width,
                word_embed_proj_dim=size.width,
                vocab_size=source.vocabulary,
                max_position_embeddings=size.length,
                dropout=size.dropout,
                init_std=0.006,
                pad_token_id=0,
                bos_token_id=2,
                eos_token_id=2,
                use_cache=False,
            )
        )
    shared |= {"intermediate_size": 4 * size.width}
    shared |= {"hidden_dropout_prob": size.dropout, "attention_probs_dropout_prob": size.dropout}
    if name == "BERT":
        return transformers.BertForMaskedLM(
            transformers.BertConfig(
                **shared, vocab_size=source.vocabulary, max_position_embeddings=size.length, pad_token_id=0
            )
        )
    return transformers.ViTForImageClassification(
        transformers.ViTConfig(
            **shared,
            image_size=size.image,
            patch_size=size.patch,
            num_channels=source.train.shape[1],
            num_labels=source.classes,
        )
    )


# --- batches, losses and scores: each returns draw, held-out batches, loss, scores ---


def _windows(stream: Tensor, starts: Tensor, length: int) -> Tensor:
    return stream[starts[:, None] + torch.arange(length)]


def _tokens(source: _data.Text, size: Size, masked: bool) -> Any:
    source.above(size.length)

    def hidden(tokens: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Hide 15 per cent: of these 80 by the mask, 10 by a random token, 10 not at all."""
        if not masked:
            return tokens, tokens
        chance = torch.rand(tokens.shape, generator=generator)
        other = torch.randint(source.vocabulary, tokens.shape, generator=generator)
        labels = tokens.masked_fill(chance >= _MASKED, _LABEL_IGNORED)
        seen = tokens.masked_fill(chance < 0.8 * _MASKED, source.mask_token)
        return torch.where((chance >= 0.8 * _MASKED) & (chance < 0.9 * _MASKED), other, seen), labels

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        starts = torch.randint(len(source.train) - size.length, (size.batch,), generator=generator)
        return hidden(_windows(source.train, starts, size.length), generator)

    def loss(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        return model(input_ids=batch[0], labels=batch[1]).loss

    def scores(model: nn.Module, batches: list[tuple[Tensor, ...]]) -> dict[str, float]:
        mean = sum(loss(model, batch).item() for batch in batches) / len(batches)
        return {"loss": mean, "perplexity": math.exp(mean) if mean < 700 else math.inf}

    starts = torch.linspace(0, len(source.held_out) - size.length - 1, size.held_out).long()
    generator = torch.Generator().manual_seed(0)
    held_out = [hidden(_windows(source.held_out, each, size.length), generator) for each in starts.split(size.batch)]
    return draw, held_out, loss, scores


def _images(source: _data.Images, size: Size) -> Any:
    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(len(source.train), (size.batch,), generator=generator)
        return source.train[chosen], source.labels[chosen]

    def loss(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        return model(pixel_values=batch[0], labels=batch[1]).loss

    def scores(model: nn.Module, batches: list[tuple[Tensor, ...]]) -> dict[str, float]:
        logits = torch.cat([model(pixel_values=x).logits.float() for x, _ in batches])
        labels = torch.cat([y for _, y in batches])
        right = (logits.argmax(-1) == labels).double().mean().item()
        return {"loss": nn.functional.cross_entropy(logits, labels).item(), "accuracy": right}

    pairs = zip(source.held_out.split(size.batch), source.held_out_labels.split(size.batch), strict=True)
    return draw, list(pairs)[: -(-size.held_out // size.batch)], loss, scores


def _forecasting(size: Size, path: str | None) -> Any:
    source = _data.series(path, size.length, size.horizon)
    whole = size.length + size.horizon

    def cut(stream: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
        windows = _windows(stream, starts, whole)
        return windows[:, : size.length], windows[:, size.length :]

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return cut(source.train, torch.randint(len(source.train) - whole + 1, (size.batch,), generator=generator))

    def loss(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        return nn.functional.mse_loss(model(batch[0]), batch[1])

    def scores(model: nn.Module, batches: Iterable[tuple[Tensor, ...]]) -> dict[str, float]:
        errors = torch.cat([(model(x) - y).float() for x, y in batches])
        return {
            "loss": errors.square().mean().item(),
            "mse": errors.square().mean().item(),
            "mae": errors.abs().mean().item(),
        }

    starts = torch.arange(len(source.held_out) - whole + 1)
    starts = (
        starts if len(starts) <= size.held_out else starts[torch.linspace(0, len(starts) - 1, size.held_out).long()]
    )
    return draw, [cut(source.held_out, each) for each in starts.split(size.batch)], loss, scores
