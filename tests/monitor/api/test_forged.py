"""What a stranger, a thief or a careless owner may send: nothing of it changes what is stored, each is counted by reason."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Lock
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from monitor.api.body import MAX_BATCH_BYTES, Expanded
from monitor.api.routes import build_api
from monitor.collector.enrolment import EnrolmentError, Offer, revoke, rotate
from monitor.collector.nonce import new_nonce
from monitor.collector.signed_request import who_asks
from monitor.collector.verify import verify_institution
from monitor.model.enrolment import prove_possession
from monitor.model.envelope import MEDIA_TYPE, Envelope, frame
from monitor.model.signed import request_text
from monitor.model.span import DAY, HOUR, MINUTE, from_millis
from monitor.model.suite import PrivateKey
from monitor.store import agents
from monitor.store.engine import reading
from support.centre import NOW, Centre, make_centre, span
from support.forger import FORGERIES, Forger, everything, refusals
from support.mutation import requests
from support.signing import SigningAgent

TYPE = {"Content-Type": MEDIA_TYPE}
MUTATIONS = 300
BOMB = gzip.compress(bytes(64 * 1024 * 1024), 9)


@pytest.fixture
def centre(engine: Engine) -> Centre:
    """Return a centre with two agents, the first of which has reported twice."""
    made = make_centre(engine)
    made.add()
    made.add("wj-0002")
    for _ in range(2):
        made.clock.advance(60)
        made.see(span("camera/gate", "up", NOW - MINUTE, NOW))
    made.clock.advance(60)
    return made


@pytest.fixture
def client(centre: Centre) -> Iterator[TestClient]:
    with TestClient(build_api(centre.context), raise_server_exceptions=False) as made:
        yield made


def test_a_forged_report_changes_nothing_and_is_counted(centre: Centre, client: TestClient, engine: Engine) -> None:
    forger = Forger(centre)
    # Beside what was sent twice with other bytes, which is kept as evidence, and the mark that a request came in.
    leave = ("disputed_report", "agent", "institution")
    before, counted = everything(engine, *leave), refusals(client)
    for name, (reason, forge) in FORGERIES.items():
        whole = everything(engine)
        answer = client.post("/api/v1/reports", content=frame([forge(forger)]), headers=TYPE)
        assert answer.status_code in {200, 401, 413, 422}, (name, answer.text)
        assert '"stored"' not in answer.text, name
        assert everything(engine, *leave) == before, name
        # These are told once the agent's row is locked.
        if reason not in {"equivocation", "nonce", "order", "unlinked"}:
            assert everything(engine) == whole, name
        found = refusals(client)
        assert {key: found[key] - counted.get(key, 0.0) for key in found if found[key] != counted.get(key)} == {
            reason: 1.0
        }, name
        counted = found
    good = client.post("/api/v1/reports", content=frame([forger.good]), headers=TYPE)
    assert [item["status"] for item in good.json()["receipts"]] == ["stored"], "the true report is taken afterwards"


@pytest.mark.parametrize(
    ("at", "why"),
    [
        (NOW - 3 * HOUR, "back_dated"),
        (925_000_000_000, "back_dated"),
        (NOW + 2 * HOUR, "ahead"),
        (NOW + 2 * DAY, "ahead"),
    ],
)
def test_a_misdated_report_is_kept_and_marked_and_counts_for_nothing(
    centre: Centre, client: TestClient, engine: Engine, at: int, why: str
) -> None:
    """A dead battery and a forger look alike: neither is believed, neither is lost, and the chain goes on."""
    forger = Forger(centre)
    leave = ("agent", "institution", "report")
    before = everything(engine, *leave)
    bad = forger.written(at)
    answer = client.post("/api/v1/reports", content=frame([bad]), headers=TYPE)
    (receipt,) = answer.json()["receipts"]
    assert (receipt["status"], receipt["reason"]) == ("stored", why)
    assert everything(engine, *leave) == before
    assert refusals(client) == {why: 1.0}
    forger.own.after = Envelope.read(bad).place
    centre.see(span("camera/gate", "up", NOW, NOW + MINUTE))
    with reading(engine) as session:
        (agent,) = agents.agents_of(session, "wj-0001")
    assert (agent.state, agent.misdated, agent.missing, agent.reports) == ("misdated", 1, 0, 4)
    assert verify_institution(centre.context, "wj-0001").problems == []


def test_a_replay_is_answered_and_changes_nothing(centre: Centre, client: TestClient, engine: Engine) -> None:
    old = next(iter(centre.agents["wj-0001"].sealed.values()))
    before = everything(engine, "institution")
    answer = client.post("/api/v1/reports", content=frame([old, old]), headers=TYPE)
    assert [item["status"] for item in answer.json()["receipts"]] == ["already have it"] * 2
    assert everything(engine, "institution") == before


def test_other_bytes_are_kept_shown_and_not_counted(centre: Centre, client: TestClient, engine: Engine) -> None:
    forger = Forger(centre)
    bad = FORGERIES["other bytes for a stored number"][1](forger)
    for _ in range(2):
        client.post("/api/v1/reports", content=frame([bad]), headers=TYPE)
    assert len(everything(engine)["disputed_report"]) == 1
    with reading(engine) as session:
        (agent,) = agents.agents_of(session, "wj-0001")
    assert (agent.state, agent.disputed, agent.reports) == ("disputed", 1, 2)


def test_one_bad_signature_ends_the_request(centre: Centre, client: TestClient, engine: Engine) -> None:
    """Who sends sixty forged envelopes makes the collector check one, and no good one after it is lost."""
    forger = Forger(centre)
    forged = forger.sign(key=Ed25519PrivateKey.generate())
    answer = client.post("/api/v1/reports", content=frame([forged] * 60), headers=TYPE)
    assert answer.status_code == 401
    assert refusals(client) == {"signature": 1.0}
    old = next(iter(forger.own.sealed.values()))
    answer = client.post("/api/v1/reports", content=frame([old, forged, forger.good]), headers=TYPE)
    assert [item["status"] for item in answer.json()["receipts"]] == ["already have it", "rejected"]


def test_reports_of_two_agents_do_not_come_in_one_request(centre: Centre, client: TestClient) -> None:
    other = centre.report(institution="wj-0002")
    foreign = centre.agents["wj-0002"].envelope(other.to_bytes())
    answer = client.post("/api/v1/reports", content=frame([Forger(centre).good, foreign]), headers=TYPE)
    assert [item["reason"] for item in answer.json()["receipts"]] == [None, "cross_site"]


def test_a_revoked_key_signs_nothing_any_more(centre: Centre, client: TestClient) -> None:
    forger = Forger(centre)
    assert revoke(centre.context, "wj-0001", "box") == 1
    assert client.post("/api/v1/reports", content=frame([forger.good]), headers=TYPE).status_code == 401
    headers = forger.own.authorization("GET", "/api/v1/agents/self/assignment")
    assert client.get("/api/v1/agents/self/assignment", headers=headers).status_code == 401
    assert refusals(client) == {"revoked_key": 2.0}


@pytest.mark.parametrize("ended_by", ["revoked", "replaced"])
def test_a_key_that_counts_no_more_since_it_was_looked_at_registers_no_other(centre: Centre, ended_by: str) -> None:
    """A thief who asks at the very moment must not keep a key that nobody knows to be his."""
    own, path, fresh = centre.agents["wj-0001"], "/api/v1/agents/self/keys", PrivateKey.make()
    signed = own.authorization("POST", path, b"")["Authorization"]
    asked = who_asks(centre.context, signed, request_text("POST", path, b""))
    if ended_by == "revoked":
        revoke(centre.context, "wj-0001", "box")
    else:
        SigningAgent.enrolled(centre.context, "wj-0001")
    before = everything(centre.context.engine)
    offered = Offer(fresh.public.jwk, prove_possession(fresh, "wj-0001/box"))
    with pytest.raises(EnrolmentError, match="counts no more"):
        rotate(centre.context, asked.identity, asked.header.kid, offered)
    assert everything(centre.context.engine) == before


def test_a_replaced_key_signs_nothing_new(centre: Centre, client: TestClient) -> None:
    own = centre.agents["wj-0001"]
    thief = replace(own, sealed={}, _lock=Lock())
    centre.agents["wj-0001"] = SigningAgent.enrolled(centre.context, "wj-0001")
    centre.clock.advance(2 * 3600)
    thief.nonce = centre.agents["wj-0001"].nonce = new_nonce(
        centre.context.keys().nonce, "wj-0001", "box", centre.context.now()
    )
    bad = thief.envelope(centre.report().to_bytes())
    answer = client.post("/api/v1/reports", content=frame([bad]), headers=TYPE)
    assert [item["reason"] for item in answer.json()["receipts"]] == ["replaced_key"]


def test_a_replaced_key_tells_nothing_of_the_time_after_it_with_the_nonce_of_before_either(
    centre: Centre, client: TestClient
) -> None:
    """Else a copy of a box that was enrolled again, or one that was sold, could report in its name for ever, unseen."""
    copy = centre.agents["wj-0001"]
    written = copy.envelope(centre.report(span("camera/gate", "up", NOW - MINUTE, NOW)).to_bytes())
    centre.agents["wj-0001"] = SigningAgent.enrolled(centre.context, "wj-0001")

    def answered(envelope: bytes) -> dict[str, Any]:
        answer = client.post("/api/v1/reports", content=frame([envelope]), headers=TYPE)
        (found,) = answer.json()["receipts"]
        return cast("dict[str, Any]", found)

    centre.clock.advance(30 * 86_400)
    now = centre.context.now()
    before = everything(centre.context.engine)
    later = centre.report(span("camera/gate", "up", now - HOUR, now))
    assert answered(copy.envelope(later.to_bytes()))["reason"] == "replaced_key"
    early = later.model_copy(update={"written_at": from_millis(NOW)})
    assert answered(copy.envelope(early.to_bytes()))["reason"] == "replaced_key", "a time is as good as it says"
    assert everything(centre.context.engine) == before
    assert answered(written)["status"] == "stored", "what it signed while it counted"


def test_a_restored_backup_is_seen_as_a_fork(centre: Centre, client: TestClient, engine: Engine) -> None:
    own = centre.agents["wj-0001"]
    backup = replace(own, sealed={}, _lock=Lock())
    centre.see(span("camera/gate", "up", NOW, NOW + MINUTE))
    again = backup.envelope(centre.report(boot="e" * 32).to_bytes())
    answer = client.post("/api/v1/reports", content=frame([again]), headers=TYPE)
    assert [item["status"] for item in answer.json()["receipts"]] == ["stored"], "it is evidence too"
    with reading(engine) as session:
        (agent,) = agents.agents_of(session, "wj-0001")
    assert (agent.state, agent.forked_at) == ("forked", centre.context.now())
    found = [line for line in client.get("/metrics").text.splitlines() if line.startswith("cradlewatch_agent_forked")]
    assert 'cradlewatch_agent_forked{agent="box",institution="wj-0001"} 1.0' in found
    SigningAgent.enrolled(centre.context, "wj-0001")
    with reading(engine) as session:
        assert [item.state for item in agents.agents_of(session, "wj-0001")] != ["forked"], "a person saw to it"


# --- bodies ---------------------------------------------------------------------------------------------------------


BODIES = [
    (BOMB, "gzip", 422, "form"),
    (gzip.compress(BOMB), "gzip", 422, "form"),
    (gzip.compress(b"1:x,")[:-4], "gzip", 422, "compression"),
    (gzip.compress(b"1:x,") + b"more", "gzip", 422, "compression"),
    (b"1:x,", "gzip", 422, "compression"),
    (gzip.compress(b"1:x,"), "zstd", 415, "compression"),
    (gzip.compress(b"1:x,"), "gzip, gzip", 415, "compression"),
    (b"9999999:", "", 413, "size"),
    (b"1:x," * 65, "", 422, "count"),
]


def test_a_body_is_bounded_before_anything_of_it_is_read(client: TestClient, engine: Engine) -> None:
    before = everything(engine)
    for body, encoding, status, reason in BODIES:
        counted = refusals(client).get(reason, 0.0)
        answer = client.post("/api/v1/reports", content=body, headers={**TYPE, "Content-Encoding": encoding})
        assert answer.status_code == status, (reason, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert refusals(client)[reason] == counted + 1.0
    assert everything(engine) == before


def test_no_mutation_of_a_request_changes_anything(centre: Centre, client: TestClient, engine: Engine) -> None:
    """Seeded; the long form is F13 of `make torture`."""
    forger = Forger(centre)
    leave = ("institution", "agent", "disputed_report")
    before = everything(engine, *leave)
    sent = 0
    for number, body in enumerate(requests(forger.good, random.Random(20261128), MUTATIONS)):
        encoding = {} if number % 2 else {"Content-Encoding": "gzip"}
        content = body if number % 2 else gzip.compress(body, 1)
        answer = client.post("/api/v1/reports", content=content, headers={**TYPE, **encoding})
        assert answer.status_code in {200, 401, 413, 422}, (number, answer.status_code)
        assert '"stored"' not in answer.text, number
        sent += 1
    assert everything(engine, *leave) == before
    assert sum(refusals(client).values()) >= sent


def compressed(*envelopes: bytes) -> bytes:
    return gzip.compress(frame(envelopes), 6)


@pytest.fixture
def expanded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes the requests' bodies were expanded to."""
    found: list[int] = []
    upto = Expanded.upto

    def counting(self: Expanded, size: int) -> bytes:
        taken = upto(self, size)
        found.append(len(taken))
        return taken

    monkeypatch.setattr(Expanded, "upto", counting)
    return found


