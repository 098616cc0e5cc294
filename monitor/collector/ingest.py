"""Takes reports in: each is stored with its ledger rows before it is answered, and counts once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import structlog
from sqlalchemy.orm import Session

from monitor.collector.allowance import Allowance, TooMuchError
from monitor.collector.arrival import Arrivals, Arrived, Identity, NotProved, Rejected, check_in
from monitor.collector.clocks import FRESH, Standing, agree, compare, has_waited, offset_of
from monitor.collector.context import Context
from monitor.collector.intake import Intake, begin
from monitor.collector.nonce import new_nonce, nonce_moment
from monitor.collector.opening import MISDATED, ClockUnsure, Opened, Trust, look
from monitor.collector.restored import lost_before, sentence
from monitor.model.chain import Gap
from monitor.model.envelope import Envelope
from monitor.model.report import Receipt, Receipts
from monitor.model.span import Millis, from_millis
from monitor.store.agents import Arrival, hold_institutions, reported
from monitor.store.clocks import note_offset
from monitor.store.engine import is_away, writing
from monitor.store.ledger import add_entries
from monitor.store.reports import Received, add_reports

log = structlog.get_logger(__name__)

_DOUBTS = {
    "back_dated": "it says a time before its nonce was given, and counts for nothing: set the agent's clock",
    "ahead": "it says a time ahead of the collector's clock, and counts for nothing: set the agent's clock",
}

Outcome = Receipts | Exception
"""What becomes of a request: its receipts, or why it isn't taken."""


def ingest(context: Context, bodies: Sequence[bytes]) -> Receipts:
    """Store the reports of one agent and answer each: `ingest_together` of one request, whose failure is raised."""
    (found,) = ingest_together(context, [bodies])
    if isinstance(found, Exception):
        raise found
    return found


def ingest_together(
    context: Context, requests: Sequence[Sequence[bytes]], allowance: Allowance | None = None
) -> list[Outcome]:
    """Store the reports of several requests, each of one agent; of what nobody vouches for no payload is read.

    Everything that is new goes into one transaction, which is committed before this returns: what is answered `stored`
    survives the death of this process. Where that fails for one of them, each is taken by itself. A request's outcome
    is NotProved when none of its envelopes is signed by a key that counts, TooMuchError when its agent has used up its
    `allowance`, and the database's error when that fails: nothing of it is acknowledged then. A report whose time can't be while the centre's own clock may be why has no
    receipt, whatever becomes of the others: the agent sends it again.
    """
    try:
        return _together(context, requests, allowance or Allowance())
    except Exception as error:  # noqa: BLE001  (whatever one of them caused is no matter of the others)
        # A database that is away is not asked once more for each of them.
        if len(requests) == 1 or is_away(error):
            return [error] * len(requests)
    return [outcome for item in requests for outcome in ingest_together(context, [item], allowance)]


def _together(context: Context, requests: Sequence[Sequence[bytes]], allowance: Allowance) -> list[Outcome]:
    now = context.now()
    keys = context.keys()
    opened = [
        item if isinstance(item, Exception) else _open(context, item, keys.nonce, now)
        for item in _let_in(check_in(context, requests), allowance, context.clock.monotonic())
    ]
    answers: dict[int, Rejected | str] = {}
    for group in _groups([item for item in opened if isinstance(item, _Request)]):
        stored = _store(context, group, now)
        answers |= stored.answers
        for who, size in stored.kept_bytes.items():
            allowance.took(who, size, context.clock.monotonic())
    return [_answer(item, answers, keys.nonce, now) if isinstance(item, _Request) else item for item in opened]


def _let_in(
    arrived: Sequence[Arrivals | NotProved], allowance: Allowance, now: float
) -> Iterator[Arrivals | NotProved | TooMuchError]:
    """Yield who has proved to be an agent that may go on, and why the others may not."""
    for item in arrived:
        try:
            if isinstance(item, Arrivals):
                allowance.ask(item.identity, now)
        except TooMuchError as error:
            yield error
        else:
            yield item


Looked = Opened | Rejected | ClockUnsure


