"""A small district for tests of pages: institutions whose agents have reported, by the real way in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from monitor.collector.context import Context
from monitor.collector.evaluate import evaluate
from monitor.collector.ingest import ingest
from monitor.model.clock import ManualClock
from monitor.model.inventory import Camera, Closure, Institution, Inventory, OpeningHours, Recorder, Zone
from monitor.model.observation import Kind, Observation, Source, Subject
from monitor.model.report import Report
from monitor.model.span import DAY, HOUR, MINUTE, Basis, Millis, from_millis, isoformat, to_millis
from monitor.store.engine import writing
from monitor.store.registry import add_institution
from support.signing import SigningAgent

NOON = to_millis(datetime(2026, 11, 23, 4, tzinfo=UTC))
"""Noon in Shanghai, a Monday."""
PACK = "cn-nursery-wujiang-2021"
BOOT = "0" * 32


def manual_clock() -> ManualClock:
    """Return a clock that stands at NOON."""
    return ManualClock(from_millis(NOON))


def camera(camera_id: str) -> Subject:
    return Subject(kind="camera", id=camera_id)


def recorder(recorder_id: str) -> Subject:
    return Subject(kind="recorder", id=recorder_id)


def span(subject: Subject, kind: Kind, start: Millis, end: Millis, state: str, cause: str | None = None) -> Observation:
    """Return something watched in [start, end) that holds for ten minutes more."""
    return Observation(
        subject=subject, kind=kind, start=start, end=end, state=state, cause=cause,
        basis=Basis.WATCHED, expires=end + 10 * MINUTE,
    )  # fmt: skip


def read(
    subject: Subject, kind: Kind, at: Millis, facts: dict[str, Any], *, state: str = "read", detail: str = "",
    source: Source = Source.RECORDER, lasts: Millis = DAY, cause: str | None = None,
) -> Observation:  # fmt: skip
    """Return an answer that was read at an instant."""
    return Observation(
        subject=subject, kind=kind, start=at, end=at, state=state, source=source, expires=at + lasts, facts=facts,
        detail=detail, cause=cause,
    )  # fmt: skip


def recordings(camera_id: str, spans: Iterable[tuple[Millis, Millis]], at: Millis = NOON) -> Observation:
    """Return an index reading of the last 200 days."""
    facts = {"window": [at - 200 * DAY, at], "spans": [list(item) for item in spans], "locked": []}
    return read(camera(camera_id), Kind.RECORDINGS, at, facts)


def inventory_of(institution: Institution, cameras: Iterable[Camera], **more: Any) -> Inventory:
    """Return an inventory with a gate, two rooms and an office."""
    zones = (
        Zone(id="gate", room="entrance", name="大门"),
        Zone(id="room1", room="play", name="小一班活动室"),
        Zone(id="room2", room="nap", name="午睡室"),
        Zone(id="office", room="office", name="园长室"),
    )
    return Inventory(
        institution=institution,
        zones=more.pop("zones", zones),
        cameras=tuple(cameras),
        recorders=more.pop("recorders", (Recorder(id="nvr", name="海康录像机", driver="hikvision"),)),
        hours=OpeningHours(open="07:30", close="18:00"),
        closures=(Closure(start=date(2026, 10, 1), to=date(2026, 10, 7), reason="国庆节"),),
        **more,
    )


def declared(inventory: Inventory, at: Millis) -> Observation:
    """Return the declaration of an inventory."""
    facts = inventory.model_dump(mode="json", by_alias=True)
    subject = Subject(kind="institution", id=inventory.institution.id)
    return read(subject, Kind.INVENTORY, at, facts, state="declared", source=Source.PERSON, lasts=400 * DAY)


def enrolled(context: Context, institution: Institution, pack: str = PACK, agent: str = "nvr-box") -> SigningAgent:
    """Enter an institution and enrol its agent."""
    with writing(context.engine) as session:
        add_institution(session, institution, pack, context.now())
    return SigningAgent.enrolled(context, institution.id, agent)


def report(context: Context, identity: SigningAgent, observations: Iterable[Observation], *, sequence: int = 1) -> None:
    """Send one report of an agent, by the real way in."""
    body = Report(
        schema_="cradlewatch.report/1", institution=identity.institution, agent=identity.agent, boot=BOOT,
        sequence=sequence, written_at=context.clock.now(), monotonic_seconds=1.0, version="0.1.0",
        observations=tuple(observations),
    )  # fmt: skip
    receipts = ingest(context, [identity.envelope(body.to_bytes())])
    identity.hear(receipts)
    assert [item.status for item in receipts.receipts] == ["stored"], receipts


def healthy(inventory: Inventory, agent: str, at: Millis) -> list[Observation]:
    """Return what an agent sees where all is well: a month watched, a hundred days recorded."""
    seen: list[Observation] = [declared(inventory, at - 30 * DAY)]
    seen.append(span(Subject(kind="agent", id=agent), Kind.AGENT, at - 30 * DAY, at, "up"))
    for item in inventory.cameras:
        seen.append(span(camera(item.id), Kind.STREAM, at - 30 * DAY, at, "up"))
        seen.append(span(camera(item.id), Kind.VIEW, at - 30 * DAY, at, "ok"))
        seen.append(recordings(item.id, [(at - 100 * DAY, at - MINUTE)], at))
    for box in inventory.recorders:
        channels = [
            {"id": c.channel, "name": c.name, "online": True} for c in inventory.cameras if c.recorder == box.id
        ]
        disks = [{"id": "1", "state": "ok", "capacity_bytes": 8_000_000_000_000}]
        seen.append(span(recorder(box.id), Kind.REACH, at - 30 * DAY, at, "up"))
        seen.append(read(recorder(box.id), Kind.CHANNELS, at, {"channels": channels}))
        seen.append(read(recorder(box.id), Kind.DISKS, at, {"disks": disks}))
        seen.append(read(recorder(box.id), Kind.CLOCK, at, {"offset_seconds": 1.2}))
    whole = Subject(kind="institution", id=inventory.institution.id)
    for what in ("alarm_test", "coverage_walk"):
        facts = {"what": what, "by": "王督察"}
        seen.append(read(whole, Kind.ATTESTATION, at - DAY, facts, state="ok", source=Source.PERSON, lasts=31 * DAY))
    return seen


def without(seen: Iterable[Observation], kind: Kind, subject: Subject) -> list[Observation]:
    """Return the observations but those of a kind on a subject."""
    return [item for item in seen if (item.kind, item.subject) != (kind, subject)]


CAMERAS = (
    Camera(id="gate", name="大门", zones=("gate",), recorder="nvr", channel="1"),
    Camera(id="room1", name="小一班", zones=("room1",), recorder="nvr", channel="2"),
    Camera(id="nap", name="午睡室", zones=("room2",), recorder="nvr", channel="3"),
)


def sound(context: Context, institution_id: str = "wj-0001", name: str = "示范托育园") -> SigningAgent:
    """An institution where all is well, evaluated."""
    institution = Institution(id=institution_id, name=name)
    identity = enrolled(context, institution)
    report(context, identity, healthy(inventory_of(institution, CAMERAS), identity.agent, context.now()))
    evaluate(context, institution_id)
    return identity


def troubled(
    context: Context, clock: ManualClock, institution_id: str = "wj-0002", name: str = "阳光宝贝托育园"
) -> SigningAgent:
    """An institution where every kind of thing is wrong, evaluated until its findings are confirmed."""
    institution = Institution(id=institution_id, name=name)
    identity = enrolled(context, institution)
    zones = (
        Zone(id="gate", room="entrance", name="大门"),
        Zone(id="room1", room="play", name="小一班活动室"),
        Zone(id="room3", room="play", name="小二班活动室"),
        Zone(id="room2", room="nap", name="午睡室"),
        Zone(id="wc", room="toilet", name="盥洗卫生间"),
    )
    more = (
        Camera(id="yard", name="操场", zones=("room1",), recorder="nvr", channel="4"),
        Camera(id="hall", name="门厅", zones=("gate",), recorder="nvr2", channel="1"),
        Camera(id="wc", name="卫生间门口", zones=("wc",), recorder="nvr", channel="5"),
    )
    boxes = (
        Recorder(id="nvr", name="海康录像机", driver="hikvision"),
        Recorder(id="nvr2", name="旧录像机", driver="hikvision"),
    )
    inventory = inventory_of(institution, (*CAMERAS, *more), zones=zones, recorders=boxes)
    for sequence in (1, 2):
        at = context.now()
        seen = healthy(inventory, identity.agent, at)
        for kind, item in ((Kind.RECORDINGS, "gate"), (Kind.RECORDINGS, "room1"), (Kind.STREAM, "nap"),
                           (Kind.VIEW, "yard"), (Kind.RECORDINGS, "hall"), (Kind.STREAM, "hall"), (Kind.VIEW, "hall")):  # fmt: skip
            seen = without(seen, kind, camera(item))
        for kind in (Kind.CHANNELS, Kind.DISKS, Kind.CLOCK):
            seen = without(seen, kind, recorder("nvr2"))
        seen = without(seen, Kind.CLOCK, recorder("nvr"))
        seen = without(seen, Kind.CHANNELS, recorder("nvr"))
        seen = without(seen, Kind.REACH, recorder("nvr2"))
        midnight = NOON - 12 * HOUR
        seen += [
            recordings("gate", [(midnight - 35 * DAY, at - MINUTE)], at),
            recordings("room1", [(at - 100 * DAY, midnight - 30 * DAY), (midnight - 27 * DAY, at - MINUTE)], at),
            span(camera("nap"), Kind.STREAM, at - 30 * DAY, NOON - 5 * HOUR, "up"),
            span(camera("nap"), Kind.STREAM, NOON - 5 * HOUR, NOON - 3 * HOUR, "down", "refused"),
            span(camera("nap"), Kind.STREAM, NOON - 3 * HOUR, at - 2 * HOUR, "up"),
            span(camera("nap"), Kind.STREAM, NOON - HOUR, at, "down", "stalled"),
            span(camera("yard"), Kind.VIEW, at - 30 * DAY, NOON - 90 * MINUTE, "ok"),
            span(camera("yard"), Kind.VIEW, NOON - 90 * MINUTE, at, "black"),
            span(recorder("nvr2"), Kind.REACH, at - 30 * DAY, NOON - 2 * HOUR, "up"),
            span(recorder("nvr2"), Kind.REACH, NOON - 2 * HOUR, at, "down", "timeout"),
            span(camera("hall"), Kind.STREAM, at - 30 * DAY, NOON - 2 * HOUR, "up"),
            span(camera("hall"), Kind.STREAM, NOON - 2 * HOUR, at, "unknown", "recorder_unreachable"),
            read(recorder("nvr"), Kind.CLOCK, at, {"offset_seconds": 3605.4}),
            read(recorder("nvr"), Kind.CHANNELS, at, {"channels": [
                {"id": str(n), "name": name, "online": True}
                for n, name in ((1, "大门"), (2, "小一班"), (3, "午睡室"), (4, "操场"), (5, "卫生间"), (9, "仓库"))
            ]}),
        ]  # fmt: skip
        report(context, identity, [*seen, *_set_to(at)], sequence=sequence)
        evaluate(context, institution_id)
        if sequence == 1:
            clock.advance(6 * 3600 + 60)
    return identity


def _set_to(at: Millis) -> list[Observation]:
    """Return what explains the trouble: a storage reset, a device set to delete too early, another camera."""
    midnight = NOON - 12 * HOUR
    first, last = ((from_millis(midnight) - timedelta(days=days)).date().isoformat() for days in (90, 36))
    lost = {"first_day": first, "last_day": last, "days": 55, "seconds": 55 * 86_400, "older_left": False}
    lost_at = midnight - 34 * DAY
    exchanged = isoformat(midnight - 20 * DAY)
    return [
        read(camera("gate"), Kind.FOOTAGE_LOST, lost_at, {**lost, "last_seen_at": isoformat(lost_at - DAY)}, state="lost"),
        read(camera("room1"), Kind.EXPIRY, at, {"days": 60}),
        read(camera("yard"), Kind.EXPIRY, at, {"days": 45}),
        read(camera("yard"), Kind.RECORDING_MODE, at, {"mode": "continuous", "holes": []}),
        read(camera("yard"), Kind.IDENTITY, at, {"model": "M", "exchanged_at": exchanged, "declared": None}),
        read(recorder("nvr"), Kind.TIME_SYNC, at, {"enabled": False, "has_server": False}),
        read(recorder("nvr"), Kind.FAULT_NOTICES, at, {"armed": ["diskerror"], "mail": False}),
        read(recorder("nvr"), Kind.STORAGE_MODE, at, {"mode": "quota"}),
        read(recorder("nvr"), Kind.ALARM_INPUTS, at, {"inputs": [{"id": "1", "armed": True, "active": False}], "disarmed": []}),
    ]  # fmt: skip


def new_camera_day(days: int) -> date:
    """Return the date so many days before NOON."""
    return from_millis(NOON).date() - timedelta(days=days)
