"""Mutation score: of the small faults that mutmut can put into the library, how many do the tests notice.

A uniform sample of all mutants, run on a copy of the tree under ``build``. What is mutated, and which tests judge it,
stands in ``pyproject.toml`` under ``tool.mutmut``.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.file_mutation import compute_function_hashes, mutate_file_contents
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files
from mutmut.utils.format_utils import get_mutant_name

from hopfield_theory.statistics import wilson

ROOT = Path(__file__).parent.parent
# "suspicious" is what mutmut calls a process that another signal ended
NOTICED = {"killed", "timeout", "segfault", "suspicious"}


def copy_tree(work: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    for name in ("hopfield_theory", "tests", "results", "docs"):
        shutil.copytree(ROOT / name, work / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", work)


def population() -> tuple[dict[str, Path], list[str]]:
    """Every mutant with its file, and the functions of which there is none."""
    mutants: dict[str, Path] = {}
    untouched: list[str] = []
    for path in sorted(walk_mutatable_files()):
        text = path.read_text()
        names = mutate_file_contents(str(path), text).mutant_names
        mutants |= dict.fromkeys((get_mutant_name(path, name) for name in names), path)
        touched = {name.partition("__mutmut_")[0] for name in names}
        untouched += [get_mutant_name(path, name) for name in compute_function_hashes(text) if name not in touched]
    return mutants, untouched


def statuses(sample: list[str], mutants: dict[str, Path]) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in {mutants[name] for name in sample}:
        data = SourceFileMutationData(path=path)
        data.load()
        found |= {name: status_by_exit_code[code] for name, code in data.exit_code_by_key.items()}
    return {name: found[name] for name in sample}


def report(found: dict[str, str], mutants: dict[str, Path]) -> None:
    for path in sorted({mutants[name] for name in found}):
        counts = Counter(status for name, status in found.items() if mutants[name] == path)
        print(f"{path!s:40}", ", ".join(f"{count} {status}" for status, count in counts.most_common()))
    survivors = [name for name, status in found.items() if status not in NOTICED]
    for name in survivors:
        print(f"\n{name}: {found[name]}\n{get_diff_for_mutant(name, path=mutants[name])}")
    print(f"noticed: {wilson(len(found) - len(survivors), len(found))} of {len(found)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=400, help="mutants in the sample")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    work = ROOT / "build" / "mutants"
    copy_tree(work)
    # mutmut reads its settings and writes its results where it stands
    os.chdir(work)
    mutants, untouched = population()
    sample = sorted(random.Random(options.seed).sample(sorted(mutants), options.size))
    print(f"{len(mutants)} mutants, sample of {len(sample)} with seed {options.seed}; not mutated:", *untouched)
    mutmut = Path(sys.executable).with_name("mutmut")
    subprocess.run([mutmut, "run", "--max-children", str(options.workers), *sample], check=True)
    report(statuses(sample, mutants), mutants)
    return 0


if __name__ == "__main__":
    sys.exit(main())
