"""However many come at once: a bounded number is in the works, the others are told when to come back, and nothing leaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest
from prometheus_client import Counter
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import IntegrityError

from monitor.api.load import RETRY_SECONDS, Held, Load
from monitor.api.problems import Problem
from monitor.api.routes import Api, build_api
from monitor.api.together import AT_ONCE
from monitor.collector.allowance import Allowance
from monitor.collector.ingest import ingest_together
from monitor.model.envelope import MEDIA_TYPE, frame, unframe
from monitor.model.report import Receipts
from monitor.model.span import MINUTE
from support.centre import NOW, Centre, make_centre, span

TYPE = {"Content-Type": MEDIA_TYPE}


@pytest.fixture
def centre(engine: Engine) -> Centre:
    made = make_centre(engine)
    made.add()
    return made


def envelope(centre: Centre, institution: str = "wj-0001") -> bytes:
    report = centre.report(span("camera/gate", "up", NOW - MINUTE, NOW), institution=institution)
    return centre.agents[institution].envelope(report.to_bytes())


def test_places_and_bytes_are_given_back_whatever_happens() -> None:
    turned_away = Counter("turned_away", "How often.", registry=None)
    load = Load(most_requests=2, most_bytes=100, turned_away=turned_away)
    with ExitStack() as stack:
        stack.enter_context(load.work())
        stack.enter_context(load.work())
        with pytest.raises(Problem) as refused, load.work():
            pass
        assert refused.value.status == 503
        with load.request() as held:
            held.take(60)
            with load.request() as other:
                other.take(30)
                with pytest.raises(Problem):
                    other.take(30)
            assert load.bytes == 60
    with pytest.raises(ZeroDivisionError), load.request() as held, load.work():
        held.take(1 // 0)
    assert (load.requests, load.bytes) == (0, 0)
    assert [
        sample.value for sample in next(iter(turned_away.collect())).samples if sample.name == "turned_away_total"
    ] == [2]


def test_those_turned_away_do_not_return_all_at_once() -> None:
    load = Load(most_requests=0)
    waits = []
    for _ in range(200):
        with pytest.raises(Problem) as refused, load.work():
            pass
        assert refused.value.headers is not None
        waits.append(int(refused.value.headers["Retry-After"]))
    assert set(waits) <= set(range(RETRY_SECONDS[0], RETRY_SECONDS[1] + 1))
    assert len(set(waits)) > 30


async def test_a_herd_is_taken_in_part_and_the_rest_told_when_to_return(centre: Centre, engine: Engine) -> None:
    """Forty agents' requests at once over four places, while the database holds them up: none is lost or half stored."""
    app = build_api(centre.context)
    app.state.counters.load._most_requests = 4
    bodies = [frame([envelope(centre)]) for _ in range(40)]
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://centre") as client:
        with engine.connect().execution_options(cradlewatch_writes=True) as other:
            other.execute(text("UPDATE institution SET name = name"))  # nobody else can write until this one is done
            asked = [asyncio.create_task(client.post("/api/v1/reports", content=body, headers=TYPE)) for body in bodies]
            done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            while len(waiting) > 4:
                more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                done |= more
            assert {task.result().status_code for task in done} == {503}
            assert all(5 <= int(task.result().headers["retry-after"]) <= 60 for task in done)
            other.rollback()
        answers = [await task for task in asked]
        taken = [answer for answer in answers if answer.status_code == 200]
        assert (len(taken), len(answers)) == (4, 40)
        for body in bodies:
            receipt = (await client.post("/api/v1/reports", content=body, headers=TYPE)).json()["receipts"][0]
            assert receipt["status"] in {"stored", "already have it"}
        shown = (await client.get("/metrics")).text
    assert "cradlewatch_requests_turned_away_total 36.0" in shown
    assert "cradlewatch_requests_in_work 0.0" in shown
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM report")).scalar_one() == 40


