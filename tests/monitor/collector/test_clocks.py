"""The centre's clock beside its agents': the median of many decides, what can't be told waits, nothing is lost."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, update

from monitor.collector.clocks import FRESH, NOTED_FOR, PATIENCE, Standing, compare, note_clocks, offset_of
from monitor.collector.evaluate import evaluate
from monitor.collector.ingest import ingest
from monitor.collector.jobs import bring_back, evaluate_due, note_listening
from monitor.collector.verify import verify_institution
from monitor.model.observation import Kind, Observation
from monitor.model.report import Receipt
from monitor.model.span import DAY, HOUR, MINUTE, SECOND, Millis, from_millis, to_millis
from monitor.store import agents
from monitor.store.clocks import disputed_at
from monitor.store.engine import reading, writing
from monitor.store.findings import finding_rows
from monitor.store.tables import AgentRow, InstitutionRow
from support.centre import INVENTORY, NOW, Centre, declared, index, instant, make_centre, span
from support.packs import pack

SITES = ("wj-0001", "wj-0002", "wj-0003", "wj-0004")


class ComeAgain(Exception):
    """A report was not answered: it has to be sent again later."""


class District:
    """Four sites whose clocks are right, and a centre whose clock may be set."""

    def __init__(self, engine: Engine) -> None:
        self.centre = make_centre(engine, pack())
        for site in SITES:
            self.centre.add(site)
        self.true = NOW
        self.boots = 0

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        self.true += round(seconds * SECOND)
        self.centre.clock.advance(seconds)

    def set_centre(self, off: Millis) -> None:
        """Set the centre's clock wrong by so much."""
        self.centre.clock.step((from_millis(self.true + off) - self.centre.clock.now()).total_seconds())

    def report(self, site: str, off: Millis = 0) -> Receipt:
        """Let a site's agent, whose own clock is off by so much, report."""
        report = self.centre.report(
            span("camera/gate", "up", self.true + off - 1000, self.true + off), institution=site
        )
        report = report.model_copy(update={"written_at": from_millis(self.true + off)})
        receipts = self.centre.send(report, institution=site)
        if not receipts:
            raise ComeAgain
        (receipt,) = receipts
        return receipt

    def standing(self) -> tuple[Standing, Millis | None]:
        with reading(self.centre.context.engine) as session:
            found = compare(session, self.centre.context.now())
        return found.standing, found.offset


@pytest.fixture
def district(engine: Engine) -> District:
    return District(engine)


def everybody(district: District, rounds: int = 2) -> None:
    for _ in range(rounds):
        district.passes(30)
        for site in SITES:
            district.report(site)


def test_clocks_that_agree_confirm_the_centre_and_one_that_is_off_changes_nothing(district: District) -> None:
    everybody(district)
    assert district.standing() == (Standing.CONFIRMED, 0)
    district.report("wj-0004", off=40 * MINUTE)
    district.report("wj-0004", off=-40 * MINUTE)
    assert district.standing() == (Standing.CONFIRMED, 0)
    assert note_clocks(district.centre.context) == 0
    assert district.report("wj-0004", off=-3 * HOUR).reason == "back_dated"
    with reading(district.centre.context.engine) as session:
        assert [item.misdated for item in agents.all_agents(session)] == [0, 0, 0, 1]


@pytest.mark.parametrize("off", [3 * HOUR, 400 * DAY])
def test_a_centre_that_runs_ahead_calls_nobody_back_dated(district: District, off: Millis) -> None:
    """Its clock is set ahead; every agent seems to date back. The first ones are told to come again, then all is taken."""
    everybody(district)
    district.set_centre(off)
    for site in SITES:  # with a nonce of before it, and a new one in return
        district.report(site)
    district.passes(60)
    waited = 0
    for site in SITES:
        try:
            assert (receipt := district.report(site)).status == "stored"
            assert receipt.reason is None
        except ComeAgain:
            waited += 1
    assert waited == 2, "with three agents the median counts"
    standing, offset = district.standing()
    assert (standing, offset is not None) == (Standing.DISPUTED, True)
    assert -off <= (offset or 0) <= -off + MINUTE
    assert note_clocks(district.centre.context) == 1
    with reading(district.centre.context.engine) as session:
        assert [item.misdated for item in agents.all_agents(session)] == [0, 0, 0, 0]


