"""The ledger: observations in any order and any number of copies become the same rows."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, bindparam, delete, select, tuple_
from sqlalchemy.orm import Session

from monitor.model.observation import SPAN_KINDS, Kind, Observation
from monitor.model.span import Millis, isoformat
from monitor.store import cursor as cursors
from monitor.store.instants import add_instants, load_instants
from monitor.store.tables import InstantRow, SpanRow
from monitor.store.upsert import table_of, upsert

_SPAN = table_of(SpanRow)
_NEAR = select(_SPAN).where(
    _SPAN.c.institution_id == bindparam("institution"),
    _SPAN.c.end_at >= bindparam("low"),
    _SPAN.c.start_at <= bindparam("high"),
)
"""What may overlap or touch what lies between two instants."""

Lane = tuple[str, str, str, str]
"""(kind, subject kind, subject id, what else must be equal): two spans of one lane that touch are one."""


Rank = tuple[bool, Millis, Millis, str]
"""The order of looks: (has any length, end, start, digest)."""


@dataclass(frozen=True)
class Seen:
    """An observation's canonical JSON, its place in the order of looks, and until when it may be presumed to hold."""

    text: str
    rank: Rank
    expires: Millis


@dataclass(frozen=True)
class Piece:
    """A span of one lane: [start, end), and of the observations that end with it the newest and the most lasting."""

    start: Millis
    end: Millis
    newest: Seen
    lasting: Seen

    def join(self, other: Piece) -> Piece:
        """Return both as one. Of pieces that end together, observations of some length speak for the whole."""
        end = max(self.end, other.end)
        last = [piece for piece in (self, other) if piece.end == end]
        long = [piece for piece in last if piece.newest.rank[0]] or last
        newest = max((piece.newest for piece in long), key=lambda seen: seen.rank)
        lasting = max((piece.lasting for piece in long), key=lambda seen: (seen.expires, seen.rank))
        return Piece(min(self.start, other.start), end, newest, lasting)


@dataclass(frozen=True)
class Entry:
    """An observation beside its canonical JSON: the form that its digest is of, and that is kept."""

    observation: Observation
    text: str
    digest: str

    @classmethod
    def of(cls, observation: Observation) -> Entry:
        """Write an observation down. Raises ValueError for NaN and infinity, which JSON doesn't have."""
        value = observation.model_dump(mode="json")
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return cls(observation, text, digest_of_text(text))


def digest_of_text(text: str) -> str:
    """Return the digest of an observation's canonical JSON: equal to Observation.digest."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def lane_of(observation: Observation) -> Lane:
    """Return what must be equal for two spans to be one."""
    rest = "|".join((observation.state, observation.cause or "-", observation.basis or "-", observation.source))
    return observation.kind, observation.subject.kind, observation.subject.id, rest


def coalesce(pieces: Iterable[Piece]) -> list[Piece]:
    """Join what overlaps or touches; the result doesn't depend on the order."""
    joined: list[Piece] = []
    for piece in sorted(pieces, key=lambda item: (item.start, item.end, item.newest.rank, item.lasting.rank)):
        if joined and piece.start <= joined[-1].end:
            joined[-1] = joined[-1].join(piece)
        else:
            joined.append(piece)
    return joined


def add_entries(session: Session, institution_id: str, entries: Iterable[Entry]) -> None:
    """Add to the institution's ledger. Whoever calls holds the institution's row, so that nobody else does the same."""
    spans: dict[Lane, list[Piece]] = defaultdict(list)
    instants: dict[str, dict[str, Any]] = {}
    for entry in entries:
        item = entry.observation
        if item.kind in SPAN_KINDS:
            seen = Seen(entry.text, (item.end > item.start, item.end, item.start, entry.digest), item.expires)
            spans[lane_of(item)].append(Piece(item.start, item.end, seen, seen))
        else:
            instants[entry.digest] = {
                "institution_id": institution_id,
                "digest": entry.digest,
                "kind": item.kind.value,
                "subject_kind": item.subject.kind,
                "subject_id": item.subject.id,
                "at": item.start,
                "body": entry.text,
            }
    add_instants(session, institution_id, list(instants.values()))
    if spans:
        _add_spans(session, institution_id, {lane: coalesce(pieces) for lane, pieces in spans.items()})


