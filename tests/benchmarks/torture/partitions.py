"""F8: an agent's sender and a collector with a line between them that fails in every way, from a minute to a week.

Nothing is lost; a backlog goes oldest first; what is written while it goes is not kept waiting by it.
"""

from __future__ import annotations

import asyncio
import gzip
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agents.collector import Collector
from agents.outbox import Outbox
from agents.reporter import Reporter
from agents.sender import Sender
from benchmarks.torture.auditor import Position, chain_problems, header_of, number_problems, read_outbox
from benchmarks.torture.proxy import Line, Proxy
from monitor.model.clock import ManualClock
from support.enrolled import identity
from support.loopback_collector import LoopbackCollector, Request

ANSWER_SECONDS = 0.2
"""For an answer to come over a line that may stand still; each such turn costs so much."""
STANDING = frozenset({Line.HALF_OPEN, Line.MUTE, Line.LOSSY})
STEPS = 12
BACKLOG_REPORTS = 64
"""At least so many wait when the line is good for the rest."""
LIVE_TURNS = 20
"""So many turns of the drain have a report written before them, at most."""
LIVE_WITHIN_TURNS = 2
"""A report that is written while a backlog drains has arrived after so many turns."""


@dataclass(frozen=True)
class Turn:
    """What lay in the outbox before the sender's turn, and what arrived by it."""

    oldest: Position
    backlog: Position
    """Up to this one everything was written before the line failed last."""
    newest: Position
    sent: tuple[Position, ...]


def torture(runs: int, seed: int) -> list[str]:
    """Return what went wrong with `runs` seeds."""
    problems: list[str] = []
    seen: dict[Line, int] = dict.fromkeys(Line, 0)
    for number in range(seed, seed + runs):
        with tempfile.TemporaryDirectory() as folder:
            found = asyncio.run(_Partition(Path(folder), random.Random(number), seen).live())
        problems += [f"seed {number}: {text}" for text in found]
    print(f"F8: {runs} seeds; turns by line: " + ", ".join(f"{line} {count}" for line, count in seen.items()))
    return problems


class _Partition:
    """One agent, one line, one collector."""

    def __init__(self, folder: Path, seeded: random.Random, seen: dict[Line, int]) -> None:
        self._file, self._seeded, self._seen = folder / "outbox.sqlite", seeded, seen
        self._clock, self._who = ManualClock(datetime(2026, 11, 23, 4, tzinfo=UTC)), identity()
        self._outbox = Outbox(self._file)
        self._waits: list[float] = []

    async def live(self) -> list[str]:
        problems: list[str] = []
        async with LoopbackCollector.running() as collector, Proxy.before(collector.url) as proxy:
            collector.know(self._who.key.public.jwk)
            proxy.chance = self._seeded
            for step in range(STEPS):
                turns = await self._step(step, collector, proxy)
                problems += order_problems(turns)
                if step == STEPS - 1:
                    problems += starved(turns)
            self._outbox.close()
            left = read_outbox(self._file)
            arrived = {(boot, number) for _, _, boot, number in collector.reports}
            problems += number_problems(left.last, arrived)
            problems += chain_problems(zip(collector.headers, collector.digests, strict=True))
        if left.waiting:
            problems.append(f"{len(left.waiting)} reports never left")
        if max(self._waits, default=0.0) > 300.0:
            problems.append(f"it waited {max(self._waits)} s")
        return problems

    def _link(self, proxy: Proxy) -> Collector:
        return Collector(proxy.url, self._who, seconds=ANSWER_SECONDS if proxy.line in STANDING else 10.0)

    async def _step(self, step: int, collector: LoopbackCollector, proxy: Proxy) -> list[Turn]:
        """Write some reports, and let the sender try over a line that is as it is drawn; the last one is good."""
        last = step == STEPS - 1
        reporter = Reporter(self._outbox, self._clock, self._who, f"{step // 5:032x}")
        for _ in range(BACKLOG_REPORTS if last else self._seeded.randrange(0, 25)):
            reporter.report([])
        proxy.line = Line.GOOD if last else self._seeded.choice(list(Line))
        proxy.limit = self._seeded.randrange(1, 700)
        link = self._link(proxy)
        sender = Sender(self._outbox, self._clock, lambda: link, seeded=self._seeded)
        turns: list[Turn] = []
        backlog: Position | None = None
        for number in range(1000 if last else self._seeded.randrange(1, 4)):
            if last and 0 < number <= LIVE_TURNS and self._seeded.random() < 0.7:
                reporter.report([])
            self._seen[proxy.line] += 1
            waiting, had = read_outbox(self._file).waiting, len(collector.requests)
            backlog = max(waiting, default=None) if backlog is None else backlog
            wait = await sender.turn()
            if wait is None:
                break
            if wait > 0.0:
                await link.close()
                await proxy.quiet()  # what arrives late belongs to this turn
                link = self._link(proxy)
            sent = tuple(place for request in collector.requests[had:] for place in places(request))
            assert backlog is not None
            turns.append(Turn(min(waiting), backlog, max(waiting), sent))
            backlog = None if wait > 0.0 else backlog
            self._waits.append(wait)
            self._clock.advance(wait)
        self._clock.advance(self._seeded.choice([60, 3600, 86_400, 7 * 86_400]))
        await link.close()
        return turns


def places(request: Request) -> Iterator[Position]:
    """Give which reports are in a request, in its order."""
    body = gzip.decompress(request.body)
    while body:
        length, _, rest = body.partition(b":")
        header = header_of(rest[: int(length)])
        yield header["boot"], header["sequence"]
        body = rest[int(length) + 1 :]


def order_problems(turns: Sequence[Turn]) -> Iterator[str]:
    """Say where a backlog did not go oldest first, or was itself kept waiting by what is new."""
    live_before = False
    for turn in turns:
        if list(turn.sent) != sorted(set(turn.sent)):
            yield f"out of order: {turn.sent}"
        live = bool(turn.sent) and turn.sent[0] != turn.oldest
        if live and turn.sent[0] <= turn.backlog:
            yield f"{turn.sent[0]} was sent while {turn.oldest} waited"
        if live and live_before:
            yield f"new reports went twice while {turn.oldest} waited"
        live_before = live


def starved(turns: Sequence[Turn]) -> Iterator[str]:
    """Say which report that was written while a backlog went had to wait for it. No turn failed."""
    arrived = {place: number for number, turn in enumerate(turns) for place in turn.sent}
    for number, turn in enumerate(turns):
        written = number > 0 and turn.newest > turns[number - 1].newest and turn.newest > turn.backlog
        if written and arrived.get(turn.newest, len(turns)) >= number + LIVE_WITHIN_TURNS:
            yield f"{turn.newest} was written before turn {number} and sent in turn {arrived.get(turn.newest)}"