@dataclass(frozen=True)
class _Request:
    """One agent's request, of which every envelope was looked at."""

    arrived: Arrivals
    looked: tuple[Looked, ...]

    @property
    def opened(self) -> list[Opened]:
        """What may be stored."""
        return [item for item in self.looked if isinstance(item, Opened)]


def _open(context: Context, arrived: Arrivals, nonce_key: bytes, now: Millis) -> _Request:
    looked = [look(item, arrived, nonce_key, now) for item in arrived.items]
    suspect = [item.found for item, seen in zip(arrived.items, looked, strict=True) if _is_misdated(seen)]
    if not suspect:
        return _Request(arrived, tuple(looked))
    trust = _whose_clock(context, arrived.identity, suspect, nonce_key, now)

    def again(item: Arrived, seen: Looked) -> Looked:
        if not _is_misdated(seen):
            return seen
        return trust if isinstance(trust, ClockUnsure) else look(item, arrived, nonce_key, now, trust)

    return _Request(arrived, tuple(map(again, arrived.items, looked)))


def _groups(requests: Sequence[_Request]) -> list[list[_Request]]:
    """Take requests apart so that no two of a group are of one institution: what comes later builds upon the earlier."""
    groups: list[dict[str, _Request]] = []
    for item in requests:
        if not item.opened:
            continue
        institution = item.arrived.identity.institution
        free = next((group for group in groups if institution not in group), None)
        if free is None:
            groups.append({institution: item})
        else:
            free[institution] = item
    return [list(group.values()) for group in groups]


def _answer(request: _Request, answers: Mapping[int, Rejected | str], nonce_key: bytes, now: Millis) -> Receipts:
    who = request.arrived.identity
    receipts = []
    for item, seen in zip(request.arrived.items, request.looked, strict=True):
        if isinstance(seen, ClockUnsure):
            log.info("report has to come again", institution=who.institution, agent=who.agent, reason=str(seen))
            continue
        answer = seen if isinstance(seen, Rejected) else answers[id(seen)]
        doubt = None if isinstance(seen, Rejected) else seen.received.doubt
        receipts.append(_receipt(item.digest, answer, doubt))
        if isinstance(answer, Rejected):
            log.warning("report rejected", institution=who.institution, agent=who.agent, reason=str(answer))
    nonce = new_nonce(nonce_key, who.institution, who.agent, now)
    return Receipts(receipts=tuple(receipts), server_time=from_millis(now), nonce=nonce)


def _is_misdated(seen: Looked) -> bool:
    return isinstance(seen, Rejected) and seen.reason in MISDATED


def _whose_clock(
    context: Context, identity: Identity, suspect: Sequence[Envelope | Rejected], nonce_key: bytes, now: Millis
) -> Trust | ClockUnsure:
    """Return which clock to go by, or that this can't be told yet."""
    with writing(context.engine) as session:
        moments = [_compare_clocks(session, identity, item, nonce_key, now) for item in suspect]
        standing = compare(session, now).standing
        waits = standing is Standing.UNSURE and not has_waited(session, now)
        confirmed = any(at > now for at in moments) and agree(session, now)
    if waits:
        return ClockUnsure("its time can't be, and too few agents were heard lately to tell whose clock is right")
    if standing is Standing.DISPUTED:
        return Trust.AGENT
    return Trust.CONFIRMED if confirmed else Trust.CENTRE


def _compare_clocks(
    session: Session, identity: Identity, item: Envelope | Rejected, nonce_key: bytes, now: Millis
) -> Millis:
    """Note by how much the agent's clock is off by a report; return the moment of its nonce, 0 where it has none."""
    if isinstance(item, Rejected):
        return 0
    header = item.protected
    nonce_at = nonce_moment(nonce_key, identity.institution, identity.agent, header.nonce)
    if nonce_at is None:
        return 0
    offset = offset_of(nonce_at, header.written_at, now)
    if offset is not None:
        # Of a moment to come nobody knows how long ago it was: a report that has waited for long tells less than one of now.
        since = now - FRESH if nonce_at > now else None
        note_offset(session, identity.institution, identity.agent, offset, now, unless_since=since)
    return nonce_at


