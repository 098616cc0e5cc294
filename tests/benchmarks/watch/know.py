"""Time to know: cameras killed at random, and how long until the agent itself says that they are not up."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.agent_process import Agent, until
from benchmarks.watch.serving import Served

KILLS = ("stall", "close")
"""The connection stays and no frame comes; or it is closed, and the stream isn't found any more."""
ASK_SECONDS = 0.1
BACK_SECONDS = 120.0


@dataclass(frozen=True)
class Known:
    """Seconds from a kill to the agent's word, by how it was done."""

    seconds: dict[str, list[float]]

    @property
    def all(self) -> list[float]:
        """Return them together."""
        return [item for values in self.seconds.values() for item in values]

    def __str__(self) -> str:
        """Return the figures in one line for each way to die."""
        lines = [f"{how}: {_spread(values)}" for how, values in self.seconds.items()]
        return "\n".join([*lines, f"together: {_spread(self.all)}"])


def _spread(values: Sequence[float]) -> str:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return f"{len(ordered)} kills, p50 {statistics.median(ordered):.1f} s, p95 {p95:.1f} s, most {ordered[-1]:.1f} s"


def time_to_know(served: Served, running: Agent, kills: int, seed: int = 1) -> Known:
    """Kill cameras one after the other, each in one of both ways, and wait for the agent's word on each."""
    chance = random.Random(seed)
    found: dict[str, list[float]] = {how: [] for how in KILLS}
    for number, camera in enumerate(chance.sample(range(served.cameras), min(kills, served.cameras))):
        time.sleep(chance.uniform(0.0, 1.0))
        how = KILLS[number % len(KILLS)]
        at = served.tell(how, camera=camera)["at"]
        name = str(camera)
        until(lambda name=name: name not in running.cameras_up(), 60, f"camera {name} is not up any more")  # type: ignore[misc]
        found[how].append(time.time() - at)
        served.tell("revive", camera=camera)
    until(lambda: len(running.cameras_up()) == served.cameras, BACK_SECONDS, "all cameras are back")
    return Known(found)
