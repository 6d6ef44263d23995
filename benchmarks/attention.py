"""Fused softmax_n attention, forward and backward, beside dense attention, the plain formula, and a peer.

Ratios within one run, round by round. The peer is the package flash-attention-softmax-n, if it is installed, by its
path for CPUs. On a GPU the lengths grow and the type is bfloat16.
"""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.timing import in_turn, ratio, ratios, record
from hopfield_theory.attention import softmax_n_attention

PEER = "flash_attention_softmax_n"
# batch, heads, length, width of a head
SHAPES = [(4, 8, 512, 64), (1, 8, 2048, 64), (1, 4, 2048, 128), (1, 4, 4096, 64)]
SHAPES_ON_A_GPU = [(4, 16, 2048, 64), (2, 16, 8192, 128), (1, 16, 16384, 128)]


def plain(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, is_causal: bool) -> Tensor:
    """The formula as it is usually written: queries × keys, held several times."""
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    if is_causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    top = scores.amax(-1, keepdim=True).clamp(min=0)
    exponentials = (scores - top).exp()
    return exponentials / ((-top).exp() + exponentials.sum(-1, keepdim=True)) @ value


def peer() -> Callable[..., Tensor] | None:
    if importlib.util.find_spec(PEER) is None:
        return None
    from flash_attention_softmax_n import slow_attention_n  # pyright: ignore[reportMissingImports]

    return lambda q, k, v, mask, is_causal: slow_attention_n(q, k, v, mask, is_causal=is_causal, softmax_n_param=1.0)


def measure(shape: tuple[int, int, int, int], kind: str, device: str) -> list[tuple[str, str, list[float]]]:
    """Print the ratios of one case, and return those of the fused attention over dense attention."""
    generator = torch.Generator().manual_seed(0)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    tensors = [torch.randn(shape, generator=generator).to(device, dtype) for _ in range(4)]
    query, key, value = (x.requires_grad_() for x in tensors[:3])
    weight, length = tensors[3], shape[2]
    mask = torch.rand(length, length, generator=generator).lt(0.9).to(device) if kind == "masked" else None
    is_causal = kind == "causal"
    attentions: dict[str, Callable[[], Tensor]] = {
        "dense": lambda: scaled_dot_product_attention(query, key, value, mask, is_causal=is_causal),
        "fused": lambda: softmax_n_attention(query, key, value, mask, is_causal=is_causal),
        "plain": lambda: plain(query, key, value, mask, is_causal),
    }
    other = peer()
    if other is not None and device == "cpu":
        attentions["peer"] = lambda: other(query, key, value, mask, is_causal)

    def both_ways(attend: Callable[[], Tensor]) -> Callable[[], object]:
        def run() -> object:
            gradients = torch.autograd.grad(attend(), (query, key, value), weight)
            if device == "cuda":
                torch.cuda.synchronize()
            return gradients

        return run

    seconds = in_turn({name: both_ways(attend) for name, attend in attentions.items()}, rounds=9)
    others = "".join(
        f", {name} / fused {ratio(seconds, name, 'fused')}" for name in attentions if name in ("plain", "peer")
    )
    print(f"  {shape} {kind:7} fused / dense {ratio(seconds, 'fused', 'dense')}{others}", flush=True)
    if kind == "masked":
        return []
    name = f"softmax_n attention, length {length}, width {shape[3]}, {kind}"
    return [(name, "dense attention", ratios(seconds, "fused", "dense"))]


def calls() -> None:
    """Print what a call costs beside dense attention's, where there is little to compute: one query, no derivatives."""
    query, key, value = (torch.randn(1, 1, length, 64) for length in (1, 128, 128))

    def many(attend: Callable[..., Tensor]) -> Callable[[], object]:
        def run() -> None:
            for _ in range(20):
                attend(query, key, value)

        return run

    alternatives = {"fused": many(softmax_n_attention), "dense": many(scaled_dot_product_attention)}
    print(
        f"  a call of 1 query and 128 keys: fused / dense {ratio(in_turn(alternatives, rounds=1001), 'fused', 'dense')}"
    )


def memory(name: str, length: int) -> None:
    """Print the peak memory, in MiB, of one pass both ways in this process."""
    query, key, value = (torch.randn(1, 8, length, 64, requires_grad=True) for _ in range(3))
    attend = {"fused": softmax_n_attention, "dense": scaled_dot_product_attention}[name]
    # forget the peak of loading libraries
    Path("/proc/self/clear_refs").write_text("5")
    attend(query, key, value).sum().backward()
    [peak] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    print(int(peak.split()[1]) / 1024)


def main() -> None:
    if sys.argv[1:2] == ["memory"]:
        memory(sys.argv[2], int(sys.argv[3]))
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    where = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"Attention forward and backward, n = 1, {device}, {where}; medians of 9 rounds (least to largest)")
    found: list[tuple[str, str, list[float]]] = []
    for shape in SHAPES_ON_A_GPU if device == "cuda" else SHAPES:
        for kind in ("plain", "causal", "masked") if shape[2] <= 2048 else ("plain", "causal"):
            found += measure(shape, kind, device)
    record("attention", found, device)
    if device == "cpu":
        calls()
    peaks = {}
    for name in ("fused", "dense"):
        for length in (1024, 8192):
            command = [sys.executable, "-m", "benchmarks.attention", "memory", name, str(length)]
            peaks[name, length] = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    grown = {name: peaks[name, 8192] - peaks[name, 1024] for name in ("fused", "dense")}
    print(
        f"  peak memory grown from length 1024 to 8192, 8 heads of 64: fused {grown['fused']:.0f} MiB, dense "
        f"{grown['dense']:.0f} MiB; the scores alone would take {8 * 8192**2 * 4 / 2**20:.0f} MiB"
    )


if __name__ == "__main__":
    main()