@pytest.mark.parametrize(
    ("reason", "forge"),
    [
        ("unknown_key", lambda forger, large: forger.sign(large, agent="nobody")),
        ("unknown_key", lambda forger, large: forger.sign(large, kid="k" * 43)),
        ("signature", lambda forger, large: forger.sign(large, key=Ed25519PrivateKey.generate())),
        ("form", lambda _forger, large: b"no header\n" + large),
        ("form", lambda _forger, large: large),
    ],
)
def test_of_a_large_body_nothing_is_expanded_before_its_first_report_is_proved(
    centre: Centre, client: TestClient, expanded: list[int], reason: str, forge: Callable[[Forger, bytes], bytes]
) -> None:
    """The agent's own good report comes second: it is no way around."""
    forger, large = Forger(centre), b" " * 1_000_000
    before = refusals(client)
    body = compressed(forge(forger, large), forger.good, *[large] * 14)
    answer = client.post("/api/v1/reports", content=body, headers={**TYPE, "Content-Encoding": "gzip"})
    assert answer.status_code == 401
    assert refusals(client) == {**before, reason: before.get(reason, 0.0) + 1}
    assert max(expanded) < (1_100_000 if reason == "signature" else 100_000)


def test_of_a_small_body_nothing_is_read_behind_a_first_report_that_is_not_proved(
    centre: Centre, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    forger, read = Forger(centre), []
    plainly = Envelope.read

    def counting(data: bytes) -> Envelope:
        read.append(data)
        return plainly(data)

    monkeypatch.setattr(Envelope, "read", counting)
    for unknown in (
        forger.sign(agent="nobody"),
        forger.sign(kid="k" * 43),
        forger.sign(key=Ed25519PrivateKey.generate()),
    ):
        read.clear()
        assert (
            client.post("/api/v1/reports", content=frame([unknown, *[forger.good] * 9]), headers=TYPE).status_code
            == 401
        )
        assert len(read) == 1


def test_a_bomb_behind_a_proved_report_is_bounded(centre: Centre, client: TestClient, expanded: list[int]) -> None:
    forger = Forger(centre)
    before = refusals(client)
    body = compressed(forger.good, *[bytes(4_000_000)] * 16)
    answer = client.post("/api/v1/reports", content=body, headers={**TYPE, "Content-Encoding": "gzip"})
    assert answer.status_code == 413
    assert refusals(client) == {**before, "size": before.get("size", 0.0) + 1}
    assert max(expanded) == MAX_BATCH_BYTES + 1


def test_a_large_body_of_a_known_agent_is_taken_and_each_of_its_reports_answered(
    centre: Centre, client: TestClient
) -> None:
    forger = Forger(centre)
    body = compressed(forger.good, forger.sign(b" " * 100_000), forger.sign(agent="nobody"), b"x" * 100_000)
    answer = client.post("/api/v1/reports", content=body, headers={**TYPE, "Content-Encoding": "gzip"})
    assert [item["reason"] or item["status"] for item in answer.json()["receipts"]] == [
        "stored", "content", "cross_site", "form"
    ]  # fmt: skip


def test_what_has_to_come_again_is_counted_and_no_fault_of_the_server(centre: Centre, client: TestClient) -> None:
    """Three agents are enrolled, one was heard lately, and its clock is wrong."""
    centre.add("wj-0003")
    centre.clock.advance(HOUR / 1000)
    forger = Forger(centre)
    nonce = new_nonce(centre.context.keys().nonce, "wj-0001", "box", centre.context.now())
    forger.header["nonce"] = nonce
    wrong, right = forger.written(centre.context.now() - 3 * HOUR), forger.sign()
    before = refusals(client)
    answer = client.post("/api/v1/reports", content=frame([wrong]), headers=TYPE)
    assert (answer.status_code, answer.json()["receipts"]) == (200, [])
    answer = client.post("/api/v1/reports", content=frame([wrong, right]), headers=TYPE)
    assert [item["status"] for item in answer.json()["receipts"]] == ["stored"]
    assert refusals(client) == {**before, "clock_unsure": 2.0}
