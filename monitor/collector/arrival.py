"""Who sent requests' envelopes: keys are looked up and signatures checked before any payload is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitor.collector.context import Context
from monitor.model.envelope import Envelope
from monitor.model.jws import SignatureError
from monitor.model.suite import digest_of_bytes
from monitor.store.engine import reading
from monitor.store.keys import AgentKey, keys_of_agents


@dataclass(frozen=True)
class Identity:
    """Who an agent has proved to be."""

    institution: str
    agent: str


class Rejected(ValueError):
    """A report that can't be accepted; the sentence says why, and sending it again won't help."""

    def __init__(self, reason: str, text: str) -> None:
        """Keep the word that metrics count, and the sentence."""
        super().__init__(text)
        self.reason = reason


class NotProved(Exception):
    """A request that no key which counts has signed; the sentence says why."""

    def __init__(self, reason: str, text: str, nonce: str | None = None) -> None:
        """Keep the word that metrics count, the sentence, and a nonce for whoever is known and lacks a fresh one."""
        super().__init__(text)
        self.reason = reason
        self.nonce = nonce


@dataclass(frozen=True)
class Arrived:
    """One envelope of a request: its digest, and what was found."""

    digest: str
    found: Envelope | Rejected


@dataclass(frozen=True)
class Arrivals:
    """What came in of one agent, in its order, and the agent's keys."""

    identity: Identity
    keys: Mapping[str, AgentKey]
    items: tuple[Arrived, ...]


@dataclass(frozen=True)
class _Read:
    """A request's envelopes, read, and who says to have sent them."""

    identity: Identity
    items: tuple[Arrived, ...]


def check_in(context: Context, requests: Sequence[Sequence[bytes]]) -> list[Arrivals | NotProved]:
    """Find out who sent the envelopes of each request; NotProved of one in which none is signed by a key that counts.

    At most one signature of a request that doesn't verify is checked: what comes after it is left unanswered.
    """
    read = [_read_all(bodies) for bodies in requests]
    who = {(item.identity.institution, item.identity.agent) for item in read if isinstance(item, _Read)}
    if not who:
        return [item for item in read if isinstance(item, NotProved)]
    with reading(context.engine) as session:
        keys = keys_of_agents(session, who)
    return [
        item if isinstance(item, NotProved) else _checked(item, keys[item.identity.institution, item.identity.agent])
        for item in read
    ]


def _read_all(bodies: Sequence[bytes]) -> _Read | NotProved:
    items = tuple(_read(body) for body in bodies)
    first = next((item.found for item in items if isinstance(item.found, Envelope)), None)
    if first is None:
        return _not_proved(items)
    return _Read(Identity(first.protected.institution, first.protected.agent), items)


def _checked(read: _Read, keys: Mapping[str, AgentKey]) -> Arrivals | NotProved:
    items: list[Arrived] = []
    for item in read.items:
        checked = Arrived(item.digest, _check(item.found, read.identity, keys))
        items.append(checked)
        if isinstance(checked.found, Rejected) and checked.found.reason == "signature":
            break
    if not any(isinstance(item.found, Envelope) for item in items):
        return _not_proved(items)
    return Arrivals(read.identity, keys, tuple(items))


def _not_proved(items: Sequence[Arrived]) -> NotProved:
    found = items[0].found
    reason = found.reason if isinstance(found, Rejected) else "form"
    return NotProved(reason, str(found) if isinstance(found, Rejected) else "no envelope can be read")


def _read(body: bytes) -> Arrived:
    try:
        envelope = Envelope.read(body)
    except SignatureError as error:
        return Arrived(digest_of_bytes(body), Rejected(error.reason, str(error)))
    return Arrived(envelope.digest, envelope)


def _check(found: Envelope | Rejected, identity: Identity, keys: Mapping[str, AgentKey]) -> Envelope | Rejected:
    if isinstance(found, Rejected):
        return found
    header = found.protected
    if (header.institution, header.agent) != (identity.institution, identity.agent):
        return Rejected("cross_site", "the report is of another agent than the first one of this request")
    key = keys.get(header.kid)
    if key is None:
        return Rejected("unknown_key", "the report is signed with a key that is not registered for this agent")
    if key.revoked is not None:
        return Rejected("revoked_key", "the report is signed with a key that was revoked")
    try:
        found.verify(key.public)
    except SignatureError as error:
        return Rejected(error.reason, str(error))
    return found
