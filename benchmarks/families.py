"""Every model family of the installed transformers, small: does OutEffHop work and equal, or why is it refused.

Each family is built from the default configuration with its sizes cut down, run on random tokens, pixels or sounds, and
converted with that batch as the proof: every attention module that is listed has computed softmax_n attention, and at
n = 0 the outputs are the model's own to rounding. With ``--write PATH`` the table replaces the one that ends a page.
"""

from __future__ import annotations

import argparse
import contextlib
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
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "qk_head_dim": 16,
    "v_head_dim": 8,
    "rotary_dim": 8,
    "index_head_dim": 16,
}
# what depends on other sizes in some families
PICTURES = ("image_size", "patch_size")
HEADS = ("head_dim", "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")


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


def built(kind: type, of: type) -> Iterator[Any]:
    """Yield models of a kind, with more and more sizes of their own; raise the last error if there is none."""
    error, any_built = None, False
    for kept in ((), PICTURES, HEADS, tuple(SIZES)):
        sizes = {name: size for name, size in SIZES.items() if name not in kept}
        try:
            with torch.device("meta"):
                model = of(shrink(kind(), sizes))
            if sum(p.numel() for p in model.parameters()) < 3e7:
                torch.manual_seed(0)
                model = of(shrink(kind(), sizes)).eval()
        except Exception as failed:
            error = failed
            continue
        any_built = True
        yield model
    if not any_built:
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


def route(kind: type) -> tuple[str, str]:
    """Say what happens to models of one kind of configuration, and a detail."""
    said, detail = "", ""
    try:
        of = MODEL_MAPPING[kind]
        of = of[0] if isinstance(of, tuple) else of
        for model in built(kind, of):
            found, detail = tried(model)
            if found in FINAL:
                return found, detail
            said = said or found
    except Exception as error:
        # local paths are nobody's business
        return "not built here", type(error).__name__ + ": " + str(error).split("\n")[0].split("/")[0][:60]
    return said, detail


FINAL = ("works and equals", "works and equals, but for", "differs", "refused: computes its attention itself")
FINAL += ("has no attention that transformers replaces",)


def tried(model: Any) -> tuple[str, str]:
    """Convert a model on the first batch that it takes."""
    survey = Survey(model)
    itself = ", ".join(sorted({type(m).__name__ for m in survey.itself.values()}))
    if why_not(type(model).__name__, survey):
        return ("refused: computes its attention itself", itself) if itself else (FINAL[-1], "")
    if next(model.parameters()).is_meta:
        return "takes it; too large to run here", ""
    said = "takes it; no batch of this script runs it"
    for example in examples(model):
        try:
            with torch.no_grad():
                model(**{k: v.clone() for k, v in example.items()})
        except TimeoutError:
            raise
        except Exception:
            # this batch is not for this model: the next one may be
            continue
        try:
            convert(model, example=example)
        except TimeoutError:
            raise
        except Exception as error:
            if "does not reach" in str(error):
                said = "takes it; no batch of this script reaches all of its attention"
            elif not any(f"is given {name}" in str(error) for name in example):
                return "differs", str(error)[:90]
            continue
        return ("works and equals, but for", itself) if itself else ("works and equals", "")
    return said, ""


def _late(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


def table(names: list[str]) -> Iterator[tuple[str, str, str]]:
    """Yield each family, what happens to it, and a detail."""
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity(50)
    signal.signal(signal.SIGALRM, _late)
    for name in names or list(CONFIG_MAPPING):
        kind = CONFIG_MAPPING[name]
        if kind not in MODEL_MAPPING:
            continue
        signal.alarm(SECONDS)
        found = route(kind)
        signal.alarm(0)
        yield name, *found


def page(rows: list[tuple[str, str, str]]) -> str:
    """Return the rows as a section of a page."""
    kinds: dict[str, list[str]] = {}
    for name, said, detail in rows:
        shown = f" ({detail})" if detail and said in ("differs", "works and equals, but for") else ""
        kinds.setdefault(said, []).append(f"`{name}`{shown}")
    order = sorted(kinds, key=lambda said: (not said.startswith("works"), -len(kinds[said])))
    lines = [
        HEADING,
        "",
        "By `python -m benchmarks families --write docs/attention.md`, each family small, random weights, transformers",
        f"{transformers.__version__}. Works and equals: every attention module of a pass computed softmax_n attention",
        "and at n = 0 the outputs are the model's own to rounding.",
        "",
        "| what happens | | families |",
        "| --- | --- | --- |",
        *(f"| {said} | {len(kinds[said])} | {', '.join(kinds[said])} |" for said in order),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks families", description=__doc__)
    parser.add_argument("names", nargs="*", help="families by their model_type; all by default")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="replace the table that ends this page")
    arguments = parser.parse_args()
    rows = []
    for name, said, detail in table(arguments.names):
        rows.append((name, said, detail))
        print(f"{name:32} {said} {detail}", flush=True)
    if arguments.write:
        text = arguments.write.read_text().split(HEADING)[0].rstrip()
        arguments.write.write_text(f"{text}\n\n{page(rows)}")


if __name__ == "__main__":
    sys.exit(main())
