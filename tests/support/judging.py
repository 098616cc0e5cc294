"""From the auditor's books to the engine's verdict: the tests' way through fold and judge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.evaluation.basis import Judgement
from monitor.evaluation.retention import judge_retention
from monitor.model.calendar import Waiver
from monitor.model.inventory import Camera, Closure, Institution, Inventory, OpeningHours, Recorder, Room, Weekday, Zone
from monitor.model.ledger import fold
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.verdict import Verdict
from support.auditor import Books, Interval, Statement, ms
from support.indexes import DAY
from support.packs import pack

CAMERA = Subject(kind="camera", id="gate")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def observations_of(books: Books, locked: list[Interval]) -> list[Observation]:
    """What the agent would report: the index read at `as_of`, and that the camera was seen before."""
    now = ms(books.as_of)
    facts: dict[str, Any] = {
        "window": [now - 400 * DAY, now],
        "spans": [list(span) for span in books.unlocked],
        "locked": [list(span) for span in locked],
    }
    reading = Observation(
        subject=CAMERA, kind=Kind.RECORDINGS, start=now, end=now, state="read", expires=now + DAY, facts=facts
    )
    if books.first_seen is None:
        return [reading]
    seen = ms(books.first_seen)
    return [
        reading,
        Observation(subject=CAMERA, kind=Kind.STREAM, start=seen, end=seen + 60_000, state="up", expires=seen + 90_000),
    ]


def inventory_of(books: Books) -> Inventory:
    hours = None
    if books.opening is not None:
        opens, closes, weekdays = books.opening
        hours = OpeningHours(open=opens, close=closes, days=tuple(d for i, d in enumerate(Weekday) if i in weekdays))
    return Inventory(
        institution=Institution(id="wj-0001", timezone=books.zone),
        zones=(Zone(id="gate", room=Room.ENTRANCE),),
        cameras=(Camera(id="gate", zones=("gate",), recorder="nvr", channel="1", commissioned=books.commissioned),),
        recorders=(Recorder(id="nvr", driver="hikvision"),),
        hours=hours,
        closures=tuple(Closure(start=start, to=to) for start, to in books.closures),
    )


def waivers_of(books: Books) -> list[Waiver]:
    return [
        Waiver(
            subject=CAMERA, requirement="retention", by="an officer", reason="works",
            start_at=EPOCH + timedelta(milliseconds=start), end_at=EPOCH + timedelta(milliseconds=end),
        )
        for start, end in books.waivers
    ]  # fmt: skip


def judged(books: Books, observations: list[Observation]) -> Verdict:
    due = "always" if books.opening is None else "opening_hours"
    regulation = pack(retention={"required_days": books.required_days, "due": {"default": due}})
    folded = fold(observations, ms(books.as_of), inventory=inventory_of(books), waivers=waivers_of(books))
    assert folded is not None
    assert regulation.requirements.retention is not None
    (verdict,) = judge_retention(Judgement(folded, regulation), regulation.requirements.retention)
    return verdict


def statement_of(verdict: Verdict) -> Statement:
    measured: dict[str, Any] = verdict.measured
    return Statement(
        state=verdict.state,
        held_days=measured["held_days"],
        contiguous_days=measured["contiguous_days"],
        far_edge_at=measured["far_edge_at"],
        missing_days=measured["missing_days"],
        gaps=[(gap["start_at"], gap["end_at"], gap["ages_out_on"]) for gap in measured["gaps"]],
        compliant_from=measured["compliant_from"],
    )
