"""The agent's pinned key of the collector gives way to what it signed itself, however many steps were missed, and to nothing else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agents.assignment import Assigned
from agents.link import Link
from agents.rotate import rotate
from agents.state import State
from support import raw_jws
from support.enrolled import enrol_at, pull
from support.loopback_collector import PROBLEM, LoopbackCollector, Reply, Request
from support.packs import pack

ASSIGNMENT = {"schema": "cradlewatch.assignment/1", "institution": "a", "regulation": pack().model_dump(mode="json")}
REFUSED = "is not signed by the collector of the enrolment"


def jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    return {"crv": "Ed25519", "kty": "OKP", "x": raw_jws.encode(key.public_key().public_bytes_raw()).decode()}


def name(key: Ed25519PrivateKey) -> str:
    other = LoopbackCollector()
    other.know(jwk(key))
    return next(iter(other.keys))


def said(old: Ed25519PrivateKey, new: Ed25519PrivateKey, **changes: Any) -> dict[str, str]:
    """Return a hand-over, written by hand; `by` signs in the old key's name, `of` is what stands in the statement."""
    by, of = changes.pop("by", old), changes.pop("of", None)
    statement = json.dumps({"key": jwk(new), "at": 1_795_406_400_000})
    header = {
        "alg": "Ed25519", "b64": False, "crit": ["b64"], "dig": "sha256", "typ": "cradlewatch-handover", "kid": name(old),
        **changes,
    }  # fmt: skip
    return {"signature": raw_jws.signed(header, statement.encode(), by).decode(), "statement": of or statement}


class Centre:
    """A collector whose key is replaced."""

    def __init__(self, collector: LoopbackCollector) -> None:
        self.collector = collector
        self.first = collector.key
        self.handovers: Any = []
        collector.other = self

    def __call__(self, request: Request) -> Reply:
        if request.path == "/api/v1/handovers":
            return self.handovers if isinstance(self.handovers, Reply) else Reply(200, {"handovers": self.handovers})
        return Reply(200, ASSIGNMENT, {"ETag": '"1"'})

    def rotate(self) -> None:
        before, self.collector.key = self.collector.key, Ed25519PrivateKey.generate()
        self.handovers.append(said(before, self.collector.key))

    @property
    def asked(self) -> list[str]:
        return [item.path.rpartition("/")[2] for item in self.collector.requests]


@pytest.fixture
async def centre() -> AsyncIterator[Centre]:
    async with LoopbackCollector.running() as running:
        yield Centre(running)


@pytest.fixture
async def state(tmp_path: Path, centre: Centre) -> AsyncIterator[State]:
    found = State(tmp_path / "state", "a")
    enrol_at(found, centre.collector)
    yield found
    found.close()


def pinned(state: State) -> dict[str, str]:
    enrolment = state.enrolment()
    assert enrolment is not None
    return enrolment.collector_key


async def test_an_agent_that_was_away_during_two_rotations_follows_both(state: State, centre: Centre) -> None:
    assert await pull(state) == ""
    centre.rotate()
    centre.rotate()
    assert await pull(state) == ""
    assert pinned(state) == centre.collector.jwk
    assert centre.asked == ["assignment", "assignment", "handovers"]
    assert await pull(state) == ""
    assert centre.asked[3:] == ["assignment"]  # the new key is kept: nothing has to be followed any more


async def test_a_running_agent_follows_and_goes_on(state: State, centre: Centre) -> None:
    link = Link(state)
    assigned = Assigned(state, link)
    for _ in range(3):
        assert await assigned.pull() is not None or assigned.problem == ""
        assert pinned(state) == centre.collector.jwk
        centre.rotate()
    await link.close()


async def test_the_key_before_counts_no_more(state: State, centre: Centre) -> None:
    centre.rotate()
    assert await pull(state) == ""
    after, centre.collector.key = centre.collector.jwk, centre.first
    assert REFUSED in await pull(state)
    assert pinned(state) == after


NEW, OTHER, STRANGER = (Ed25519PrivateKey.generate() for _ in range(3))
FORGED: dict[str, Callable[[Ed25519PrivateKey], Any]] = {
    "none": lambda key: [],
    "by a stranger in its name": lambda key: [said(key, NEW, by=STRANGER)],
    "by the new key in its name": lambda key: [said(key, NEW, by=NEW)],
    "by a stranger": lambda key: [said(STRANGER, NEW)],
    "a step is missing": lambda key: [said(OTHER, NEW)],
    "another statement": lambda key: [said(key, OTHER, of=said(key, NEW)["statement"])],
    "to two": lambda key: [said(key, NEW), said(key, OTHER)],
    "back again": lambda key: [said(key, NEW), said(NEW, key)],
    "a signature for something else": lambda key: [said(key, NEW, typ="cradlewatch-answer")],
    "another algorithm": lambda key: [said(key, NEW, alg="none")],
    "a header with more": lambda key: [said(key, NEW, jwk=jwk(STRANGER))],
    "a private key": lambda key: [said(key, NEW, of='{"key":{"d":"x"},"at":1}')],
    "too many": lambda key: [said(key, NEW)] * 1001,
    "no list": lambda key: {"a": 1},
    "nothing there": lambda key: Reply(404, {"title": "nothing here"}, PROBLEM),
    "no JSON": lambda key: Reply(200, b"<html>"),
}


@pytest.mark.parametrize("way", FORGED)
async def test_nothing_else_replaces_the_pinned_key(state: State, centre: Centre, way: str) -> None:
    before = pinned(state)
    centre.handovers = FORGED[way](centre.first)
    centre.collector.key = NEW
    assert REFUSED in await pull(state)
    assert pinned(state) == before


async def test_a_hand_over_counts_when_the_next_key_has_signed(state: State, centre: Centre) -> None:
    before = pinned(state)
    centre.rotate()
    centre.collector.key = STRANGER
    assert REFUSED in await pull(state)
    assert pinned(state) == before


async def test_a_line_that_breaks_in_between_changes_nothing(state: State, centre: Centre) -> None:
    before = pinned(state)
    centre.rotate()
    centre.handovers = Reply(raw=b"")
    assert "can't be reached" in await pull(state)
    assert pinned(state) == before


async def test_an_enrolment_that_cannot_be_kept_is_followed_again(
    state: State, centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: State, enrolment: object) -> None:
        raise OSError(28, "No space left on device")

    before = pinned(state)
    centre.rotate()
    with monkeypatch.context() as patch:
        patch.setattr(State, "save_enrolment", full)
        assert await pull(state) == ""
    assert pinned(state) == before
    assert await pull(state) == ""
    assert pinned(state) == centre.collector.jwk


async def test_a_new_key_of_the_agent_brings_no_other_of_the_collector(state: State, centre: Centre) -> None:
    """The answer to the agent's own rotation names a key, and is not signed."""
    before = pinned(state)
    answer = {"institution": "a", "agent": "box", "key": jwk(STRANGER), "nonce": "n" * 22}
    centre.collector.other = lambda request: Reply(201, answer)
    await rotate(state)
    assert pinned(state) == before
