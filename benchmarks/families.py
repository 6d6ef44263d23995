"""Every model family of the installed transformers, small: does OutEffHop work and equal, or why is it refused.

Each family is built from the default configuration with its sizes cut down, run on random tokens, pixels or sounds, and
converted with that batch as the proof: every attention module that is listed has computed softmax_n attention, and at
n = 0 the outputs are the model's own to rounding. With ``--write PATH`` the table replaces the one that ends a page.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_MAPPING

from hopfield_theory.attention._dispatch import Survey, why_not
from hopfield_theory.attention.transformers import convert

HEADING = "## Model families"
SECONDS = 60
# sizes of a small model; heads of 8 numbers each
SIZES = {
    "hidden_size": 32,
    "d_model": 32,
    "n_embd": 32,
    "embed_dim": 32,
    "intermediate_size": 48,
    "ffn_dim": 48,
    "d_ff": 48,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
    "num_attention_heads": 4,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "num_heads": 4,
    "n_head": 4,
    "head_dim": 8,
    "global_head_dim": 8,
    "num_key_value_heads": 2,
    "vocab_size": 160,
    "n_routed_experts": 8,
    "num_experts": 8,
    "num_local_experts": 8,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "image_size": 32,
    "patch_size": 8,
    "word_embed_proj_dim": 32,
    "embedding_size": 32,
}


def shrink(config: Any, sizes: dict[str, int]) -> Any:
    """Cut the sizes of a configuration and of those inside it."""
    for name, value in list(vars(config).items()):
        if isinstance(value, transformers.PreTrainedConfig):
            shrink(value, sizes)
        elif isinstance(value, int) and not isinstance(value, bool):
            layers = ("layers" in name or name in ("depth", "n_layer", "num_blocks")) and value > 2
            token = name.endswith("_token_id") and "vocab_size" in sizes and value >= sizes["vocab_size"]
            small = 2 if layers else 1 if token else min(value, sizes.get(name, value))
            with contextlib.suppress(Exception):
                setattr(config, name, small)
    for name in ("layer_types", "mlp_layer_types"):
        kinds = getattr(config, name, None)
        if isinstance(kinds, list) and kinds:
            # the last of every period is the rarer kind
            with contextlib.suppress(Exception):
                setattr(config, name, [kinds[0], *[k for k in kinds if k != kinds[0]][:1], kinds[0]][:2])
    return config


def built(kind: type, of: type) -> Any:
    """Build the smallest of a few models of a kind."""
    layers_alone: dict[str, int] = {}
    error: Exception | None = None
    for sizes in (SIZES, {k: v for k, v in SIZES.items() if k not in ("image_size", "patch_size")}, layers_alone):
        try:
            with torch.device("meta"):
                model = of(shrink(kind(), sizes))
            if sum(p.numel() for p in model.parameters()) > 3e7:
                return model
            torch.manual_seed(0)
            return of(shrink(kind(), sizes)).eval()
        except Exception as failed:
            error = failed
    raise RuntimeError(f"{type(error).__name__}: {error}")


def examples(model: Any) -> Iterator[dict[str, torch.Tensor]]:
    """Yield batches that a model might take."""
    generator = torch.Generator().manual_seed(1)
    config = model.config
    text = config.get_text_config()
    words = min(100, getattr(text, "vocab_size", None) or 100)
    ids = torch.randint(3, words, (2, 12), generator=generator)
    vision = getattr(config, "vision_config", config)
    side = getattr(vision, "image_size", None) or 224
    side = side if isinstance(side, int) else side[0]
    pixels = torch.randn(2, getattr(vision, "num_channels", 3) or 3, side, side, generator=generator)
    tokens, images = {"input_ids": ids}, {"pixel_values": pixels}
    decoder = {"decoder_input_ids": ids}
    yield from (tokens, tokens | decoder, images, images | decoder, tokens | images)
    yield {"input_values": torch.randn(2, 4000, generator=generator)}
    bins = getattr(config, "num_mel_bins", 80) or 80
    frames = 2 * (getattr(config, "max_source_positions", 100) or 100)
    sound = torch.randn(2, bins, frames, generator=generator)
    yield from ({"input_features": sound}, {"input_features": sound} | decoder, {"input_features": sound.mT})


def route(kind: type) -> str:
    """Say what happens to a model of one kind of configuration."""
    of = MODEL_MAPPING[kind]
    of = of[0] if isinstance(of, tuple) else of
    try:
        model = built(kind, of)
    except Exception as error:
        return f"not built: {str(error).splitlines()[0][:80]}"
    survey = Survey(model)
    if reason := why_not(of.__name__, survey):
        if "no attention" in reason:
            return "no attention that transformers replaces"
        return f"refused: {', '.join(sorted({type(m).__name__ for m in survey.itself.values()}))} computes it itself"
    if next(model.parameters()).is_meta:
        return "dispatches; too large to run here"
    left = ", ".join(sorted({type(m).__name__ for m in survey.itself.values()}))
    said = ""
    for example in examples(model):
        try:
            with torch.no_grad():
                model(**{k: v.clone() for k, v in example.items()})
        except Exception:
            continue
        try:
            conversion = convert(model, example=example)
        except Exception as error:
            said = f"{str(error)[:90]}"
            if "does not reach" in said or any(f"is given {name}" in said for name in example):
                continue
            return f"**differs**: {said}"
        count = len(conversion.attention)
        return f"works and equals ({count} modules)" + (f"; left out: {left}" if left else "")
    if "does not reach" in said:
        return "works in part: no batch here reaches all of its attention modules"
    return "dispatches; no batch here runs it"


def _late(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


def table(names: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each family and what happens to it."""
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity(50)
    signal.signal(signal.SIGALRM, _late)
    for name in names or list(CONFIG_MAPPING):
        kind = CONFIG_MAPPING[name]
        if kind not in MODEL_MAPPING:
            continue
        signal.alarm(SECONDS)
        try:
            yield name, route(kind)
        except (Exception, TimeoutError) as error:
            yield name, f"not built: {error}"
        finally:
            signal.alarm(0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks families", description=__doc__)
    parser.add_argument("names", nargs="*", help="families by their model_type; all by default")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="replace the table that ends this page")
    arguments = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    rows = []
    for name, said in table(arguments.names):
        rows.append((name, said))
        print(f"{name:32} {said}", flush=True)
    if arguments.write:
        kinds: dict[str, list[str]] = {}
        for name, said in rows:
            kinds.setdefault(
                said.split(" (")[0] if said.startswith("works and") and ";" not in said else said, []
            ).append(f"`{name}`")
        order = sorted(kinds, key=lambda said: (not said.startswith("works and"), -len(kinds[said])))
        lines = [
            HEADING,
            "",
            "By `python -m benchmarks families --write docs/attention.md`, each family small, with random weights,",
            f"transformers {transformers.__version__}. Works and equals: every attention module of a pass computed",
            "softmax_n attention, and at n = 0 the outputs are the model's own to rounding.",
            "",
            "| what happens | families |",
            "| --- | --- |",
            *(f"| {said} | {', '.join(kinds[said])} |" for said in order),
        ]
        page = arguments.write.read_text().split(HEADING)[0].rstrip()
        arguments.write.write_text(page + "\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