def test_a_centre_that_fell_behind_lets_agents_come_again(district: District) -> None:
    """What lies days ahead of its clock can't be taken now, and is not refused for ever."""
    everybody(district)
    district.set_centre(-30 * DAY)
    for _ in range(2):
        for site in SITES:
            with pytest.raises(ComeAgain):
                district.report(site)
    assert district.standing() == (Standing.DISPUTED, 30 * DAY), "a nonce of a moment that it has not reached yet"
    district.set_centre(0)
    everybody(district)
    assert district.standing() == (Standing.CONFIRMED, 0)


def test_findings_about_clocks_wait_while_the_clocks_disagree(district: District) -> None:
    context = district.centre.context

    def clock_verdict() -> tuple[str, str]:
        done = evaluate(context, "wj-0001")
        assert done is not None
        (found,) = [item for item in done.verdicts if item.requirement.kind == "recorder_clock"]
        return found.outcome.value, found.state

    everybody(district)
    off = instant("recorder/nvr", Kind.CLOCK, district.true, {"offset_seconds": 900.0}, expires=district.true + DAY)
    district.centre.see(declared(district.true, INVENTORY), off)
    assert clock_verdict() == ("breached", "off")
    district.set_centre(10 * MINUTE)
    for _ in range(2):
        for site in SITES:
            district.report(site)
        district.passes(20)
    assert note_clocks(context) == 1
    assert clock_verdict() == ("undetermined", "unknown")
    during = context.now()
    district.set_centre(0)
    district.passes((10 * MINUTE + NOTED_FOR + FRESH) / SECOND)
    everybody(district)
    assert note_clocks(context) == 0
    assert clock_verdict() == ("breached", "off")
    with reading(context.engine) as session:
        assert disputed_at(session, during, NOTED_FOR), "so an evaluation as of then comes to the same"


def test_with_fewer_than_three_agents_the_centre_is_believed(engine: Engine) -> None:
    centre: Centre = make_centre(engine)
    centre.add()
    report = centre.report().model_copy(update={"written_at": centre.clock.now() - timedelta(hours=3)})
    (receipt,) = centre.send(report)
    assert (receipt.status, receipt.reason) == ("stored", "back_dated")


@pytest.mark.parametrize("alive", [1, 2])
def test_a_report_doesnt_wait_for_agents_that_are_gone(district: District, alive: int) -> None:
    """Fewer than three of the four are left, and the clock of one was wrong: the others of its reports are stored at once, that one later."""
    everybody(district)
    district.passes(DAY / SECOND)
    centre, here = district.centre, SITES[:alive]
    for site in here:
        district.report(site)
    wrong = centre.report(at_once(district)).model_copy(update={"written_at": from_millis(district.true - 3 * HOUR)})
    asked, began, other = 0, district.true, centre.report(at_once(district))
    assert [item.reason for item in centre.send(wrong, other)] == [None], "the right one alone is answered"
    while not (found := centre.send(wrong)):
        asked += 1
        district.passes(150)
        for site in here[1:]:
            district.report(site)
    assert [(item.status, item.reason) for item in found] == [("stored", "back_dated")]
    assert district.true - began == PATIENCE
    assert asked == PATIENCE / (150 * SECOND)
    with reading(centre.context.engine) as session:
        (agent,) = agents.agents_of(session, "wj-0001")
    assert (agent.misdated, agent.missing, agent.state) == (1, 0, "misdated")
    assert verify_institution(centre.context, "wj-0001").problems == []