async def test_what_waits_is_stored_together(centre: Centre, engine: Engine) -> None:
    """Twenty requests of four institutions while the database holds the first one up: few transactions, and all are stored."""
    for number in range(2, 5):
        centre.add(f"wj-000{number}")
    app = build_api(centre.context)
    bodies = [frame([envelope(centre, f"wj-000{number % 4 + 1}")]) for number in range(20)]
    used: list[int] = []
    commits: list[object] = []
    event.listen(engine, "checkout", lambda *_: used.append(engine.pool.checkedout()))  # type: ignore[attr-defined]
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://centre") as client:
        with engine.connect().execution_options(cradlewatch_writes=True) as other:
            other.execute(text("UPDATE institution SET name = name"))
            asked = [asyncio.create_task(client.post("/api/v1/reports", content=body, headers=TYPE)) for body in bodies]
            while app.state.counters.load.requests < 20:  # noqa: ASYNC110  (a count, not an event)
                await asyncio.sleep(0)
            event.listen(engine, "commit", commits.append)
            other.rollback()
        answers = [await task for task in asked]
    assert [[item["status"] for item in answer.json()["receipts"]] for answer in answers] == [["stored"]] * 20
    assert max(used) <= 1 + AT_ONCE[engine.dialect.name]
    # The first by itself; of one institution one request at a time, so that each builds upon the one before.
    assert len(commits) <= 1 + 5
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM report")).scalar_one() == 20


