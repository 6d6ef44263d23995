"""Every part that has a path of its own on a GPU, beside its limit in the same run: a table, and ratios.

``python -m benchmarks.gpu OUT`` measures each group in a process of its own, since a fault of one ends its process, and
writes ``OUT/gpu.json`` and ``OUT/gpu.md``. It ends with status 1 if a group failed.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

# seconds that each group may take
GROUPS = {"attention": 100, "models": 60, "memories": 60, "drawn": 60, "certificates": 110, "capacities": 60}
Row = dict[str, Any]


def milliseconds(alternatives: dict[str, Callable[[], object]], budget: float = 0.8) -> dict[str, list[float]]:
    """Time of a call of each alternative, in turn: of some calls in a row, as a model makes them, without waiting."""
    for run in alternatives.values():
        run()
        run()
    once_ms = max(1000 * once(run)[0] for run in alternatives.values())
    calls = max(1, min(20, math.ceil(8.0 / once_ms)))
    found: dict[str, list[float]] = {name: [] for name in alternatives}
    start = time.perf_counter()
    while len(next(iter(found.values()))) < 5 or (
        time.perf_counter() - start < budget and len(next(iter(found.values()))) < 200
    ):
        for name, run in alternatives.items():
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            for _ in range(calls):
                run()
            end.record()
            end.synchronize()
            found[name].append(begin.elapsed_time(end) / calls)
    return found


def row(what: str, seconds: dict[str, list[float]], ours: str, limit: str, **more: Any) -> Row:
    ratios = sorted(a / b for a, b in zip(seconds[ours], seconds[limit], strict=True))
    return {
        "what": what,
        "ours_ms": statistics.median(seconds[ours]),
        "limit": limit,
        "limit_ms": statistics.median(seconds[limit]),
        "ratio": statistics.median(ratios),
        "ratio_low": ratios[len(ratios) // 10],
        "ratio_high": ratios[-1 - len(ratios) // 10],
        **more,
    }


def once(run: Callable[[], Any]) -> tuple[float, Any]:
    torch.cuda.synchronize()
    start = time.perf_counter()
    found = run()
    torch.cuda.synchronize()
    return time.perf_counter() - start, found


def normal(*shape: int, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
    return torch.randn(shape, device="cuda", dtype=torch.float32).to(dtype)


# --- attention ---


def attention() -> Iterator[Row]:
    from hopfield_theory.attention import softmax_n_attention as ours

    dense = torch.nn.functional.scaled_dot_product_attention
    cases = [
        # batch, heads, key heads, queries, keys, width, causal, padded
        (8, 16, 16, 2048, 2048, 64, False, False),
        (8, 16, 16, 2048, 2048, 64, True, False),
        (8, 16, 16, 2048, 2048, 64, False, True),
        (4, 32, 32, 2048, 2048, 128, False, False),
        (4, 32, 32, 2048, 2048, 128, True, False),
        (2, 32, 4, 4096, 4096, 128, True, False),
        (2, 16, 16, 8192, 8192, 64, False, False),
        (2, 16, 16, 8192, 8192, 64, True, False),
        (1, 16, 16, 16384, 16384, 128, True, False),
    ]
    for batch, heads, groups, length, keys, width, causal, padded in cases:
        query = normal(batch, heads, length, width).requires_grad_()
        key, value = (normal(batch, groups, keys, width).requires_grad_() for _ in range(2))
        gradient = normal(batch, heads, length, width)
        mask = None
        if padded:
            ends = torch.randint(keys // 2, keys + 1, (batch, 1, 1, 1), device="cuda")
            mask = torch.arange(keys, device="cuda") < ends

        def forward(attend, q=query, k=key, v=value, m=mask, c=causal, g=groups != heads):
            return attend(q, k, v, attn_mask=m, is_causal=c, enable_gqa=g)

        def both(attend, forward=forward, inputs=(query, key, value), gradient=gradient):
            return torch.autograd.grad(forward(attend), inputs, gradient)

        name = f"({batch}, {heads}/{groups}, {length}, {width}) bf16" + " causal" * causal + " padded" * padded
        with torch.no_grad():
            times = milliseconds({"ours": lambda f=forward: f(ours), "SDPA": lambda f=forward: f(dense)})
            error = attention_error(forward(ours), query, key, value, causal, mask)
        yield row(f"attention {name}, forward", times, "ours", "SDPA", error=error)
        times = milliseconds({"ours": lambda b=both: b(ours), "SDPA": lambda b=both: b(dense)})
        yield row(f"attention {name}, forward and backward", times, "ours", "SDPA")
    yield from decoding(ours, dense)
    yield from host_time(ours, dense)


def attention_error(out, query, key, value, causal, mask) -> float:
    """Relative error of one head's first and last rows, against float64."""
    rows = torch.arange(query.shape[2], device="cuda")
    places = torch.cat([rows[:32], rows[32:][-32:]])
    q, k, v = query[0, -1, places].double(), key[0, -1].double(), value[0, -1].double()
    scores = q @ k.T / query.shape[-1] ** 0.5
    if causal:
        scores = scores.masked_fill(torch.arange(len(k), device="cuda") > places[:, None], -torch.inf)
    if mask is not None:
        scores = scores.masked_fill(~mask[0, 0], -torch.inf)
    top = scores.amax(1, keepdim=True).clamp_min(0)
    weights = (scores - top).exp()
    right = weights @ v / (weights.sum(1, keepdim=True) + (-top).exp())
    return ((out[0, -1, places].double() - right).norm() / right.norm()).item()