def test_who_waits_begins_anew_after_a_break_and_where_the_centre_was_set(district: District) -> None:
    """So a clock that jumps while few are heard is not believed for what was waited before."""
    everybody(district)
    district.passes(DAY / SECOND)
    wrong = district.centre.report().model_copy(update={"written_at": from_millis(district.true - 3 * HOUR)})
    district.report("wj-0001")

    def waits() -> bool:
        return not district.centre.send(wrong)

    a_break, set_ahead, set_back = (11, 0), (1, HOUR), (1, -20 * MINUTE)
    for minutes, off in (
        (0, 0),
        (9, 0),
        (9, 0),
        a_break,
        (9, 0),
        (9, 0),
        set_ahead,
        (9, HOUR),
        set_back,
        (9, -20 * MINUTE),
    ):
        district.passes(60 * minutes)
        district.set_centre(off)
        assert waits(), (minutes, off)
    district.passes(10 * 60)
    assert waits()
    district.passes(60)
    assert not waits()


@given(st.integers(0, FRESH), st.integers(-DAY, DAY), st.integers(0, MINUTE))
def test_an_offset_is_never_more_than_the_true_one(age: int, off: int, delay: int) -> None:
    """Whatever the line takes: 0 where the clock may be right, else no more than it is off, and to the same side."""
    written = NOW - min(delay, age) + off
    found = offset_of(NOW - age, written, NOW)
    assert found is not None
    assert abs(found) <= abs(off)
    assert found == 0 or (found > 0) == (off > 0)
    assert offset_of(NOW - FRESH - 1, written, NOW) is None
    assert offset_of(NOW + 1, written, NOW) == (written - NOW if written > NOW else None), "behind by anything"


@pytest.mark.parametrize("off", [2 * HOUR, 400 * DAY])
def test_a_centre_that_ran_ahead_and_is_set_right_loses_no_report(district: District, off: Millis) -> None:
    """The nonces that it gave meanwhile are of moments to come: they date nothing, and whoever carries them is not refused."""
    everybody(district)
    district.set_centre(off)
    in_the_wrong(district)
    district.set_centre(0)
    for _ in range(8):
        district.passes(30)
        for site in SITES:
            assert (receipt := district.report(site)).status == "stored", receipt
            assert receipt.reason is None
    with reading(district.centre.context.engine) as session:
        found = agents.all_agents(session)
    assert [item.misdated for item in found] == [0, 0, 0, 0]
    assert [item.missing for item in found[2:]] == [0, 0], "of the others one was told to come again, and never did"
    assert [verify_institution(district.centre.context, site).problems for site in SITES] == [[], [], [], []]


def test_a_site_that_was_away_meanwhile_brings_its_reports_late(district: District) -> None:
    """Its last nonce is one of those; it sends what is new first, as agents do, and then what waited."""
    everybody(district)
    district.set_centre(2 * HOUR)
    in_the_wrong(district)
    known = missing(district)
    district.set_centre(0)
    agent = district.centre.agents["wj-0001"]
    waiting = [agent.envelope(district.centre.report(at_once(district)).to_bytes()) for _ in range(3)]
    district.passes(300)
    new = ingest(district.centre.context, [agent.envelope(district.centre.report(at_once(district)).to_bytes())])
    agent.hear(new)
    district.passes(60)
    late = ingest(district.centre.context, waiting)
    assert [item.status for item in (*new.receipts, *late.receipts)] == ["stored"] * 4
    assert missing(district) == known


def in_the_wrong(district: District) -> None:
    """Let everybody report while the centre's clock is wrong; the first ones are told to come again."""
    for _ in range(4):
        district.passes(30)
        for site in SITES:
            with suppress(ComeAgain):
                district.report(site)


def missing(district: District) -> int:
    with reading(district.centre.context.engine) as session:
        return sum(item.missing for item in agents.agents_of(session, "wj-0001"))


def at_once(district: District) -> Observation:
    return span("camera/gate", "up", district.true - 1000, district.true)


