"""Enrolment, assignment and attestations: what is kept, what is refused, and in which words."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agents.assignment import Assigned, Assignment, kept_assignment
from agents.attest import AttestError, What, attest
from agents.enroll import EnrolError, enroll
from agents.link import Link
from agents.reporter import Reporter
from agents.rotate import rotate
from agents.site import Site, load_site
from agents.state import State
from monitor.model.clock import ManualClock
from monitor.model.envelope import Envelope, Place
from monitor.model.handover import hand_over
from monitor.model.inventory import Inventory
from monitor.model.observation import Source
from monitor.model.report import Report
from monitor.model.span import DAY, to_millis
from monitor.model.suite import PrivateKey
from support import raw_jws
from support.enrolled import COLLECTOR_KEY, NONCE, enrol, enrol_at
from support.loopback_collector import PROBLEM, LoopbackCollector, Reply, Request
from support.packs import pack

CLOCK = ManualClock(datetime(2026, 11, 23, 4, tzinfo=UTC))
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


def granted(collector: LoopbackCollector, **changes: Any) -> dict[str, Any]:
    return {"institution": "a", "agent": "nvr-box", "key": collector.jwk, "nonce": NONCE, "newer": 1, **changes}


async def test_a_code_registers_a_key_that_never_leaves(collector: LoopbackCollector, state: State) -> None:
    collector.other = lambda request: Reply(201, granted(collector))
    enrolment = await enroll(state, "a", collector.url + "/", " abcd-efgh ", "box")
    assert enrolment == state.enrolment()
    assert (enrolment.institution, enrolment.agent, enrolment.collector) == ("a", "nvr-box", collector.url)
    (request,) = collector.requests
    asked = json.loads(request.body)
    assert request.path == "/api/v1/enrolments"
    assert (asked["code"], asked["agent"], asked["institution"]) == ("ABCDEFGH", "box", "a")
    collector.know(asked["key"])
    assert list(collector.keys) == [enrolment.key]
    raw_jws.check(asked["proof"].encode(), b"ABCDEFGH", collector.keys[enrolment.key])
    identity = state.identity()
    assert identity is not None
    assert identity.key.pem().splitlines()[1] not in request.body
    assert state.agent == "nvr-box"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(403, {"detail": "expired"}, PROBLEM), "the code is not accepted: a code works once and for some days; ask for a new one"),
        (Reply(404, {"detail": "no such code"}, PROBLEM), "no such code: a code works once and for some days; ask for a new one"),
        (Reply(409, {"detail": "the code is for another institution than a"}, PROBLEM), "the code is for another institution than a: it is still good there; ask for a code for this one"),
        (Reply(200, b"<html>"), "the answer of URL can't be read: is this the collector's address?"),
        (Reply(200, {"institution": "a", "agent": "b", "key": {"kty": "oct"}, "nonce": NONCE}), "the answer of URL can't be read: is this the collector's address?"),
        (Reply(200, {"institution": "b", "agent": "b", "key": COLLECTOR_KEY, "nonce": NONCE}), "the code is for institution b, and site.yaml is of a: ask for a code for this one"),
        (Reply(500), "the collector URL answered 500; try again"),
        (Reply(404), "the collector URL answered 404: is this the collector's address?"),
        (Reply(503), "the collector URL answered 503: it is busy; try again"),
        (Reply(429, {"detail": "too many codes; wait a minute"}, PROBLEM), "the collector URL answered 429: too many codes; wait a minute; try again"),
    ],
)  # fmt: skip
async def test_what_goes_wrong_is_one_sentence_and_the_earlier_enrolment_stays(
    collector: LoopbackCollector, state: State, reply: Reply, said: str
) -> None:
    earlier = enrol(state, "https://c.example")
    collector.faults = [reply]
    with pytest.raises(EnrolError) as caught:
        await enroll(state, "a", collector.url, "the-code")
    assert str(caught.value) == said.replace("URL", collector.url)
    assert state.enrolment() == earlier
    assert state.identity() is not None


async def test_an_enrolment_whose_answer_was_lost_is_asked_for_with_the_same_key(
    collector: LoopbackCollector, state: State
) -> None:
    """The code is used up then, and only who has the key that used it is answered once more."""
    earlier = enrol(state, "https://c.example")

    def offered() -> list[str]:
        return [json.loads(item.body)["key"]["x"] for item in collector.requests]

    for _ in range(2):
        collector.faults = [Reply(raw=b"")]
        with pytest.raises(EnrolError, match="try again"):
            await enroll(state, "a", collector.url, "code")
    collector.other = lambda request: Reply(201, granted(collector))
    assert state.enrolment() == earlier
    again = State(state.directory, "a")  # by another process
    enrolment = await enroll(again, "a", collector.url, " CO-DE ")
    assert len(set(offered())) == 1
    assert [path.name for path in state.directory.glob("*.key")] == [f"agent-{enrolment.key}.key"]
    await enroll(state, "a", collector.url, "code")
    assert len(set(offered())) == 2, "an enrolment of its own"
    collector.faults = [Reply(raw=b"")]
    with pytest.raises(EnrolError, match="try again"):
        await enroll(state, "a", collector.url, "code2")
    await enroll(state, "a", collector.url, "code3")
    assert len(set(offered())) == 4, "each code has a key of its own"


async def test_a_key_that_was_offered_and_is_gone_is_made_anew(collector: LoopbackCollector, state: State) -> None:
    collector.faults = [Reply(raw=b"")]
    with pytest.raises(EnrolError, match="try again"):
        await enroll(state, "a", collector.url, "code")
    for path in state.directory.glob("*.key"):
        path.unlink()
    collector.other = lambda request: Reply(201, granted(collector))
    assert await enroll(state, "a", collector.url, "code") == state.enrolment()
    assert state.identity() is not None


async def test_who_takes_the_name_of_another_box_is_told_and_who_enrols_again_is_not(
    collector: LoopbackCollector, state: State
) -> None:
    collector.other = lambda request: Reply(201, granted(collector, replaces_heard_at="2026-11-23T03:58:00Z"))
    told: list[str] = []
    await enroll(state, "a", collector.url, "code", tell=told.append)
    assert len(told) == 1
    assert "agent nvr-box of a already, heard last at 2026-11-23 03:58 UTC" in told[0]
    assert "--agent NAME" in told[0]
    await enroll(state, "a", collector.url, "code", tell=told.append)
    assert len(told) == 1, "its own earlier key"


async def test_an_agent_of_the_time_of_tokens_enrols_again(collector: LoopbackCollector, state: State) -> None:
    (state.directory / "agent.json").write_text('{"institution": "a", "agent": "old", "collector": "x", "token": "t"}')
    collector.other = lambda request: Reply(201, granted(collector))
    assert await enroll(state, "a", collector.url, "code") == state.enrolment()


async def test_the_chain_goes_on_with_the_same_collector_and_begins_with_another(
    collector: LoopbackCollector, state: State
) -> None:
    def next_report() -> Place | None:
        outbox, who = state.outbox(), state.identity()
        assert who is not None
        Reporter(outbox, CLOCK, who, state.boot).report([])
        after = Envelope.read(outbox.take(9, 10**6)[-1].payload).protected.after
        outbox.close()
        return after

    collector.other = lambda request: Reply(201, granted(collector))
    await enroll(state, "a", collector.url, "code")
    assert next_report() is None
    assert next_report() is not None
    await enroll(state, "a", collector.url, "code")
    assert next_report() is not None
    collector.other = lambda request: Reply(201, granted(collector, agent="another"))
    await enroll(state, "a", collector.url, "code")
    assert next_report() is None
    state.put("history_told", "a another")
    async with LoopbackCollector.running() as moved:  # by another address, with the same key: the same collector
        moved.key = collector.key
        moved.other = collector.other
        await enroll(state, "a", moved.url, "code")
        assert next_report() is not None
        assert state.get("history_told") is not None
        moved.key = Ed25519PrivateKey.generate()  # at the same address, with a key that nobody handed over: another one
        moved.other = lambda request: Reply(201, granted(moved, agent="another"))
        await enroll(state, "a", moved.url, "code")
        assert next_report() is None
        assert state.get("history_told") is None, "it was told nothing yet"
        before, new = PrivateKey.of_pem(_pem(moved.key)), PrivateKey.make()
        said = hand_over(before, new.public, 1).model_dump()

        def rotated(request: Request) -> Reply:
            if request.path == "/api/v1/handovers":
                return Reply(200, {"handovers": [said]})
            return Reply(201, granted(moved, agent="another", key=new.public.jwk))

        moved.other = rotated
        await enroll(state, "a", moved.url, "code")
        assert next_report() is not None, "the one before handed over to it"


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


# Rotation.


async def test_a_new_key_is_vouched_for_by_the_old_one(collector: LoopbackCollector, state: State) -> None:
    before = enrol_at(state, collector)

    def register(request: Request) -> Reply:
        who = collector.asked_by(request)
        assert who is not None
        assert (request.path, who["kid"]) == ("/api/v1/agents/self/keys", before.key)
        asked = json.loads(request.body)
        collector.know(asked["key"])
        raw_jws.check(asked["proof"].encode(), b"a/box", list(collector.keys.values())[-1])
        return Reply(201, granted(collector, agent="box"))

    collector.other = register
    after = await rotate(state)
    assert after == state.enrolment()
    assert (after.key, after.key != before.key, after.next_key) == (list(collector.keys)[-1], True, None)
    assert [path.name for path in state.directory.glob("*.key")] == [f"agent-{after.key}.key"]


async def test_a_rotation_that_was_cut_off_is_finished_by_the_next(collector: LoopbackCollector, state: State) -> None:
    before = enrol_at(state, collector)
    collector.faults = [Reply(raw=b"")]
    with pytest.raises(EnrolError, match="the old key stays in use"):
        await rotate(state)
    cut = state.enrolment()
    assert cut is not None
    assert (cut.key, cut.next_key is None) == (before.key, False)
    assert state.identity() is not None
    # The collector had taken the new key before the line broke: it knows that one alone.
    asked = json.loads(collector.requests[0].body)
    collector.keys.clear()
    collector.know(asked["key"])
    collector.other = lambda request: Reply(200, body())
    after = await rotate(state)
    assert (after.key, after.next_key) == (cut.next_key, None)


async def test_a_rotation_that_the_collector_refuses_leaves_the_old_key(
    collector: LoopbackCollector, state: State
) -> None:
    before = enrol_at(state, collector)
    collector.keys.clear()
    with pytest.raises(EnrolError, match="it does not accept this agent"):
        await rotate(state)
    left = state.enrolment()
    assert left is not None
    assert left.key == before.key
    with pytest.raises(EnrolError, match="not enrolled"):
        await rotate(State(state.directory.parent / "other", "a"))


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
        if request.path == "/api/v1/handovers":
            return Reply(200, {"handovers": []})
        assert request.path == "/api/v1/agents/self/assignment"
        if request.headers.get("if-none-match") == self.etag:
            return Reply(304, None, {"ETag": self.etag})
        return Reply(200, self.value, {"ETag": self.etag})


@pytest.fixture
async def assigned(collector: LoopbackCollector, state: State) -> AsyncIterator[Assigned]:
    enrol_at(state, collector)
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
        (Reply(200, body(regulation={"schema": "x"})), "the assignment can't be read (regulation.schema: is not known here; write 'cradlewatch.regulation/1'); the last one stays"),
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
    if said is None:
        collector.faults = [bad]
    else:
        collector.other = lambda request: bad
    assert await assigned.pull() is None
    assert assigned.problem == said or said is None
    assert assigned.problem
    assert assigned.current() == good
    collector.other = WithEtag(body(), '"1"')
    assert await assigned.pull() is None
    assert assigned.problem == ""


async def test_an_assignment_that_another_key_signed_or_nobody_is_left_alone(
    collector: LoopbackCollector, assigned: Assigned
) -> None:
    collector.other = WithEtag(body(), '"1"')
    own, collector.key = collector.key, Ed25519PrivateKey.generate()
    assert await assigned.pull() is None
    assert "is not signed by the collector of the enrolment" in assigned.problem
    collector.faults = [Reply(200, body(), {"ETag": '"1"'})]
    assert await assigned.pull() is None
    assert "is not signed by the collector of the enrolment" in assigned.problem
    collector.key = own
    assert await assigned.pull() is not None
    # Nor may anybody say that nothing has changed.
    collector.faults = [Reply(304, None, {"ETag": '"1"'})]
    assert await assigned.pull() is None
    assert "is not signed" in assigned.problem


async def test_an_answer_to_an_earlier_request_is_no_answer_to_this_one(
    collector: LoopbackCollector, assigned: Assigned
) -> None:
    collector.other = WithEtag(body(), '"1"')
    signed: list[Reply] = []
    sign = collector.signed

    def keep(request: Request, reply: Reply) -> Reply:
        signed.append(sign(request, reply))
        signed[-1].headers["Cradlewatch-Nonce"] = "another-nonce-for-the-next"
        return signed[-1]

    collector.signed = keep  # type: ignore[method-assign]
    assert await assigned.pull() is not None
    collector.faults = [signed[0]]
    assert await assigned.pull() is None
    assert "the answer is to another request" in assigned.problem


async def test_an_old_nonce_is_exchanged_for_the_one_that_the_collector_gives(
    collector: LoopbackCollector, assigned: Assigned
) -> None:
    collector.other = WithEtag(body(), '"1"')
    collector.faults = [
        Reply(401, {"title": "a fresh nonce"}, {**PROBLEM, "Cradlewatch-Nonce": "the-fresh-nonce-of-today"})
    ]
    assert await assigned.pull() is not None
    headers = [
        raw_jws.header_of(item.headers["authorization"].removeprefix("Cradlewatch ").encode())
        for item in collector.requests
    ]
    assert [item["nonce"] for item in headers] == [NONCE, "the-fresh-nonce-of-today"]


async def test_an_assignment_of_another_collector_is_asked_for_anew(
    collector: LoopbackCollector, state: State, assigned: Assigned
) -> None:
    collector.other = WithEtag(body(), '"1"')
    await assigned.pull()
    async with LoopbackCollector.running() as other:
        other.other = WithEtag(body(hours=None), '"1"')
        enrol_at(state, other)
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
    enrol(state, "https://c.example")
    with state.lock():
        beside = State(state.directory, "a")
        said = attest(site, beside, CLOCK, What.ALARM_TEST, "institution/a", by="x", valid=DAY, fault=True)
        (entry,) = state.outbox().take(9, 10**6)
    report = Report.from_bytes(entry.payload.partition(b"\n")[2])
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
