"""Enrolment, assignment and attestations: what is kept, what is refused, and in which words."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agents.assignment import Assigned, Assignment, kept_assignment
from agents.attest import AttestError, What, attest
from agents.enroll import EnrolError, enroll
from agents.link import Link
from agents.site import Site, load_site
from agents.state import Enrolment, State
from monitor.model.clock import ManualClock
from monitor.model.inventory import Inventory
from monitor.model.observation import Source
from monitor.model.report import Report
from monitor.model.span import DAY, to_millis
from support.loopback_collector import PROBLEM, LoopbackCollector, Reply, Request
from support.packs import pack

CLOCK = ManualClock(datetime(2026, 11, 23, 4, tzinfo=UTC))
TOKEN = "token-of-the-agent"
SITE = """\
institution: {id: a}
regulation: r
networks: [192.0.2.0/24]
zones: [{id: gate, room: entrance}]
cameras: [{id: cam, zones: [gate], stream: "rtsp://192.0.2.1/"}]
"""


@pytest.fixture
async def collector() -> AsyncIterator[LoopbackCollector]:
    async with LoopbackCollector.running() as running:
        yield running


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state", "a")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "site.yaml").write_text(SITE)
    return load_site(tmp_path / "site.yaml")


# Enrolment.


async def test_a_code_is_exchanged_for_a_token(collector: LoopbackCollector, state: State) -> None:
    collector.other = lambda request: Reply(201, {"institution": "a", "agent": "nvr-box", "token": TOKEN, "newer": 1})
    enrolment = await enroll(state, "a", collector.url + "/", " code ", "box")
    assert (
        enrolment
        == state.enrolment()
        == Enrolment(institution="a", agent="nvr-box", collector=collector.url, token=TOKEN)
    )
    assert json.loads(collector.requests[0].body) == {"code": "code", "agent": "box"}
    assert collector.requests[0].path == "/api/v1/enrolments"
    assert state.agent == "nvr-box"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(403, {"detail": "expired"}, PROBLEM), "the code is not accepted: a code works once and for some days; ask for a new one"),
        (Reply(404, {"detail": "no such code"}, PROBLEM), "no such code: a code works once and for some days; ask for a new one"),
        (Reply(200, b"<html>"), "the answer of URL can't be read: is this the collector's address?"),
        (Reply(200, {"institution": "a", "agent": "b", "token": "new\nline"}), "the answer of URL can't be read: is this the collector's address?"),
        (Reply(200, {"institution": "b", "agent": "b", "token": TOKEN}), "the code is for institution b, and site.yaml is of a: ask for a code for this one"),
        (Reply(500), "the collector URL answered 500; try again"),
        (Reply(404), "the collector URL answered 404: is this the collector's address?"),
        (Reply(503), "the collector URL answered 503: it is busy; try again"),
    ],
)  # fmt: skip
async def test_what_goes_wrong_is_one_sentence_and_the_earlier_enrolment_stays(
    collector: LoopbackCollector, state: State, reply: Reply, said: str
) -> None:
    earlier = Enrolment(institution="a", agent="box", collector="https://c.example", token="earlier-token")
    state.save_enrolment(earlier)
    collector.faults = [reply]
    with pytest.raises(EnrolError) as caught:
        await enroll(state, "a", collector.url, "the-code")
    assert str(caught.value) == said.replace("URL", collector.url)
    assert state.enrolment() == earlier


@pytest.mark.parametrize("name", ["bad name", "", "-x", "é", "a" * 65, "a\n"])
async def test_a_wrong_name_is_told_before_the_code_is_sent(
    collector: LoopbackCollector, state: State, name: str
) -> None:
    asked: list[Request] = []

    def answer(request: Request) -> Reply:
        asked.append(request)
        return Reply(201, {})

    collector.other = answer
    with pytest.raises(EnrolError, match=r"^--agent .* is no id: use letters"):
        await enroll(state, "a", collector.url, "code", name)
    assert asked == []
    assert state.enrolment() is None


async def test_a_wrong_address_is_told_before_anything_is_sent(state: State) -> None:
    with pytest.raises(EnrolError, match=r"must begin with https://"):
        await enroll(state, "a", "http://collector.example", "code")


# The assignment.


def body(**changes: Any) -> dict[str, Any]:
    return {
        "schema": "cradlewatch.assignment/1",
        "institution": "a",
        "regulation": pack().model_dump(mode="json", by_alias=True),
        "hours": {"open": "08:00", "close": "17:00"},
        "closures": [{"from": "2027-01-01", "to": "2027-01-02"}],
        "waivers": [
            {
                "subject": {"kind": "camera", "id": "cam"},
                "start_at": "2026-11-01T00:00:00Z",
                "end_at": "2026-11-02T00:00:00Z",
                "by": "x",
                "reason": "y",
            }
        ],
        "inventory": None,
        "views": [],
        "challenges": [],
        "minimum_version": "0.1.0",
        **changes,
    }


class WithEtag:
    """Answers the assignment, or 304 to whoever has it."""

    def __init__(self, value: Any, etag: str) -> None:
        self.value, self.etag = value, etag

    def __call__(self, request: Request) -> Reply:
        assert request.path == "/api/v1/agents/self/assignment"
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        if request.headers.get("if-none-match") == self.etag:
            return Reply(304, None, {"ETag": self.etag})
        return Reply(200, self.value, {"ETag": self.etag})


@pytest.fixture
async def assigned(collector: LoopbackCollector, state: State) -> AsyncIterator[Assigned]:
    state.save_enrolment(Enrolment(institution="a", agent="box", collector=collector.url, token=TOKEN))
    link = Link(state)
    yield Assigned(state, link)
    await link.close()


async def test_an_assignment_is_pulled_once_kept_over_restarts_and_asked_for_by_its_tag(
    collector: LoopbackCollector, state: State, assigned: Assigned
) -> None:
    collector.other = WithEtag(body(), '"1"')
    assert assigned.current() is None
    first = await assigned.pull()
    assert first is not None
    assert first.regulation == pack()
    assert first.waivers[0].by == "x"
    assert await assigned.pull() is None
    assert [request.headers.get("if-none-match") for request in collector.requests] == [None, '"1"']
    assert assigned.current() == first == kept_assignment(State(state.directory, "a"))
    collector.other = WithEtag(body(hours=None), '"2"')
    second = await assigned.pull()
    assert second is not None
    assert second.hours is None


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (Reply(200, body(regulation={"schema": "x"})), "the assignment can't be read (regulation.schema: Input should be 'cradlewatch.regulation/1'); the last one stays"),
        (Reply(200, body(institution="b")), "the assignment is for institution b; the last one stays"),
        (Reply(200, b"<html>"), None),
        (Reply(500), None),
        (Reply(raw=b""), None),
    ],
)  # fmt: skip
async def test_the_last_good_assignment_stays(
    collector: LoopbackCollector, assigned: Assigned, bad: Reply, said: str | None
) -> None:
    collector.other = WithEtag(body(), '"1"')
    good = await assigned.pull()
    assert good is not None
    collector.faults = [bad]
    assert await assigned.pull() is None
    assert assigned.problem == said or said is None
    assert assigned.problem
    assert assigned.current() == good
    assert await assigned.pull() is None
    assert assigned.problem == ""


async def test_an_assignment_of_another_collector_is_asked_for_anew(
    collector: LoopbackCollector, state: State, assigned: Assigned
) -> None:
    collector.other = WithEtag(body(), '"1"')
    await assigned.pull()
    async with LoopbackCollector.running() as other:
        other.other = WithEtag(body(hours=None), '"1"')
        state.save_enrolment(Enrolment(institution="a", agent="box", collector=other.url, token=TOKEN))
        pulled = await assigned.pull()
        assert pulled is not None
        assert pulled.hours is None


async def test_unenrolled_nothing_is_assigned(state: State) -> None:
    assigned = Assigned(state, Link(state))
    assert await assigned.pull() is None
    assert assigned.current() is None


async def test_a_damaged_enrolment_is_a_problem_and_no_crash(state: State) -> None:
    (state.directory / "agent.json").write_text("{")
    assigned = Assigned(state, Link(state))
    assert await assigned.pull() is None
    assert assigned.problem.endswith("agent.json is damaged: enrol the agent again")


def test_the_approved_inventory_wins_over_the_declared_one(site: Site) -> None:
    declared = site.inventory()
    approved = declared.model_copy(update={"cameras": ()})
    assert Assignment.model_validate(body(inventory=approved.model_dump(by_alias=True))).apply_to(declared) == approved
    applied: Inventory = Assignment.model_validate(body()).apply_to(declared)
    assert applied.hours is not None
    assert (applied.cameras, len(applied.closures)) == (declared.cameras, 1)


# Attestations.


def test_a_statement_is_in_the_journal_at_once(site: Site, state: State) -> None:
    said = attest(site, state, CLOCK, What.COVERAGE_WALK, "zone/gate", by=" 王芳 ", valid=31 * DAY)
    assert state.journal().all(to_millis(CLOCK.now())) == [said]
    assert said.facts == {"what": "coverage_walk", "by": "王芳"}
    assert (said.source, said.state, said.expires - said.start) == (Source.PERSON, "ok", 31 * DAY)
    assert state.outbox().status().waiting == 0


def test_once_enrolled_it_is_reported_too_while_the_service_runs(site: Site, state: State) -> None:
    state.save_enrolment(Enrolment(institution="a", agent="box", collector="https://c.example", token=TOKEN))
    with state.lock():
        beside = State(state.directory, "a")
        said = attest(site, beside, CLOCK, What.ALARM_TEST, "institution/a", by="x", valid=DAY, fault=True)
        (entry,) = state.outbox().take(9, 10**6)
    report = Report.from_bytes(entry.payload)
    assert report.observations == (said,)
    assert (report.key, said.state) == (("a", "box", beside.boot, 1), "fault")


@pytest.mark.parametrize(
    ("what", "subject", "by", "valid", "said"),
    [
        (
            What.COVERAGE_WALK,
            "zone/room9",
            "x",
            DAY,
            "--subject zone/room9: SITE has no zone of that id; there are gate",
        ),
        (
            What.STORAGE,
            "recorder/nvr",
            "x",
            DAY,
            "--subject recorder/nvr: SITE has no recorder of that id; there is none",
        ),
        (
            What.ALARM_TEST,
            "zone/gate",
            "x",
            DAY,
            "--subject zone/gate: alarm_test is said of institution, not of a zone",
        ),
        (
            What.ALARM_TEST,
            "gate",
            "x",
            DAY,
            "--subject 'gate' is no subject: write KIND/ID, such as zone/gate or institution/a",
        ),
        (What.ALARM_TEST, "institution/a", " ", DAY, "--by is empty: write the name of the person who saw it"),
        (What.ALARM_TEST, "institution/a", "x", 0, "--valid must be longer than nothing: write it like 31d"),
    ],
)
def test_a_statement_that_nobody_could_use_is_refused(
    site: Site, state: State, what: What, subject: str, by: str, valid: int, said: str
) -> None:
    with pytest.raises(AttestError) as caught:
        attest(site, state, CLOCK, what, subject, by=by, valid=valid)
    assert str(caught.value) == said.replace("SITE", str(site.path))
    assert state.journal().all(to_millis(CLOCK.now())) == []
