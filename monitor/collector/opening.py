"""Opens envelopes that are proved: the report is read, its time and its observations are checked, nothing is stored."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from monitor.collector.arrival import Arrivals, Arrived, Identity, Rejected
from monitor.collector.nonce import nonce_moment
from monitor.model.chain import Link, Mark, Told
from monitor.model.envelope import Envelope, Protected
from monitor.model.observation import Kind, Observation, StreamCause
from monitor.model.report import EARLIEST, MAX_AHEAD, MAX_AHEAD_IN_DOUBT, MAX_REPORT_BYTES, Report, is_back_dated
from monitor.model.span import DAY, HOUR, Millis, isoformat, to_millis
from monitor.regulations.messages import said
from monitor.store.ledger import Entry
from monitor.store.reports import Received

OVERLAP: Millis = HOUR
"""So long after it was replaced a key may still have signed: another process of the agent had read it before."""

MAX_VALID: Millis = 3660 * DAY
"""How long an observation may be said to hold: ten years."""

MISDATED = frozenset({"back_dated", "ahead"})
"""Why a report says a time that can't be."""

_REPLACED = "the report is signed with a key that had been replaced when it was written"

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
    Kind.TWIN: "camera",
    Kind.TIME_SYNC: "recorder",
    Kind.ALARM_INPUTS: "recorder",
    Kind.FAULT_NOTICES: "recorder",
    Kind.STORAGE_MODE: "recorder",
    Kind.IDENTITY: "recorder or camera",
    Kind.AGENT: "agent",
    Kind.DROPPED: "agent",
    Kind.STORAGE: "agent",
    Kind.INVENTORY: "institution",
    Kind.BASELINE: "camera",
}
"""Who each kind speaks of; an attestation may speak of anything."""
_MAY_SPEAK_OF = {kind: frozenset(words.split(" or ")) for kind, words in _SUBJECTS_OF.items()}

_WORD = re.compile(r"(?=.{1,40}$)[_.:-]*[A-Za-z0-9][A-Za-z0-9_.:-]*")
"""With a letter or digit in it: the ledger writes - for no cause."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LARGE = re.compile(r"\d{16}|\d[eE]\+?\d")


@dataclass(frozen=True)
class Opened:
    """A report that may be stored: proved, read, checked, and written down for the ledger."""

    received: Received
    entries: tuple[Entry, ...]
    """None of a report whose time can't be: it is kept, and counts for nothing."""

    def link(self, now: Millis) -> Link:
        """What the chain is told of it when it comes in."""
        protected = self.received.envelope.protected
        mark = Mark(
            place=self.received.envelope.place, nonce_at=self.received.nonce_at, written_at=protected.written_at
        )
        return Link(protected.after, mark, now)

    @property
    def told(self) -> list[Told]:
        """Return what the agent says it had to give up."""
        return given_up(self.received.report)


def given_up(report: Report) -> list[Told]:
    """Return what a report says that the agent had to give up; a range that can't be read says nothing."""
    found = (item.facts.get("ranges") for item in report.observations if item.kind is Kind.DROPPED)
    return [told for ranges in found if isinstance(ranges, list) for item in ranges if (told := _told(item))]


def _told(value: Any) -> Told | None:
    try:
        told = Told(boot=value["boot"], first=value["first"], last=value["last"])
    except (ValidationError, TypeError, KeyError):
        return None
    return told if told.first <= told.last else None


class Trust(Enum):
    """Which clock decides about a report whose time can't be by the centre's."""

    CENTRE = "centre"
    CONFIRMED = "confirmed"
    """The centre's, with which its agents agree."""
    AGENT = "agent"
    """The centre's disagrees with the median of its agents'."""


class ClockUnsure(Exception):
    """A report's time can't be, and the centre's own clock may be wrong: the agent has to send it again later."""


