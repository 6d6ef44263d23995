"""One update of many queries on many patterns, beside bare products, the plain formula and a loop over queries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from benchmarks.timing import in_turn, ratio, ratios, record
from hopfield_theory import Memory

QUERIES, PATTERNS, DIM = 1024, 65_536, 64


def problem(patterns: int = PATTERNS) -> tuple[torch.Tensor, torch.Tensor, Memory]:
    generator = torch.Generator().manual_seed(0)
    stored = torch.randn(patterns, DIM, generator=generator)
    queries = torch.randn(QUERIES, DIM, generator=generator)
    return queries, stored, Memory(stored, 0.125)


def plain(queries: torch.Tensor, patterns: torch.Tensor, beta: float) -> torch.Tensor:
    """Softmax₁ as it is written: scores of all queries × all patterns, in memory."""
    scores = beta * queries @ patterns.T
    shift = scores.amax(-1, keepdim=True).clamp_min(0)
    exponentials = torch.exp(scores - shift)
    return exponentials / (torch.exp(-shift) + exponentials.sum(-1, keepdim=True)) @ patterns


def loop(queries: torch.Tensor, patterns: torch.Tensor, beta: float) -> torch.Tensor:
    """Single queries, the patterns as columns: the form of the field's released code."""
    columns = patterns.T.contiguous()
    answers = []
    for query in queries:
        scores = beta * columns.T @ query
        shift = scores.max().clamp_min(0)
        exponentials = torch.exp(scores - shift)
        answers.append(columns @ (exponentials / (torch.exp(-shift) + exponentials.sum())))
    return torch.stack(answers)


def memory_of(field: str) -> float:
    """MiB of a field of this process's status (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def peak(patterns: int) -> float:
    """MiB that one update adds at its peak to a fresh process that holds its input."""
    code = (
        "from pathlib import Path; from benchmarks.update import memory_of, problem;"
        f"queries, _, memory = problem({patterns}); memory.update(queries[:8]);"
        "Path('/proc/self/clear_refs').write_text('5'); before = memory_of('VmRSS'); answer = memory.update(queries);"
        "print(memory_of('VmHWM') - before)"
    )
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def main() -> None:
    queries, patterns, memory = problem()
    torch.testing.assert_close(memory.update(queries), plain(queries, patterns, 0.125), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(memory.update(queries[:4]), loop(queries[:4], patterns, 0.125), rtol=1e-4, atol=1e-4)

    def bare() -> torch.Tensor:
        return (queries @ patterns.T) @ patterns

    seconds = in_turn(
        {
            "bare": bare,
            "plain": lambda: plain(queries, patterns, 0.125),
            "update": lambda: memory.update(queries),
        }
    )
    print(f"One update, {QUERIES} queries, {PATTERNS} patterns, d = {DIM}, float32, {torch.get_num_threads()} threads")
    print(f"  update / two bare products with the scores in memory: {ratio(seconds, 'update', 'bare')}")
    print(f"  plain Softmax₁ formula / update: {ratio(seconds, 'plain', 'update')}")
    few = in_turn({"loop": lambda: loop(queries, patterns, 0.125), "update": lambda: memory.update(queries)}, rounds=3)
    print(f"  loop over single queries / update: {ratio(few, 'loop', 'update')}")
    record(
        "update",
        [
            ("update", "two bare products", ratios(seconds, "update", "bare")),
            ("plain formula", "update", ratios(seconds, "plain", "update")),
            ("loop over queries", "update", ratios(few, "loop", "update")),
        ],
    )
    print("  memory beyond the input: " + ", ".join(f"{peak(m):.0f} MiB at M = {m}" for m in (65_536, 262_144)))


if __name__ == "__main__":
    main()
