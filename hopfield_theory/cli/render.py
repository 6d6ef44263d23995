"""Results on the command line: sentences and tables for people, plain data for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import torch
from rich import box
from rich.table import Table
from torch import Tensor

from hopfield_theory._sentences import SHOWN, count, listed, rows_named
from hopfield_theory.bounds.table import CapacityRow
from hopfield_theory.certificates.certify import Certificate, Guarantee, Storage
from hopfield_theory.certificates.find_beta import BetaSearch
from hopfield_theory.measured.crossing import Crossing
from hopfield_theory.model.fixed_point import Status
from hopfield_theory.model.memory import Memory
from hopfield_theory.model.retrieval import Retrieval

__all__ = [
    "beta_search_data",
    "beta_search_table",
    "bounds_lines",
    "bounds_table",
    "capacity_lines",
    "certificate_data",
    "certificate_lines",
    "certificate_table",
    "json_text",
    "memory_data",
    "outcomes",
    "plain_table",
    "retrieval_data",
    "retrieval_lines",
    "retrieval_table",
    "weakest",
]


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3g}"


def plain_table(title: str, *columns: str) -> Table:
    """Make an empty table of numbers."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for name in columns:
        table.add_column(name, justify="left" if name == "status" else "right", no_wrap=True)
    return table


# --- certificates ---


def weakest(proof: Certificate) -> Tensor:
    """Order the patterns: not stored first, then undecided, then stored, by radius, then by gap."""
    order = torch.argsort(proof.gap, stable=True)
    order = order[torch.argsort(proof.radius[order], stable=True)]
    rank = torch.tensor([2, 0, 1], device=order.device)[proof.status]
    return order[torch.argsort(rank[order], stable=True)]


def certificate_lines(memory: Memory, proof: Certificate, least_noop: float) -> list[str]:
    """Summarise a certificate in sentences."""
    lines = proof.lines(least_noop)
    constant = [torch.eq(block.amin(1), block.amax(1)) for block in memory.patterns.split(1 << 16)]
    same = torch.cat(constant).nonzero().flatten().tolist() if memory.dim > 1 else []
    if same:
        lines.append(f"Constant, every coordinate the same: {rows_named(same)}.")
    # of two equal rows, or of one that another overlaps no less, none is stored at any β
    never = (proof.nearest_distance == 0) | (proof.gap <= 0)
    if bool((~proof.stored & ~never).any()):
        lines.append(f"find-beta says from which β on {'the others' if bool(never.any()) else 'all'} are stored.")
    return lines


def certificate_table(proof: Certificate) -> Table:
    """Tabulate the weakest patterns."""
    table = plain_table(
        f"The weakest of {len(proof.status)} patterns (r: error ≤, L: contraction ≤, at: its distance, Δ: gap)",
        *("pattern", "status", "radius", "r", "L", "nearest", "at", "Δ"),
    )
    for index in weakest(proof)[:SHOWN].tolist():
        table.add_row(
            str(index),
            Storage(int(proof.status[index])).name.lower().replace("_", " "),
            _number(float(proof.radius[index])),
            _number(float(proof.error[index])),
            _number(float(proof.contraction[index])),
            str(int(proof.nearest[index])) if proof.nearest[index] >= 0 else "–",
            _number(float(proof.nearest_distance[index])),
            _number(float(proof.gap[index])),
        )
    return table


def certificate_data(proof: Certificate) -> dict[str, Any]:
    """All data of a certificate, as lists."""
    data: dict[str, Any] = {
        name: value.tolist() if isinstance(value, Tensor) else value and vars(value)
        for name, value in vars(proof).items()
        # of the memory, whose data have them
        if name not in ("beta", "memory_radius")
    }
    data["status"] = [Storage(status).name.lower() for status in data["status"]]
    return data


def memory_data(memory: Memory, source: str) -> dict[str, Any]:
    """Describe the memory that a result is about."""
    return {
        "source": source,
        "patterns": memory.num_patterns,
        "dim": memory.dim,
        "beta": memory.beta,
        "noop": memory.noop,
        "radius": memory.radius,
        "centre": memory.shift is not None,
        "normalise": memory.normalise,
        "dtype": str(memory.patterns.dtype).removeprefix("torch."),
    }


# --- the search for β ---


def beta_search_table(found: BetaSearch) -> Table:
    """Tabulate the part of the grid on which the counts change."""
    table = plain_table("Patterns from each β of the grid on", "β", "proved stored", "retrieved in fact")
    counts = [tensor.sum(1).tolist() for tensor in (found.stored, found.retrieved)]
    rows = [(f"{beta:.4g}", *map(str, row)) for beta, *row in zip(found.betas.tolist(), *counts, strict=True)]
    for index, row in enumerate(rows):
        before = rows[index - 1][1:] if index else None
        after = rows[index + 1][1:] if index + 1 < len(rows) else None
        if row[1:] != before or row[1:] != after:
            table.add_row(*row)
    return table


