"""The HTTP API over real requests: what agents send, what scripts read, and errors as problem details."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event
from starlette.types import Message
from structlog.testing import capture_logs

from monitor.api.auth import SESSION_COOKIE
from monitor.api.body import MAX_BATCH_BYTES
from monitor.api.routes import build_api
from monitor.collector.enrolment import create_code, revoke
from monitor.collector.evaluate import evaluate
from monitor.collector.ingest import ingest_together
from monitor.collector.settings import Settings
from monitor.model.calendar import Waiver
from monitor.model.enrolment import prove_possession
from monitor.model.envelope import MEDIA_TYPE, frame, unframe
from monitor.model.inventory import Inventory, Jurisdiction, Level
from monitor.model.jws import SignatureError
from monitor.model.observation import Kind, Subject
from monitor.model.regulation import Regulation
from monitor.model.report import Receipts
from monitor.model.signed import check_answer
from monitor.model.span import DAY, HOUR, MINUTE, from_millis, isoformat
from monitor.model.suite import PrivateKey, PublicKey
from monitor.store import registry
from monitor.store.accounts import create_api_token, create_session, create_user, delete_session
from monitor.store.engine import open_engine, reading, writing
from monitor.store.keys import agent_keys
from monitor.store.schema import NEWEST, migrate
from support.centre import INVENTORY, NOW, Centre, declared, index, instant, make_centre, span
from support.databases import BOTH
from support.disks import small_disk
from support.packs import pack
from support.planted import plant
from support.signing import SigningAgent, offer


@pytest.fixture
def centre(engine: Engine) -> Centre:
    made = make_centre(engine, pack(retention={"confirm_after": "0s"}))
    made.add()
    return made


@pytest.fixture
def client(centre: Centre) -> Iterator[TestClient]:
    with TestClient(build_api(centre.context)) as made:
        yield made


@pytest.fixture
def token(centre: Centre) -> str:
    with writing(centre.context.engine) as session:
        create_user(session, "inspector", "a long password", NOW)
        return plant(create_api_token(session, "inspector", "script", NOW))


@pytest.fixture
def reader(client: TestClient, token: str) -> TestClient:
    client.headers["Authorization"] = f"Bearer {token}"
    return client


PATH = "/api/v1/agents/self/assignment"


def asking(centre: Centre, institution: str = "wj-0001", **more: str) -> dict[str, str]:
    """Return the headers of a signed request for the assignment."""
    return {**centre.agents[institution].authorization("GET", PATH), **more}


def assert_problem(response: Any, status: int, detail: str = "") -> None:
    """Every error has this shape."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert {"type", "title", "status", "detail"} <= set(body)
    assert body["status"] == status
    assert detail in body["detail"]
    assert "\n" not in body["detail"]


TYPE = {"Content-Type": MEDIA_TYPE}


def batch(sender: SigningAgent, *payloads: bytes) -> bytes:
    return frame(sender.envelope(payload) for payload in payloads)


# --- agents ---------------------------------------------------------------------------------------------------------


def form(code: str, name: str, key: PrivateKey | None = None) -> dict[str, Any]:
    made = offer(key or PrivateKey.make(), code)
    return {"code": code, "agent": name, "key": made.key, "proof": made.proof}


def test_an_agent_enrols_reports_and_is_answered(centre: Centre, client: TestClient) -> None:
    code, key = create_code(centre.context, "wj-0001"), PrivateKey.make()
    answer = client.post("/api/v1/enrolments", json=form(code, "nvr-box", key))
    assert answer.status_code == 201
    assert (answer.json()["institution"], answer.json()["agent"]) == ("wj-0001", "nvr-box")
    assert PublicKey.of(answer.json()["key"]).id == centre.context.signing().public.id
    sender = SigningAgent("wj-0001", "nvr-box", key, answer.json()["nonce"])
    report = centre.report(span("camera/gate", "up", NOW - MINUTE, NOW)).model_copy(update={"agent": "nvr-box"})
    answer = client.post("/api/v1/reports", content=batch(sender, report.to_bytes(), b"x"), headers=TYPE)
    assert answer.status_code == 200
    receipts = Receipts.model_validate_json(answer.content)
    assert [item.status for item in receipts.receipts] == ["stored", "rejected"]
    assert receipts.server_time == centre.clock.now()
    packed = gzip.compress(batch(sender, report.to_bytes()))
    answer = client.post("/api/v1/reports", content=packed, headers={**TYPE, "Content-Encoding": "gzip"})
    assert [item.status for item in Receipts.model_validate_json(answer.content).receipts] == ["already have it"]


def test_a_code_works_once(centre: Centre, client: TestClient) -> None:
    code = create_code(centre.context, "wj-0001")
    assert client.post("/api/v1/enrolments", json=form(code, "a")).status_code == 201
    assert_problem(client.post("/api/v1/enrolments", json=form(code, "b")), 403, "used or has expired")
    assert_problem(client.post("/api/v1/enrolments", json=form("AAAA", "b")), 403, "no such code")


