"""F1: `cradlewatch agent run` before a simulated recorder, killed -9 at random moments: nothing lost, nothing double, order kept, and the first report soon."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from agents.site import load_site
from agents.state import State
from benchmarks.processes import cpu_seconds, delay_seconds
from benchmarks.torture.auditor import chain_problems, number_problems, read_outbox
from support.enrolled import enrol_at
from support.loopback_collector import LoopbackCollector
from support.site import Running, behind, nvr, recorder, service, write_site
from support.thread import until

RHYTHM = dict.fromkeys(
    ("look_every", "reach_every", "recorder_every", "index_every", "report_every", "reconnect_most"), "1s"
)
LONGEST_LIFE_SECONDS = 3.0
"""After its first report an agent lives at most so long; some die before it."""
FIRST_SECONDS = 2.0
"""The first observation is on the disk so soon after exec: by the clock, and by the processor time used until then."""
OVERLOADED_SECONDS = 0.2
"""A start that waited longer for a processor tells of the machine: its time by the clock is not judged."""


@dataclass(frozen=True)
class Start:
    """What it took until the first report lay on the disk."""

    seconds: float
    cpu_seconds: float
    delay_seconds: float
    """For which the main thread waited for a processor."""


def torture(runs: int, seed: int) -> list[str]:
    """Return what went wrong in `runs` lives that were cut short, and one that ended well."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_kill(Path(folder), runs, random.Random(seed)))


async def _kill(folder: Path, runs: int, seeded: random.Random) -> list[str]:
    async with recorder(1) as simulator, LoopbackCollector.running() as collector:
        config = write_site(folder, behind(simulator), [nvr(simulator)], rhythm=RHYTHM)
        state = State(load_site(config).state_dir, "wj-0001")
        enrol_at(state, collector)
        outbox = state.directory / "outbox.sqlite"
        state.close()
        starts: list[Start] = []
        early = 0
        for _ in range(runs):
            known = _boots(outbox)
            began = time.monotonic()
            async with service(config) as running:
                if seeded.random() < 0.2:  # while it starts
                    await asyncio.sleep(seeded.uniform(0.0, 1.5))
                    early += 1
                else:
                    await _first_report(outbox, known, running)
                    took, pid = time.monotonic() - began, running.process.pid
                    starts.append(Start(took, cpu_seconds([pid]), delay_seconds(pid)))
                    await asyncio.sleep(seeded.uniform(0.0, LONGEST_LIFE_SECONDS))
                running.kill()
        async with service(config) as running:
            await _first_report(outbox, _boots(outbox), running)
            await until(lambda: not read_outbox(outbox).waiting, "everything is sent")
            await running.stop()
        left = read_outbox(outbox)
        damaged = len(list(outbox.parent.glob("*.damaged-*")))
        print(
            f"F1: {runs} kills ({early} while starting), {len(collector.reports)} reports of {len(left.last)} boots,"
            f" {collector.copies} sent twice, {damaged} files damaged"
        )
        arrived = {(boot, number) for _, _, boot, number in collector.reports}
        problems = number_problems(left.last, arrived | set(left.waiting))
        problems += chain_problems(zip(collector.headers, collector.digests, strict=True))
        problems += _against_truth(collector)
    return problems + start_problems(starts)


def start_problems(starts: Sequence[Start]) -> list[str]:
    """Print how soon the first report lay on the disk, and say whether that was too late."""
    if not starts:
        return []
    told = [item.seconds for item in starts]
    fair = [item.seconds for item in starts if item.delay_seconds <= OVERLOADED_SECONDS]
    cpu = median(item.cpu_seconds for item in starts)
    by_the_clock = f"{median(fair):.1f} s after exec" if fair else "not judged: the machine was overloaded"
    print(
        f"F1: first report on disk of {len(starts)} lives: {cpu:.2f} s of processor time (median); of the {len(fair)} that"
        f" waited at most {OVERLOADED_SECONDS} s for a processor, {by_the_clock}; of all {median(told):.1f} s, {max(told):.1f} s at most"
    )
    problems = [f"the first report took {cpu:.2f} s of processor time"] if cpu > FIRST_SECONDS else []
    if fair and median(fair) > FIRST_SECONDS:
        problems.append(f"the first report lay on the disk {median(fair):.1f} s after exec")
    return problems


def _boots(outbox: Path) -> set[str]:
    if not outbox.exists():
        return set()
    with closing(sqlite3.connect(outbox)) as connection:
        try:
            return {boot for (boot,) in connection.execute("SELECT boot FROM boot")}
        except sqlite3.OperationalError:  # killed before its tables were there
            return set()


async def _first_report(outbox: Path, known: set[str], running: Running) -> None:
    def written() -> bool:
        assert running.process.returncode is None, running.log
        return bool(_boots(outbox) - known)

    await until(written, "the first report is on the disk")


def _against_truth(collector: LoopbackCollector) -> list[str]:
    """The simulator's camera never failed, and no two spans of one boot overlap: what was seen is told once."""
    problems = []
    spans: dict[str, list[tuple[int, int]]] = {}
    for (_, _, boot, _), report in collector.reports.items():
        for item in report["observations"]:
            if item["kind"] == "stream":
                spans.setdefault(boot, []).append((item["start"], item["end"]))
                if item["state"] == "down":
                    problems.append(f"a camera that never failed is told down: {item}")
    for boot, found in spans.items():
        found.sort()
        problems += [f"told twice in boot {boot}: {b}" for a, b in pairwise(found) if b[0] < a[1]]
    return problems