def _receipt(digest: str, answer: Rejected | str, doubt: str | None) -> Receipt:
    if isinstance(answer, Rejected):
        return Receipt(status="rejected", digest=digest, error=str(answer), reason=answer.reason)
    error = None if doubt is None else _DOUBTS[doubt]
    status: Literal["stored", "already have it"] = "already have it" if answer == "had" else "stored"
    return Receipt(status=status, digest=digest, error=error, reason=doubt)


@dataclass(frozen=True)
class _Stored:
    """What became of a group of requests."""

    answers: dict[int, Rejected | str]
    """By the identity of what was opened: "stored", "had" or why it can't be taken."""
    kept_bytes: dict[Identity, int]
    """How much of each agent is kept that wasn't before: what is new, and other bytes for a place that is taken."""


def _store(context: Context, group: Sequence[_Request], now: Millis) -> _Stored:
    """Store what is new of requests, no two of which are of one institution."""
    requests = {item.arrived.identity: item.opened for item in group}
    answers: dict[int, Rejected | str] = {}
    kept_bytes: dict[Identity, int] = {}
    arrivals: dict[tuple[str, str], Arrival] = {}
    new: dict[str, list[Opened]] = {}
    received: list[tuple[Received, int]] = []
    unread: list[Identity] = []
    with writing(context.engine) as session:
        packs = hold_institutions(session, (who.institution for who in requests), now)
        # Who had to wait comes in when it is its turn: an evaluation that was before it has gone by what was there.
        now = max(now, context.now())
        positions = {who: [item.received.position for item in opened] for who, opened in requests.items()}
        for who, intake in begin(session, positions).items():
            answers |= {id(item): intake.take(item.received, item.link(now)) for item in requests[who]}
            fresh = [item for item in requests[who] if answers[id(item)] == "stored"]
            intake.tell(told for item in fresh for told in item.told)
            kept = [*(item.received for item in fresh), *intake.keep_disputed(now)]
            if kept:
                kept_bytes[who] = sum(len(item.envelope.data) for item in kept)
            if fresh:
                unread += [who] if intake.newly_lost else []
                new[who.institution] = fresh
                received += zip((item.received for item in fresh), itertools.count(intake.reports + 1), strict=False)
                due = context.packs.silent_due(packs.get(who.institution), now)
                arrivals[who.institution, who.agent] = _arrival(fresh, intake, due, now)
        add_reports(session, received, now)
        add_entries(session, {name: [entry for item in items for entry in item.entries] for name, items in new.items()})
        reported(session, arrivals, now)
        lost = _lost(session, requests, new, arrivals)
    for who in unread:
        log.error(
            "what is kept of an agent's chain of reports can't be read: they are taken in, and what is missing of them isn't known"
            " until `cradlewatch collector agent mend` has made it again",
            institution=who.institution,
            agent=who.agent,
        )
    for who, gap in lost:
        log.warning(
            "reports are missing", institution=who.institution, agent=who.agent, reports=gap.count, reason=sentence(gap)
        )
    return _Stored(answers, kept_bytes)


def _lost(
    session: Session,
    requests: Mapping[Identity, Sequence[Opened]],
    new: Mapping[str, Sequence[Opened]],
    arrivals: Mapping[tuple[str, str], Arrival],
) -> list[tuple[Identity, Gap]]:
    """Return the holes before what is new that this collector left itself, as its database was restored."""
    return [
        (who, gap)
        for who in requests
        if (arrival := arrivals.get((who.institution, who.agent))) is not None and arrival.chain is not None
        for gap in lost_before(session, arrival.chain, {item.received.nonce_at for item in new[who.institution]})
    ]


def _arrival(new: Sequence[Opened], intake: Intake, due: Millis | None, now: Millis) -> Arrival:
    newest = max(new, key=lambda item: item.received.report.written_at).received.report
    misdated = sum(item.received.doubt is not None for item in new)
    last = new[-1].received
    offset = offset_of(last.nonce_at, last.envelope.protected.written_at, now)
    return Arrival(len(new), newest.version, intake.chain, intake.forked, due, misdated, offset)