def test_an_answer_that_was_lost_on_the_line_is_given_again_to_the_same_key_alone(
    centre: Centre, client: TestClient
) -> None:
    """A code is for once; but whoever used it and never heard so would need another one, and a person to make it."""
    centre.add("wj-0002")
    centre.see(span("camera/gate", "up", NOW - MINUTE, NOW), institution="wj-0002")
    code, key = create_code(centre.context, "wj-0002"), PrivateKey.make()
    first = client.post("/api/v1/enrolments", json=form(code, "box", key))
    centre.clock.advance(3600)
    again = client.post("/api/v1/enrolments", json=form(code, "box", key))
    assert (first.status_code, again.status_code) == (201, 201)
    same = ("institution", "agent", "key", "replaces_heard_at")
    assert [again.json()[name] for name in same] == [first.json()[name] for name in same]
    assert again.json()["replaces_heard_at"] == isoformat(NOW)
    used = (403, "used or has expired")
    assert_problem(client.post("/api/v1/enrolments", json=form(code, "box")), *used)
    assert_problem(client.post("/api/v1/enrolments", json=form(code, "another", key)), *used)
    stolen = {**form(code, "box"), "key": key.public.jwk}
    assert_problem(client.post("/api/v1/enrolments", json=stolen), 403, "the private key is there")
    other = create_code(centre.context, "wj-0002")
    assert_problem(client.post("/api/v1/enrolments", json=form(other, "box", key)), 403, "make a new one")
    with reading(centre.context.engine) as session:
        kept = agent_keys(session, "wj-0002", "box")
        assert len(kept) == 2
        assert (kept.pop(key.public.id).replaced, kept.popitem()[1].replaced) == (None, NOW)
    assert client.post("/api/v1/enrolments", json=form(other, "box")).status_code == 201
    assert_problem(client.post("/api/v1/enrolments", json=form(code, "box", key)), 403, "counts no more")


def test_an_answer_is_given_again_while_the_code_is_valid_and_the_key_counts(
    centre: Centre, client: TestClient
) -> None:
    code, key = create_code(centre.context, "wj-0001", valid=HOUR), PrivateKey.make()
    answers = [client.post("/api/v1/enrolments", json=form(code, "a", key)) for _ in range(2)]
    assert [item.json()["replaces_heard_at"] for item in answers] == [None, None]
    centre.clock.advance(3600)
    assert_problem(client.post("/api/v1/enrolments", json=form(code, "a", key)), 403, "used or has expired")
    code, key = create_code(centre.context, "wj-0001"), PrivateKey.make()
    assert client.post("/api/v1/enrolments", json=form(code, "a", key)).status_code == 201
    revoke(centre.context, "wj-0001", "a")
    assert_problem(client.post("/api/v1/enrolments", json=form(code, "a", key)), 403, "counts no more")


def test_a_code_of_another_institution_is_not_used_up_and_replaces_nobody(centre: Centre, client: TestClient) -> None:
    """Whoever mixes two codes up must not take the name of a box that reports: both are called alike by default."""
    centre.add("wj-0002")
    code = create_code(centre.context, "wj-0002")
    mixed_up = {**form(code, "box"), "institution": "wj-0001"}
    assert_problem(client.post("/api/v1/enrolments", json=mixed_up), 409, "for another institution than wj-0001")
    centre.see(span("camera/gate", "up", NOW - MINUTE, NOW), institution="wj-0002")
    answer = client.post("/api/v1/enrolments", json={**form(code, "box"), "institution": "wj-0002"})
    assert (answer.status_code, answer.json()["institution"]) == (201, "wj-0002")


def test_a_key_is_registered_by_whoever_has_it(centre: Centre, client: TestClient) -> None:
    code = create_code(centre.context, "wj-0001")
    other = PrivateKey.make()
    stolen = {**form(code, "a"), "key": other.public.jwk}
    assert_problem(client.post("/api/v1/enrolments", json=stolen), 403, "the private key is there")
    weak = {**form(code, "a"), "key": {"kty": "oct", "k": "AAAA"}}
    assert_problem(client.post("/api/v1/enrolments", json=weak), 403, "no public Ed25519 key")
    assert client.post("/api/v1/enrolments", json=form(code, "a")).status_code == 201


def test_an_enrolment_says_when_the_agent_was_heard_whose_key_it_replaces(centre: Centre, client: TestClient) -> None:
    """Two boxes may have one name: the person who enrols the second one is told that the first can't report any more."""

    def again() -> str | None:
        answer = client.post("/api/v1/enrolments", json=form(create_code(centre.context, "wj-0001"), "second"))
        heard: str | None = answer.json()["replaces_heard_at"]
        return heard

    assert again() is None
    first = isoformat(centre.context.now())
    centre.clock.advance(60)
    assert again() == first
    revoke(centre.context, "wj-0001", "second")
    assert again() is None, "it could not report any more anyway"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        [],
        None,
        7,
        {"code": "x"},
        {"code": "", "agent": "a"},
        {"code": "x", "agent": "a b"},
        {"code": 1, "agent": "a"},
    ],
)
def test_a_form_that_is_none_is_a_problem(client: TestClient, wrong: Any) -> None:
    assert_problem(client.post("/api/v1/enrolments", json=wrong), 422)
    assert_problem(client.post("/api/v1/enrolments", content=b"{"), 422, "the body: ")


