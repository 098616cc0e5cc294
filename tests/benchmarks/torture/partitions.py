"""F8: an agent's sender and a collector with a line between them that fails in every way, from a minute to a week."""

from __future__ import annotations

import asyncio
import random
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from agents.collector import Collector
from agents.outbox import Outbox
from agents.reporter import Reporter
from agents.sender import Sender
from benchmarks.torture.auditor import chain_problems, number_problems, read_outbox
from benchmarks.torture.proxy import Line, Proxy
from monitor.model.clock import ManualClock
from support.enrolled import identity
from support.loopback_collector import LoopbackCollector

ANSWER_SECONDS = 0.2
"""For an answer to come; half-open lines cost so much each."""
STEPS = 12


def torture(runs: int, seed: int) -> list[str]:
    """Return what went wrong with `runs` seeds."""
    problems: list[str] = []
    seen: dict[Line, int] = dict.fromkeys(Line, 0)
    for number in range(seed, seed + runs):
        with tempfile.TemporaryDirectory() as folder:
            found = asyncio.run(_partition(Path(folder), random.Random(number), seen))
        problems += [f"seed {number}: {text}" for text in found]
    print(f"F8: {runs} seeds; turns by line: " + ", ".join(f"{line} {count}" for line, count in seen.items()))
    return problems


def _same(link: Collector) -> Collector:
    return link


async def _partition(folder: Path, seeded: random.Random, seen: dict[Line, int]) -> list[str]:
    clock, who = ManualClock(datetime(2026, 11, 23, 4, tzinfo=UTC)), identity()
    outbox = Outbox(folder / "outbox.sqlite")
    async with LoopbackCollector.running() as collector, Proxy.before(collector.url) as proxy:
        collector.know(who.key.public.jwk)
        waits: list[float] = []
        for step in range(STEPS):
            reporter = Reporter(outbox, clock, who, f"{step // 5:032x}")
            for _ in range(seeded.randrange(0, 25)):
                reporter.report([])
            last = step == STEPS - 1
            proxy.line, proxy.limit = Line.GOOD if last else seeded.choice(list(Line)), seeded.randrange(1, 700)
            link = Collector(proxy.url, who, seconds=ANSWER_SECONDS if proxy.line is Line.HALF_OPEN else 10.0)
            sender = Sender(outbox, clock, partial(_same, link), seeded=seeded)
            for _ in range(1000 if last else seeded.randrange(1, 4)):
                seen[proxy.line] += 1
                wait = await sender.turn()
                if wait is None:
                    break
                waits.append(wait)
                clock.advance(wait)
            clock.advance(seeded.choice([60, 3600, 86_400, 7 * 86_400]))
            await link.close()
        outbox.close()
        left = read_outbox(folder / "outbox.sqlite")
        arrived = {(boot, number) for _, _, boot, number in collector.reports}
        problems = number_problems(left.last, arrived)
        problems += chain_problems(zip(collector.headers, collector.digests, strict=True))
    if left.waiting:
        problems.append(f"{len(left.waiting)} reports never left")
    if max(waits, default=0.0) > 300.0:
        problems.append(f"it waited {max(waits)} s")
    return problems
