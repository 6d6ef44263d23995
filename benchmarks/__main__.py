"""Run the benchmarks named on the command line, or all; each in a process of its own, for its own peak memory.

Arguments after a single name are those of that benchmark.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NAMES = ["attention", "update", "stream", "acceleration", "certificate", "families"]


def main() -> int:
    # one name may have arguments of its own
    names, arguments = (sys.argv[1:], []) if set(sys.argv[1:]) <= set(NAMES) else (sys.argv[1:2], sys.argv[2:])
    names = names or NAMES
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"benchmarks: {', '.join(unknown)} unknown: there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    root = Path(__file__).parent.parent
    for name in names:
        status = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", *arguments], cwd=root, check=False
        ).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
