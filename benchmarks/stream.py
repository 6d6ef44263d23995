"""One update on patterns that are drawn as they are needed: how much of the time is drawing and the fused product."""

from __future__ import annotations

import resource
import sys

import torch

from benchmarks.timing import in_turn, ratios, record
from hopfield_theory.data.ensembles import RandomPatterns, Sphere
from hopfield_theory.fused.attention import fused_attention
from hopfield_theory.model.stream import Stream, in_threads

QUERIES, DIM, BETA = 64, 32, 20.0
_PARTS = {"drawing alone": "draw", "products alone": "product"}


def main() -> None:
    count = int(float(sys.argv[1])) if len(sys.argv) > 1 else 20_000_000
    source = RandomPatterns(Sphere(1.0), count, DIM, seed=0)
    queries, block = source.block(0)[:QUERIES], source.block(0)
    stream = Stream(source, BETA)

    def drawn() -> None:
        for _ in in_threads(lambda index: len(source.block(index)), range(source.num_blocks)):
            pass

    def product(_: int) -> torch.Tensor:
        with torch.no_grad():
            return fused_attention(queries, block, block, 0.0, beta=BETA, return_lse=True)[0]

    def multiplied() -> None:
        for _ in in_threads(product, range(source.num_blocks)):
            pass

    rounds = 3 if count < 50_000_000 else 1
    seconds = in_turn({"update": lambda: stream.update(queries), "draw": drawn, "product": multiplied}, rounds)
    update, draw, fused = (sorted(seconds[name])[rounds // 2] for name in ("update", "draw", "product"))
    record(
        "stream",
        [(name, "streamed update", ratios(seconds, part, "update")) for name, part in _PARTS.items()],
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"Streamed update, {QUERIES} queries, {count:.0e} patterns, d = {DIM}, {torch.get_num_threads()} threads")
    print(f"  {update:.1f} s; drawing alone {draw:.1f} s, product alone {fused:.1f} s: {(draw + fused) / update:.0%}")
    print(f"  peak of the whole process: {peak:.2f} GiB")


if __name__ == "__main__":
    main()
