"""F5: a disk that fills up and is freed again, over and over, under an agent's outbox and journal: bounded, and nothing lost."""

from __future__ import annotations

import random
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from agents.database import DatabaseError
from agents.held import Held
from agents.journal import Journal
from agents.outbox import Outbox
from agents.reporter import Reporter
from benchmarks.torture.auditor import chain_problems, digest_of, header_of, journal_spans, number_problems, read_outbox
from monitor.model.clock import ManualClock
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.span import SECOND, Basis, Spans, to_millis
from support.disks import small_disk
from support.enrolled import identity

GATE = Subject(kind="camera", id="gate")
SECONDS = 20
"""Of a cycle; the disk is full for a part of them."""


def torture(runs: int, seed: int) -> list[str]:
    """Return what went wrong in `runs` cycles. Needs root, to mount the disk."""
    seeded = random.Random(seed)
    clock = ManualClock(datetime(2026, 11, 23, 4, tzinfo=UTC))
    refused = 0
    with tempfile.TemporaryDirectory() as name, small_disk(Path(name) / "disk", kib=24_576) as disk:
        outbox = Outbox(disk.path / "outbox.sqlite", patient=True)
        journal = Journal(disk.path / "journal.sqlite", patient=True)
        reporter, held = Reporter(outbox, clock, identity(), "a" * 32), Held()
        began = to_millis(clock.now())
        for _ in range(runs):
            full_from, full_to = sorted(seeded.sample(range(SECONDS), 2))
            for second in range(SECONDS):
                if second == full_from:
                    disk.fill()
                if second == full_to:
                    disk.free()
                start = to_millis(clock.now())
                clock.advance(1)
                held.append(
                    Observation(
                        subject=GATE, kind=Kind.STREAM, start=start, end=start + SECOND, state="up",
                        basis=Basis.WATCHED, expires=start + 60 * SECOND,
                    )
                )  # fmt: skip
                refused += _store(held, journal, reporter)
        _store(held, journal, reporter)
        window = Spans.window(began, to_millis(clock.now()))
        outbox.close()
        journal.close()
        in_journal = Spans.of(journal_spans(disk.path / "journal.sqlite"))
        left = read_outbox(disk.path / "outbox.sqlite")
    print(f"F5: {runs} times full, {refused} refusals of the disk, {len(left.waiting)} reports")
    problems = number_problems(left.last, set(left.waiting) | left.gone)
    problems += chain_problems((header_of(item), digest_of(item)) for item in left.waiting.values())
    if window.subtract(in_journal):
        problems.append("the journal has holes")
    return problems


def _store(held: Held, journal: Journal, reporter: Reporter) -> int:
    """Store what is held, as the service does; return how often the disk refused."""
    refused = 2
    with suppress(DatabaseError), held.journal.storing() as seen:
        journal.append(seen)
        refused -= 1
    with suppress(DatabaseError), held.reports.storing() as seen:
        reporter.report(seen)
        refused -= 1
    return refused
