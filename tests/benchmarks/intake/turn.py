"""What one side of a benchmark wrote in one turn, and the load of the collector's side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.intake.load import Lane
from benchmarks.intake.reports import Sender

LINES = 32
"""Connections of the load, and clients of pgbench."""


@dataclass(frozen=True)
class Turn:
    """What one side wrote in one turn."""

    reports: int
    seconds: float
    cpu: dict[str, float]
    """Seconds of CPU by who used them."""
    p99: float = 0.0

    @property
    def rate(self) -> float:
        """Reports a second."""
        return self.reports / self.seconds

    @property
    def each(self) -> str:
        """Milliseconds of CPU for each report, by who used them."""
        return ", ".join(f"{name} {1000 * used / self.reports:.2f}" for name, used in self.cpu.items())


def prepared(senders: Sequence[Sender], reports: int, together: int, lines: int = LINES) -> list[Lane]:
    """Make some `reports` in requests of `together`, over so many connections; each agent keeps to one of them."""
    each = max(together, reports // len(senders) // together * together)
    lanes = []
    for number in range(min(lines, len(senders))):
        own = [list(sender.requests(each, together)) for sender in senders[number::lines]]
        lanes.append(Lane([request for turn in zip(*own, strict=True) for request in turn]))
    return lanes


def word(*, reached: bool) -> str:
    """Say how a bar stands."""
    return "reached" if reached else "MISSED"