def beta_search_data(found: BetaSearch) -> dict[str, Any]:
    """Counts, thresholds per pattern, losses and blocking patterns, as plain data."""
    return {
        "betas": found.betas.tolist(),
        "skipped": found.skipped.tolist(),
        "stored": found.stored.sum(1).tolist(),
        "retrieved": found.retrieved.sum(1).tolist(),
        "stored_for": {f"{share:g}": found.stored_for(share) for share in (0.9, 0.99, 1.0)},
        "retrieved_for": {f"{share:g}": found.retrieved_for(share) for share in (0.9, 0.99, 1.0)},
        "stored_from": found.stored_from.tolist(),
        "retrieved_from": found.retrieved_from.tolist(),
        "equal_to": found.equal_to.tolist(),
        "sample": found.sample.tolist(),
        "followed_from": found.followed_from,
        "last": found.last,
        "losses": [{"from": low, "to": high, "patterns": lost} for low, high, lost in found.losses],
        "blocking": {str(index): reason for index, reason in found.blocking.items()},
    }


# --- retrieval ---


def outcomes(expected: Tensor, answers: Tensor, shared_with: Tensor) -> list[str]:
    """Say of each query what became of the pattern that it was made from."""
    triples = zip(expected.tolist(), answers.tolist(), shared_with.tolist(), strict=True)
    return [
        f"ended at {answer}" if answer not in (pattern, other) else "retrieved" if other < 0 else f"merged with {other}"
        for pattern, answer, other in triples
    ]


def retrieval_lines(found: Retrieval, answers: Tensor, promised: Guarantee, outcomes: list[str] | None) -> list[str]:
    """Summarise a retrieval in sentences."""
    first, *rest = found.lines()
    decided, rejected = int(promised.decided.sum()), int(promised.rejected.sum())
    nothing = f", {rejected} of these at the no-op state" if rejected else ""
    lines = [
        first,
        f"{decided} of them {'was' if decided == 1 else 'were'} guaranteed in advance to end where "
        f"{'it' if decided == 1 else 'they'} did{nothing}.",
    ]
    if outcomes is not None:
        merged = [f"{row} ({said})" for row, said in enumerate(outcomes) if said.startswith("merged")]
        right = outcomes.count("retrieved")
        lines.append(
            f"{count(right, len(answers), 'queries', 'query')} ended nearest to the pattern that "
            f"{'it was' if len(answers) == 1 else 'they were'} made from."
        )
        if merged:
            lines.append(
                f"Not counted: where another pattern ends at the same fixed point, neither is retrieved: "
                f"{listed(merged)}."
            )
    return [*lines, *rest]


def retrieval_table(found: Retrieval, answers: Tensor, distances: Tensor, promised: Guarantee) -> Table:
    """Tabulate the first queries."""
    shown = f"The first of {len(answers)} queries" if len(answers) > SHOWN else "Queries"
    table = plain_table(
        f"{shown} (sure: guaranteed in advance; nothing: to end at the no-op state)",
        *("query", "answer", "distance", "sure", "updates", "step", "energy", "status"),
    )
    energies = found.energy.tolist() if found.energy is not None else [math.nan] * len(answers)
    for index in range(min(SHOWN, len(answers))):
        table.add_row(
            str(index),
            str(int(answers[index])),
            _number(float(distances[index])),
            "nothing" if promised.rejected[index] else "yes" if promised.decided[index] else "no",
            str(int(found.steps[index])),
            _number(float(found.residual[index])),
            _number(energies[index]),
            Status(int(found.status[index])).message.split(":")[0],
        )
    return table


def retrieval_data(found: Retrieval, answers: Tensor, distances: Tensor, promised: Guarantee) -> dict[str, Any]:
    """Everything about every query, as lists."""
    return {
        "answer": answers.tolist(),
        "distance": distances.tolist(),
        "guaranteed": promised.decided.tolist(),
        "rejected": promised.rejected.tolist(),
        "steps": found.steps.tolist(),
        "residual": found.residual.tolist(),
        "status": [Status(status).name.lower() for status in found.status.tolist()],
        "ambiguous": found.ambiguous.tolist(),
        "energy": None if found.energy is None else found.energy.tolist(),
        "tolerance": found.tolerance,
        "state": found.state.tolist(),
    }


# --- random memories ---


def _decimals(value: float, places: int) -> str:
    """Write a logarithm with decimals, but with no more than its ten good digits."""
    return f"{value:.{places}f}" if abs(value) < 10.0 ** (9 - places) else f"{value:.10g}"


# what is proved to be stored is rounded down, what is proved to be too many up
_SAFE = {"C2": math.floor, "C3": math.floor, "C10": math.floor, "C6": math.ceil, "C7": math.ceil}


