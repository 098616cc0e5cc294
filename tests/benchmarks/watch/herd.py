"""A recorder restarts, and all its cameras come back at once: how many connections a second it has to bear."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.agent_process import Agent, until
from benchmarks.watch.clips import Units
from benchmarks.watch.serving import Served, serving


@dataclass(frozen=True)
class Herd:
    """What the server saw after its restart."""

    cameras: int
    away_seconds: float
    most_in_a_second: int
    connections: int
    back_seconds: float
    """Until frames of all cameras arrived."""

    def __str__(self) -> str:
        """Return it as one line."""
        return (
            f"{self.cameras} cameras, server away for {self.away_seconds:g} s: at most {self.most_in_a_second} connections"
            f" in any second, {self.connections} in all, the last camera was up after {self.back_seconds:.1f} s"
        )


def most_within(instants: Sequence[float], seconds: float = 1.0) -> int:
    """Return how many of the instants lie in the busiest stretch of so many seconds."""
    ordered = sorted(instants)
    return max((sum(at <= other < at + seconds for other in ordered) for at in ordered), default=0)


def restart(served: Served, clips: Sequence[Units], running: Agent, away_seconds: float) -> Herd:
    """Kill the server as a power cut does, start it again on the same port, and watch the cameras return."""
    served.process.kill()
    served.process.wait()
    until(lambda: not running.cameras_up(), 30, "no camera is up any more")
    time.sleep(away_seconds)
    with serving(clips, served.cameras, served.port) as again:
        start = time.monotonic()
        until(lambda: len(running.cameras_up()) == served.cameras, 180, "all cameras are back")
        instants = again.tell("stats")["connections"]
        return Herd(served.cameras, away_seconds, most_within(instants), len(instants), time.monotonic() - start)