def _add_spans(session: Session, institution_id: str, spans: dict[Lane, list[Piece]]) -> None:
    low = min(piece.start for pieces in spans.values() for piece in pieces)
    high = max(piece.end for pieces in spans.values() for piece in pieces)
    stored: dict[Lane, list[Piece]] = defaultdict(list)
    for row in session.execute(_NEAR, {"institution": institution_id, "low": low, "high": high}):
        lane = (row.kind, row.subject_kind, row.subject_id, row.lane)
        if lane in spans:
            stored[lane].append(_piece(row))
    gone: list[tuple[str, str, str, str, Millis]] = []
    changed: list[dict[str, Any]] = []
    for lane, pieces in spans.items():
        before = set(stored[lane])
        after = coalesce([*pieces, *before])
        starts = {piece.start for piece in after}
        gone += [(*lane, piece.start) for piece in before if piece.start not in starts]
        changed += [_row(institution_id, lane, piece) for piece in after if piece not in before]
    _delete(session, institution_id, gone)
    upsert(session, SpanRow, changed)


def _seen(text: str) -> Seen:
    value = json.loads(text)
    start, end = value["start"], value["end"]
    return Seen(text, (end > start, end, start, digest_of_text(text)), value["expires"])


def _piece(row: Row[Any]) -> Piece:
    newest = _seen(row.newest)
    return Piece(row.start_at, row.end_at, newest, newest if row.lasting is None else _seen(row.lasting))


def _row(institution_id: str, lane: Lane, piece: Piece) -> dict[str, Any]:
    kind, subject_kind, subject_id, rest = lane
    return {
        "institution_id": institution_id,
        "kind": kind,
        "subject_kind": subject_kind,
        "subject_id": subject_id,
        "lane": rest,
        "start_at": piece.start,
        "end_at": piece.end,
        "newest": piece.newest.text,
        "lasting": None if piece.lasting == piece.newest else piece.lasting.text,
    }


_SPAN_KEY = (SpanRow.kind, SpanRow.subject_kind, SpanRow.subject_id, SpanRow.lane, SpanRow.start_at)


def _delete(session: Session, institution_id: str, keys: Sequence[tuple[str, str, str, str, Millis]]) -> None:
    for index in range(0, len(keys), 100):
        here = tuple_(*_SPAN_KEY).in_(keys[index : index + 100])
        session.execute(delete(SpanRow).where(SpanRow.institution_id == institution_id, here))


def load_observations(session: Session, institution_id: str, until: Millis) -> list[Observation]:
    """Return all that was seen of an institution up to `until`, as observations whose fold is the ledger's state."""
    found: list[Observation] = []
    spans = select(SpanRow).where(SpanRow.institution_id == institution_id, SpanRow.start_at <= until)
    for row in session.scalars(spans):
        found += _observations(row, until)
    return found + load_instants(session, institution_id, until)


def _observations(row: SpanRow, until: Millis) -> list[Observation]:
    """Return a row of many spans: the whole stretch, and the observations that are the evidence of the present."""
    newest = Observation.model_validate_json(row.newest)
    found = [newest] if newest.start <= until else []
    if row.lasting is not None and (lasting := Observation.model_validate_json(row.lasting)).start <= until:
        found.append(lasting)
    if newest.start != row.start_at or newest.end != row.end_at or newest.start > until:
        found.append(newest.model_copy(update={"start": row.start_at, "end": row.end_at}))
    return found


@dataclass(frozen=True)
class LedgerPage:
    """A page of the ledger in the API's form, and the cursor of the next one."""

    items: list[dict[str, Any]]
    next: str | None