async def test_an_agent_that_floods_is_told_to_wait_and_counted(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre.add("wj-0002")
    monkeypatch.setattr("monitor.api.agents.Allowance", lambda: Allowance(at_once=1, a_second=0))
    app = build_api(centre.context)
    bodies = [frame([envelope(centre, site)]) for site in ("wj-0001", "wj-0001", "wj-0002")]
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://centre") as client:
        answers = [await client.post("/api/v1/reports", content=body, headers=TYPE) for body in bodies]
        shown = (await client.get("/metrics")).text
    assert [answer.status_code for answer in answers] == [200, 429, 200]
    assert answers[1].headers["Retry-After"] == "60"
    assert 'cradlewatch_refused_total{reason="flood"} 1.0' in shown


async def test_who_can_not_be_stored_holds_nobody_up(centre: Centre, engine: Engine) -> None:
    """A request that no database takes fails alone, whoever waits beside it."""
    centre.add("wj-0002")
    good, bad = (frame([envelope(centre, name)]) for name in ("wj-0001", "wj-0002"))
    trigger = {
        "sqlite": [
            "CREATE TRIGGER bad BEFORE INSERT ON span WHEN NEW.institution_id = 'wj-0002' BEGIN SELECT RAISE(ABORT, 'no'); END"
        ],
        "postgresql": ["ALTER TABLE span ADD CONSTRAINT bad CHECK (institution_id <> 'wj-0002')"],
    }
    with engine.begin() as connection:
        for statement in trigger[engine.dialect.name]:
            connection.execute(text(statement))
    try:
        outcomes = ingest_together(centre.context, [unframe(body) for body in (good, bad, good)])
    finally:
        with engine.begin() as connection:
            undo = "DROP TRIGGER bad" if engine.dialect.name == "sqlite" else "ALTER TABLE span DROP CONSTRAINT bad"
            connection.execute(text(undo))
    first, second, third = outcomes
    assert isinstance(second, IntegrityError)
    assert isinstance(first, Receipts)
    assert isinstance(third, Receipts)
    assert [first.receipts[0].status, third.receipts[0].status] == ["stored", "already have it"]
    assert isinstance(ingest_together(centre.context, [unframe(bad)])[0], Receipts)


@pytest.mark.parametrize(("said", "connection"), [(b"", b"close"), (b"2000", None), (b"8000000", b"close")])
async def test_a_full_collector_says_so_before_it_reads_anything(
    centre: Centre, said: bytes, connection: bytes | None
) -> None:
    """What is still coming of a large body, or one of unknown size, is not read; one of a few reports is, and thrown away."""
    app = build_api(centre.context)
    app.state.counters.load._most_requests = 0
    sent: list[dict[str, Any]] = []

    async def never() -> Any:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    given = [(b"content-length", said)] if said else []
    scope = {"type": "http", "method": "POST", "path": "/api/v1/reports", "query_string": b"", "headers": given}
    await app({**scope, "app": app}, never, send)
    headers = dict(sent[0]["headers"])
    assert (sent[0]["status"], headers.get(b"connection")) == (503, connection)
    assert 5 <= int(headers[b"retry-after"]) <= 60


async def test_who_drips_holds_nobody_up(centre: Centre) -> None:
    """A body that never ends takes a few bytes and no place."""
    app = build_api(centre.context)
    app.state.counters.load._most_requests = 1
    never = asyncio.Event()

    async def drip() -> AsyncIterator[bytes]:
        yield b"1"
        await never.wait()

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://centre") as client:
        slow = [asyncio.create_task(client.post("/api/v1/reports", content=drip(), headers=TYPE)) for _ in range(5)]
        await asyncio.sleep(0)
        answer = await client.post("/api/v1/reports", content=frame([envelope(centre)]), headers=TYPE)
        assert answer.status_code == 200
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
    assert app.state.counters.load.bytes == 0


STRANGERS = ("/api/v1/reports", "/api/v1/enrolments", "/api/v1/agents/self/keys")
"""What anybody may send a body to."""


class Stalled:
    """Sends the beginning of a request's body and then nothing more, for ever."""

    def __init__(self, app: Api, size: int, path: str = "/api/v1/reports") -> None:
        self.status: int | None = None
        self._path = path
        self._parts = [b"x" * size]
        self.task = asyncio.create_task(app(self._scope(), self._receive, self._send))

    def _scope(self) -> dict[str, Any]:
        headers = [(b"content-type", MEDIA_TYPE.encode())]
        return {"type": "http", "method": "POST", "path": self._path, "query_string": b"", "headers": headers}

    async def _receive(self) -> dict[str, Any]:
        if not self._parts:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": self._parts.pop(), "more_body": True}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        self.status = message.get("status", self.status)


async def test_bodies_that_never_end_keep_nobody_out(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    """All room is taken by who begins and does not go on: after a while he gives up what another one needs, no more."""
    app = build_api(centre.context)
    load = app.state.counters.load
    load._most_bytes = 600_000
    stalled = [Stalled(app, size) for size in (200_000, 300_000, 100_000)]
    while load.bytes < 600_000:  # noqa: ASYNC110  (a count, not an event)
        await asyncio.sleep(0)
    report = frame([envelope(centre)])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://centre") as client:
        assert (await client.post("/api/v1/reports", content=report, headers=TYPE)).status_code == 503, "not at once"
        monkeypatch.setattr(Held, "is_slow", lambda _: True)
        assert (await client.post("/api/v1/reports", content=report, headers=TYPE)).status_code == 200
        await stalled[1].task
        assert [item.status for item in stalled] == [None, 503, None], "the largest alone"
        assert load.bytes == 300_000
        for item in (stalled[0], stalled[2]):
            item.task.cancel()
        await asyncio.wait([item.task for item in stalled])
    assert (load.bytes, load._coming) == (0, [])


@pytest.mark.parametrize("path", STRANGERS)
async def test_a_body_is_not_waited_for_without_end(centre: Centre, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr("monitor.api.load.MOST_SECONDS", 0.05)
    app = build_api(centre.context)
    stalled = Stalled(app, 1000, path)
    await asyncio.wait_for(stalled.task, 20)
    assert (stalled.status, app.state.counters.load.bytes) == (503, 0)


@pytest.mark.parametrize("path", STRANGERS)
async def test_what_is_held_of_bodies_is_bounded_whatever_they_are_for(centre: Centre, path: str) -> None:
    app = build_api(centre.context)
    app.state.counters.load._most_bytes = 500
    stalled = Stalled(app, 1000, path)
    await asyncio.wait_for(stalled.task, 20)
    assert (stalled.status, app.state.counters.load.bytes) == (503, 0)


async def test_a_body_is_slow_after_its_time_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    with Load().request() as held:
        async with held.coming():
            assert not held.is_slow()
        monkeypatch.setattr("monitor.api.load.PATIENCE_SECONDS", 0.0)
        async with held.coming():
            assert held.is_slow()
