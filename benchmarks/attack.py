"""How many near misses an attack finds, those of every pointwise statement, each on its own.

An error counts as found only if a counterexample to it was certified in ball arithmetic; one that survives counts as
missed, whether or not it is an error. ``--full`` attacks with the effort of a full verification.
"""

from __future__ import annotations

import dataclasses
import sys
import time

from hopfield_theory.runs.executors import Processes
from hopfield_theory.statements.registry import STATEMENTS
from hopfield_theory.statistics import wilson
from hopfield_theory.verification.check import Outcome, PartResult, attacked
from hopfield_theory.verification.search import FULL, QUICK

NEEDED = 0.9


def attack(item: tuple[str, int, bool]) -> PartResult:
    name, index, full = item
    part = STATEMENTS[name].near_misses[index]
    spoilt = dataclasses.replace(STATEMENTS[name], parts=(part,))
    return attacked(spoilt, part, 0, FULL if full else QUICK)


def main() -> int:
    full = "--full" in sys.argv[1:]
    items = [(name, index, full) for name, s in STATEMENTS.items() for index in range(len(s.near_misses))]
    start, found = time.perf_counter(), 0
    with Processes() as workers:
        for (name, index, _), result in zip(items, workers.map(attack, items), strict=True):
            part = STATEMENTS[name].near_misses[index]
            found += result.outcome is Outcome.FALSIFIED
            example = result.counterexample
            where = "MISSED" if example is None else f"M = {len(example.values['patterns'])}, {result.where}"
            print(f"{name:4} {part.name:52} slack {result.smallest_slack:9.1e}  {where}", flush=True)
    rate = wilson(found, len(items))
    print(
        f"{found} of {len(items)} near misses found, {rate.estimate:.1%} [{rate.low:.1%}, {rate.high:.1%}], "
        f"in {time.perf_counter() - start:.0f} s"
    )
    return 0 if rate.estimate >= NEEDED else 1


if __name__ == "__main__":
    sys.exit(main())
