"""A regulation pack as a page: rooms, every requirement with its clause and numbers, the texts behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from dashboards.web.cases import Cited
from dashboards.web.figures import Figure, Words, percent, rooms
from dashboards.web.i18n import mark as _n
from dashboards.web.words import ROOMS, STATUS_HINTS, STATUSES, STRENGTHS
from monitor.model.inventory import Room
from monitor.model.regulation import (
    Citation,
    Deadlines,
    Due,
    DueTime,
    Reference,
    Regulation,
    Requirement,
    Status,
    Strength,
    Text,
)
from monitor.model.span import HOUR


@dataclass(frozen=True)
class Clause:
    """One requirement of the pack."""

    kind: str
    title: str
    label: str
    force: str
    citation: Cited
    figures: Sequence[Figure]


@dataclass(frozen=True)
class Source:
    """One text behind the pack."""

    title: str
    clause: str | None
    strength: str
    status: str | None
    status_code: str
    says: str
    url: str | None


@dataclass(frozen=True)
class PackView:
    """All that a pack's page shows."""

    id: str
    title: str
    version: int
    effective_from: date
    force: str
    rooms: Sequence[Figure]
    requirements: Sequence[Clause]
    references: Sequence[Source]


_ROOMS = (
    ("required", _n("Must be covered")),
    ("must_exist", _n("At least one must exist")),
    ("forbidden", _n("No camera allowed")),
    ("district_decides", _n("The district decides")),
    ("free", _n("Left free")),
)

Write = Callable[[Words, Any], str | None]


def _duration(words: Words, value: int) -> str:
    return words.times.duration(value) if value else words.translate("at once")


def _hours(words: Words, value: float) -> str:
    return words.times.duration(round(value * HOUR))


def _ratio(_: Words, value: float) -> str | None:
    return percent(value)


def _days(words: Words, value: int) -> str:
    return words.plural("%(count)s day", "%(count)s days", value) % {"count": value}


def _due(words: Words, value: DueTime) -> str:
    """Say when something is owed, and for which rooms it is otherwise."""
    names = {Due.ALWAYS: words.translate("round the clock"), Due.OPENING_HOURS: words.translate("in opening hours")}
    parts = [names[value.default]]
    for due in Due:
        listed = [room for room, other in value.rooms.items() if other is due and due is not value.default]
        if listed:
            text = words.translate("%(rooms)s: %(when)s")
            parts.append(text % {"rooms": rooms(words, [room.value for room in listed]), "when": names[due]})
    return "; ".join(parts)


def _deadlines(words: Words, value: Deadlines) -> str | None:
    parts = []
    if value.repair is not None:
        parts.append(words.translate("repair within %(duration)s") % {"duration": words.times.duration(value.repair)})
    if value.rectify is not None:
        text = words.translate("rectify within %(duration)s")
        parts.append(text % {"duration": words.times.duration(value.rectify)})
    return "; ".join(parts) or None


_PROOFS = {
    "attested": _n("walked and attested by an officer"),
    "planned": _n("computed from the floor plan"),
    "camera": _n("one working camera"),
}


def _proof(words: Words, value: Sequence[str]) -> str:
    return words.translate(" or ").join(words.translate(_PROOFS[item]) for item in value)


def _required(words: Words, value: bool) -> str:
    return words.translate("required") if value else words.translate("not required")


def _pixels(words: Words, value: int) -> str:
    return words.translate("%(count)s pixels") % {"count": value}


def _rate(words: Words, value: float) -> str:
    return words.translate("%(rate)s frames a second") % {"rate": f"{value:g}"}


def _kinds(words: Words, value: Sequence[str]) -> str | None:
    return words.times.listed([words.requirement(item) for item in value]) or None


