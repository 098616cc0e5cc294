"""`python -m benchmarks.files.first ROOT STATE LAYOUT DAYS FILES`: a scan that stands still after so many files, to be killed."""

import asyncio
import sys
from pathlib import Path
from unittest.mock import patch

from agents.recorders.container import duration_seconds
from agents.recorders.demuxer import Demuxer
from benchmarks.files.run import scan


def main(root: Path, state: Path, layout: str, days: int, files: int) -> None:
    """Scan; say so on standard output when `files` were looked into, and wait for the kill."""
    left = iter(range(files))

    def standing_still(path: Path, demuxer: Demuxer) -> float:
        if next(left, None) is None:
            print("standing still", flush=True)
            sys.stdin.read()
        return duration_seconds(path, demuxer)

    with patch("agents.recorders.segments.duration_seconds", standing_still):
        asyncio.run(scan(root, state, layout, days))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
