"""Who sent requests' envelopes: keys are looked up and signatures checked before any payload is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from monitor.collector.context import Context
from monitor.model.envelope import Envelope, name_of
from monitor.model.jws import SignatureError
from monitor.model.suite import RETIRED
from monitor.store.engine import asking
from monitor.store.keys import AgentKey, agent_keys, keys_of_agents


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
    """A request's envelopes, read up to the first that can be read, and who says to have sent them."""

    identity: Identity
    unreadable: tuple[Arrived, ...]
    first: Envelope
    rest: Sequence[bytes]


def check_in(context: Context, requests: Sequence[Sequence[bytes]]) -> list[Arrivals | NotProved]:
    """Find out who sent the envelopes of each request.

    NotProved of one whose first envelope that can be read is not signed by a key that counts: nothing more of it is read then.
    At most one signature of a request that doesn't verify is checked: what comes after it is left unanswered.
    """
    read = [_read_first(bodies) for bodies in requests]
    who = {(item.identity.institution, item.identity.agent) for item in read if isinstance(item, _Read)}
    if not who:
        return [item for item in read if isinstance(item, NotProved)]
    with asking(context.engine) as session:
        keys = keys_of_agents(session, who)
    return [
        item if isinstance(item, NotProved) else _checked(item, keys[item.identity.institution, item.identity.agent])
        for item in read
    ]


def check_first(context: Context, head: bytes, whole: Callable[[], bytes]) -> None:
    """Raises NotProved unless a request's first envelope is signed by a key that counts.

    `head` is its beginning, with the whole header; `whole` gives all of it, and is asked for the envelope of such a key alone.
    """
    begun = _read_first([head])
    if isinstance(begun, NotProved):
        raise begun
    with asking(context.engine) as session:
        keys = agent_keys(session, begun.identity.institution, begun.identity.agent)
    wrong = _check_key(begun.first, begun.identity, keys)
    if isinstance(wrong, Rejected):
        raise _not_proved(wrong)
    read = _read_first([whole()])
    found = read if isinstance(read, NotProved) else _checked(read, keys)
    if isinstance(found, NotProved):
        raise found


def _read_first(bodies: Sequence[bytes]) -> _Read | NotProved:
    unreadable: list[Arrived] = []
    for number, body in enumerate(bodies):
        try:
            first = Envelope.read(body)
        except SignatureError as error:
            unreadable.append(_unreadable(body, error))
        else:
            identity = Identity(first.protected.institution, first.protected.agent)
            return _Read(identity, tuple(unreadable), first, bodies[number + 1 :])
    return _not_proved(unreadable[0].found)


def _checked(read: _Read, keys: Mapping[str, AgentKey]) -> Arrivals | NotProved:
    found = _check(read.first, read.identity, keys)
    if isinstance(found, Rejected):
        return _not_proved(read.unreadable[0].found if read.unreadable else found)
    items = [*read.unreadable, Arrived(found.digest, found)]
    for body in read.rest:
        try:
            envelope = Envelope.read(body)
        except SignatureError as error:
            items.append(_unreadable(body, error))
            continue
        checked = _check(envelope, read.identity, keys)
        items.append(Arrived(envelope.digest, checked))
        if isinstance(checked, Rejected) and checked.reason == "signature":
            break
    return Arrivals(read.identity, keys, tuple(items))


def _not_proved(found: Envelope | Rejected) -> NotProved:
    if isinstance(found, Rejected):
        return NotProved(found.reason, str(found))
    return NotProved("form", "no envelope can be read")


def _unreadable(body: bytes, error: SignatureError) -> Arrived:
    return Arrived(name_of(body), Rejected(error.reason, str(error)))


def _check(found: Envelope, identity: Identity, keys: Mapping[str, AgentKey]) -> Envelope | Rejected:
    key = _check_key(found, identity, keys)
    if isinstance(key, Rejected):
        return key
    try:
        found.verify(key.public)
    except SignatureError as error:
        return Rejected(error.reason, str(error))
    return found


def _check_key(found: Envelope, identity: Identity, keys: Mapping[str, AgentKey]) -> AgentKey | Rejected:
    header = found.protected
    if (header.institution, header.agent) != (identity.institution, identity.agent):
        return Rejected("cross_site", "the report is of another agent than the first one of this request")
    key = keys.get(header.kid)
    if key is None:
        return Rejected("unknown_key", "the report is signed with a key that is not registered for this agent")
    if key.revoked is not None:
        return Rejected("revoked_key", "the report is signed with a key that was revoked")
    if found.suite.retired:
        return Rejected("algorithm", f"{RETIRED}: replace the agent's key, or enrol it again")
    return key
