"""Fused softmax_n attention, forward and backward, beside PyTorch's dense attention."""

from __future__ import annotations

import torch
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.timing import in_turn, ratio
from hopfield_theory.association import association

SHAPE = (1, 8, 2048, 64)


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(SHAPE, generator=generator, requires_grad=True) for _ in range(3))
    weight = torch.randn(SHAPE, generator=generator)

    def dense() -> object:
        return torch.autograd.grad(scaled_dot_product_attention(query, key, value), (query, key, value), weight)

    def fused() -> object:
        return torch.autograd.grad(association(query, key, value, beta=0.125), (query, key, value), weight)

    seconds = in_turn({"dense": dense, "fused": fused}, rounds=15)
    print(f"Association forward and backward at {SHAPE}, float32, {torch.get_num_threads()} threads")
    print(f"  softmax_n / dense scaled_dot_product_attention: {ratio(seconds, 'fused', 'dense')}")


if __name__ == "__main__":
    main()
