"""What was told while this machine's clock was wrong counts for nothing at the collector: once it is right, that is told anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.history import tell_history
from agents.reporter import Reporter
from agents.run import Service
from agents.state import State
from agents.uncounted import Uncounted
from monitor.model.clock import ManualClock, SystemClock
from monitor.model.envelope import Envelope
from monitor.model.observation import Kind
from monitor.model.report import Report
from monitor.model.span import DAY, HOUR, MINUTE, Millis, from_millis
from monitor.regulations.loader import load
from support.centre import NOW, instant
from support.enrolled import identity
from support.ports import closed_port
from support.site import site_of, write_site

YEAR = 365 * DAY
RECORDER = {"id": "nvr", "driver": "hikvision", "url": f"http://127.0.0.1:{closed_port()}"}


def test_once_reports_count_again_each_index_is_to_be_read_anew_once_over_restarts_too(tmp_path: Path) -> None:
    said = []
    for day, counts in enumerate((True, False, False, True, True, False, True)):
        state = State(tmp_path / "state", "a")
        said.append(Uncounted(state).hear(["nvr", "dvr"], counts=counts, now=NOW + day * DAY))
        state.close()
    assert said == [False, False, False, True, False, False, True]
    state = State(tmp_path / "state", "a")
    uncounted = Uncounted(state)
    assert [uncounted.take(name) for name in ("nvr", "nvr", "other", "dvr", "dvr")] == [True, False, False, True, False]
    assert not uncounted.hear(["nvr"], counts=True, now=NOW + 8 * DAY)
    assert not uncounted.take("nvr")
    uncounted.hear(["nvr"], counts=False, now=NOW + 8 * DAY)
    assert not uncounted.take("nvr"), "by a clock that is still wrong"
    state.close()


def test_a_clock_at_the_edge_of_what_counts_has_no_recorder_read_anew_time_and_again(tmp_path: Path) -> None:
    state = State(tmp_path / "state", "a")
    uncounted = Uncounted(state)
    said = [uncounted.hear(["nvr"], counts=minute % 2 == 1, now=NOW + minute * MINUTE) for minute in range(13 * 60)]
    assert [minute for minute, told in enumerate(said) if told] == [1, 361, 721]
    state.close()


async def test_the_service_declares_tells_and_reads_anew_what_did_not_count(tmp_path: Path) -> None:
    camera = {"id": "gate", "zones": ["gate"], "recorder": "nvr", "channel": 1}
    site = site_of(write_site(tmp_path, [camera], recorders=[RECORDER]))
    state = State(site.state_dir, site.institution.id, enduring=True)
    service = Service(site, load("demo-nursery"), state, SystemClock())
    service._owes_history = False
    state.put("history_told", "whom")
    state.put("index/nvr/gate", {"source": "nvr 1\t", "began_at": 1})
    service.sender._counted(True)
    await service._index_job("nvr")
    assert (state.get("history_told"), service._owes_history) == ("whom", False)
    assert state.get("index/nvr/gate") is not None
    service.sender._counted(False)
    service.sender._counted(True)
    with service.pending.reports.storing() as told:
        assert [item.kind for item in told].count(Kind.INVENTORY) == 1
    assert (state.get("history_told"), service._owes_history) == (None, True)
    await service._index_job("nvr")
    assert state.get("index/nvr/gate") is None
    await service._last_words()
    state.close()


@pytest.mark.parametrize("wrong", [NOW + YEAR, 3 * DAY])
def test_the_history_says_nothing_that_a_wrong_clock_dated(wrong: Millis, tmp_path: Path) -> None:
    """Its report would count for nothing, and be told anew for ever."""
    site = site_of(write_site(tmp_path, [], recorders=[RECORDER]))
    state = State(site.state_dir, site.institution.id)
    journal, outbox = state.journal(), state.outbox()
    journal.append([instant("recorder/nvr", Kind.CLOCK, at, {"offset_seconds": 0.0}) for at in (wrong, NOW - HOUR)])
    clock = ManualClock(from_millis(NOW))
    reporter = Reporter(outbox, clock, identity("wj-0001"), state.boot)
    assert not tell_history(site, journal, state, reporter, 3 * DAY), "not while the clock has lost its battery"
    assert outbox.take(9, 1 << 20) == []
    assert tell_history(site, journal, state, reporter, NOW)
    assert tell_history(site, journal, state, reporter, NOW), "once"
    (told,) = outbox.take(9, 1 << 20)
    assert [item.start for item in Report.from_sender(Envelope.read(told.payload).payload).observations] == [NOW - HOUR]
    journal.close()
    outbox.close()
    state.close()
