"""The ledger: observations in any order and any number of copies become the same rows."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from json.encoder import encode_basestring
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, delete, func, select, tuple_
from sqlalchemy.orm import Session

from monitor.model.observation import SPAN_KINDS, Kind, Observation, StreamCause, digest_of_text
from monitor.model.span import Millis, isoformat
from monitor.store import cursor as cursors
from monitor.store.given import NUMBER, TEXT, run_given
from monitor.store.instants import add_instants
from monitor.store.stored import PLACE, Place, read
from monitor.store.tables import InstantRow, SpanRow
from monitor.store.upsert import upsert

MOST_NEAR = 10_000
"""So many rows are read for a group of reports by time alone. Sites have some hundred near what they tell of; but who tells of two
instants that are years apart would have all read that lies between, again and again, for a report of a few bytes."""

_FOUND = (
    "SELECT s.institution_id, s.kind, s.subject_kind, s.subject_id, s.lane, s.start_at, s.end_at, s.newest, s.lasting"
    " FROM {given} CROSS JOIN {0}span AS s"
    " WHERE s.institution_id = given.institution AND s.end_at >= given.low AND s.start_at <= given.high"
)
_EACH = ("LATERAL (SELECT * FROM ", f" AND s.end_at <= {2**63 - 1} ORDER BY s.institution_id) AS s")
"""Has PostgreSQL look each row that is given up by itself, in an index: what is in order (here it is so anyway) isn't joined in another way, and
between two bounds few are expected, where it expects a third of an institution's spans to end after any instant, and read the whole table for each
group of reports where some dozen institutions had many. (A LIMIT would do both, but Citus takes none there.)"""
_NEAR = f"{_FOUND}{{1}} LIMIT {MOST_NEAR + 1}"
"""What may overlap or touch what lies between two instants, of each institution."""
_NEAR_COLUMNS = {"institution": TEXT, "low": NUMBER, "high": NUMBER}
_TOUCHING = _FOUND + (  # noqa: S608  (texts of our own)
    " AND s.kind = given.kind AND s.subject_kind = given.subject_kind AND s.subject_id = given.subject_id AND s.lane = given.lane"
    " AND s.start_at >= coalesce((SELECT max(b.start_at) FROM span AS b WHERE b.institution_id = given.institution"
    " AND b.kind = given.kind AND b.subject_kind = given.subject_kind AND b.subject_id = given.subject_id"
    " AND b.lane = given.lane AND b.start_at <= given.low), given.low){1}"
)
"""What overlaps or touches a piece of a lane. Those of a lane don't touch each other, so that of all that begin before it the last one alone can."""
_TOUCHING_COLUMNS = {
    "institution": TEXT, "kind": TEXT, "subject_kind": TEXT, "subject_id": TEXT, "lane": TEXT, "low": NUMBER, "high": NUMBER,
}  # fmt: skip

Lane = tuple[str, str, str, str]
"""(kind, subject kind, subject id, what else must be equal): two spans of one lane that touch are one."""


_quoted: Callable[[str], str] = encode_basestring
"""A text as `json.dumps(text, ensure_ascii=False)` writes it."""

Rank = tuple[bool, Millis, Millis, Millis, str]
"""The order of looks: (has any length, end, start, what a clock that was set would have shown, digest)."""


@dataclass(frozen=True)
class Seen:
    """An observation's canonical JSON. It is read only where two that end together have to be told apart."""

    text: str

    @cached_property
    def _times(self) -> tuple[Millis, Millis, Millis, Millis]:
        """Its start, its end, when it expires, and what a clock that was set would have shown.

        Of what can't be read (somebody edited it) none: any other goes before it.
        """
        try:
            value = json.loads(self.text)
            start, end, expires = value["start"], value["end"], value["expires"]
            is_step = (value["kind"], value["cause"], start) == (Kind.AGENT, StreamCause.CLOCK_SET, end)
            was = value["facts"].get("was_at") if is_step else 0
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return 0, 0, 0, 0
        if not all(type(item) is int for item in (start, end, expires)):
            return 0, 0, 0, 0
        return start, end, expires, was if type(was) is int else 0

    @cached_property
    def rank(self) -> Rank:
        """Its place in the order of looks. Of two steps of a clock to one instant the longer one tells what was told twice by either."""
        start, end, _, was = self._times
        return end > start, end, start, was, digest_of_text(self.text)

    @property
    def expires(self) -> Millis:
        """Until when it may be presumed to hold."""
        return self._times[2]