def _patterns(log_patterns: float, whole: Callable[[float], int] | None = None) -> str:
    """Write a number of patterns, given by its logarithm, to four digits; a bound is rounded to its safe side."""
    if not math.isfinite(log_patterns):
        return "none" if log_patterns < 0 else "–"
    if log_patterns >= 30 * math.log(10):
        power = log_patterns / math.log(10)
        return f"10^{_decimals(power if whole is None else whole(100.0 * power) / 100.0, 2)}"
    count = math.exp(log_patterns)
    if whole is None:
        return f"{count:.4g}"
    unit = 10.0 ** max(math.floor(math.log10(max(count, 1.0))) - 3, 0)
    rounded = whole(count / unit) * unit
    return f"{rounded:.0f}" if rounded < 1e4 else f"{rounded:.4g}"


def bounds_lines(rows: list[CapacityRow], failure_probability: float) -> list[str]:
    """Say in words how many patterns are surely fine, and how many surely too many."""
    void = {"C2": -math.inf, "C3": -math.inf, "C10": -math.inf, "C6": math.inf, "C7": math.inf}
    logs = void | {row.statement: row.log_patterns for row in rows if not math.isnan(row.log_patterns)}
    # C6 is of a number that is too many, C8 of the largest that is not
    most = logs["C8"]
    above = math.log(math.floor(math.exp(most)) + 1) if most < 30.0 else most
    fine, too_many = max(logs["C2"], logs["C3"], logs["C10"]), min(logs["C6"], above)
    sure = f"with probability {1 - failure_probability:g}"
    line = f"Surely fine: {_patterns(fine, math.floor)} patterns are all stored {sure}."
    if 0 <= fine < math.log(2):
        line = "Surely fine: a single pattern is stored."
    if fine < 0:
        line = "No number of patterns is proved to be stored here."
    if too_many < math.inf:
        line += f" Surely too many: of {_patterns(too_many, math.ceil)} some are not stored, {sure}."
    if logs["C7"] < too_many:
        # a pattern may be stored in a larger ball all the same
        line += f" Of {_patterns(logs['C7'], math.ceil)} a given pattern has no fixed point in the ball of C3, {sure}."
    left_out = [row.statement for row in rows if row.meaning.startswith("left out")]
    if left_out:
        line += f" {listed(left_out)} are left out: see the table."
    return [line, "`hopfield-theory capacity`, with the same options, measures where half of the patterns are lost."]


def bounds_table(rows: list[CapacityRow]) -> Table:
    """Tabulate every bound."""
    table = Table(title="How many patterns", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for name in ("bound", "patterns", "log", "how"):
        table.add_column(name, justify="left" if name in ("bound", "how") else "right", no_wrap=True)
    table.add_column("what it says")
    for row in rows:
        value = row.log_patterns
        log = _decimals(value, 3) if math.isfinite(value) else "–"
        table.add_row(row.statement, _patterns(value, _SAFE.get(row.statement.split()[0])), log, row.how, row.meaning)
    return table


def capacity_lines(found: Crossing, rule: str) -> list[str]:
    """Say where success crosses the rate ½."""
    it, tried = found.log_patterns, f"({sum(found.trials)} independent memories)"
    what = {
        "stored": "half of the patterns are stored",
        "stored alone": "half of the patterns are stored at a fixed point of their own",
        "all patterns": "all patterns are stored in half of the memories",
        "one update": "half of the patterns are retrieved by one update",
    }[rule]
    if math.isinf(it.estimate):
        least = f"less than {what} with any number of patterns, one included"
        most = f"more than {what} with up to {max(found.num_patterns)} patterns, the most that were drawn"
        return [f"There is no crossing: {least if it.estimate < 0 else most} {tried}."]
    lines = [
        f"At {_patterns(it.estimate)} patterns [{_patterns(it.low)}, {_patterns(it.high)}] {what}: log M = "
        f"{it.estimate:.3f} [{it.low:.3f}, {it.high:.3f}] ({100 * it.confidence:g}% interval, "
        f"{sum(found.trials)} independent memories)."
    ]
    if math.exp(min(it.estimate, 700.0)) > max(found.num_patterns):
        lines.append(f"This is extrapolated: no memory of more than {max(found.num_patterns)} patterns was drawn.")
    return lines


# --- writing ---


def _plain(data: Any) -> Any:
    if isinstance(data, float) and not math.isfinite(data):
        return None
    if isinstance(data, dict):
        return {key: _plain(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_plain(value) for value in data]
    return data


def json_text(data: dict[str, Any]) -> str:
    """Return JSON, with null for NaN and infinity, which JSON lacks."""
    return json.dumps(_plain(data), allow_nan=False, indent=1) + "\n"