def test_guessing_codes_is_slowed_down(centre: Centre, client: TestClient) -> None:
    for _ in range(10):
        assert_problem(client.post("/api/v1/enrolments", json=form("guess", "a")), 403)
    code = create_code(centre.context, "wj-0001")
    answer = client.post("/api/v1/enrolments", json=form(code, "a"))
    assert_problem(answer, 429, "wait a minute")
    centre.clock.advance(int(answer.headers["retry-after"]))
    assert client.post("/api/v1/enrolments", json=form(code, "a")).status_code == 201


def test_guessing_from_each_address_of_a_network_is_slowed_down(centre: Centre) -> None:
    app = build_api(centre.context)
    for number in range(10):
        with TestClient(app, client=(f"2001:db8::{number}:1", 1)) as guesser:
            assert_problem(guesser.post("/api/v1/enrolments", json=form("guess", "a")), 403)
    for address, status in [("2001:db8::ffff:0:1", 429), ("2001:db8:0:1::1", 403), ("::ffff:192.0.2.1", 403)]:
        with TestClient(app, client=(address, 1)) as other:
            assert_problem(other.post("/api/v1/enrolments", json=form("guess", "a")), status)


async def test_who_guesses_side_by_side_is_slowed_down_like_others(centre: Centre) -> None:
    """Each of them was asked how often it had failed before any had."""
    app, let = build_api(centre.context), asyncio.Event()
    body, waiting, statuses = json.dumps(form("guess", "a")).encode(), asyncio.Semaphore(0), Counter[int]()

    async def receive() -> Message:
        waiting.release()
        await let.wait()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses[message["status"]] += 1

    scope = {
        "type": "http", "method": "POST", "path": "/api/v1/enrolments", "query_string": b"", "headers": [],
        "client": ("192.0.2.1", 1), "server": ("test", 80), "scheme": "http", "http_version": "1.1",
    }  # fmt: skip
    guesses = [asyncio.create_task(app({**scope}, receive, send)) for _ in range(30)]
    for _ in guesses:
        await waiting.acquire()
    let.set()
    await asyncio.gather(*guesses)
    assert statuses == {403: 10, 429: 20}


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer x", "Basic eDp5", "Cradlewatch", "Cradlewatch a..b", "Cradlewatch " + "x" * 10_000],
)
def test_without_a_signature_nothing_is_told_and_without_a_token_nothing_read(
    client: TestClient, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = client.get(PATH, headers=headers)
    assert_problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Cradlewatch"
    assert "cradlewatch-nonce" not in answer.headers
    for path in (
        "institutions",
        "institutions/wj-0001",
        "institutions/wj-0001/ledger",
        "findings",
        "findings/" + "0" * 32,
    ):
        assert_problem(client.get(f"/api/v1/{path}", headers=headers), 401)


def test_a_request_is_signed_by_the_agents_key_over_this_request_with_a_fresh_nonce(
    centre: Centre, client: TestClient
) -> None:
    own = centre.agents["wj-0001"]
    assert client.get(PATH, headers=asking(centre)).status_code == 200
    assert_problem(client.get(PATH, headers=own.authorization("POST", PATH)), 401, "signature")
    assert_problem(client.get(PATH, headers=replace(own, key=PrivateKey.make()).authorization("GET", PATH)), 401)
    assert_problem(client.get(PATH, headers=replace(own, agent="other").authorization("GET", PATH)), 401)
    other = centre.add("wj-0002")
    assert_problem(client.get(PATH, headers=own.authorization("GET", PATH, nonce=other.nonce)), 401, "fresh nonce")
    centre.clock.advance(601)
    stale = client.get(PATH, headers=asking(centre))
    assert_problem(stale, 401, "fresh nonce")
    own.nonce = stale.headers["cradlewatch-nonce"]
    assert client.get(PATH, headers=asking(centre)).status_code == 200


def test_what_an_agent_is_told_is_signed_for_it_alone(centre: Centre, client: TestClient) -> None:
    own, key = centre.agents["wj-0001"], centre.context.signing().public
    answer = client.get(PATH, headers=asking(centre))
    said = (answer.headers["cradlewatch-signature"], answer.content, key)
    request, tag = ("wj-0001", "box", own.nonce), answer.headers["etag"]
    check_answer(*said, request, tag)
    unchanged = client.get(PATH, headers=asking(centre, **{"If-None-Match": tag}))
    check_answer(unchanged.headers["cradlewatch-signature"], b"", key, request, tag)
    for wrong in (
        ((said[0], said[1] + b" ", key), request, tag),
        ((said[0], said[1], own.key.public), request, tag),
        (said, ("wj-0001", "box", answer.headers["cradlewatch-nonce"]), tag),
        (said, ("wj-0002", "box", own.nonce), tag),
        (said, request, '"other"'),
        (("", said[1], key), request, tag),
    ):
        with pytest.raises(SignatureError):
            check_answer(*wrong[0], *wrong[1:])


def test_an_agents_signature_does_not_read_and_a_readers_token_does_not_ask(
    centre: Centre, client: TestClient, token: str
) -> None:
    assert_problem(client.get("/api/v1/findings", headers=asking(centre)), 401)
    assert_problem(client.get(PATH, headers={"Authorization": f"Bearer {token}"}), 401)


def test_a_key_is_replaced_by_the_next_and_what_it_signed_before_still_counts(
    centre: Centre, client: TestClient
) -> None:
    own, path = centre.agents["wj-0001"], "/api/v1/agents/self/keys"
    before = own.envelope(centre.report(span("camera/gate", "up", NOW - MINUTE, NOW)).to_bytes())
    fresh = PrivateKey.make()
    body = json.dumps({"key": fresh.public.jwk, "proof": prove_possession(fresh, "wj-0001/box")}).encode()
    assert_problem(client.post(path, content=body), 401)
    assert_problem(client.post(path, content=body + b" ", headers=own.authorization("POST", path, body)), 401)
    unproved = json.dumps({"key": fresh.public.jwk, "proof": prove_possession(fresh, "wj-0002/box")}).encode()
    assert_problem(client.post(path, content=unproved, headers=own.authorization("POST", path, unproved)), 403)
    granted = client.post(path, content=body, headers=own.authorization("POST", path, body))
    assert granted.status_code == 201
    old, own.key, own.nonce = own.key, fresh, granted.json()["nonce"]
    assert (
        client.post("/api/v1/reports", content=frame([before]), headers=TYPE).json()["receipts"][0]["status"]
        == "stored"
    )
    assert_problem(client.get(PATH, headers=replace(own, key=old).authorization("GET", PATH)), 401)
    assert client.get(PATH, headers=asking(centre)).status_code == 200
    assert_problem(
        client.post(path, content=body, headers=own.authorization("POST", path, body)), 403, "registered before"
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"{}", b'{"envelopes":[]}', b"1:x", b"1:x,y", b"01:x,", b"9:x,", b"-1:x,", b"99999999:x,", b"\xff"],
)
def test_a_body_that_holds_no_envelopes_is_a_problem(client: TestClient, body: bytes) -> None:
    assert_problem(client.post("/api/v1/reports", content=body, headers=TYPE), 413 if body[:2] == b"99" else 422)


