"""Checks what is stored against itself: every signature and every link, from the stored bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from monitor.collector.context import Context
from monitor.collector.nonce import nonce_moment
from monitor.model.chain import Chain
from monitor.model.envelope import Envelope, Place
from monitor.model.jws import SignatureError
from monitor.model.span import isoformat
from monitor.store.agents import AgentSummary, agents_of
from monitor.store.engine import reading
from monitor.store.keys import AgentKey, agent_keys
from monitor.store.reports import Position, StoredReport, stored_reports


@dataclass
class Checked:
    """How an agent's stored reports were found."""

    institution: str
    agent: str
    reports: int = 0
    unsigned: int = 0
    """They came before there were signatures: nothing can be checked of them."""
    problems: list[str] = field(default_factory=list)
    """One sentence each, naming the row."""


def verify_institution(context: Context, institution: str) -> list[Checked]:
    """Check the stored reports of an institution's agents. Nothing is changed."""
    nonce_key = context.keys().nonce
    with reading(context.engine) as session:
        found = []
        for agent in agents_of(session, institution):
            keys = agent_keys(session, institution, agent.id)
            rows = stored_reports(session, institution, agent.id)
            found.append(_verify(agent, keys, rows, nonce_key))
    return found


def _verify(agent: AgentSummary, keys: Mapping[str, AgentKey], rows: Iterable[StoredReport], secret: bytes) -> Checked:
    checked = Checked(agent.institution, agent.id)
    places: dict[Position, str] = {}
    links: dict[Position, Place | None] = {}
    for row in rows:
        checked.reports += 1
        if row.key_id is None:
            checked.unsigned += 1
            continue
        places[row.position] = row.digest
        try:
            envelope = _proved(row, keys)
        except SignatureError as error:
            checked.problems.append(f"{_name(row.position)}: {error}")
            continue
        links[row.position] = envelope.protected.after
        checked.problems += [f"{_name(row.position)}: {text}" for text in _row_problems(row, envelope, agent, secret)]
    checked.problems += _link_problems(agent.chain, places, links)
    if checked.reports != agent.reports:
        checked.problems.append(f"{agent.reports} reports were taken in, and {checked.reports} are stored")
    return checked


def _proved(row: StoredReport, keys: Mapping[str, AgentKey]) -> Envelope:
    """Return a row's envelope, once its signature holds. Raises SignatureError."""
    envelope = Envelope.read(row.envelope)
    key = keys.get(envelope.protected.kid)
    if key is None:
        raise SignatureError("unknown_key", "the key that signed it is not registered any more")
    envelope.verify(key.public)
    return envelope


def _row_problems(row: StoredReport, envelope: Envelope, agent: AgentSummary, secret: bytes) -> Iterator[str]:
    """Say where a row's columns differ from the signed bytes beside them."""
    header = envelope.protected
    if (header.institution, header.agent, header.boot, header.sequence) != (agent.institution, agent.id, *row.position):
        said = f"{header.institution}/{header.agent}, {header.sequence} of boot {header.boot}"
        yield f"the signed bytes in this place are those of {said}"
    if envelope.digest != row.digest or header.kid != row.key_id or header.written_at != row.written_at:
        yield "digest, key or time beside the signed bytes are not theirs"
    if nonce_moment(secret, header.institution, header.agent, header.nonce) != row.nonce_at:
        yield "the moment beside the signed bytes is not that of their nonce"
    elif row.nonce_at is not None and row.received_at < row.nonce_at:
        yield f"it is said to have come in at {isoformat(row.received_at)}, before its nonce was given"


def _link_problems(
    chain: Chain, places: Mapping[Position, str], links: Mapping[Position, Place | None]
) -> Iterator[str]:
    """Say which reports are gone or exchanged: what another one follows, and what the chain ended with when it came."""
    holes = {item.after for item in chain.segments}
    for position, after in links.items():
        if after is None or after in holes:
            continue
        here = places.get((after.boot, after.sequence))
        if here is None and not chain.settled:
            yield f"{_name((after.boot, after.sequence))} is gone: {_name(position)} follows it"
        elif here is not None and here != after.digest:
            yield f"{_name((after.boot, after.sequence))} is not the one that {_name(position)} follows"
    for item in chain.segments:
        for end in (item.first.place, item.last.place):
            if places.get((end.boot, end.sequence)) is None:
                yield f"{_name((end.boot, end.sequence))} is gone: it is an end of the agent's chain"


def _name(position: Position) -> str:
    boot, sequence = position
    return f"report {sequence} of boot {boot}"
