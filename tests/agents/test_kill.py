"""An agent killed at any moment, between any two steps of sending: each report counts once at the collector."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from pathlib import Path

from agents.outbox import Outbox
from monitor.model.suite import PrivateKey
from support.loopback_collector import LoopbackCollector

AGENT = """
import asyncio, random, sys
from pathlib import Path
from agents.collector import Collector
from agents.identity import Identity
from agents.outbox import Outbox
from agents.reporter import Reporter
from agents.sender import Sender
from monitor.model.clock import SystemClock
from monitor.model.suite import PrivateKey

async def main(path, boot, url, pem):
    who = Identity("a", "box", PrivateKey.of_pem(pem.encode()), "n" * 22)
    outbox, clock, link = Outbox(Path(path)), SystemClock(), Collector(url, who)
    reporter = Reporter(outbox, clock, who, boot)
    sender = Sender(outbox, clock, lambda: link, seeded=random.Random(boot))
    while True:
        print(*reporter.report([]), flush=True)
        await sender.turn()

asyncio.run(main(*sys.argv[1:]))
"""
KILLS = 8
KEY = PrivateKey.make()


async def kill_one(path: Path, boot: str, collector: LoopbackCollector, reports: int) -> int:
    """Run an agent, kill -9 it after it has stored `reports` reports or a few more; return how many it told of."""
    agent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", AGENT, str(path), boot, collector.url, KEY.pem().decode(),
        stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert agent.stdout is not None
    for _ in range(reports):
        assert await agent.stdout.readline()
    with contextlib.suppress(ProcessLookupError):
        agent.kill()
    rest = await agent.stdout.read()
    await agent.wait()
    return reports + rest.count(b"\n")


async def test_each_stored_report_counts_once_whenever_the_agent_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    seeded = random.Random(5)
    told: dict[str, int] = {}
    async with LoopbackCollector.running() as collector:
        collector.know(KEY.public.jwk)
        for kill in range(KILLS):
            boot = f"{kill:032x}"
            told[boot] = await kill_one(path, boot, collector, seeded.randrange(1, 25))
        outbox = Outbox(path)
        left = {(entry.boot, entry.sequence) for entry in outbox.take(10**6, 10**9)}
        assert not outbox.set_aside
        arrived = {(boot, sequence) for _, _, boot, sequence in collector.reports}
        for boot, count in told.items():
            numbers = {sequence for name, sequence in left | arrived if name == boot}
            assert numbers in (set(range(1, count + 1)), set(range(1, count + 2)))
    assert outbox.rejected() == []