def look(
    item: Arrived, arrived: Arrivals, nonce_key: bytes, now: Millis, trust: Trust | None = None
) -> Opened | Rejected | ClockUnsure:
    """Open what arrived, as `open_envelope` does; return why where it can't be accepted, or not yet."""
    if isinstance(item.found, Rejected):
        return item.found
    try:
        return open_envelope(item.found, arrived, nonce_key, now, trust)
    except (Rejected, ClockUnsure) as error:
        return _alone(error)


def _alone(error: Rejected | ClockUnsure) -> Rejected | ClockUnsure:
    """Return an error without the frames that it came through: they hold the report, and the error itself, until garbage is looked for."""
    error.__traceback__ = error.__context__ = None
    return error


def open_envelope(
    envelope: Envelope, arrived: Arrivals, nonce_key: bytes, now: Millis, trust: Trust | None = None
) -> Opened:
    """Read and check a report whose envelope is proved. Raises Rejected, ClockUnsure.

    Where a time that it says can't be, `trust` says what follows: by the centre's clock it is kept and counts for
    nothing, by the agent's it counts, or has to wait where it lies in the future (ClockUnsure). None: whose clock is right
    was not asked yet.
    """
    identity, payload, protected = arrived.identity, envelope.payload, envelope.protected
    nonce_at = nonce_moment(nonce_key, identity.institution, identity.agent, protected.nonce)
    if nonce_at is None:
        raise Rejected("nonce", "the report carries no nonce that this collector gave to its agent")
    replaced = arrived.keys[protected.kid].replaced
    if replaced is not None and replaced + OVERLAP < nonce_at <= now:
        raise Rejected("replaced_key", _REPLACED)
    if len(payload) > MAX_REPORT_BYTES:
        raise Rejected("size", f"the report has {len(payload)} bytes; {MAX_REPORT_BYTES} are allowed")
    try:
        report = Report.from_sender(payload)
    except ValidationError as error:
        raise Rejected("content", f"the report can't be read: {first_error(error)}") from None
    _check_header(report, protected)
    # Who keeps to the nonce of before gets no newer one: what he tells of later says that he had none of the time before.
    if replaced is not None and _latest(report, protected) > replaced + OVERLAP:
        raise Rejected("replaced_key", _REPLACED)
    if _CONTROL.search(report.version):
        raise Rejected("content", "version holds a control character")
    received = Received(report, envelope, nonce_at)
    # A nonce of a moment to come says that the centre's own clock was set back.
    in_doubt = trust is Trust.AGENT or nonce_at > now
    latest = now + (MAX_AHEAD_IN_DOUBT if in_doubt else MAX_AHEAD)
    try:
        _check_written(report, nonce_at, now, latest)
    except Rejected as error:
        if error.reason != "back_dated" or trust is not Trust.AGENT:
            return _doubted(received, error, now, trust)
    try:
        entries = tuple(_entry(index, item, identity, now, latest) for index, item in enumerate(report.observations))
    except Rejected as error:
        return _doubted(received, error, now, trust)
    return Opened(received, entries)


def _doubted(received: Received, error: Rejected, now: Millis, trust: Trust | None) -> Opened:
    """Return a report that is kept and counts for nothing. Raises Rejected, ClockUnsure: it isn't kept, or not yet."""
    if error.reason not in MISDATED or trust is None:
        raise error
    # Where the centre's own clock was set back it is no measure of what lies ahead, until its agents agree with it again.
    was_set_back = received.nonce_at > now and trust is not Trust.CONFIRMED
    if error.reason == "ahead" and (trust is Trust.AGENT or was_set_back):
        raise ClockUnsure("it lies ahead of the collector's clock, which is not to be trusted now") from None
    return Opened(replace(received, doubt=error.reason), ())


def first_error(error: ValidationError) -> str:
    """Return the first of pydantic's errors as a sentence: where and what, never what was sent."""
    detail = error.errors(include_url=False)[0]
    where = ".".join(str(part)[:40] for part in detail["loc"])[:120]
    text = said(detail, show=False)[:200]
    return f"{where}: {text}" if where else text


def _latest(report: Report, header: Protected) -> Millis:
    """Return the latest instant that a report tells of."""
    return max([header.written_at, *(item.end for item in report.observations)])