def test_an_unsigned_batch_of_before_is_told_what_to_do(client: TestClient) -> None:
    answer = client.post("/api/v1/reports", json={"envelopes": [{"payload": "e30", "digest": "sha256:" + "0" * 64}]})
    assert_problem(answer, 415, "update the agent and enrol it again")


def test_a_batch_of_too_many_is_a_problem(centre: Centre, client: TestClient) -> None:
    body = frame([centre.agents["wj-0001"].envelope(b"x")] * 65)
    assert_problem(client.post("/api/v1/reports", content=body, headers=TYPE), 422, "more than 64 envelopes")


def test_a_body_too_large_is_refused_by_what_it_says_and_by_what_it_sends(centre: Centre, client: TestClient) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 2 * MAX_BATCH_BYTES:
            sent += 65536
            yield b" " * 65536

    assert_problem(client.post("/api/v1/reports", content=endless(), headers=TYPE), 413, "longer than")
    said = {**TYPE, "Content-Length": str(MAX_BATCH_BYTES + 1)}
    assert_problem(client.post("/api/v1/reports", content=b"{}", headers=said), 413)
    assert_problem(client.post("/api/v1/enrolments", content=b" " * 70_000), 413)


def test_the_assignment_says_by_what_the_agent_is_judged(centre: Centre, client: TestClient) -> None:
    answer = client.get("/api/v1/agents/self/assignment", headers=asking(centre))
    body = answer.json()
    assert body["schema"] == "cradlewatch.assignment/1"
    assert Regulation.model_validate(body["regulation"]) == pack(retention={"confirm_after": "0s"})
    assert (body["institution"], body["inventory"], body["hours"], body["closures"]) == ("wj-0001", None, None, [])
    assert (body["waivers"], body["views"], body["challenges"], body["minimum_version"]) == ([], [], [], "0.1.0")
    for tag in (answer.headers["etag"], f'W/{answer.headers["etag"]}, "x"'):
        again = client.get("/api/v1/agents/self/assignment", headers=asking(centre, **{"If-None-Match": tag}))
        assert (again.status_code, again.content) == (304, b"")
    waiver = Waiver(
        subject=Subject(kind="camera", id="gate"),
        start_at=from_millis(NOW),
        end_at=from_millis(NOW + DAY),
        by="office",
        reason="x",
    )
    hours = {"open": "07:30", "close": "18:00"}
    closures = [{"from": "2027-02-05", "to": "2027-02-12", "reason": "春节"}]
    inventory = Inventory.model_validate({**INVENTORY, "hours": hours, "closures": closures})
    with writing(centre.context.engine) as session:
        registry.approve_inventory(session, inventory)
        registry.add_waiver(session, "wj-0001", waiver, NOW)
    changed = client.get(
        "/api/v1/agents/self/assignment", headers=asking(centre, **{"If-None-Match": answer.headers["etag"]})
    )
    assert changed.status_code == 200
    assert Inventory.model_validate(changed.json()["inventory"]) == inventory
    assert [Waiver.model_validate(item) for item in changed.json()["waivers"]] == [waiver]
    assert changed.json()["hours"]["open"] == "07:30:00"
    assert changed.json()["closures"][0]["from"] == "2027-02-05"


