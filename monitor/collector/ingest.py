"""Takes reports in: each is stored with its ledger rows before it is answered, and counts once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy.orm import Session

from monitor.collector.context import Context
from monitor.model.observation import Kind, Observation
from monitor.model.report import MAX_REPORT_BYTES, Batch, Envelope, Receipt, Receipts, Report
from monitor.model.span import DAY, Millis, from_millis, isoformat, to_millis
from monitor.regulations.problem import PackError
from monitor.store.agents import hold_institution, reported
from monitor.store.engine import writing
from monitor.store.ledger import Entry, add_entries
from monitor.store.reports import Received, add_reports, known_digests

log = structlog.get_logger(__name__)

MAX_AHEAD: Millis = DAY
"""What lies further ahead of the centre's clock can't have been seen."""

EARLIEST: Millis = 1_577_836_800_000
"""2020-01-01T00:00:00Z. A box without a clock starts in 1970: nothing was seen then, whatever it says."""

MAX_VALID: Millis = 3660 * DAY
"""How long an observation may be said to hold: ten years."""

LARGEST = 2**53
"""The largest number that every reader of JSON understands exactly."""

_SUBJECTS_OF = {
    Kind.STREAM: "camera",
    Kind.VIEW: "camera",
    Kind.RECORDINGS: "camera",
    Kind.MAIN_STREAM: "camera",
    Kind.WRITTEN: "camera",
    Kind.PROOF: "camera",
    Kind.REACH: "recorder",
    Kind.CHANNELS: "recorder",
    Kind.DISKS: "recorder",
    Kind.CLOCK: "recorder",
    Kind.RECORDING_MODE: "camera",
    Kind.EXPIRY: "camera",
    Kind.FOOTAGE_LOST: "camera",
    Kind.TIME_SYNC: "recorder",
    Kind.ALARM_INPUTS: "recorder",
    Kind.FAULT_NOTICES: "recorder",
    Kind.STORAGE_MODE: "recorder",
    Kind.IDENTITY: "recorder or camera",
    Kind.AGENT: "agent",
    Kind.INVENTORY: "institution",
    Kind.BASELINE: "camera",
}
"""Who each kind speaks of; an attestation may speak of anything."""

_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,40}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LARGE = re.compile(r"\d{16}|\d[eE]\+?\d")


@dataclass(frozen=True)
class Identity:
    """Who an agent has proved to be."""

    institution: str
    agent: str


@dataclass(frozen=True)
class Opened:
    """A report that may be stored: read, checked, and written down for the ledger."""

    received: Received
    entries: tuple[Entry, ...]


class Rejected(ValueError):
    """A report that can't be accepted; the sentence says why, and sending it again won't help."""


def ingest(context: Context, identity: Identity, batch: Batch) -> Receipts:
    """Store the batch's reports and answer each.

    Everything that is new goes into one transaction, which is committed before this returns: what is answered
    `stored` survives the death of this process. A database error leaves this function: nothing is acknowledged then.
    """
    now = context.now()
    looked = [_look(envelope, identity, now) for envelope in batch.envelopes]
    opened = [item for item in looked if isinstance(item, Opened)]
    statuses = _store(context, identity, opened, now) if opened else {}
    receipts = []
    for envelope, item in zip(batch.envelopes, looked, strict=True):
        if isinstance(item, Rejected):
            receipts.append(Receipt(status="rejected", digest=envelope.digest, error=str(item)))
            log.warning("report rejected", institution=identity.institution, agent=identity.agent, reason=str(item))
        else:
            receipts.append(statuses[id(item)])
    return Receipts(receipts=tuple(receipts), server_time=from_millis(now))


def _store(context: Context, identity: Identity, opened: Sequence[Opened], now: Millis) -> dict[int, Receipt]:
    with writing(context.engine) as session:
        regulation = hold_institution(session, identity.institution, now)
        positions = [item.received.position for item in opened]
        known = known_digests(session, identity.institution, identity.agent, positions)
        new: list[Opened] = []
        receipts: dict[int, Receipt] = {}
        for item in opened:
            before = known.get(item.received.position)
            receipts[id(item)] = _receipt(item.received, before)
            if before is None:
                known[item.received.position] = item.received.digest
                new.append(item)
        if new:
            _write(session, context, identity, new, now, regulation)
    return receipts


def _receipt(received: Received, before: str | None) -> Receipt:
    if before is None:
        return Receipt(status="stored", digest=received.digest)
    if before == received.digest:
        return Receipt(status="already have it", digest=received.digest)
    boot, sequence = received.position
    error = f"report {sequence} of boot {boot} differs from the one already stored"
    return Receipt(status="rejected", digest=received.digest, error=error)


def _write(
    session: Session, context: Context, identity: Identity, new: Sequence[Opened], now: Millis, regulation: str | None
) -> None:
    add_reports(session, [item.received for item in new], now)
    add_entries(session, identity.institution, (entry for item in new for entry in item.entries))
    newest = max(new, key=lambda item: item.received.report.written_at).received.report
    due = _silent_due(context, regulation, now)
    reported(session, identity.institution, identity.agent, now, len(new), newest.version, due)


def _silent_due(context: Context, regulation: str | None, now: Millis) -> Millis | None:
    """Return when the agent counts as silent unless it reports again; None when nobody asks."""
    try:
        requirement = None if regulation is None else context.packs.get(regulation).requirements.agent_silence
    except PackError:
        return None  # a pack that can't be read must not lose a report; the evaluation says what is wrong with it
    return None if requirement is None else now + requirement.silent_after + 1


def _look(envelope: Envelope, identity: Identity, now: Millis) -> Opened | Rejected:
    try:
        return open_envelope(envelope, identity, now)
    except Rejected as error:
        return error


def open_envelope(envelope: Envelope, identity: Identity, now: Millis) -> Opened:
    """Read and check one envelope. Raises Rejected."""
    try:
        payload = envelope.open()
    except ValueError as error:
        raise Rejected(str(error)) from None
    if len(payload) > MAX_REPORT_BYTES:
        raise Rejected(f"the report has {len(payload)} bytes; {MAX_REPORT_BYTES} are allowed")
    try:
        report = Report.from_bytes(payload)
    except ValidationError as error:
        raise Rejected(f"the report can't be read: {first_error(error)}") from None
    _check_sender(report, identity)
    if _CONTROL.search(report.version):
        raise Rejected("version holds a control character")
    _check_written(report, now)
    entries = tuple(_entry(index, item, identity, now) for index, item in enumerate(report.observations))
    return Opened(Received(report, payload, envelope.digest), entries)


def first_error(error: ValidationError) -> str:
    """Return the first of pydantic's errors as a sentence: where and what, never what was sent."""
    detail = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part)[:40] for part in detail["loc"])[:120]
    return f"{where}: {detail['msg'][:200]}" if where else detail["msg"][:200]


