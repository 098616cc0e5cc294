"""F10: ten times the load that a collector can take, then all agents at once after an outage: nothing lost, everybody told when to return."""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.intake import centre
from benchmarks.intake.auditor import Audit
from benchmarks.intake.load import Driven, drive
from benchmarks.intake.reports import Sender, enrol
from benchmarks.intake.turn import prepared
from benchmarks.processes import MIB, footprint
from benchmarks.torture.herd import Member, Seen, run_herd
from monitor.store.engine import open_engine

TIMES = 10
"""So many times what it can take is offered."""
LONG = 1000
"""From so many agents on times are judged too: the short form looks at what is lost, and at what is answered."""
STUBBORN = 320
"""Connections that come again at once, whatever they are told: five times as many as the collector has places."""
AT_FIRST, BESIDE = 3000, 9000
"""So many reports are sent to learn what it can take, before and after."""
HASTE = 0.02
"""In the short form the herd waits for so much of the time that it is told to wait."""
SLOWEST, BACK_WITHIN, LEAST = 1.0, 60.0, 0.9
"""The 99th percentile of accepted requests in seconds; seconds until all is as before; the share of what it can take."""


@dataclass
class Run:
    """What was found."""

    audit: Audit = field(default_factory=Audit)
    problems: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    """Bytes of the collector's own, once a second."""
    cpu_seconds: float = 0.0
    """What the collector took of the machine under the last load."""


def torture(runs: int, seed: int) -> list[str]:
    """Return what went wrong with a herd of `runs` agents; many of them come over PostgreSQL, few over SQLite."""
    run, big = Run(), runs >= LONG
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cw-bench-")))
        if big:
            url = centre.database(stack.enter_context(centre.postgres()), "centre")
        else:
            url = f"sqlite:///{folder / 'centre.db'}"
            centre.migrated(url)
        engine = open_engine(url)
        herd, stubborn = enrol(engine, runs), enrol(engine, STUBBORN if big else runs, "stubborn")
        others = enrol(engine, STUBBORN if big else runs, "beside")
        (probe,) = enrol(engine, 1, "probe")
        engine.dispose()
        collector = stack.enter_context(centre.collector(url, folder))
        alone = _taken(collector, stubborn, run, AT_FIRST if big else runs)
        seen = _offered(collector, stubborn, run, alone.rate, seconds=runs * 0.06 if big else 1.0, judged=big)
        left = max(0.0, seen.cpu_seconds / seen.seconds - alone.load)
        with _used(left):
            beside = _taken(collector, others, run, BESIDE if big else runs)
        _of_what_is_left(seen, beside, run, left, judged=big)
        _herd(collector, herd, run, judged=big)
        if big:
            _recovered(collector, probe, run)
        run.problems += run.audit.problems(url)
    return run.problems


@dataclass(frozen=True)
class _Taken:
    """What it takes in from as many as it has room for."""

    rate: float
    """Reports a second."""
    load: float
    """Processors that sending them took."""


def _taken(collector: centre.Collector, senders: list[Sender], run: Run, reports: int) -> _Taken:
    driven = drive(collector.port, prepared(senders, reports, 1))
    run.audit.answered(driven)
    return _Taken(driven.reports / driven.seconds, driven.cpu_seconds / driven.seconds)


def _of_what_is_left(seen: Seen, beside: _Taken, run: Run, used: float, *, judged: bool) -> None:
    """Hold what was accepted under ten times the load against what it can take of a machine from which as much is taken.

    Whoever makes the load shares the processors with the collector and its database, and takes the more of them the more is
    offered: a process `used` as much of them while it was measured again what it can take.
    """
    accepted = seen.accepted / seen.seconds
    print(
        f"F10: the load took {seen.cpu_seconds / seen.seconds:.2f} processors; with {used:.2f} used beside and {beside.load:.2f} by who"
        f" sent, it could take {beside.rate:.0f} a second: {accepted / beside.rate:.2f} of that was accepted"
    )
    if judged and accepted < LEAST * beside.rate:
        run.problems.append(f"{accepted:.0f} requests a second were accepted, of {beside.rate:.0f} that it can take")


