"""Observations as they are stored, read so that one that can't be read stops nothing: what it said is unknown, and is counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import Row
from sqlalchemy.orm import Session

from monitor.model.observation import Observation
from monitor.model.span import Millis
from monitor.store.tables import InstantRow, SpanRow

UNREADABLE = "unreadable"
"""The cause of what is unknown because its row can't be read."""
_DETAIL = "what is stored of it can't be read by this version of the collector"
_COUNT = "unreadable"

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Place:
    """What the columns beside an observation's text say of it."""

    kind: str
    subject_kind: str
    subject_id: str
    start: Millis
    end: Millis
    lane: str | None = None
    """Of a span: its state, cause, basis and source."""

    @classmethod
    def of_span(cls, row: SpanRow | Row[Any]) -> Place:
        """Return that of a span's row."""
        return cls(row.kind, row.subject_kind, row.subject_id, row.start_at, row.end_at, row.lane)

    @classmethod
    def of_instant(cls, kind: str, subject_kind: str, subject_id: str, at: Millis) -> Place:
        """Return that of an instant's row."""
        return cls(kind, subject_kind, subject_id, at, at)


PLACE = (InstantRow.body, InstantRow.kind, InstantRow.subject_kind, InstantRow.subject_id, InstantRow.at)
"""The columns of an instant that `read_instants` takes."""


def read_instants(session: Session, rows: Iterable[Sequence[Any]]) -> list[Observation]:
    """Return what instants say, by their `PLACE`."""
    found = (read(session, body, Place.of_instant(*place)) for body, *place in rows)
    return [item for item in found if item is not None]


def read(session: Session, text: str, place: Place) -> Observation | None:
    """Return a stored observation.

    Of one that can't be read, what the columns beside it say: a span's state without its facts, of an instant that it is
    unknown. None where these can't be read either.
    """
    try:
        return Observation.read_stored(text)
    except (ValueError, RecursionError):
        note_unreadable(session)
        return _left(place)


def unreadable(session: Session) -> int:
    """Return how many rows that a session read couldn't be read."""
    return int(session.info.get(_COUNT, 0))


def note_unreadable(session: Session) -> None:
    """Count one more."""
    session.info[_COUNT] = unreadable(session) + 1


def readable(session: Session, model: type[M], text: str) -> M | None:
    """Return what the centre itself wrote down; None, counted, where it can't be read."""
    try:
        return model.model_validate_json(text)
    except (ValueError, RecursionError):
        note_unreadable(session)
        return None


def _left(place: Place) -> Observation | None:
    lane = ("unknown", UNREADABLE, "-", "recorder") if place.lane is None else tuple(place.lane.split("|"))
    try:
        state, cause, basis, source = lane
        return Observation.model_validate(
            {
                "subject": {"kind": place.subject_kind, "id": place.subject_id},
                "kind": place.kind,
                "start": place.start,
                "end": place.end,
                "state": state,
                "cause": None if cause == "-" else cause,
                "basis": None if basis == "-" else basis,
                "source": source,
                "expires": place.end,
                "detail": _DETAIL,
            },
            strict=False,
        )
    except ValueError:
        return None