def test_what_a_clock_that_ran_ahead_put_off_is_done_when_it_is_set_right(district: District) -> None:
    """Nobody is judged only a year later, and nobody is believed to report until then."""
    context = district.centre.context
    everybody(district)
    district.set_centre(400 * DAY)
    in_the_wrong(district)
    assert evaluate_due(context) == len(SITES)
    with writing(context.engine) as session:
        session.execute(update(AgentRow).values(silent_due_at=context.now() + HOUR))
    district.set_centre(0)
    assert bring_back(context) == 0, "nobody has said yet that it is right now"
    for _ in range(2):
        district.passes(30)
        for site in SITES[:3]:
            district.report(site)
    assert evaluate_due(context) == 0
    assert bring_back(context) == 2 * len(SITES)
    assert bring_back(context) == 0
    assert evaluate_due(context) == len(SITES)
    with reading(context.engine) as session:
        assert set(agents.heard_from(session, "wj-0004").values()) == {context.now()}
        due = {name: at - context.now() for name, _, at in agents.due_silences(session, context.now() + DAY)}
    assert due["wj-0004"] == HOUR


@pytest.mark.parametrize("off", [3 * DAY, 3650 * DAY])
def test_reports_of_an_agent_that_runs_years_ahead_are_kept_and_count_for_nothing(
    district: District, off: Millis
) -> None:
    everybody(district)
    for _ in range(3):
        assert district.report("wj-0001", off=off).reason == "ahead"
    mixed = district.centre.report(
        span("camera/gate", "up", district.true + off, district.true + off + 1), at_once(district)
    )
    mixed = mixed.model_copy(update={"written_at": from_millis(district.true)})
    assert [item.reason for item in district.centre.send(mixed)] == ["ahead"], "written after it was set right"
    assert district.report("wj-0001").reason is None
    with reading(district.centre.context.engine) as session:
        (agent,) = agents.agents_of(session, "wj-0001")
        assert (agent.state, agent.misdated, agent.missing, agent.reports) == ("misdated", 4, 0, 7)
    assert verify_institution(district.centre.context, "wj-0001").problems == []


def test_what_lies_ahead_of_a_centre_that_was_set_back_waits_with_two_agents_too(engine: Engine) -> None:
    """Its own nonce, of a moment to come, says whose clock is wrong."""
    centre: Centre = make_centre(engine)
    centre.add()
    true = centre.clock.now()
    centre.clock.step(-30 * DAY / SECOND)
    good, ahead, after = (
        centre.report(span("camera/gate", "up", at, at + 1)) for at in (NOW - 30 * DAY, NOW, NOW - 30 * DAY)
    )
    sent = centre.send(good, ahead.model_copy(update={"written_at": true}), after)
    assert [(item.status, item.reason) for item in sent] == [("stored", None)] * 2, "and keeps nothing else waiting"


@pytest.mark.parametrize("confirm_after", ["0s", "5m"])
@pytest.mark.parametrize(
    ("ahead", "back"),
    [((100,), (35, 35)), ((35, 35), (100, 100)), ((35, 100, 35, 35), (100, 100)), ((35, 35), (35, 35))],
)
def test_what_is_seen_counts_after_a_clock_that_ran_ahead_was_set_right(
    engine: Engine, confirm_after: str, ahead: tuple[int, ...], back: tuple[int, ...]
) -> None:
    """A run of looks that reaches into the year to come must not swallow what is seen now, nor keep a finding open."""
    centre = make_centre(engine, pack(retention={"confirm_after": confirm_after}))
    centre.add()

    def looks(days: float) -> list[str]:
        centre.clock.advance(600)
        at = to_millis(centre.clock.now())
        centre.see(declared(at), index("gate", at, days))
        done = evaluate(centre.context, "wj-0001")
        assert done is not None
        with reading(engine) as session:
            return [item.state for item in finding_rows(session, open_only=True) if item.requirement == "retention"]

    def puts_off() -> None:
        """Do what the job does that evaluates."""
        with writing(engine) as session:
            session.execute(update(InstitutionRow).values(evaluate_due_at=centre.context.now() + MINUTE))

    assert looks(100) == []
    centre.clock.step(400 * DAY / SECOND)
    for days in ahead:
        looks(days)
    puts_off()
    centre.clock.step(-400 * DAY / SECOND)
    for _ in range(2):  # the second time with a word that was given since
        centre.clock.advance(30)
        centre.see()
    assert bring_back(centre.context) > 0
    seen = [looks(days) for days in back]
    assert seen[-1] == (["short"] if back[-1] < 90 else [])
    with reading(engine) as session:
        count = len([item for item in finding_rows(session) if item.requirement == "retention"])
    assert count == len([pair for pair in pairwise((100, *ahead, *back)) if pair[0] > pair[1]]) or confirm_after == "5m"
    assert verify_institution(centre.context, "wj-0001").findings.problems == []


