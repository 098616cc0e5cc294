"""A small site for tests of the judges: a gate, a play room, a nap room, one recorder, and what was seen of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from monitor.evaluation.judge import judge
from monitor.model.calendar import Waiver
from monitor.model.inventory import Camera, Institution, Inventory, OpeningHours, Recorder, Room, Zone
from monitor.model.ledger import Facts, fold, with_approvals
from monitor.model.observation import Kind, Observation, Source, Subject
from monitor.model.regulation import Regulation
from monitor.model.span import DAY, HOUR, MINUTE, Basis, Millis, to_millis
from monitor.model.verdict import Verdict
from monitor.model.view import Approval
from support.packs import pack

NOON = to_millis(datetime(2026, 11, 23, 4, tzinfo=UTC))
"""Noon in Shanghai, a Monday."""
MIDNIGHT = NOON - 12 * HOUR
HOLDS = 10 * MINUTE

INSTITUTION = Subject(kind="institution", id="wj-0001")
NVR = Subject(kind="recorder", id="nvr")
BOX = Subject(kind="agent", id="box")
GATE, ROOM1, NAP1 = (Subject(kind="camera", id=name) for name in ("gate", "room1", "nap1"))
CAMERAS = (GATE, ROOM1, NAP1)

INVENTORY = Inventory(
    institution=Institution(id="wj-0001", timezone="Asia/Shanghai"),
    zones=(
        Zone(id="gate", room=Room.ENTRANCE),
        Zone(id="room1", room=Room.PLAY),
        Zone(id="nap1", room=Room.NAP),
        Zone(id="office", room=Room.OFFICE),
    ),
    cameras=tuple(
        Camera(id=item.id, zones=(item.id,), recorder="nvr", channel=str(number))
        for number, item in enumerate(CAMERAS, 1)
    ),
    recorders=(Recorder(id="nvr", driver="hikvision"),),
)
MAIN_STREAM = {"codec": "h265", "width": 1920, "height": 1080, "frame_rate": 25.0, "bit_rate": 2_000_000}
OPEN_HALF_PAST_SEVEN = OpeningHours.model_validate({"open": "07:30", "close": "18:00"})


def during(
    subject: Subject,
    kind: Kind,
    start: Millis,
    end: Millis,
    state: str,
    cause: str | None = None,
    *,
    basis: Basis = Basis.WATCHED,
    holds: Millis = HOLDS,
) -> Observation:
    """Return what was seen over a span."""
    return Observation(
        subject=subject, kind=kind, start=start, end=end, state=state, cause=cause, basis=basis, expires=end + holds
    )


def at(
    subject: Subject,
    kind: Kind,
    facts: dict[str, Any],
    when: Millis = NOON,
    *,
    state: str = "read",
    cause: str | None = None,
    holds: Millis = DAY,
) -> Observation:
    """Return what was seen at an instant."""
    source = Source.PERSON if kind is Kind.ATTESTATION else Source.RECORDER
    return Observation(
        subject=subject, kind=kind, start=when, end=when, state=state, cause=cause, source=source,
        expires=when + holds, facts=facts,
    )  # fmt: skip


def index(
    camera: Subject, spans: Iterable[tuple[Millis, Millis]], when: Millis = NOON, days: int = 200, **more: Any
) -> Observation:
    """Return an index reading of the last `days`."""
    facts = {"window": [when - days * DAY, when], "spans": [list(item) for item in spans], "locked": []}
    return at(camera, Kind.RECORDINGS, facts, when, **more)


def attested(what: str, subject: Subject = INSTITUTION, when: Millis = NOON - DAY, **more: Any) -> Observation:
    """Return a person's word."""
    more = {"state": "ok", "holds": 31 * DAY, **more}
    return at(subject, Kind.ATTESTATION, {"what": what, "by": "王督察"}, when, **more)


def healthy(since: Millis = NOON - 2 * DAY, until: Millis = NOON) -> list[Observation]:
    """Return all that an agent sees where all is well."""
    seen = [
        at(INSTITUTION, Kind.INVENTORY, INVENTORY.model_dump(mode="json", by_alias=True), since, state="declared"),
        during(BOX, Kind.AGENT, since, until, "up"),
        during(NVR, Kind.REACH, since, until, "up"),
        at(NVR, Kind.CLOCK, {"offset_seconds": 0.4}, until),
        at(NVR, Kind.DISKS, {"disks": [{"id": "1", "state": "ok", "capacity_bytes": 8 * 10**12}]}, until),
        at(NVR, Kind.CHANNELS, {"channels": [{"id": str(n), "name": "", "online": True} for n in (1, 2, 3)]}, until),
        attested("alarm_test"),
    ]
    for camera in CAMERAS:
        seen += [
            during(camera, Kind.STREAM, since, until, "up"),
            during(camera, Kind.VIEW, since, until, "ok"),
            at(camera, Kind.MAIN_STREAM, MAIN_STREAM, until),
            index(camera, [(until - 100 * DAY, until - 20_000)], until),
            attested("coverage_walk", Subject(kind="zone", id=camera.id)),
        ]
    return seen


def without(seen: Iterable[Observation], kind: Kind, *subjects: Subject) -> list[Observation]:
    """Return the observations but those of a kind (on these subjects, if any are named)."""
    return [item for item in seen if item.kind is not kind or (subjects and item.subject not in subjects)]


def facts_of(seen: Iterable[Observation], as_of: Millis = NOON, **more: Any) -> Facts:
    """Fold; there is always an inventory."""
    facts = fold(seen, as_of, **{"inventory": INVENTORY, **more})
    assert facts is not None
    return facts


class Judged:
    """The verdicts of one evaluation."""

    def __init__(
        self,
        seen: Iterable[Observation],
        as_of: Millis = NOON,
        *,
        regulation: Regulation | None = None,
        inventory: Inventory = INVENTORY,
        waivers: Iterable[Waiver] = (),
        approvals: Mapping[str, Iterable[Approval]] | None = None,
        **more: Any,
    ) -> None:
        facts = facts_of(seen, as_of, inventory=inventory, waivers=tuple(waivers))
        facts = with_approvals(facts, approvals or {})
        self.verdicts = judge(facts, regulation or pack(), **more)

    def __call__(self, requirement: str, subject: Subject) -> Verdict:
        """Return the one verdict of a requirement on a subject."""
        (found,) = (item for item in self.verdicts if item.key == (requirement, subject))
        return found

    def said(self, requirement: str) -> dict[str, tuple[str, str]]:
        """Return (outcome, state) by subject."""
        found = [item for item in self.verdicts if item.requirement.kind == requirement]
        return {str(item.subject): (item.outcome.value, item.state) for item in found}
