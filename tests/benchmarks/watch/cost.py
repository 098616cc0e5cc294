"""What a side's steady running costs, and the ratio of two sides."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import MIB, cpu_seconds, footprint, waits
from benchmarks.watch.clips import Format
from benchmarks.watch.serving import Served
from benchmarks.watch.sides import Side, Work

SETTLE_SECONDS = 15.0
"""From a side's start: connecting and first looks are not steady running."""
MAY_BE_BEHIND_SECONDS = 1.5
"""Frames in the server's own queues; more, and the machine doesn't serve so many cameras."""


class ServerLagsError(Exception):
    """The server could not send its cameras at their pace: what was measured says nothing."""


class WorkMissingError(Exception):
    """A side didn't do its work: cheap is not the same as idle."""


@dataclass(frozen=True)
class Cost:
    """One side over one run."""

    side: str
    cores: float
    """CPU seconds a second."""
    pss_bytes: int
    wakes: float
    """A second, of all processes together."""
    server_cores: float
    behind: float
    """The server's lag in seconds."""
    looks: float = 0.0
    """At pictures, a second, of all cameras together."""

    def __str__(self) -> str:
        """Return it as one line."""
        looks = f", {self.looks:.1f} looks a second" if self.looks else ""
        return (
            f"{self.side}: {self.cores:.4f} cores, {self.pss_bytes / MIB:.0f} MiB, {self.wakes:.0f} wake-ups a second{looks}"
            f" (server {self.server_cores:.2f} cores, {self.behind:.1f} s behind)"
        )


Watched = Callable[[Mapping[str, str], Path], AbstractContextManager[Side]]
"""Lets a side watch streams, with a folder of its own."""


def measure(served: Served, form: Format, watched: Watched, seconds: float) -> Cost:
    """Run one side, wait until it is steady, and measure. Raises ServerLagsError, WorkMissingError."""
    with tempfile.TemporaryDirectory() as folder, watched(served.streams, Path(folder)) as side:
        time.sleep(SETTLE_SECONDS)
        return steady(served, form, [side], seconds)[0]


def steady(served: Served, form: Format, sides: Sequence[Side], seconds: float) -> list[Cost]:
    """Measure sides that run. Raises ServerLagsError, WorkMissingError."""
    before = [_reading(side) for side in sides]
    server = cpu_seconds([served.process.pid])
    start = time.monotonic()
    time.sleep(seconds)
    after = [_reading(side) for side in sides]
    took = time.monotonic() - start
    server_cores = (cpu_seconds([served.process.pid]) - server) / took
    behind = served.behind()
    if behind > MAY_BE_BEHIND_SECONDS:
        raise ServerLagsError(f"the server is {behind:.1f} s behind with {served.cameras} cameras")
    wrong = [
        f"{side.name}: {what}"
        for side, old, new in zip(sides, before, after, strict=True)
        for what in side.missing(old.work, new.work, form, took)
    ]
    if wrong:
        raise WorkMissingError("; ".join(wrong))
    return [
        Cost(
            side.name, (new.cpu - old.cpu) / took, footprint(side.pids).pss_bytes, (new.woken - old.woken) / took,
            server_cores, behind, (sum(new.work.looks.values()) - sum(old.work.looks.values())) / took,
        )
        for side, old, new in zip(sides, before, after, strict=True)
    ]  # fmt: skip


@dataclass(frozen=True)
class _Reading:
    work: Work
    cpu: float
    woken: int


def _reading(side: Side) -> _Reading:
    work = side.work()
    return _Reading(work, cpu_seconds(side.pids), waits(side.pids))


@dataclass(frozen=True)
class Compared:
    """Runs of two sides in turns."""

    ours: Sequence[Cost]
    theirs: Sequence[Cost]

    @property
    def ratio(self) -> float:
        """Return the median of the runs' CPU ratios."""
        return statistics.median(a.cores / b.cores for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def memory_mib(self) -> float:
        """Return our memory, the median of all runs."""
        return statistics.median(item.pss_bytes for item in self.ours) / MIB

    def __str__(self) -> str:
        """Return the ratio and both sides."""
        return (
            f"CPU ratio {self.ratio:.2f} (ours {_middle(self.ours):.4f} cores, theirs {_middle(self.theirs):.4f}),"
            f" memory {self.memory_mib:.0f} MiB"
            f" (theirs {statistics.median(item.pss_bytes for item in self.theirs) / MIB:.0f})"
        )


def _middle(costs: Sequence[Cost]) -> float:
    return statistics.median(item.cores for item in costs)
