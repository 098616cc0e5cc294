"""Why fewer days are held than required, or will be: what was lost, and what the device is set to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from pydantic import JsonValue

from monitor.evaluation.basis import camera_subject, days_text, instant_of, recorder_subject
from monitor.evaluation.forecast import Forecast
from monitor.model.calendar import local_date
from monitor.model.inventory import Camera
from monitor.model.ledger import Facts
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.regulation import Retention
from monitor.model.span import DAY, HOUR, Millis, isoformat, to_millis

AROUND: Millis = 2 * DAY
"""A disk that changed, or a recorder, this near to a loss of footage explains it: each is looked at once a day at least."""

ONE_READING: Millis = HOUR
"""So long one reading of a camera's index takes at most, cut in windows; a slow recorder needs seconds for each."""

SUB_STREAM = 0.25
"""Recorded at less than this share of the main stream's bit rate: another stream is recorded. Nights and still rooms take
a main stream down to about a half of its rate by day, a sub-stream has a tenth of it."""

OTHERS_HOLD = 1.25
"""A channel whose recorder keeps its other channels this many times as long has a smaller share of the disks."""


@dataclass(frozen=True)
class RetentionCause:
    """One cause, by its code (a word of the contract) with what is known of it."""

    code: str
    text: str
    """In English, to follow `cause: `."""
    more: Mapping[str, JsonValue] = field(default_factory=dict)

    def to_json(self) -> dict[str, JsonValue]:
        """Return it as it stands in `measured.causes` and `measured.warnings`."""
        return {"cause": self.code, **self.more}


def losses_that_count(facts: Facts, requirement: Retention, camera: Camera) -> list[Observation]:
    """Return what was lost of the last N days and has not come back: a volume that was off line for a day may."""
    reading, found = facts.recordings.get(camera.id), []
    today = local_date(facts.as_of, facts.inventory.institution.zone_info)
    for item in facts.losses.get(camera.id, ()):
        first, last, seconds = (
            _day(item.facts.get("first_day")),
            _day(item.facts.get("last_day")),
            item.facts.get("seconds"),
        )
        if first is None or last is None or type(seconds) is not int or last < first:
            continue
        if reading is None or last < today - timedelta(days=requirement.required_days):
            continue
        start, end = _utc(first), _utc(last + timedelta(days=1))
        if 2 * reading.footage.clip(start, end).total() < 1000 * seconds:
            found.append(item)
    return found


def _events(losses: list[Observation]) -> list[Observation]:
    """Put together what one reading of the index, cut in windows, found to be gone: one event, however many windows.

    Losses that count have their first and last day and their seconds. A first scan finds the newest days gone first, when
    older ones seem to be left: the oldest days' loss speaks for all of them.
    """
    events: list[Observation] = []
    for item in sorted(losses, key=lambda one: (one.start, str(one.facts["first_day"]))):
        last = events[-1] if events else None
        backwards = last is not None and _precedes(item, last)
        if last is None or item.start - last.start > ONE_READING or not (backwards or _follows(last, item)):
            events.append(item)
            continue
        older, newer = (item, last) if backwards else (last, item)
        days, more = last.facts.get("days"), item.facts.get("days")
        seen = max(instant_of(one.facts.get("last_seen_at")) or 0 for one in (last, item))
        together: dict[str, JsonValue] = {
            **older.facts,
            "last_day": newer.facts["last_day"],
            "days": days + more if type(days) is int and type(more) is int else None,
            "last_seen_at": isoformat(seen) if seen else None,
        }
        events[-1] = last.model_copy(update={"facts": together})
    return events


def _follows(one: Observation, other: Observation) -> bool:
    """Tell whether `other` lost the days after those of `one`, from the same state of things."""
    last, first = _day(one.facts.get("last_day")), _day(other.facts.get("first_day"))
    same = one.facts.get("older_left") == other.facts.get("older_left")
    return same and last is not None and first is not None and last < first


def _precedes(one: Observation, other: Observation) -> bool:
    """Tell whether `one` lost the days right before those of `other`, which was found when they seemed to be left.

    A day may be missing in between: one that a window's edge cuts is not read whole.
    """
    last, first = _day(one.facts.get("last_day")), _day(other.facts.get("first_day"))
    near = last is not None and first is not None and timedelta(0) < first - last <= timedelta(days=2)
    return near and other.facts.get("older_left") is not False