def decoding(ours, dense) -> Iterator[Row]:
    for length in (1, 4, 8):
        query, key = normal(8, 32, length, 128), normal(8, 8, 32768, 128)
        with torch.no_grad():
            times = milliseconds(
                {
                    name: lambda f=f, q=query, k=key: f(q, k, k, enable_gqa=True)
                    for name, f in (("ours", ours), ("SDPA", dense))
                }
            )
            error = attention_error(ours(query, key, key, enable_gqa=True), query, key, key, False, None)
        yield row(f"decoding {length} of 32/8 heads on 32 768 keys, bf16", times, "ours", "SDPA", error=error)


def host_time(ours, dense) -> Iterator[Row]:
    """Seconds of the host for a call on tiny tensors, without waiting for the card."""
    x = normal(1, 4, 64, 64)
    found: dict[str, list[float]] = {"ours": [], "SDPA": []}
    with torch.no_grad():
        for _ in range(20):
            for name, attend in (("SDPA", dense), ("ours", ours)):
                torch.cuda.synchronize()
                start = time.perf_counter()
                for _ in range(50):
                    attend(x, x, x)
                found[name].append(1000 * (time.perf_counter() - start) / 50)
    yield row("attention (1, 4, 64, 64) bf16, host time of a call", found, "ours", "SDPA")


def models() -> Iterator[Row]:
    """A training step of BERT-base, padded."""
    import transformers

    from hopfield_theory.attention.transformers import register

    register()
    losses = {}
    ids = torch.randint(0, 30000, (32, 512), device="cuda")
    seen = torch.arange(512, device="cuda") < torch.randint(256, 513, (32, 1), device="cuda")
    for name in ("outeffhop", "sdpa"):
        torch.manual_seed(0)
        config = transformers.BertConfig(
            attn_implementation=name, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
        )
        losses[name] = transformers.BertModel(config).cuda().to(torch.bfloat16).train()

    def step(name: str) -> None:
        model = losses[name]
        model.zero_grad(set_to_none=True)
        model(ids, attention_mask=seen).last_hidden_state.float().square().mean().backward()

    times = milliseconds({name: lambda name=name: step(name) for name in losses}, 4.0)
    yield row("BERT-base step, 32 × 512, padded, bf16", times, "outeffhop", "sdpa")


# --- memories ---