def test_an_assignment_whose_pack_is_gone_is_a_problem(centre: Centre, client: TestClient) -> None:
    centre.add("wj-0002", regulation="there-is-none")
    answer = client.get("/api/v1/agents/self/assignment", headers=asking(centre, "wj-0002"))
    assert_problem(answer, 503, "pack can't be read")
    assert "retry-after" in answer.headers


# --- reading --------------------------------------------------------------------------------------------------------


def evaluated(centre: Centre) -> None:
    down = span("camera/gate", "down", NOW - 10 * MINUTE, NOW, cause="refused")
    centre.see(declared(NOW - HOUR), down, index("gate", NOW, 36))
    evaluate(centre.context, "wj-0001")


def test_findings_in_the_contracts_form(centre: Centre, reader: TestClient) -> None:
    evaluated(centre)
    body = reader.get("/api/v1/findings").json()
    assert (body["schema"], body["as_of"], body["next"]) == ("cradlewatch.findings/1", "2026-11-23T04:00:00Z", None)
    found = {(item["requirement"], item["subject"]["id"]): item for item in body["items"]}
    assert set(found) == {("uptime", "gate"), ("retention", "gate")}
    short = found["retention", "gate"]
    assert (short["institution"], short["state"], short["stage"]) == ("wj-0001", "short", "lead")
    assert (short["measured"]["held_days"], short["ended_at"]) == (35, None)
    assert short["citation"]["title"] == "Test rule"
    chinese = reader.get("/api/v1/findings", params={"language": "zh", "requirement": "retention"}).json()["items"]
    assert [item["citation"]["title"] for item in chinese] == ["测试规定"]
    whole = reader.get(f"/api/v1/findings/{short['id']}").json()
    assert {key: whole[key] for key in short} == short
    assert [change["state"] for change in whole["changes"]] == ["short"]
    assert whole["regulation"] == {"id": "test-pack", "version": 1}


def test_findings_are_filtered_and_paged(centre: Centre, reader: TestClient) -> None:
    evaluated(centre)
    centre.clock.advance(120)
    centre.see(span("camera/gate", "up", NOW, NOW + 2 * MINUTE))
    evaluate(centre.context, "wj-0001")

    def ids(**params: Any) -> list[str]:
        found, after = [], None
        for _ in range(10):
            body = reader.get("/api/v1/findings", params={**params, **({"after": after} if after else {})}).json()
            found += [item["id"] for item in body["items"]]
            after = body["next"]
            if after is None:
                return found
        raise AssertionError("the pages do not end")

    assert len(ids()) == 2
    assert ids(limit=1) == ids()
    assert len(ids(open="true")) == 1
    assert ids(institution="wj-0001") == ids()
    assert ids(institution="wj-0002") == []


def test_institutions_and_one_of_them(centre: Centre, reader: TestClient) -> None:
    evaluated(centre)
    with writing(centre.context.engine) as session:
        registry.add_jurisdiction(session, Jurisdiction(code="320509", name="吴江区", level=Level.DISTRICT))
        registry.add_jurisdiction(
            session, Jurisdiction(code="320509-1", name="松陵", level=Level.TOWN, parent="320509")
        )
        registry.add_institution(
            session,
            Inventory.model_validate({**INVENTORY, "institution": {"id": "z"}}).institution,
            "test-pack",
            NOW,
            "320509-1",
        )
    body = reader.get("/api/v1/institutions").json()
    assert [item["id"] for item in body["items"]] == ["wj-0001", "z"]
    first = body["items"][0]
    assert (first["open_findings"], first["last_report_at"], first["silent"]) == (2, "2026-11-23T04:00:00Z", False)
    assert first["breached"] >= 2
    assert [item["id"] for item in reader.get("/api/v1/institutions", params={"limit": 1}).json()["items"]] == [
        "wj-0001"
    ]
    following = reader.get("/api/v1/institutions", params={"limit": 1}).json()["next"]
    assert [i["id"] for i in reader.get("/api/v1/institutions", params={"after": following}).json()["items"]] == ["z"]
    for code in ("320509", "320509-1"):
        found = reader.get("/api/v1/institutions", params={"jurisdiction": code}).json()["items"]
        assert [item["id"] for item in found] == ["z"]
    one = reader.get("/api/v1/institutions/wj-0001", params={"language": "zh"}).json()
    assert one["schema"] == "cradlewatch.institution/1"
    assert [item["id"] for item in one["agents"]] == ["box"]
    verdicts = {(item["requirement"], item["subject"]["id"]): item for item in one["verdicts"]}
    assert verdicts["uptime", "gate"]["state"] == "down"
    assert verdicts["uptime", "gate"]["citation"]["title"] == "测试规定"


