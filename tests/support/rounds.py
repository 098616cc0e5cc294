"""The agent's own rounds over a recorder's index, with a journal and a state of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

from agents.scan.recorder import RecorderScan
from agents.scan.rounds import Rounds
from agents.state import State
from monitor.model.clock import Clock
from monitor.model.observation import Observation
from monitor.model.span import to_millis


@contextmanager
def rounds_over(
    scan: RecorderScan,
    clock: Clock,
    seen: list[Observation],
    folder: Path,
    *,
    zone: str = "UTC",
    progress: Callable[[str, float], None] | None = None,
) -> Iterator[Rounds]:
    """Yield the rounds of `scan`, which puts what it sees into `seen`; what they keep is in `folder`."""
    state = State(folder / "state", "wj-0001")
    journal = state.journal()
    told = len(seen)

    async def keep() -> None:
        nonlocal told
        journal.append(seen[told:])
        told = len(seen)

    try:
        yield Rounds(
            scan, zone=ZoneInfo(zone), journal=journal, kept=state, keep=keep, now=lambda: to_millis(clock.now()),
            progress=progress,
        )  # fmt: skip
    finally:
        journal.close()
        state.close()