def ledger_page(
    session: Session,
    institution_id: str,
    *,
    start: Millis | None = None,
    end: Millis | None = None,
    kind: Kind | None = None,
    after: str | None = None,
    limit: int = 200,
) -> LedgerPage:
    """Return what the ledger holds in [start, end): first the spans, then the instants, each in order of time.

    Raises CursorError when `after` is not a cursor of this list.
    """
    part, at, key = cursors.decode(after, str, int, str) if after else ("span", None, "")
    if part not in {"span", "instant"}:
        raise cursors.CursorError("the cursor is not one of this list's")
    items: list[tuple[str, dict[str, Any]]] = []
    if part == "span" and (kind is None or kind in SPAN_KINDS):
        rows = session.scalars(_span_query(institution_id, start, end, kind, at, str(key)).limit(limit + 1)).all()
        items += [(cursors.encode("span", row.start_at, _span_word(row)), _span_json(row)) for row in rows]
    if len(items) <= limit and (kind is None or kind not in SPAN_KINDS):
        after_at, after_key = (at, str(key)) if part == "instant" else (None, "")
        query = _instant_query(institution_id, start, end, kind, after_at, after_key)
        found = session.execute(query.limit(limit + 1 - len(items))).all()
        items += [(cursors.encode("instant", row.at, row.digest), _instant_json(row.body)) for row in found]
    more = len(items) > limit
    return LedgerPage([item for _, item in items[:limit]], items[limit - 1][0] if more else None)


def _span_word(row: SpanRow) -> str:
    return f"{row.kind}\n{row.subject_kind}\n{row.subject_id}\n{row.lane}"


def _span_query(
    institution_id: str, start: Millis | None, end: Millis | None, kind: Kind | None, at: Any, word: str
) -> Select[SpanRow]:
    conditions: list[ColumnElement[bool]] = [SpanRow.institution_id == institution_id]
    if kind is not None:
        conditions.append(SpanRow.kind == kind.value)
    if start is not None:
        conditions.append(SpanRow.end_at > start)
    if end is not None:
        conditions.append(SpanRow.start_at < end)
    order = (SpanRow.start_at, SpanRow.kind, SpanRow.subject_kind, SpanRow.subject_id, SpanRow.lane)
    if at is not None:
        last = (at, *word.split("\n"))
        if len(last) != len(order):
            raise cursors.CursorError("the cursor is not one of this list's")
        conditions.append(tuple_(*order) > last)
    return select(SpanRow).where(*conditions).order_by(*order)


def _instant_query(
    institution_id: str, start: Millis | None, end: Millis | None, kind: Kind | None, at: Any, digest: str
) -> Select[Millis, str, str]:
    conditions: list[ColumnElement[bool]] = [InstantRow.institution_id == institution_id]
    if kind is not None:
        conditions.append(InstantRow.kind == kind.value)
    if start is not None:
        conditions.append(InstantRow.at >= start)
    if end is not None:
        conditions.append(InstantRow.at < end)
    if at is not None:
        conditions.append(tuple_(InstantRow.at, InstantRow.digest) > (at, digest))
    columns = select(InstantRow.at, InstantRow.digest, InstantRow.body)
    return columns.where(*conditions).order_by(InstantRow.at, InstantRow.digest)


def _span_json(row: SpanRow) -> dict[str, Any]:
    return observation_json(row.newest, row.start_at, row.end_at)


def _instant_json(body: str) -> dict[str, Any]:
    return observation_json(body, None, None)


def observation_json(text: str, start: Millis | None, end: Millis | None) -> dict[str, Any]:
    """Return a ledger row in the API's form: instants as RFC 3339, the digest of its newest observation."""
    value: dict[str, Any] = json.loads(text)
    first, last, expires = value.pop("start"), value.pop("end"), value.pop("expires")
    return {
        **value,
        "start_at": isoformat(first if start is None else start),
        "end_at": isoformat(last if end is None else end),
        "expires_at": isoformat(expires),
        "digest": digest_of_text(text),
    }
