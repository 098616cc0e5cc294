"""Days are summed up once each, from the journal, and outlive samples in a full outbox."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from agents.journal import Journal
from agents.outbox import Outbox
from agents.reporter import Reporter
from agents.state import State
from agents.summary import MOST_DAYS, sum_up
from monitor.model.clock import ManualClock
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.report import Report
from monitor.model.span import DAY, HOUR, Basis, Millis, from_millis, to_millis
from support.enrolled import identity

CLOCK = ManualClock(datetime(2026, 11, 23, 4, tzinfo=UTC))
TODAY = to_millis(CLOCK.now()) // DAY * DAY


def up(start: Millis, end: Millis) -> Observation:
    gate = Subject(kind="camera", id="gate")
    return Observation(
        subject=gate, kind=Kind.STREAM, start=start, end=end, state="up", basis=Basis.WATCHED, expires=end + HOUR
    )


def test_each_day_that_ended_is_summed_up_once_and_outlives_its_samples(tmp_path: Path) -> None:
    state, journal = State(tmp_path, "a"), Journal(tmp_path / "journal.sqlite")
    outbox = Outbox(tmp_path / "outbox.sqlite", max_bytes=12_000)
    reporter = Reporter(outbox, CLOCK, identity(), "b" * 32)
    for hour in range(-72, 4):
        item = up(TODAY + hour * HOUR, TODAY + (hour + 1) * HOUR)
        journal.append([item])
        reporter.report([item])
        sum_up(journal, state, reporter, TODAY + hour * HOUR)
    assert sum_up(journal, state, reporter, TODAY + 4 * HOUR) == 0
    reports = [Report.from_bytes(item.payload.partition(b"\n")[2]) for item in outbox.take(1000, 10**9)]
    spans = [(item.start, item.end) for report in reports for item in report.observations]
    days = [(TODAY + day * DAY, TODAY + (day + 1) * DAY) for day in (-3, -2, -1)]
    assert set(days) <= set(spans), "three whole days, though most of their samples are gone"
    assert outbox.status().dropped > 40


def test_after_a_long_pause_or_a_clock_set_back_it_goes_on(tmp_path: Path) -> None:
    state, journal = State(tmp_path, "a"), Journal(tmp_path / "journal.sqlite")
    reporter = Reporter(Outbox(tmp_path / "outbox.sqlite"), CLOCK, identity(), "b" * 32)
    assert sum_up(journal, state, reporter, TODAY) == 1, "yesterday"
    assert sum_up(journal, state, reporter, TODAY + 400 * DAY) == MOST_DAYS
    assert sum_up(journal, state, reporter, TODAY) == 1
    assert sum_up(journal, state, reporter, to_millis(from_millis(TODAY)) + DAY) == 1