def retention_causes(
    facts: Facts, requirement: Retention, camera: Camera, state: str, held_days: int, foretold: Forecast | None
) -> tuple[RetentionCause, ...]:
    """Return what explains a camera's `short` or `gap`, the surest first; nothing for any other state.

    Nothing is guessed: without evidence there is no cause. A device that deletes after 60 days explains 60 days held; it
    explains neither a hole nor five days, and is a warning there.
    """
    if state not in {"short", "gap"}:
        return ()
    causes = [_loss(facts, camera, item) for item in _events(losses_that_count(facts, requirement, camera))]
    if state == "short":
        causes += _disks(facts, camera)
        causes += _quota(facts, camera)
        causes += [item for item in _expiry(facts, requirement, camera) if _bites(item, held_days)]
    causes += _mode(facts, camera)
    if state == "short" and foretold is not None and foretold.cause is not None:
        told = {item.code for item in causes}
        if not (foretold.cause == "capacity_lost" and told & _DISKS):
            causes.append(RetentionCause(foretold.cause, _FORETOLD[foretold.cause]))
    unique = {item.code: item for item in reversed(causes)}
    return tuple(item for item in causes if unique[item.code] is item)


def retention_warnings(
    facts: Facts, requirement: Retention, camera: Camera, causes: tuple[RetentionCause, ...]
) -> tuple[RetentionCause, ...]:
    """Return what is set on the device and will bite, whatever the state: none of it is among the causes."""
    told = {item.code for item in causes}
    found = [*_expiry(facts, requirement, camera), *_sub_stream(facts, camera)]
    return tuple(item for item in found if item.code not in told)


def sentence(causes: tuple[RetentionCause, ...], warnings: tuple[RetentionCause, ...]) -> str:
    """Return what follows a verdict's own sentence; empty without any cause or warning."""
    parts = (("Cause", causes), ("To be watched", warnings))
    return "".join(f" {name}: {'; '.join(item.text for item in items)}." for name, items in parts if items)


EXPIRY_SLACK = 3
"""A recorder that deletes after N days holds N, or so many fewer: it deletes whole files, and days are judged whole."""


def _bites(expiry: RetentionCause, held_days: int) -> bool:
    days = expiry.more["expiry_days"]
    return isinstance(days, int) and held_days >= days - EXPIRY_SLACK


_DISKS = frozenset({"disk_lost", "disk_failed", "disk_swapped"})
_FORETOLD = {
    "bit_rate_up": "a higher bit rate",
    "camera_added": "a camera was added",
    "capacity_lost": "capacity was lost",
    "capacity_too_small": "the capacity is too small",
}


def _loss(facts: Facts, camera: Camera, item: Observation) -> RetentionCause:
    """Name what took footage away: a disk, another recorder, a reset of all there was, or nobody knows what."""
    at = item.start
    seen = instant_of(item.facts.get("last_seen_at"))
    low, high = (at if seen is None else seen) - AROUND, at + AROUND

    def near(value: object) -> bool:
        instant = instant_of(value)
        return instant is not None and low <= instant <= high

    recorder = recorder_subject(camera.recorder or "")
    disks = _facts(facts, Kind.DISKS, recorder)
    days, more = item.facts.get("days"), {key: item.facts.get(key) for key in ("first_day", "last_day", "days")}
    lost = f"{days_text(days) if type(days) is int else 'days'} of footage vanished by {isoformat(at)}"
    code, text = "storage_reset", f"the storage was reset, {lost}"
    if any(near(disk.get("last_seen_at")) for disk in _objects(disks.get("gone"))):
        code, text = "disk_lost", f"a disk is gone, {lost}"
    elif any(near(disk.get("since_at")) for disk in _objects(disks.get("swapped"))):
        code, text = "disk_swapped", f"a disk was swapped, {lost}"
    elif near(_facts(facts, Kind.IDENTITY, recorder).get("exchanged_at")):
        code, text = "recorder_exchanged", f"the recorder was exchanged, {lost}"
    elif item.facts.get("older_left") is not False:
        code, text = "footage_lost", lost
    return RetentionCause(code, text, {"at": isoformat(at), **more})


def _disks(facts: Facts, camera: Camera) -> list[RetentionCause]:
    said = _facts(facts, Kind.DISKS, recorder_subject(camera.recorder or ""))
    bad = [str(item.get("id")) for item in _objects(said.get("disks")) if item.get("state") in ("failed", "missing")]
    gone = [str(item.get("id")) for item in _objects(said.get("gone"))]
    causes = []
    if gone:
        causes.append(RetentionCause("disk_lost", f"disk {', '.join(gone)} is gone", {"disks": [*gone]}))
    if bad:
        causes.append(RetentionCause("disk_failed", f"disk {', '.join(bad)} does not work", {"disks": [*bad]}))
    return causes