@contextmanager
def _used(processors: float) -> Iterator[None]:
    """Use so many processors (up to one) in a process of its own meanwhile."""
    process = multiprocessing.get_context("fork").Process(target=_use, args=(processors,), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join(10)


def _use(processors: float) -> None:
    began, used = time.monotonic(), time.process_time()
    while True:
        if time.process_time() - used >= processors * (time.monotonic() - began):
            time.sleep(0.001)


def _offered(
    collector: centre.Collector, senders: list[Sender], run: Run, capacity: float, seconds: float, *, judged: bool
) -> Seen:
    """Offer ten times that: as many connections as there are senders come again and again at their own pace."""
    pause = len(senders) / (TIMES * capacity)
    each = int(2 * capacity * seconds / len(senders)) + 2
    members = [
        Member([sender.request(1) for _ in range(each)], number / len(senders) * pause, pause)
        for number, sender in enumerate(senders)
    ]
    seen = _watched(collector, run, members, seconds)
    accepted = seen.accepted / seen.seconds
    _say("ten times the load", seen, run)
    print(f"F10: could take {capacity:.0f} a second; offered {seen.asked / seen.seconds:.0f}, accepted {accepted:.0f}")
    _answers(seen, run)
    if judged:
        _times(seen, run, "under ten times the load")
        first, second = run.memory[: len(run.memory) // 2], run.memory[len(run.memory) // 2 :]
        if max(second) > 1.1 * max(first) + 8 * MIB:
            run.problems.append(f"memory grew from {max(first) // MIB} to {max(second) // MIB} MiB under load")
    return seen


def _herd(collector: centre.Collector, senders: list[Sender], run: Run, *, judged: bool) -> None:
    """Let all of them come at the same moment; each returns when it is told to, until it is rid of its reports."""
    run.memory.clear()
    seen = _watched(
        collector, run, [Member([sender.request(2)], 0.0, None) for sender in senders], None, 1.0 if judged else HASTE
    )
    _say(f"{len(senders)} agents at once", seen, run)
    _answers(seen, run)
    if seen.accepted != len(senders):
        run.problems.append(f"{len(senders) - seen.accepted} agents of the herd did not get rid of their reports")
    if judged:
        _times(seen, run, "in the herd")


def _recovered(collector: centre.Collector, sender: Sender, run: Run) -> None:
    """Send now and then until it answers as quickly as it should."""
    began = time.monotonic()
    while True:
        driven = drive(collector.port, prepared([sender], 5, 1))
        run.audit.answered(driven)
        if driven.reports == 5 and driven.quantile(1.0) <= SLOWEST:
            break
        if time.monotonic() - began > BACK_WITHIN:
            run.problems.append(f"{BACK_WITHIN:.0f} s after the herd it did not answer as before")
            break
    print(f"F10: as before after {time.monotonic() - began:.1f} s")


def _watched(
    collector: centre.Collector, run: Run, members: list[Member], seconds: float | None, haste: float = 1.0
) -> Seen:
    """Run the members in a process of their own, and watch the collector's memory meanwhile."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=lambda: theirs.send(run_herd(collector.port, members, seconds, haste)))
    before = collector.cpu_seconds()
    process.start()
    theirs.close()
    try:
        while not ours.poll(1.0):
            run.memory.append(footprint([collector.process.pid]).own_bytes)
        seen: Seen = ours.recv()
        run.cpu_seconds = collector.cpu_seconds() - before
    finally:
        process.join(10)
        process.kill()
    run.memory.append(footprint([collector.process.pid]).own_bytes)
    run.audit.answered(Driven(stored=seen.stored, wrong=seen.wrong))
    return seen


def _answers(seen: Seen, run: Run) -> None:
    odd = {status: count for status, count in seen.statuses.items() if status not in {200, 429, 503}}
    if odd:
        run.problems.append(f"answered otherwise than taken or told to return: {odd}")
    if seen.untold:
        run.problems.append(f"{seen.untold} were turned away without Retry-After")


def _times(seen: Seen, run: Run, when: str) -> None:
    if seen.p99 > SLOWEST:
        run.problems.append(f"the 99th percentile of accepted requests is {seen.p99:.1f} s {when}")


def _say(what: str, seen: Seen, run: Run) -> None:
    print(
        f"F10: {what}: {seen.seconds:.0f} s, answers {dict(sorted(seen.statuses.items()))}, broken off {seen.broken},"
        f" p99 of accepted {1000 * seen.p99:.0f} ms, memory {min(run.memory) // MIB} to {max(run.memory) // MIB} MiB,"
        f" the collector's CPU {1e6 * run.cpu_seconds / max(1, seen.asked):.0f} us an answer"
    )