def test_a_cameras_days_with_what_was_due_and_what_is_held(centre: Centre, reader: TestClient) -> None:
    midnight = NOW - 12 * HOUR
    centre.see(
        declared(NOW - HOUR), index("gate", NOW, 36, holes=[(midnight - 5 * DAY, midnight - 5 * DAY + 6 * HOUR)])
    )
    evaluate(centre.context, "wj-0001")
    body = reader.get("/api/v1/institutions/wj-0001/cameras/gate/days").json()
    assert (body["schema"], body["camera"], body["required_days"], len(body["items"])) == (
        "cradlewatch.days/1",
        "gate",
        90,
        90,
    )
    by_day = {item["day"]: item for item in body["items"]}
    assert list(by_day) == sorted(by_day)
    assert by_day["2026-11-22"] == {"day": "2026-11-22", "state": "held", "due_seconds": 86_400, "held_seconds": 86_400}
    assert by_day["2026-11-18"] == {"day": "2026-11-18", "state": "gap", "due_seconds": 86_400, "held_seconds": 64_800}
    assert by_day["2026-09-01"]["state"] == "not_yet"
    assert by_day["2026-09-01"]["held_seconds"] == 0


def test_a_day_of_which_nothing_is_known_has_no_minutes(centre: Centre, reader: TestClient) -> None:
    centre.see(declared(NOW - HOUR))
    evaluate(centre.context, "wj-0001")
    items = reader.get("/api/v1/institutions/wj-0001/cameras/gate/days").json()["items"]
    assert {(item["state"], item["due_seconds"], item["held_seconds"]) for item in items} == {("unknown", None, None)}
    for path in ("wj-0001/cameras/attic", "nobody/cameras/gate"):
        assert_problem(reader.get(f"/api/v1/institutions/{path}/days"), 404)


def test_the_ledger(centre: Centre, reader: TestClient) -> None:
    evaluated(centre)
    body = reader.get("/api/v1/institutions/wj-0001/ledger").json()
    assert [item["kind"] for item in body["items"]] == ["stream", "inventory", "recordings"]
    stream = body["items"][0]
    assert (stream["state"], stream["cause"], stream["basis"]) == ("down", "refused", "watched")
    assert (stream["start_at"], stream["end_at"]) == ("2026-11-23T03:50:00Z", "2026-11-23T04:00:00Z")
    later = {"from": "2026-11-23T12:00:00+08:00", "kind": "recordings"}
    assert len(reader.get("/api/v1/institutions/wj-0001/ledger", params=later).json()["items"]) == 1
    assert (
        reader.get("/api/v1/institutions/wj-0001/ledger", params={"to": "2020-01-01T00:00:00Z"}).json()["items"] == []
    )


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("limit=501", "query.limit: '501' is out of range; it must be at most 500"),
        ("limit=many", "query.limit: 'many' is not a whole number"),
        ("open=perhaps", "query.open: 'perhaps' is not true or false"),
        ("requirement=Uptime", "query.requirement: 'Uptime' doesn't match ^[a-z_]{1,40}$"),
        ("language=fr", "query.language: 'fr' is not known here; write 'en' or 'zh'"),
    ],
)
def test_a_wrong_parameter_is_told_in_words(reader: TestClient, query: str, sentence: str) -> None:
    assert_problem(reader.get(f"/api/v1/findings?{query}"), 422, sentence)


STRANGE = (
    ("/api/v1/institutions/nobody", 404),
    ("/api/v1/institutions/%00", 404),
    ("/api/v1/institutions/a%2Fb", 404),
    ("/api/v1/institutions/" + "x" * 5000, 404),
    ("/api/v1/institutions/nobody/ledger", 404),
    ("/api/v1/institutions/wj-0001/ledger?from=yesterday", 422),
    ("/api/v1/institutions/wj-0001/ledger?from=2026-11-23T04:00:00", 422),
    ("/api/v1/institutions/wj-0001/ledger?from=9999-12-31T23:59:59-14:00", 200),
    ("/api/v1/institutions/wj-0001/ledger?kind=nonsense", 422),
    ("/api/v1/institutions/wj-0001/ledger?limit=0", 422),
    ("/api/v1/institutions/wj-0001/ledger?after=x", 422),
    ("/api/v1/findings?limit=501", 422),
    ("/api/v1/findings?limit=many", 422),
    ("/api/v1/findings?open=perhaps", 422),
    ("/api/v1/findings?institution=%00", 422),
    ("/api/v1/findings?requirement=%00", 422),
    ("/api/v1/findings?language=fr", 422),
    ("/api/v1/findings?after=%00", 422),
    ("/api/v1/findings?after=" + base64.urlsafe_b64encode(b'[1,"\\u0000"]').decode(), 422),
    ("/api/v1/findings?after=" + base64.urlsafe_b64encode(b'[99999999999999999999,"a"]').decode(), 422),
    ("/api/v1/findings?after=" + base64.urlsafe_b64encode(b"[true,1]").decode(), 422),
    ("/api/v1/findings/%00", 404),
    ("/api/v1/findings/nothing", 404),
    ("/api/v1/findings/" + "0" * 32, 404),
    ("/api/v1/institutions?jurisdiction=%27%3B--", 422),
    ("/api/v1/institutions?after=W10", 422),
    ("/api/v1/nothing", 404),
    ("/api/v2/findings", 404),
    ("/health/nothing", 404),
)


def test_strange_addresses_are_answered(reader: TestClient) -> None:
    for path, status in STRANGE:
        answer = reader.get(path)
        assert answer.status_code == status, path
        if status != 200:
            assert_problem(answer, status)