@pytest.mark.parametrize("by_index", [False, True], ids=["watched", "by the recorder's index"])
def test_what_an_agent_dated_stays_where_it_was_told_when_the_centre_is_set_back(
    engine: Engine, *, by_index: bool
) -> None:
    """Only looks are dated by the centre's clock: an outage elsewhere than the ledger has it would be there twice."""
    centre = make_centre(engine, pack(retention={"confirm_after": "0s"}))
    centre.add()
    centre.clock.step(400 * DAY / SECOND)

    def found() -> dict[str, tuple[Millis, Millis | None]]:
        with reading(engine) as session:
            rows = finding_rows(session)
        assert len(rows) == len({item.requirement for item in rows}), "none is there twice"
        return {item.requirement: (item.began, item.ended) for item in rows}

    def sees(days: float, *more: Observation, holes: Sequence[tuple[Millis, Millis]] = ()) -> None:
        centre.clock.advance(600)
        at = to_millis(centre.clock.now())
        centre.see(declared(at), index("gate", at, days, holes=holes), *more)
        evaluate(centre.context, "wj-0001")

    sees(35)
    ahead = to_millis(centre.clock.now())
    outage = (ahead + MINUTE, ahead + 9 * MINUTE)
    up = span("camera/gate", "up", outage[1] + (30_000 if by_index else 0), ahead + 10 * MINUTE)
    if by_index:
        sees(35, up, holes=[outage])
    else:
        sees(35, up, span("camera/gate", "down", *outage))
    before = found()
    assert before["uptime"] == outage
    with writing(engine) as session:
        session.execute(update(InstitutionRow).values(evaluate_due_at=centre.context.now() + MINUTE))
    centre.clock.step(-400 * DAY / SECOND)
    for _ in range(2):
        centre.clock.advance(30)
        centre.see()
    assert bring_back(centre.context) > 0
    after = found()
    assert after["uptime"] == outage
    assert after["retention"][0] <= centre.context.now() < before["retention"][0]
    sees(100)
    assert found()["uptime"] == outage
    assert verify_institution(centre.context, "wj-0001").findings.problems == []


def listened(district: District, minutes: int) -> None:
    """Let minutes pass, in which the centre notes that it listens, and everybody reports."""
    for _ in range(12 * minutes):
        district.passes(5)
        note_listening(district.centre.context)
    for site in SITES:
        with suppress(ComeAgain):
            district.report(site)


def test_a_backlog_of_the_time_in_which_the_centre_was_behind_is_no_forgery(district: District) -> None:
    """The nonces that it gave then are older than those before them: it was set back, and knows it."""
    centre, agent = district.centre, district.centre.agents["wj-0001"]
    listened(district, 2)
    waiting = [agent.envelope(centre.report(at_once(district)).to_bytes())]
    district.set_centre(-30 * MINUTE)
    listened(district, 1)  # and this site's report follows the one that waits
    waiting += [agent.envelope(centre.report(at_once(district)).to_bytes())]
    district.set_centre(0)
    listened(district, 2)
    assert [item.status for item in ingest(centre.context, waiting).receipts] == ["stored"] * 2
    listened(district, 1)
    assert (missing(district), verify_institution(centre.context, "wj-0001").problems) == (0, [])


