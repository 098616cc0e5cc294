"""An agent with a good key that sends and sends: it is told to wait, and nobody else is."""

from __future__ import annotations

import pytest
import structlog.testing
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from monitor.collector import allowance as module
from monitor.collector.allowance import Allowance, TooMuchError
from monitor.collector.arrival import Identity, NotProved
from monitor.collector.ingest import ingest_together
from monitor.model.report import Receipts
from monitor.model.span import SECOND
from monitor.store.engine import reading
from monitor.store.tables import ReportRow
from support.centre import NOW, Centre, make_centre, span

BOX, OTHER = Identity("wj-0001", "box"), Identity("wj-0002", "box")


def may(allowance: Allowance, who: Identity, now: float) -> bool:
    try:
        allowance.ask(who, now)
    except TooMuchError:
        return False
    return True


def test_who_has_used_it_up_waits_and_goes_on_more_slowly_and_others_never_notice() -> None:
    allowance = Allowance(at_once=100, a_second=2)
    allowance.took(BOX, 99, 0.0)
    assert may(allowance, BOX, 0.0)
    allowance.took(BOX, 11, 0.0)
    assert [may(allowance, BOX, now) for now in (0.0, 5.0, 5.5)] == [False, False, True]
    assert may(allowance, OTHER, 0.0)
    allowance.took(BOX, 1, 1000.0)
    assert may(allowance, BOX, 1000.0), "what was not used is no credit, but all is there again"


@given(st.lists(st.tuples(st.floats(0.1, 100), st.integers(1, 60)), max_size=60))
def test_nobody_has_more_stored_than_the_allowance(sends: list[tuple[float, int]]) -> None:
    allowance, now, stored = Allowance(at_once=100, a_second=2), 0.0, 0
    for pause, size in sends:
        now += pause
        if may(allowance, BOX, now):
            allowance.took(BOX, size, now)
            stored += size
    assert stored <= 100 + 2 * now + 60


def test_only_those_who_sent_last_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_AGENTS", 3)
    allowance = Allowance(at_once=10, a_second=0)
    for number in range(5):
        allowance.took(Identity(f"wj-{number}", "box"), 10, 0.0)
    assert [may(allowance, Identity(f"wj-{number}", "box"), 0.0) for number in range(5)] == [True] * 2 + [False] * 3


def test_the_log_names_the_agent_once_an_hour() -> None:
    allowance = Allowance(at_once=10, a_second=0)
    allowance.took(BOX, 10, 0.0)
    with structlog.testing.capture_logs() as logged:
        for now in (0.0, 1.0, 3600.0, 3601.0, 7200.0):
            assert not may(allowance, BOX, now)
    assert [(item["institution"], item["agent"]) for item in logged] == [("wj-0001", "box")] * 2


@pytest.fixture
def centre(engine: Engine) -> Centre:
    made = make_centre(engine)
    for site in ("wj-0001", "wj-0002"):
        made.add(site)
    return made


def written(centre: Centre, site: str, number: int) -> bytes:
    start = NOW - (60 - number) * SECOND
    report = centre.report(span("camera/gate", "up", start, start + SECOND), institution=site)
    return centre.agents[site].envelope(report.to_bytes())


def test_nothing_is_stored_of_an_agent_that_has_used_it_up_and_all_of_the_others(
    centre: Centre, engine: Engine
) -> None:
    first = written(centre, "wj-0001", 1)
    allowance = Allowance(at_once=len(first), a_second=0)
    assert isinstance(ingest_together(centre.context, [[first]], allowance)[0], Receipts)
    requests = [[written(centre, "wj-0001", 2)], [written(centre, "wj-0002", 1)]]
    assert [type(item) for item in ingest_together(centre.context, requests, allowance)] == [TooMuchError, Receipts]
    with reading(engine) as session:
        stored = session.execute(select(ReportRow.institution_id, func.count()).group_by(ReportRow.institution_id))
        assert sorted(map(tuple, stored)) == [("wj-0001", 1), ("wj-0002", 1)]


def test_who_only_says_to_be_an_agent_uses_nothing_up(centre: Centre) -> None:
    good = written(centre, "wj-0001", 1)
    forged = good[:-1] + bytes([good[-1] ^ 1])
    allowance = Allowance(at_once=10, a_second=0)
    for _ in range(3):
        assert isinstance(ingest_together(centre.context, [[forged]], allowance)[0], NotProved)
    assert isinstance(ingest_together(centre.context, [[good]], allowance)[0], Receipts)


def test_who_has_got_hold_of_a_report_uses_up_nothing_of_its_agent_by_sending_it_again(centre: Centre) -> None:
    """Its signature holds for ever, and whatever is sent behind it needs none to cost the collector its length."""
    first, second = (written(centre, "wj-0001", number) for number in (1, 2))
    allowance = Allowance(at_once=len(first) + 1, a_second=0)
    for _ in range(3):
        assert isinstance(ingest_together(centre.context, [[first, bytes(10_000)]], allowance)[0], Receipts)
    (found,) = ingest_together(centre.context, [[second]], allowance)
    assert isinstance(found, Receipts)
    assert [item.status for item in found.receipts] == ["stored"]


def test_other_bytes_for_a_place_that_is_taken_count_once_as_they_are_kept(centre: Centre) -> None:
    """Whoever has got hold of them may send them again, as often as he likes."""
    report = centre.report(span("camera/gate", "up", NOW - SECOND, NOW), institution="wj-0001")
    other = report.model_copy(update={"version": f"{report.version}x"})
    first, second = (centre.agents["wj-0001"].envelope(item.to_bytes()) for item in (report, other))
    allowance = Allowance(at_once=len(first) + len(second) + 1, a_second=0)
    for body in (first, second, second):
        assert isinstance(ingest_together(centre.context, [[body]], allowance)[0], Receipts)
    assert isinstance(ingest_together(centre.context, [[written(centre, "wj-0001", 2)]], allowance)[0], Receipts)
    assert isinstance(ingest_together(centre.context, [[first]], allowance)[0], TooMuchError)