class Piece(NamedTuple):
    """A span of one lane: [start, end), and of the observations that end with it the newest and the most lasting."""

    start: Millis
    end: Millis
    newest: Seen
    lasting: Seen

    def join(self, other: Piece) -> Piece:
        """Return both as one. Of pieces that end together, observations of some length speak for the whole."""
        start = min(self.start, other.start)
        if self.end != other.end:
            last = self if self.end > other.end else other
            return Piece(start, last.end, last.newest, last.lasting)
        long = [piece for piece in (self, other) if piece.newest.rank[0]] or [self, other]
        newest = max((piece.newest for piece in long), key=lambda seen: seen.rank)
        lasting = max((piece.lasting for piece in long), key=lambda seen: (seen.expires, seen.rank))
        return Piece(start, self.end, newest, lasting)


@dataclass(frozen=True)
class Entry:
    """An observation beside its canonical JSON: the form that its digest is of, and that is kept."""

    observation: Observation
    text: str

    @classmethod
    def of(cls, observation: Observation) -> Entry:
        """Write an observation down. Raises ValueError for NaN and infinity, which JSON doesn't have."""
        return cls(observation, canonical(observation))

    @cached_property
    def digest(self) -> str:
        """The observation's digest."""
        return digest_of_text(self.text)


def canonical(item: Observation) -> str:
    """Return an observation's canonical JSON (sorted keys, no spaces), written by hand: in a fifth of the time.

    Raises ValueError for NaN and infinity.
    """
    facts = "{}"
    if item.facts:
        facts = json.dumps(item.facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return (
        f'{{"basis":{_word(item.basis)},"cause":{_word(item.cause)},"detail":{_quoted(item.detail)},"end":{item.end:d}'
        f',"expires":{item.expires:d},"facts":{facts},"kind":{_quoted(item.kind)},"source":{_quoted(item.source)}'
        f',"start":{item.start:d},"state":{_quoted(item.state)}'
        f',"subject":{{"id":{_quoted(item.subject.id)},"kind":{_quoted(item.subject.kind)}}}}}'
    )


def _word(text: str | None) -> str:
    return "null" if text is None else _quoted(text)


def lane_of(observation: Observation) -> Lane:
    """Return what must be equal for two spans to be one."""
    rest = "|".join((observation.state, observation.cause or "-", observation.basis or "-", observation.source))
    return observation.kind, observation.subject.kind, observation.subject.id, rest


def coalesce(pieces: Iterable[Piece]) -> list[Piece]:
    """Join what overlaps or touches; the result doesn't depend on the order."""
    joined: list[Piece] = []
    for piece in sorted(pieces, key=_START):  # of those that begin together any may be first: `join` gives the same
        if joined and piece.start <= joined[-1].end:
            joined[-1] = joined[-1].join(piece)
        else:
            joined.append(piece)
    return joined


_START = itemgetter(0)


def add_entries(session: Session, told: Mapping[str, Iterable[Entry]]) -> None:
    """Add to institutions' ledgers. Whoever calls holds the institutions' rows, so that nobody else does the same."""
    spans: dict[str, dict[Lane, list[Piece]]] = {}
    for institution_id, entries in told.items():
        lanes: dict[Lane, list[Piece]] = defaultdict(list)
        instants: dict[str, dict[str, Any]] = {}
        for entry in entries:
            item = entry.observation
            if item.kind in SPAN_KINDS:
                seen = Seen(entry.text)
                lanes[lane_of(item)].append(Piece(item.start, item.end, seen, seen))
            else:
                instants[entry.digest] = _instant_row(institution_id, entry)
        add_instants(session, institution_id, list(instants.values()))
        if lanes:
            spans[institution_id] = {
                lane: pieces if len(pieces) == 1 else coalesce(pieces) for lane, pieces in lanes.items()
            }
    _add_spans(session, spans)


def _instant_row(institution_id: str, entry: Entry) -> dict[str, Any]:
    item = entry.observation
    return {
        "institution_id": institution_id,
        "digest": entry.digest,
        "kind": item.kind.value,
        "subject_kind": item.subject.kind,
        "subject_id": item.subject.id,
        "at": item.start,
        "body": entry.text,
    }


def _add_spans(session: Session, spans: Mapping[str, Mapping[Lane, list[Piece]]]) -> None:
    near = _near(session, spans)
    changed: list[dict[str, Any]] = []
    for institution_id, lanes in spans.items():
        stored = near.get(institution_id, {})
        gone: list[tuple[str, str, str, str, Millis]] = []
        for lane, pieces in lanes.items():
            before = stored.get(lane)
            if before is None:
                changed += [_row(institution_id, lane, piece) for piece in pieces]
                continue
            left = {piece.start: piece for piece in before}
            changed += [
                _row(institution_id, lane, piece)
                for piece in coalesce([*pieces, *before])
                if left.pop(piece.start, None) != piece
            ]
            gone += [(*lane, start) for start in left]
        _delete(session, institution_id, gone)
    upsert(session, SpanRow, changed, last=True)


def _near(session: Session, spans: Mapping[str, Mapping[Lane, list[Piece]]]) -> dict[str, dict[Lane, list[Piece]]]:
    """Return what is stored already in these lanes, near what comes, by institutions."""
    windows = [
        (
            institution_id,
            min(pieces[0].start for pieces in lanes.values()),
            max(pieces[-1].end for pieces in lanes.values()),
        )
        for institution_id, lanes in spans.items()
    ]
    rows = run_given(session, _NEAR, _NEAR_COLUMNS, windows, *_EACH)
    if len(rows) > MOST_NEAR:
        pieces = [
            (institution_id, *lane, piece.start, piece.end)
            for institution_id, lanes in spans.items()
            for lane, told in lanes.items()
            for piece in told
        ]
        rows = list(dict.fromkeys(map(tuple, run_given(session, _TOUCHING, _TOUCHING_COLUMNS, pieces, *_EACH))))
    found: dict[str, dict[Lane, list[Piece]]] = {}
    for row in rows:
        institution_id, kind, subject_kind, subject_id, rest, start, end, text, other = row
        lane: Lane = (kind, subject_kind, subject_id, rest)
        if lane in spans[institution_id]:
            newest = Seen(text)
            piece = Piece(start, end, newest, newest if other is None else Seen(other))
            found.setdefault(institution_id, {}).setdefault(lane, []).append(piece)
    return found


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


def told_until(session: Session, institution_id: str) -> Millis:
    """Return when the newest span ends that was told of an institution; 0 where none was."""
    return session.scalar(select(func.max(SpanRow.end_at)).where(SpanRow.institution_id == institution_id)) or 0


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
        items += [(cursors.encode("span", row.start_at, _span_word(row)), _span_json(session, row)) for row in rows]
    if len(items) <= limit and (kind is None or kind not in SPAN_KINDS):
        after_at, after_key = (at, str(key)) if part == "instant" else (None, "")
        query = _instant_query(institution_id, start, end, kind, after_at, after_key)
        found = session.execute(query.limit(limit + 1 - len(items))).all()
        items += [(cursors.encode("instant", row.at, row.digest), _instant_json(session, *row[1:])) for row in found]
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
) -> Select[str, str, str, str, str, Millis]:
    conditions: list[ColumnElement[bool]] = [InstantRow.institution_id == institution_id]
    if kind is not None:
        conditions.append(InstantRow.kind == kind.value)
    if start is not None:
        conditions.append(InstantRow.at >= start)
    if end is not None:
        conditions.append(InstantRow.at < end)
    if at is not None:
        conditions.append(tuple_(InstantRow.at, InstantRow.digest) > (at, digest))
    columns = select(InstantRow.digest, *PLACE)
    return columns.where(*conditions).order_by(InstantRow.at, InstantRow.digest)


def _span_json(session: Session, row: SpanRow) -> dict[str, Any]:
    return _json_of(session, row.newest, Place.of_span(row), row.start_at, row.end_at)


def _instant_json(session: Session, body: str, *place: Any) -> dict[str, Any]:
    return _json_of(session, body, Place.of_instant(*place), None, None)


def _json_of(session: Session, text: str, place: Place, start: Millis | None, end: Millis | None) -> dict[str, Any]:
    """Return a row in the API's form; of one that can't be read, what the columns beside it say."""
    try:
        return observation_json(text, start, end)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
        left = read(session, text, place)
        said = {} if left is None else left.model_dump(mode="json", exclude={"start", "end", "expires"})
        bounds = (place.start, place.end, place.end)
        names = ("start_at", "end_at", "expires_at")
        return {**said, **dict(zip(names, map(isoformat, bounds), strict=True)), "digest": digest_of_text(text)}


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
