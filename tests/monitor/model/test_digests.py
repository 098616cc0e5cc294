"""Another digest is one entry of the table, too: agents chain, send and tell by it, and it may change in the middle of a chain."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey
from sqlalchemy import Engine

from agents.identity import Identity as Signer
from agents.outbox import Outbox
from agents.reporter import Reporter
from monitor.collector.arrival import Identity, NotProved
from monitor.collector.enrolment import EnrolmentError, Offer, create_code, enrol, revoke, rotate
from monitor.collector.evaluate import evaluate
from monitor.collector.evidence import export_evidence
from monitor.collector.ingest import ingest
from monitor.collector.signed_request import who_asks
from monitor.collector.verify import verify_institution
from monitor.evidence.bundle import Bundle
from monitor.evidence.check import check_bundle
from monitor.model import suite
from monitor.model.enrolment import prove_possession
from monitor.model.envelope import Envelope
from monitor.model.jws import SignatureError
from monitor.model.observation import Kind, Observation
from monitor.model.report import Receipts, Report
from monitor.model.signed import request_text, sign_request
from monitor.model.suite import PrivateKey, Suite
from monitor.store.engine import reading
from monitor.store.findings import finding_rows
from support.centre import BOOT, NOW, Centre, declared, index, make_centre, span
from support.packs import pack
from support.signing import offer

EC = {"kty": "EC", "crv": "P-256"}
OKP = {"kty": "OKP", "crv": "Ed25519"}
ENTRIES = [
    Suite("ES256", "sha384", hashlib.sha384, EC),
    Suite("ES384", "sha512", hashlib.sha512, {"kty": "EC", "crv": "P-384"}),
    Suite("ES512", "sha3-512", hashlib.sha3_512, {"kty": "EC", "crv": "P-521"}),
    Suite("Ed25519", "sha3-256", hashlib.sha3_256, OKP),
    Suite("Ed25519", "sha512", hashlib.sha512, OKP),
]


def put_in(monkeypatch: pytest.MonkeyPatch, entry: Suite) -> None:
    """Put an entry into the table, and make it the one by which new keys are made."""
    monkeypatch.setitem(suite.SUITES, (entry.algorithm, entry.digest), entry)
    monkeypatch.setattr(suite, "DEFAULT", entry)


def retire(monkeypatch: pytest.MonkeyPatch, entry: Suite) -> None:
    monkeypatch.setitem(suite.SUITES, (entry.algorithm, entry.digest), dataclasses.replace(entry, retired=True))


class Box:
    """An agent's own code with its outbox, in front of a centre."""

    def __init__(self, centre: Centre, outbox: Outbox) -> None:
        """Enrol it by a code."""
        self.centre, self.outbox = centre, outbox
        self.key, code = PrivateKey.make(), create_code(centre.context, "wj-0001")
        self.nonce = enrol(centre.context, code, "own", offer(self.key, code)).nonce
        self.sent: list[bytes] = []

    def write(self, *observations: Observation) -> None:
        signer = Signer("wj-0001", "own", self.key, self.nonce)
        Reporter(self.outbox, self.centre.clock, signer, BOOT).report(observations)

    def send(self) -> Receipts:
        """Send all that waits, in one request: everything has to be taken."""
        entries = self.outbox.take(64, 1 << 24)
        receipts = ingest(self.centre.context, [entry.payload for entry in entries])
        names = [Envelope.read(entry.payload).digest for entry in entries]
        assert [(item.digest, item.status) for item in receipts.receipts] == [(name, "stored") for name in names]
        self.sent += [entry.payload for entry in entries]
        self.nonce = receipts.nonce or self.nonce
        self.outbox.delivered(entries, receipts.nonce)
        return receipts

    def replace_key(self) -> None:
        key, by = PrivateKey.make(), self.key.public.id
        proof = prove_possession(key, "wj-0001/own")
        self.nonce = rotate(self.centre.context, Identity("wj-0001", "own"), by, Offer(key.public.jwk, proof)).nonce
        self.key = key


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with closing(Outbox(tmp_path / "outbox.db", max_bytes=6000)) as one:
        yield one


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.algorithm}-{entry.digest}")
def test_an_agent_enrols_chains_sends_tells_and_rotates_by_it_and_all_of_it_verifies(
    engine: Engine, outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: Suite
) -> None:
    centre = make_centre(engine, pack(retention={"confirm_after": "0s"}))
    centre.add()
    box = Box(centre, outbox)
    box.write(declared(NOW))
    box.send()
    put_in(monkeypatch, entry)
    box.replace_key()  # the chain goes on with another digest
    box.write(index("gate", NOW, 36))
    box.write(span("camera/gate", "up", NOW, NOW + 1000))
    box.send()
    for number in range(12):  # more than the outbox holds
        box.write(span("camera/gate", "up", NOW + number * 1000, NOW + (number + 1) * 1000))
    assert outbox.status().dropped > 0
    box.send()
    box.write()
    box.send()
    box.replace_key()
    box.write(span("camera/gate", "up", NOW + 20_000, NOW + 21_000))
    box.send()
    read = [Envelope.read(data) for data in box.sent]
    used = {(item.protected.alg, item.protected.dig) for item in read}
    assert used == {("Ed25519", "sha256"), (entry.algorithm, entry.digest)}
    told = [item for data in read for item in json_ranges(data)]
    assert told
    assert all(name.startswith(f"{entry.digest}:") for item in told for name in item["digests"])
    assert all(len(item["digests"]) == item["last"] - item["first"] + 1 for item in told)
    centre.clock.advance(60)
    assert verify_institution(centre.context, "wj-0001").problems == []
    evaluate(centre.context, "wj-0001")
    with reading(engine) as session:
        (row,) = [item for item in finding_rows(session) if item.requirement == "retention"]
    export_evidence(centre.context, row.id, tmp_path / "b.zip")
    found = check_bundle(Bundle(tmp_path / "b.zip"))
    assert found.fails == []
    assert any("linked to the one before" in text for text in found.holds)