def test_an_older_nonce_is_refused_where_the_centre_was_not_set_back(district: District) -> None:
    """Though it was away in between, and set back some other time."""
    centre, agent = district.centre, district.centre.agents["wj-0001"]
    listened(district, 2)
    old = agent.nonce
    district.passes(600)
    listened(district, 3)
    district.set_centre(-2 * MINUTE)
    listened(district, 1)
    district.set_centre(0)
    listened(district, 5)
    payload = centre.report(at_once(district)).to_bytes()
    (receipt,) = ingest(centre.context, [agent.envelope(payload, nonce=old)]).receipts
    assert (receipt.status, receipt.reason) == ("rejected", "nonce")


@pytest.mark.parametrize("minutes", [3, 25])
def test_a_centre_that_comes_up_behind_moves_no_case(district: District, minutes: int) -> None:
    """As a machine does whose battery is dead, until somebody sets it: its agents say that it is wrong."""
    context = district.centre.context
    began = district.true - 10 * MINUTE
    outage = span("camera/gate", "down", began, district.true - MINUTE, cause="refused")
    district.centre.see(declared(district.true - HOUR, INVENTORY), outage)
    listened(district, 1)
    evaluate(context, "wj-0001")

    def cases() -> list[tuple[Millis, Millis | None]]:
        with reading(context.engine) as session:
            return [(item.began, item.ended) for item in finding_rows(session) if item.requirement == "uptime"]

    (found,) = cases()
    with writing(context.engine) as session:
        session.execute(update(InstitutionRow).values(evaluate_due_at=context.now() + MINUTE))
    district.set_centre(-DAY)
    for _ in range(minutes):
        listened(district, 1)
        assert bring_back(context) == 0
    assert cases() == [found]
    district.set_centre(0)
    listened(district, 2)
    evaluate(context, "wj-0001")
    assert cases() == [found]
    assert verify_institution(context, "wj-0001").problems == []


def test_with_few_agents_a_centre_that_lies_behind_is_believed_once_that_has_lasted(engine: Engine) -> None:
    """A server of time that answers some minutes after the start comes in time."""
    centre: Centre = make_centre(engine)
    centre.add()
    centre.see(declared(NOW))
    evaluate(centre.context, "wj-0001")
    with writing(engine) as session:
        session.execute(update(InstitutionRow).values(evaluate_due_at=NOW + MINUTE))
    centre.clock.step(-DAY / SECOND)
    moved = []
    for _ in range(PATIENCE // MINUTE + 1):
        moved.append(bring_back(centre.context))
        centre.clock.advance(60)
    assert moved[:-1] == [0] * (PATIENCE // MINUTE)
    assert moved[-1] > 0


def test_what_disagreed_by_a_clock_that_was_ahead_says_nothing_of_then(district: District) -> None:
    context = district.centre.context
    everybody(district)
    district.set_centre(10 * MINUTE)
    for _ in range(4):
        everybody(district, 1)
        note_clocks(context)
    with reading(context.engine) as session:
        assert disputed_at(session, context.now(), NOTED_FOR)
    district.set_centre(0)
    everybody(district, 4)
    assert note_clocks(context) == 0
    with reading(context.engine) as session:
        assert not disputed_at(session, context.now() + 8 * MINUTE, NOTED_FOR)


def test_what_waits_for_a_word_of_a_moment_to_come_waits_no_longer_than_until_all_agree(district: District) -> None:
    """A site's clock was a month ahead while the centre's was ten years ahead; both are right now."""
    context = district.centre.context
    everybody(district)
    district.set_centre(3650 * DAY)
    in_the_wrong(district)
    report = district.centre.report(span("camera/gate", "up", district.true + 30 * DAY, district.true + 30 * DAY + 1))
    report = report.model_copy(update={"written_at": from_millis(district.true + 30 * DAY + 1)})
    agent = district.centre.agents["wj-0001"]
    waits = agent.envelope(report.to_bytes())
    known = missing(district)
    district.set_centre(0)
    assert ingest(context, [waits]).receipts == ()
    everybody(district, 3)
    assert [(item.status, item.reason) for item in ingest(context, [waits]).receipts] == [("stored", "ahead")]
    assert missing(district) == known