def _check_sender(report: Report, identity: Identity) -> None:
    if (report.institution, report.agent) != (identity.institution, identity.agent):
        raise Rejected(
            f"the report is of {report.institution}/{report.agent}, the token of {identity.institution}/{identity.agent}"
        )


def _check_written(report: Report, now: Millis) -> None:
    try:
        written = to_millis(report.written_at)
    except OverflowError:
        raise Rejected("written_at: the instant is out of range") from None
    _check_instant("written_at", written, now)


def _check_instant(name: str, at: Millis, now: Millis) -> None:
    if at > now + MAX_AHEAD:
        raise Rejected(
            f"{name} is {_shown(at)}, more than a day ahead of the collector's clock ({isoformat(now)}): set the agent's clock"
        )
    if at < EARLIEST:
        raise Rejected(f"{name} is {_shown(at)}, before 2020: set the agent's clock")


def _shown(at: Millis) -> str:
    try:
        return isoformat(at)
    except (OverflowError, ValueError):
        return "out of range"


def _entry(index: int, item: Observation, identity: Identity, now: Millis) -> Entry:
    """Check one observation and write it down."""
    name = f"observations.{index}"
    _check_subject(name, item, identity)
    _check_instant(f"{name}.start", item.start, now)
    _check_instant(f"{name}.end", item.end, now)
    if not 0 <= item.expires <= now + MAX_VALID:
        raise Rejected(f"{name}.expires is {_shown(item.expires)}: an observation holds at most ten years")
    if not all(_WORD.fullmatch(word) for word in (item.state, item.cause) if word is not None):
        raise Rejected(f"{name}: state and cause are words of letters, digits and _ . : -")
    try:
        entry = Entry.of(item)
    except ValueError:
        raise Rejected(f"{name}.facts: NaN and infinity are no numbers") from None
    if _LARGE.search(entry.text) and not _sound(item.facts):
        raise Rejected(f"{name}.facts: a number is larger than 2^53")
    return entry


def _check_subject(name: str, item: Observation, identity: Identity) -> None:
    subject = item.subject
    if _CONTROL.search(subject.id):
        raise Rejected(f"{name}.subject.id holds a control character")
    own = {"institution": identity.institution, "agent": identity.agent}
    if own.get(subject.kind, subject.id) != subject.id:
        raise Rejected(f"{name} speaks of {subject}, which is not the sender's")
    if subject.kind not in _SUBJECTS_OF.get(item.kind, subject.kind).split(" or "):
        raise Rejected(f"{name}: {item.kind} speaks of a {_SUBJECTS_OF[item.kind]}, not of {subject}")
    if item.kind is Kind.INVENTORY and _declared_id(item) != identity.institution:
        raise Rejected(f"{name} declares another institution than the sender's")


def _declared_id(item: Observation) -> Any:
    declared = item.facts.get("institution")
    return declared.get("id") if isinstance(declared, dict) else None


def _sound(value: Any) -> bool:
    """Tell whether every number in a JSON value can be computed with."""
    if isinstance(value, dict):
        return all(_sound(item) for item in value.values())
    if isinstance(value, list):
        return all(_sound(item) for item in value)
    return not isinstance(value, int | float) or abs(value) <= LARGEST
