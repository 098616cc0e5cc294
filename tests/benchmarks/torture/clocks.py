"""F7: an agent's wall clock is set by a second to ten years, back and forth, in the middle of gaps: no interval is negative or double.

The ledger's line, folded of what was told by each setting of the clock, says of no instant one thing where two were told. The truth is kept by monotonic time, which nobody can set.
"""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from agents.run import MIND_SECONDS, Service
from agents.watch.track import Track
from agents.watch.wall import Wall
from monitor.model.clock import ManualClock
from monitor.model.ledger import timeline, told_twice
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.span import SECOND, Millis

STEPS_SECONDS = (1, 3, 60, 3600, 86_400, 30 * 86_400, 3653 * 86_400)
MINUTES = 30
EARLIEST_YEAR = 1985
"""No kernel lets a clock be set to before 1970."""
RECORDER = Subject(kind="recorder", id="nvr")


def torture(runs: int, seed: int) -> list[str]:
    """Return what went wrong with `runs` seeds."""
    problems: list[str] = []
    total = 0
    for number in range(seed, seed + runs):
        found, steps = _live(random.Random(number))
        total += steps
        problems += [f"seed {number}: {text}" for text in found]
    print(f"F7: {runs} seeds, the clock was set {total} times")
    return problems


def _live(seeded: random.Random) -> tuple[list[str], int]:
    clock = ManualClock(datetime(2026, 10, 25, seeded.randrange(24), tzinfo=UTC), monotonic=100.0)
    seen: list[tuple[int, Observation]] = []
    epoch = 0

    def sink(item: Observation) -> None:
        seen.append((epoch, item))

    life, track = (
        Track(subject, kind, sink, holds_for=60 * SECOND)
        for subject, kind in ((Subject(kind="agent", id="box"), Kind.AGENT), (RECORDER, Kind.REACH))
    )
    periodic = SimpleNamespace(begin_again=lambda: None)
    pending = SimpleNamespace(append=sink)
    service = cast("Any", SimpleNamespace(reach={"nvr": track}, life=life, periodic=periodic, pending=pending))

    def stepped(old: Millis, new: Millis) -> None:
        nonlocal epoch
        Service._stepped(service, old, new)
        epoch += 1

    wall = Wall(clock, stepped)
    truth: dict[str, float] = defaultdict(float)
    state, steps = "up", 0
    track.set(wall.now(), state)
    for _ in range(int(MINUTES * 60 / MIND_SECONDS)):
        clock.advance(MIND_SECONDS)
        truth[state] += MIND_SECONDS
        if seeded.random() < 0.05:
            way = seeded.choice([-1, 1]) if clock.now().year > EARLIEST_YEAR else 1
            clock.step(seeded.choice(STEPS_SECONDS) * way)
            steps += 1
        now = wall.now()
        if seeded.random() < 0.1:
            state = seeded.choice(["up", "down", "unknown"])
            track.set(now, state)
        if seeded.random() < 0.2:
            track.flush(now)
    track.flush(wall.now())
    reach = [(number, item) for number, item in seen if item.kind is Kind.REACH]
    return [*_wrong(reach, truth, steps), *_misjudged([item for _, item in seen])], steps


def _misjudged(seen: list[Observation]) -> list[str]:
    """Return where the ledger's line says other than what was told: twice, too long, or one word though there were two."""
    told = [item for item in seen if item.kind is Kind.REACH]
    line = timeline(told, 2**46, told_twice(seen)).spans
    problems = [
        f"the line says two things of {later.start}" for one, later in itertools.pairwise(line) if one.end > later.start
    ]
    for span in line:
        middle = (span.start + span.end) // 2
        words = {item.state for item in told if item.start <= middle < item.end} - {"unknown"} or {"unknown"}
        if span.state != (words.pop() if len(words) == 1 else "unknown"):
            problems.append(f"the line says {span.state} of {middle}, and other things were told of it")
    return problems


def _wrong(seen: list[tuple[int, Observation]], truth: dict[str, float], steps: int) -> list[str]:
    problems = [f"an interval of {item.end - item.start} ms" for _, item in seen if item.end <= item.start]
    for (before_epoch, before), (epoch, item) in itertools.pairwise(seen):
        if before_epoch == epoch and item.start < before.end:
            problems.append(f"double: from {item.start} on, and up to {before.end} it was told already")
    for state, seconds in truth.items():
        told = sum(item.end - item.start for _, item in seen if item.state == state) / SECOND
        # A step within what a clock may drift is no step: it lengthens or shortens by so much, a second here.
        if abs(told - seconds) > steps + 0.01:
            problems.append(f"{state} was {seconds} s, and {told} s are told")
    return problems