def json_ranges(envelope: Envelope) -> list[dict[str, Any]]:
    """Return what a report tells of those that had to go."""
    said = Report.from_bytes(envelope.payload).observations
    facts: list[Any] = [item.facts["ranges"] for item in said if item.kind is Kind.DROPPED]
    return [item for ranges in facts for item in ranges]


@pytest.mark.parametrize("entry", [ENTRIES[0], ENTRIES[4]], ids=lambda entry: f"{entry.algorithm}-{entry.digest}")
def test_what_is_retired_takes_nothing_new_and_is_still_checked(
    engine: Engine, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, entry: Suite
) -> None:
    centre = make_centre(engine)
    centre.add()
    put_in(monkeypatch, entry)
    box = Box(centre, outbox)
    box.write(declared(NOW))
    box.send()
    box.write(span("camera/gate", "up", NOW, NOW + 1000))
    monkeypatch.setattr(suite, "DEFAULT", suite.ED25519)
    retire(monkeypatch, entry)
    (waiting,) = outbox.take(64, 1 << 24)
    with pytest.raises(NotProved) as refused:
        ingest(centre.context, [waiting.payload])
    assert refused.value.reason == "algorithm"
    if entry.key_type is EC:
        text = request_text("GET", "/api/v1/agents/self/assignment")
        with pytest.raises(NotProved) as refused:
            who_asks(centre.context, sign_request(box.key, "wj-0001", "own", box.nonce, text), text)
        assert refused.value.reason == "algorithm"
        code = create_code(centre.context, "wj-0001")
        another = PrivateKey(ECKey.generate_key("P-256", private=True))
        with pytest.raises(EnrolmentError, match="not taken any more"):
            enrol(centre.context, code, "own", offer(another, code))
    assert verify_institution(centre.context, "wj-0001").problems == []


def test_an_entry_that_is_gone_refuses_its_agents_by_reason_and_no_other(
    engine: Engine, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre = make_centre(engine)
    centre.add()
    centre.see(declared(NOW))
    entry = ENTRIES[0]
    put_in(monkeypatch, entry)
    box = Box(centre, outbox)
    box.write(span("camera/gate", "up", NOW, NOW + 1000))
    box.send()
    box.write(span("camera/gate", "up", NOW + 1000, NOW + 2000))
    (waiting,) = outbox.take(64, 1 << 24)
    text = request_text("GET", "/api/v1/agents/self/assignment")
    asking = sign_request(box.key, "wj-0001", "own", box.nonce, text)
    monkeypatch.undo()
    with pytest.raises(NotProved) as refused:
        ingest(centre.context, [waiting.payload])
    assert refused.value.reason == "algorithm"
    with pytest.raises(NotProved) as refused:
        who_asks(centre.context, asking, text)
    assert refused.value.reason == "algorithm"
    with pytest.raises(SignatureError):
        Envelope.read(waiting.payload)
    assert outbox.take(64, 1 << 24) == [waiting], "what can't be checked any more is not called damaged"
    centre.see(span("camera/gate", "up", NOW, NOW + 1000))
    (problem,) = verify_institution(centre.context, "wj-0001").agents[1].problems[:1]
    assert "not allowed" in problem
    assert not any("edited" in text for text in verify_institution(centre.context, "wj-0001").agents[1].problems)
    # The box is enrolled again, and goes on beside its earlier key.
    box.key, code = PrivateKey.make(), create_code(centre.context, "wj-0001")
    box.nonce = enrol(centre.context, code, "own", offer(box.key, code)).nonce
    outbox.reject(waiting, "signed by an algorithm that isn't allowed")
    box.write(span("camera/gate", "up", NOW + 2000, NOW + 3000))
    box.send()
    assert revoke(centre.context, "wj-0001", "own") == 2