def _check_header(report: Report, header: Protected) -> None:
    """What the payload says of itself and what the signed header says is the same."""
    said = (*report.key, to_millis(report.written_at), report.monotonic_seconds)
    signed = (
        header.institution,
        header.agent,
        header.boot,
        header.sequence,
        header.written_at,
        header.monotonic_seconds,
    )
    if said != signed:
        raise Rejected("content", "the report and its envelope differ in who wrote it, when or as which")


def _check_written(report: Report, nonce_at: Millis, now: Millis, latest: Millis) -> None:
    try:
        written = to_millis(report.written_at)
    except OverflowError:
        raise Rejected("content", "written_at: the instant is out of range") from None
    _check_instant("written_at", written, now, latest)
    # A nonce of a moment to come was given by a clock that has been set back since: nobody knows when that was.
    if nonce_at <= now and is_back_dated(written, nonce_at):
        raise Rejected(
            "back_dated",
            f"written_at is {_shown(written)}, and the report carries a nonce of {isoformat(nonce_at)}:"
            " set the agent's clock",
        )


def _check_instant(name: str, at: Millis, now: Millis, latest: Millis) -> None:
    if at > latest:
        raise Rejected(
            "ahead",
            f"{name} is {_shown(at)}, too far ahead of the collector's clock ({isoformat(now)}): set the agent's clock",
        )
    if at < EARLIEST:
        raise Rejected("back_dated", f"{name} is {_shown(at)}, before 2020: set the agent's clock")


def _shown(at: Millis) -> str:
    try:
        return isoformat(at)
    except (OverflowError, ValueError):
        return "out of range"


def _entry(index: int, item: Observation, identity: Identity, now: Millis, latest: Millis) -> Entry:
    """Check one observation and write it down. Sentences are put together for what is refused alone."""
    _check_subject(index, item, identity)
    if not (EARLIEST <= item.start <= latest and EARLIEST <= item.end <= latest):
        _check_instant(f"observations.{index}.start", item.start, now, latest)
        _check_instant(f"observations.{index}.end", item.end, now, latest)
    if not 0 <= item.expires <= now + MAX_VALID:
        raise Rejected(
            "content",
            f"observations.{index}.expires is {_shown(item.expires)}: an observation holds at most ten years",
        )
    if not _is_word(item.state) or not (item.cause is None or _is_word(item.cause)):
        raise Rejected("content", f"observations.{index}: state and cause are words of letters, digits and _ . : -")
    if item.cause == StreamCause.CLOCK_SET and item.kind is Kind.AGENT and item.end != item.start:
        raise Rejected("content", f"observations.{index}: a clock is set in one instant: end must equal start")
    try:
        entry = Entry.of(item)
    except ValueError:
        raise Rejected("content", f"observations.{index}.facts: NaN and infinity are no numbers") from None
    if item.facts and _LARGE.search(entry.text) and not _sound(item.facts):
        raise Rejected("content", f"observations.{index}.facts: a number is larger than 2^53")
    return entry


@lru_cache(maxsize=1024)
def _is_word(text: str) -> bool:
    return _WORD.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _holds_control(text: str) -> bool:
    return _CONTROL.search(text) is not None


def _check_subject(index: int, item: Observation, identity: Identity) -> None:
    subject, kind = item.subject, item.kind
    if _holds_control(subject.id):
        raise Rejected("content", f"observations.{index}.subject.id holds a control character")
    if (subject.kind == "institution" and subject.id != identity.institution) or (
        subject.kind == "agent" and subject.id != identity.agent
    ):
        raise Rejected("content", f"observations.{index} speaks of {subject}, which is not the sender's")
    may = _MAY_SPEAK_OF.get(kind)
    if may is not None and subject.kind not in may:
        raise Rejected("content", f"observations.{index}: {kind} speaks of a {_SUBJECTS_OF[kind]}, not of {subject}")
    if kind is Kind.INVENTORY and _declared_id(item) != identity.institution:
        raise Rejected("content", f"observations.{index} declares another institution than the sender's")


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
