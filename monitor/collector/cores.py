"""How many cores this process may use: those that it was given, less what its container's quota keeps from it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
"""Where control groups are mounted; in a container this is its own."""
OWN = Path("/proc/self/cgroup")
"""Which one this process is in."""


def usable_cores(groups: Path = GROUPS, own: Path = OWN) -> int:
    """Return how many processes can be at work at once, at least one.

    A quota of one and a half cores is two: half of the time both get on.
    """
    found = [len(os.sched_getaffinity(0))]
    found += [math.ceil(quota) for folder in _folders(groups, own) if (quota := _quota(folder / "cpu.max")) is not None]
    return max(1, min(found))


def parse_quota(text: str) -> float | None:
    """Return the cores of a cpu.max, "QUOTA PERIOD" in microseconds (Linux, cgroup-v2.rst); None where it is "max" or unreadable."""
    words = text.split()
    if len(words) != 2 or not all(word.isascii() and word.isdecimal() for word in words):
        return None
    quota, period = (int(word) for word in words)
    return quota / period if 0 < quota < 2**63 and 0 < period < 2**63 else None


def _quota(path: Path) -> float | None:
    try:
        return parse_quota(path.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError):  # no such limit here
        return None


def _folders(groups: Path, own: Path) -> Iterator[Path]:
    """Give the process's own group and those above it: each may have a quota."""
    yield groups
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        parts = line.removeprefix("0::/").split("/") if line.startswith("0::/") else []
        if ".." in parts:  # outside of what this container sees
            continue
        for length in range(1, len(parts) + 1):
            yield groups.joinpath(*parts[:length])