PARAMETERS: dict[str, tuple[str, Write]] = {
    "required_days": (_n("Days required"), _days),
    "day_held_ratio": (_n("A day is held from this share of its time"), _ratio),
    "mass_min_ratio": (_n("Recordings reach back as far as this share is there"), _ratio),
    "gap_tolerance": (_n("Holes up to this long are no gap"), _duration),
    "newest_lag": (_n("The newest recordings may lag by"), _duration),
    "proof_failures_apart": (_n("Failed proofs that contradict the index are apart by"), _duration),
    "over_retention_days": (_n("Kept for longer, recordings are flagged"), _days),
    "window": (_n("Window looked at"), _duration),
    "minimum_ratio": (_n("Share required"), _ratio),
    "minimum_known_ratio": (_n("Share that must be known"), _ratio),
    "grace": (_n("Outages up to this long are only logged"), _duration),
    "longest_outage_in_hours": (_n("Longest outage in opening hours"), _duration),
    "longest_outage_out_of_hours": (_n("Longest outage outside opening hours"), _duration),
    "due": (_n("Owed"), _due),
    "approved_view_required": (_n("An approved view"), _required),
    "minimum_width": (_n("Width at least"), _pixels),
    "minimum_height": (_n("Height at least"), _pixels),
    "minimum_frame_rate": (_n("Frame rate at least"), _rate),
    "frame_rate_ratio": (_n("A measured rate counts from this share of it"), _ratio),
    "proof": (_n("Full coverage is proved by"), _proof),
    "tolerance": (_n("Difference allowed"), _duration),
    "max_undetermined_hours": (_n("May be unknown for at most"), _hours),
    "must_offer": (_n("Must be measurable"), _kinds),
    "silent_after": (_n("Silent after"), _duration),
    "confirm_after": (_n("A finding opens and closes after"), _duration),
    "deadlines": (_n("Deadlines"), _deadlines),
}
"""Every number of a requirement, in the order in which it is shown."""


def pack_view(pack: Regulation, words: Words) -> PackView:
    """Put a pack's page together."""
    return PackView(
        id=pack.id,
        title=_say(pack.title, words),
        version=pack.version,
        effective_from=pack.effective_from,
        force=_force(pack.effective_from, pack.effective_to, words),
        rooms=[_room_list(words, label, getattr(pack.rooms, name)) for name, label in _ROOMS],
        requirements=[_clause(item, words) for item in pack.requirements.all()],
        references=[_source(item, words) for item in pack.references],
    )


def _say(text: Text, words: Words) -> str:
    return str(getattr(text, words.times.language.value))


def _room_list(words: Words, label: str, listed: Sequence[Room]) -> Figure:
    names = [words.translate(ROOMS[room]) for room in listed]
    return Figure(words.translate(label), (words.times.listed(names) or words.translate("none"),))


def _force(start: date | None, end: date | None, words: Words) -> str:
    parts = []
    if start is not None:
        parts.append(words.translate("in force from %(day)s") % {"day": start})
    if end is not None:
        parts.append(words.translate("until %(day)s") % {"day": end})
    return " ".join(parts)


def _clause(item: Requirement, words: Words) -> Clause:
    return Clause(
        kind=item.kind,
        title=_say(item.title, words),
        label=words.requirement(item.kind),
        force=_force(item.effective_from, item.effective_to, words),
        citation=_citation(item.citation, words),
        figures=_numbers(item, words),
    )


def _numbers(item: Requirement, words: Words) -> list[Figure]:
    found = []
    for name, (label, write) in PARAMETERS.items():
        value = getattr(item, name, None)
        if value is None or (name == "confirm_after" and not value):
            continue
        text = write(words, value)
        if text is not None:
            found.append(Figure(words.translate(label), (text,)))
    return found


def _marks(strength: Strength, status: Status, words: Words) -> tuple[str, str | None]:
    """Return how binding a text is and how sure its wording; our own settings have no wording to be sure of."""
    sure = None if strength is Strength.INTERNAL else words.translate(STATUSES[status])
    return words.translate(STRENGTHS[strength]), sure


def _citation(item: Citation, words: Words) -> Cited:
    strength, status = _marks(item.strength, item.status, words)
    return Cited(
        title=_say(item.title, words),
        clause=_say(item.clause, words),
        strength=strength,
        status=status,
        status_code=item.status.value,
        hint=None if status is None else words.translate(STATUS_HINTS[item.status]),
        note=None if item.note is None else _say(item.note, words),
        url=item.url,
    )


def _source(item: Reference, words: Words) -> Source:
    strength, status = _marks(item.strength, item.status, words)
    return Source(
        title=_say(item.title, words),
        clause=None if item.clause is None else _say(item.clause, words),
        strength=strength,
        status=status,
        status_code=item.status.value,
        says=_say(item.says, words),
        url=item.url,
    )