def _quota(facts: Facts, camera: Camera) -> list[RetentionCause]:
    """A quota is believed where the recorder shares its disks out, and keeps its other channels much longer.

    Its own word alone proves nothing: makers ship recorders in quota mode with no quota set.
    """
    mode = _facts(facts, Kind.STORAGE_MODE, recorder_subject(camera.recorder or "")).get("mode")
    mine = _held(facts, camera.id)
    others = [
        held
        for item in facts.inventory.cameras
        if item.recorder == camera.recorder and item.id != camera.id and (held := _held(facts, item.id)) is not None
    ]
    first = facts.inventory_seen.get(camera_subject(camera.id))
    if mode not in ("quota", "group") or mine is None or not others or first is None:
        return []
    overwritten = facts.as_of - mine > first + DAY  # it was there, and recorded, before what is left begins
    if not overwritten or max(others) < OTHERS_HOLD * mine:
        return []
    days = max(others) // DAY
    text = f"the channel's share of the disks is too small, others are kept for {days_text(days)}"
    return [RetentionCause("quota", text, {"others_days": days})]


def _held(facts: Facts, camera_id: str) -> Millis | None:
    reading = facts.recordings.get(camera_id)
    start = None if reading is None else reading.footage.start
    return None if start is None else facts.as_of - start


def _expiry(facts: Facts, requirement: Retention, camera: Camera) -> list[RetentionCause]:
    days = expiry_days(facts, camera)
    if days is None or days >= requirement.required_days:
        return []
    text = f"the recorder is set to delete after {days_text(days)}"
    return [RetentionCause("expiry_set", text, {"expiry_days": days})]


def expiry_days(facts: Facts, camera: Camera) -> int | None:
    """Return after how many days the device is set to delete a camera's footage; None where it isn't, or isn't known."""
    days = _facts(facts, Kind.EXPIRY, camera_subject(camera.id)).get("days")
    return days if type(days) is int and days > 0 else None


def recording_mode(facts: Facts, camera: Camera) -> str | None:
    """Return what a camera's channel is set to record: continuous, motion, mixed or none; None where it isn't known."""
    mode = _facts(facts, Kind.RECORDING_MODE, camera_subject(camera.id)).get("mode")
    return mode if isinstance(mode, str) and mode in {"continuous", "motion", "mixed", "none"} else None


def _mode(facts: Facts, camera: Camera) -> list[RetentionCause]:
    mode = recording_mode(facts, camera)
    holes = _facts(facts, Kind.RECORDING_MODE, camera_subject(camera.id)).get("holes")
    if mode == "none":
        return [RetentionCause("recording_off", "recording is switched off for this channel")]
    if mode in {"motion", "mixed"}:
        return [RetentionCause("motion_only", "the channel is set to record on events")]
    if mode is not None and isinstance(holes, list) and holes:
        return [RetentionCause("schedule_holes", "the recording schedule leaves hours out")]
    return []


def _sub_stream(facts: Facts, camera: Camera) -> list[RetentionCause]:
    """What is recorded takes so few bytes that it can't be the main stream."""
    main = _facts(facts, Kind.MAIN_STREAM, camera_subject(camera.id)).get("bit_rate")
    recorded = _recorded_rate(facts, camera)
    if isinstance(main, bool) or not isinstance(main, int | float) or not main > 0 or recorded is None:
        return []
    if recorded >= SUB_STREAM * main:
        return []
    text = f"a sub-stream seems to be recorded, {recorded / 1000:.0f} kb/s of a main stream of {main / 1000:.0f}"
    return [RetentionCause("sub_stream_recorded", text, {"recorded_bit_rate": round(recorded), "bit_rate": main})]


def _recorded_rate(facts: Facts, camera: Camera) -> float | None:
    """Return the bits a second of what was recorded on the last day that the index tells the size of; None without one."""
    said, reading = _facts(facts, Kind.WRITTEN, camera_subject(camera.id)), facts.recordings.get(camera.id)
    first, sizes = _day(said.get("first_day")), said.get("bytes")
    if first is None or not isinstance(sizes, list) or not sizes or len(sizes) > 4000 or reading is None:
        return None
    zone = facts.inventory.institution.zone_info
    day, size = first + timedelta(days=len(sizes) - 1), sizes[-1]
    if type(size) is not int or size <= 0 or day.year > 9000:
        return None
    start = to_millis(datetime(day.year, day.month, day.day, tzinfo=zone))
    held = reading.footage.clip(start, start + DAY).union(reading.locked.clip(start, start + DAY)).total()
    return None if held < DAY // 4 else 8000.0 * size / held


def _facts(facts: Facts, kind: Kind, subject: Subject) -> Mapping[str, JsonValue]:
    """Return the newest facts of a kind on a subject; nothing where they are unknown or have expired."""
    instant = facts.instant(kind, subject)
    return instant.observation.facts if instant is not None and instant.readable else {}


def _objects(value: JsonValue) -> list[dict[str, JsonValue]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _day(value: object) -> date | None:
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return day if day is not None and 1970 <= day.year <= 6000 else None


def _utc(day: date) -> Millis:
    return (day - date(1970, 1, 1)).days * DAY
