"""Run the benchmarks named on the command line, or all; each in a process of its own, for its own peak memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NAMES = ["attention", "update", "stream", "acceleration", "certificate", "families"]


def main() -> int:
    names = sys.argv[1:] or NAMES
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"benchmarks: {', '.join(unknown)} unknown: there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    root = Path(__file__).parent.parent
    for name in names:
        status = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=root, check=False).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
