"""What the agent foretells of a recorder whose future is known, day by day, by the verdict that everybody reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from pydantic import JsonValue

from benchmarks.forecast.truth import DAYS, REQUIRED_DAYS, WATCHED_FROM, Recorder
from monitor.evaluation.judge import judge
from monitor.model.inventory import Camera, Institution, Inventory, Zone
from monitor.model.inventory import Recorder as Declared
from monitor.model.ledger import fold
from monitor.model.observation import Kind, Observation, Source, Subject
from monitor.model.span import DAY, HOUR, Millis, to_millis
from monitor.model.verdict import Verdict
from support.packs import pack

FIRST = date(2026, 1, 5)
"""Day 0, a Monday."""

REGULATION = pack(
    **dict.fromkeys(
        ("uptime", "zone_coverage", "view", "picture_quality", "forbidden_zone", "undeclared_channel", "alarm_system",
         "recording_completeness", "recorder_clock", "storage_health", "measurability", "agent_silence")
    ),
    retention={"required_days": REQUIRED_DAYS},
)  # fmt: skip


@dataclass
class Told:
    """What was foretold of one recorder: by day, the date (as a day's number) and its bounds."""

    recorder: Recorder
    dates: dict[int, tuple[int, int | None, int | None, str]] = field(default_factory=dict)

    @property
    def first_warning(self) -> int | None:
        """The first day from the change on that named a date; of a recorder that nothing breaks, of all days."""
        since = self.recorder.changes_on if self.recorder.breaks_on is not None else 0
        return next((day for day in sorted(self.dates) if day >= since), None)

    @property
    def false_days(self) -> list[int]:
        """The days that named a date though nothing breaks, or before anything had changed."""
        breaks = self.recorder.breaks_on
        return [day for day in self.dates if breaks is None or day < self.recorder.changes_on]


def foretold(recorder: Recorder, step: int = 5) -> Told:
    """Judge the recorder at noon of each `step`-th day until it breaks or the time is over, and daily after the change."""
    told = Told(recorder)
    last = recorder.breaks_on if recorder.breaks_on is not None else DAYS - 1
    near = range(recorder.changes_on, recorder.changes_on + 9)
    for day in sorted({*range(WATCHED_FROM, last + 1, step), *(one for one in near if one <= last), last - 1}):
        found = {item.measured.get("breaks_on"): item.measured for item in _judged(recorder, day)}
        for name, measured in found.items():
            if isinstance(name, str):
                between = measured["breaks_between"]
                assert isinstance(between, list)
                low, high = (_day(text) if isinstance(text, str) else None for text in between)
                told.dates[day] = (_day(name), low, high, str(measured["breaks_because"]))
    return told


def _judged(recorder: Recorder, day: int) -> tuple[Verdict, ...]:
    noon = _at(day) + 12 * HOUR
    facts = fold(_seen(recorder, day, noon), noon, inventory=_inventory(recorder, day))
    assert facts is not None
    return judge(facts, REGULATION)


def _seen(recorder: Recorder, day: int, noon: Millis) -> list[Observation]:
    """Return what the agent has seen at noon of a day: the disks, and of each camera its index and its bytes a day."""
    first, left = recorder.first_whole[day - 1], recorder.left[day - 1]
    start = _at(first) - round(left * DAY)
    seen = [
        _read(Subject(kind="recorder", id="nvr"), Kind.DISKS, noon, {
            "disks": [{"id": "1", "state": "ok", "capacity_bytes": round(recorder.shown[day - 1])}]
        })
    ]  # fmt: skip
    for number, line in enumerate(recorder.written):
        begun = next((index for index, size in enumerate(line) if size > 0), None)
        if begun is None or begun >= day:
            continue
        camera = Subject(kind="camera", id=f"c{number}")
        low = max(start, _at(begun))
        ends = next((index for index in range(day - 1, begun, -1) if line[index] > 0), begun) + 1
        high = noon if ends >= day and line[day] > 0 else _at(ends)
        seen.append(_read(camera, Kind.RECORDINGS, noon, {
            "window": [_at(0) - 2 * DAY, noon], "spans": [[low, high]] if low < high else [], "locked": []
        }))  # fmt: skip
        sizes = [line[index] for index in range(max(first, begun), day)]
        days = FIRST + timedelta(days=max(first, begun))
        if left and first > begun:
            sizes, days = [left * line[first - 1], *sizes], days - timedelta(days=1)
        seen.append(
            _read(camera, Kind.WRITTEN, noon, {"first_day": days.isoformat(), "bytes": [round(s) for s in sizes]})
        )
    return seen


def _read(subject: Subject, kind: Kind, at: Millis, facts: dict[str, JsonValue]) -> Observation:
    return Observation(
        subject=subject, kind=kind, start=at, end=at, state="read", source=Source.RECORDER, expires=at + 2 * DAY,
        facts=facts,
    )  # fmt: skip


def _inventory(recorder: Recorder, day: int) -> Inventory:
    cameras = tuple(
        Camera(id=f"c{number}", zones=("room",), recorder="nvr", channel=str(number + 1))
        for number, line in enumerate(recorder.written)
        if any(line[:day])
    )
    return Inventory(
        institution=Institution(id="wj-0001", timezone="UTC"),
        zones=(Zone(id="room", room="play"),),
        recorders=(Declared(id="nvr", driver="hikvision"),),
        cameras=cameras,
    )


def _at(day: int) -> Millis:
    return to_millis(datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)) + day * DAY


def _day(text: str) -> int:
    return (date.fromisoformat(text) - FIRST).days