def memories() -> Iterator[Row]:
    import hopfield_theory as ht

    for dtype, count, queries, dim, beta in (
        (torch.float32, 1 << 20, 1024, 64, 40.0),
        (torch.float32, 1 << 24, 64, 32, 20.0),
        (torch.float64, 1 << 20, 1024, 64, 40.0),
    ):
        stored = torch.nn.functional.normalize(normal(count, dim, dtype=dtype), dim=1)
        query = torch.nn.functional.normalize(normal(queries, dim, dtype=dtype), dim=1)
        memory = ht.Memory(stored, beta)
        blocks = stored.split(1 << 18)

        def products(blocks=blocks, query=query):
            return sum((query @ block.T) @ block for block in blocks)

        times = milliseconds({"ours": lambda m=memory, q=query: m.update(q), "two GEMMs": products})
        few = query[:16].double()
        scores = torch.cat([beta * few @ block.double().T for block in blocks], 1)
        weights = torch.softmax(torch.cat([scores, scores.new_zeros(16, 1)], 1), 1)[:, :-1]
        wide = sum(w @ block.double() for w, block in zip(weights.split(1 << 18, 1), blocks, strict=True))
        error = (memory.update(query[:16]).double() - wide).norm(dim=1).max().item()
        name = f"update {queries} × {count} × {dim}, {str(dtype).removeprefix('torch.')}"
        yield row(name, times, "ours", "two GEMMs", error=error)
        del stored, memory, blocks, scores, weights
    generator = torch.Generator().manual_seed(0)
    stored = torch.nn.functional.normalize(torch.randn(4383, 16, generator=generator, dtype=torch.float64), dim=1)
    memory = ht.Memory(stored.cuda(), 16.0)
    seconds = {
        name: [1000 * once(lambda a=a: ht.retrieve(memory, memory.patterns, accelerate=a))[0] for _ in range(4)][1:]
        for name, a in (("accelerated", True), ("plain", False))
    }
    yield row("retrieval of 4 383 queries near the fold, d = 16, float64", seconds, "accelerated", "plain")


# --- patterns that never exist ---


def drawn() -> Iterator[Row]:
    from hopfield_theory.data.ensembles import Gaussian, Rademacher, Sphere
    from hopfield_theory.fused.drawn import DrawnPatterns
    from hopfield_theory.model.stream import Stream

    query = torch.nn.functional.normalize(normal(64, 32, dtype=torch.float32), dim=1)
    for ensemble, dim, count in (
        (Sphere(1.0), 32, 10**9),
        (Sphere(1.0), 18, 10**9),
        (Sphere(1.0), 64, 10**9),
        (Gaussian(0.18), 32, 10**9),
        (Rademacher(0.18), 32, 10**9),
        (Sphere(1.0), 32, 10**10),
    ):
        stream = Stream(DrawnPatterns(ensemble, count, dim, seed=0, device="cuda"), 20.0)
        states = query[:, :1].expand(64, dim).contiguous() if dim > 32 else query[:, :dim].contiguous()
        Stream(DrawnPatterns(ensemble, 10**6, dim, seed=0, device="cuda"), 20.0).update(states)
        seconds, _ = once(lambda s=stream, x=states: s.update(x))
        yield (
            {
                "what": f"64 queries on {count:.0e} drawn patterns, d = {dim}, {type(ensemble).__name__}",
                "ours_ms": 1000 * seconds,
                "per_second": count / seconds,
            }
        )
    held = torch.nn.functional.normalize(normal(1 << 22, 32, dtype=torch.float32), dim=1)
    times = milliseconds({"GEMMs": lambda: (query @ held.T) @ held})
    yield (
        {
            "what": "two GEMMs of 64 queries on held patterns, d = 32, float32",
            "ours_ms": statistics.median(times["GEMMs"]),
            "per_second": len(held) / statistics.median(times["GEMMs"]) * 1000,
        }
    )
    source = DrawnPatterns(Sphere(1.0), 10**9, 32, seed=1, device="cuda")
    seconds, found = once(lambda: Stream(source, 64.0).retrieve(source.rows(0, 64), tol=1e-5, max_steps=100))
    yield (
        {
            "what": "fixed points of 64 patterns among 1e9, d = 32, β m² = 64",
            "ours_ms": 1000 * seconds,
            "steps": int(found.steps.max()),
            "converged": int(found.converged.sum()),
        }
    )


# --- certificates and capacities ---


def certificates() -> Iterator[Row]:
    import hopfield_theory as ht

    for count in (10_000, 100_000, 1_000_000):
        generator = torch.Generator().manual_seed(0)
        stored = torch.randn(count, 64, generator=generator, dtype=torch.float64)
        memory = ht.Memory(torch.nn.functional.normalize(stored, dim=1).cuda(), 60.0)
        seconds, proof = once(lambda m=memory: ht.certify(m))
        if count <= 100_000:
            # the first call compiles, and asks for memory
            seconds, proof = once(lambda m=memory: ht.certify(m))
        found: Row = {
            "what": f"certify {count} × 64, float64",
            "ours_ms": 1000 * seconds,
            "stored": int(proof.stored.sum()),
        }
        if count <= 100_000:
            patterns = memory.patterns
            blocks = patterns.split(1 << 12)
            bare, _ = once(lambda b=blocks, p=patterns: [(x @ p.T).amax() for x in b + b])
            found |= {"limit": "two sweeps of products", "limit_ms": 1000 * bare, "ratio": seconds / bare}
        yield found