def test_a_method_that_is_not_possible_is_a_problem(reader: TestClient) -> None:
    answer = reader.delete("/api/v1/findings")
    assert_problem(answer, 405, "DELETE is not possible here")
    assert answer.headers["allow"] == "GET"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    value=st.text(max_size=40),
    name=st.sampled_from(["after", "institution", "requirement", "limit", "open", "language"]),
)
def test_any_text_in_any_parameter_is_answered(reader: TestClient, value: str, name: str) -> None:
    answer = reader.get("/api/v1/findings", params={name: value.encode("utf-8", "surrogatepass")})
    assert answer.status_code in {200, 422}


def test_a_signed_in_session_reads_until_it_ends(centre: Centre, client: TestClient, token: str) -> None:
    assert token
    with writing(centre.context.engine) as session:
        secret = create_session(session, "inspector", NOW, lifetime=HOUR)
        other = create_session(session, "inspector", NOW, lifetime=HOUR)
    client.cookies.set(SESSION_COOKIE, secret)
    assert client.get("/api/v1/findings").status_code == 200
    assert client.get("/api/v1/findings", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/api/v1/findings", headers={"Authorization": f"Bearer {secret}"}).status_code == 401
    with writing(centre.context.engine) as session:
        delete_session(session, secret)
    assert client.get("/api/v1/findings").status_code == 401
    client.cookies.set(SESSION_COOKIE, other)
    assert client.get("/api/v1/findings").status_code == 200
    centre.clock.advance(3600)
    assert client.get("/api/v1/findings").status_code == 401


def test_a_token_can_expire(centre: Centre, client: TestClient, token: str) -> None:
    with writing(centre.context.engine) as session:
        short = plant(create_api_token(session, "inspector", "short", NOW, lifetime=HOUR))
    for secret in (token, short):
        assert client.get("/api/v1/findings", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    centre.clock.advance(3600)
    assert client.get("/api/v1/findings", headers={"Authorization": f"Bearer {short}"}).status_code == 401


# --- the machine room -----------------------------------------------------------------------------------------------


def samples(text: str) -> dict[str, float]:
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_metrics(centre: Centre, client: TestClient) -> None:
    centre.add("wj-0002")
    evaluated(centre)
    evaluate(centre.context, "wj-0002")
    client.post("/api/v1/reports", content=batch(centre.agents["wj-0001"], b"x"), headers=TYPE)
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = samples(answer.text)
    assert found['cradlewatch_retention_held_days{camera="gate",institution="wj-0001"}'] == 35
    assert found['cradlewatch_retention_maturing{camera="gate",institution="wj-0001"}'] == 0
    assert found['cradlewatch_retention_required_days{institution="wj-0001"}'] == 90
    assert not [name for name in found if "held_days" in name and "room1" in name], "unknown has no sample"
    assert found['cradlewatch_open_findings{requirement="retention"}'] == 1
    assert found['cradlewatch_agent_last_report_timestamp_seconds{agent="box",institution="wj-0001"}'] == NOW / 1000
    assert 'cradlewatch_agent_last_report_timestamp_seconds{agent="box",institution="wj-0002"}' not in found
    assert found['cradlewatch_agent_reports_total{agent="box",institution="wj-0001"}'] == 1
    assert found['cradlewatch_agent_silent{agent="box",institution="wj-0001"}'] == 0
    assert found['cradlewatch_report_receipts_total{status="rejected"}'] == 1
    assert found['cradlewatch_refused_total{reason="content"}'] == 1
    assert found['cradlewatch_agent_forked{agent="box",institution="wj-0001"}'] == 0
    assert found['cradlewatch_agent_missing_reports{agent="box",institution="wj-0001"}'] == 0
    assert (found["cradlewatch_institutions"], found["cradlewatch_evaluations_late"]) == (2, 0)
    assert found['cradlewatch_institutions_unjudged{regulation="test-pack"}'] == 0


def test_a_pack_that_cannot_be_read_shows_in_the_metrics(centre: Centre, client: TestClient) -> None:
    centre.add("wj-0002", regulation="there-is-none")
    centre.add("wj-0003", regulation="there-is-none")
    found = samples(client.get("/metrics").text)
    assert found['cradlewatch_institutions_unjudged{regulation="there-is-none"}'] == 2
    assert found['cradlewatch_institutions_unjudged{regulation="test-pack"}'] == 0


def test_metrics_may_ask_for_a_token(engine: Engine) -> None:
    centre = make_centre(engine, settings=Settings(metrics="token"))
    with writing(engine) as session:
        create_user(session, "prometheus", "a long password", NOW)
        token = plant(create_api_token(session, "prometheus", "scrape", NOW))
    with TestClient(build_api(centre.context)) as client:
        assert_problem(client.get("/metrics"), 401)
        assert client.get("/metrics", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_health(centre: Centre, client: TestClient, engine: Engine) -> None:
    assert client.get("/health/live").json() == {"status": "ok"}
    assert client.get("/health/ready").json() == {"status": "ok"}
    with writing(engine) as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    assert_problem(client.get("/health/ready"), 503, "cradlewatch collector migrate")
    assert client.get("/health/live").status_code == 200
    with writing(engine) as session:  # another test may get this database, emptied
        session.connection().exec_driver_sql(f"UPDATE alembic_version SET version_num = '{NEWEST}'")


def test_a_database_that_is_gone_is_not_this_programs_fault() -> None:
    engine = open_engine("postgresql://nobody@127.0.0.1:1/none")
    centre = make_centre(engine)
    with TestClient(build_api(centre.context), raise_server_exceptions=False) as client:
        assert client.get("/health/live").status_code == 200
        assert_problem(client.get("/health/ready"), 503, "database does not answer")
        sender = SigningAgent("wj-0001", "box", PrivateKey.make(), "n" * 22)
        answer = client.post("/api/v1/reports", content=batch(sender, b"x"), headers=TYPE)
        assert_problem(answer, 503, "nothing is acknowledged, try again later")
        assert "retry-after" in answer.headers


def test_a_full_disk_is_said_and_what_could_not_be_stored_comes_again(tmp_path: Path) -> None:
    """Whoever is on duty reads why, and a machine that asks is told before he does."""
    with small_disk(tmp_path / "disk", kib=6144) as disk:
        engine = open_engine(f"sqlite:///{disk.path / 'centre.db'}")
        migrate(engine)
        centre = make_centre(engine)
        centre.add()
        facts = {"channels": [{"id": str(number), "name": "x" * 64, "online": True} for number in range(400)]}
        seen = [instant("recorder/nvr", Kind.CHANNELS, NOW - number, facts) for number in range(50)]
        sealed = batch(centre.agents["wj-0001"], centre.report(*seen).to_bytes())
        with TestClient(build_api(centre.context), raise_server_exceptions=False) as client:
            assert client.get("/health/ready").status_code == 200
            disk.fill()
            with capture_logs() as said:
                assert_problem(client.post("/api/v1/reports", content=sealed, headers=TYPE), 503, "try again later")
            assert [item["reason"] for item in said if "takes nothing" in item["event"]] == ["database or disk is full"]
            assert_problem(client.get("/health/ready"), 503, "the disk of the database is full")
            disk.free()
            assert client.get("/health/ready").status_code == 200
            answer = client.post("/api/v1/reports", content=sealed, headers=TYPE)
            assert answer.json()["receipts"][0]["status"] == "stored"
        engine.dispose()


@pytest.mark.parametrize("database_url", BOTH[1:], indirect=True)
def test_a_server_that_only_reads_is_asked_again_later(centre: Centre, engine: Engine) -> None:
    """As a standby after a failover, or a hosted server whose disk is nearly full."""
    sealed = batch(centre.agents["wj-0001"], centre.report(span("camera/gate", "up", NOW - MINUTE, NOW)).to_bytes())
    word = "on"

    @event.listens_for(engine, "checkout")
    def as_the_server_says(connection: psycopg.Connection[Any], *_: object) -> None:
        connection.execute(f"SET default_transaction_read_only = {word}".encode())
        connection.commit()

    with TestClient(build_api(centre.context), raise_server_exceptions=False) as client:
        answer = client.post("/api/v1/reports", content=sealed, headers=TYPE)
        assert_problem(answer, 503, "nothing is acknowledged, try again later")
        assert "retry-after" in answer.headers
        assert_problem(client.get("/health/ready"), 503, "only reads")
        outcomes = ingest_together(centre.context, [unframe(sealed)] * 3)
        assert len(set(map(id, outcomes))) == 1, "it is not asked once more for each of them"
        word = "off"
        assert client.get("/health/ready").status_code == 200
        assert client.post("/api/v1/reports", content=sealed, headers=TYPE).json()["receipts"][0]["status"] == "stored"


def test_openapi_describes_the_contract(client: TestClient) -> None:
    body = client.get("/openapi.json").json()
    paths = {(path, method) for path, methods in body["paths"].items() for method in methods}
    assert paths == {
        ("/api/v1/ca", "get"),
        ("/api/v1/handovers", "get"),
        ("/api/v1/enrolments", "post"),
        ("/api/v1/agents/self/keys", "post"),
        ("/api/v1/reports", "post"),
        ("/api/v1/agents/self/assignment", "get"),
        ("/api/v1/institutions", "get"),
        ("/api/v1/institutions/{institution_id}", "get"),
        ("/api/v1/institutions/{institution_id}/cameras/{camera_id}/days", "get"),
        ("/api/v1/institutions/{institution_id}/ledger", "get"),
        ("/api/v1/institutions/{institution_id}/views", "get"),
        ("/api/v1/institutions/{institution_id}/views/{proposal_id}/moves", "post"),
        ("/api/v1/findings", "get"),
        ("/api/v1/findings/{finding_id}", "get"),
        ("/metrics", "get"),
        ("/health/live", "get"),
        ("/health/ready", "get"),
    }
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404


def test_nothing_of_a_secret_is_kept_readable(centre: Centre, engine: Engine, token: str, database_url: str) -> None:
    """Tokens, codes and passwords lie in the database as hashes."""
    from sqlalchemy import inspect, text

    code = create_code(centre.context, "wj-0001")
    secrets = [token, code, code.replace("-", ""), "a long password"]
    with engine.connect() as connection:
        for table in inspect(engine).get_table_names():
            everything = repr(connection.execute(text(f'SELECT * FROM "{table}"')).all())
            assert not [secret for secret in secrets if secret in everything], table
    assert database_url