def capacities() -> Iterator[Row]:
    from hopfield_theory.bounds.random_memory import RandomMemory
    from hopfield_theory.measured.capacity import Setting, capacity, outcomes

    for dim, count, number, dtype in ((22, 120_000, 64, torch.float32), (18, 12_900, 512, torch.float64)):
        setting = Setting(RandomMemory(dim, float(dim)))
        outcomes(setting, count, 4, seed=1, dtype=dtype, device="cuda")
        seconds, found = once(
            lambda s=setting, c=count, n=number, t=dtype: outcomes(s, c, n, seed=0, dtype=t, device="cuda")
        )
        name = str(dtype).removeprefix("torch.")
        yield (
            {
                "what": f"outcomes of {number} memories, d = {dim}, M = {count}, {name}",
                "ours_ms": 1000 * seconds,
                "rate": float(found.mean()),
            }
        )
    # the first call compiles, and solves for where to look
    capacity(Setting(RandomMemory(18, 18.0)), seed=1, device="cuda")
    seconds, crossing = once(lambda: capacity(Setting(RandomMemory(18, 18.0)), seed=0, device="cuda"))
    yield (
        {
            "what": "capacity, d = 18, float64, to 0.05 in log M",
            "ours_ms": 1000 * seconds,
            "log_patterns": crossing.log_patterns.estimate,
        }
    )


# --- the whole ---


def table(about: dict[str, Any]) -> str:
    lines = [
        f"{about['card']}, PyTorch {about['torch']}, Triton {about['triton']}. Medians; a ratio is of rounds in turn.",
        "",
        "| what | ms | limit | ms | ratio | more |",
        "| --- | ---: | --- | ---: | ---: | --- |",
    ]
    known = {"what", "ours_ms", "limit", "limit_ms", "ratio", "ratio_low", "ratio_high"}
    for found in about["rows"]:
        more = ", ".join(f"{name} {value:.3g}" for name, value in found.items() if name not in known)
        limit, limit_ms = found.get("limit", ""), found.get("limit_ms")
        ratio = f"{found['ratio']:.2f}" if "ratio" in found else ""
        ours = f"{found['ours_ms']:.3g}"
        bare = "" if limit_ms is None else f"{limit_ms:.3g}"
        lines.append(f"| {found['what']} | {ours} | {limit} | {bare} | {ratio} | {more} |")
    lines += [f"\n**{group} failed**: {why}" for group, why in about["failed"].items()]
    return "\n".join(lines) + "\n"


def main(folder: Path) -> int:
    import triton

    if not torch.cuda.is_available():
        print("benchmarks.gpu: PyTorch finds no GPU", file=sys.stderr)
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    about: dict[str, Any] = {
        "card": torch.cuda.get_device_name(), "torch": torch.__version__, "triton": triton.__version__, "rows": [],
        "failed": {},
    }  # fmt: skip
    for group, limit in GROUPS.items():
        start = time.perf_counter()
        try:
            run = subprocess.run(
                [sys.executable, "-m", "benchmarks.gpu", "--group", group], check=False, timeout=limit,
                capture_output=True, text=True,
            )  # fmt: skip
            for line in run.stdout.splitlines():
                if line.startswith("{"):
                    about["rows"].append(json.loads(line))
            if run.returncode:
                about["failed"][group] = (run.stderr.strip().splitlines() or ["no message"])[-1]
                print(run.stderr, file=sys.stderr)
        except subprocess.TimeoutExpired as error:
            about["failed"][group] = f"not finished after {limit} s"
            for line in (error.stdout or b"").decode().splitlines():
                if line.startswith("{"):
                    about["rows"].append(json.loads(line))
        print(f"{group}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
        (folder / "gpu.json").write_text(json.dumps(about, indent=1) + "\n")
        (folder / "gpu.md").write_text(table(about))
    print(table(about))
    return 1 if about["failed"] else 0


def one(group: str) -> int:
    torch.manual_seed(0)
    for found in globals()[group]():
        print(json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(one(sys.argv[2]) if sys.argv[1:2] == ["--group"] else main(Path((sys.argv[1:] or ["build"])[0])))
