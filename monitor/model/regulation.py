"""A regulation as data: dated, versioned clauses; each requirement with its citation and every number."""

from __future__ import annotations

import json
import re
from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, StringConstraints, model_validator

from monitor.model.inventory import Camera, Identifier, Inventory, Room, Strict
from monitor.model.span import DAY, HOUR, MINUTE, SECOND, Millis
from monitor.model.suite import digest_of_bytes

_UNITS: dict[str, Millis] = {"ms": 1, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_DURATION = re.compile(r"^(\d{1,9})(ms|s|m|h|d)$")


LONGEST: Final[Millis] = 3660 * DAY
"""Ten years: a longer duration is a slip, and what it bounds would never be asked for."""


def parse_duration(value: object) -> Millis:
    """Read a duration such as 90d, 6h, 5m, 30s, of at most ten years. Raises ValueError on anything else."""
    match = _DURATION.match(value.strip()) if isinstance(value, str) else None
    if match is None:
        msg = f"{value!r} is no duration; write a whole number and a unit, such as 90d, 6h, 5m or 30s"
        raise ValueError(msg)
    millis = int(match[1]) * _UNITS[match[2]]
    if millis > LONGEST:
        msg = f"{value!r} is too long; nothing lasts longer than {format_duration(LONGEST)} here"
        raise ValueError(msg)
    return millis


def format_duration(millis: Millis) -> str:
    """Write a duration with the largest unit that keeps it whole."""
    for unit in ("d", "h", "m", "s"):
        if millis and millis % _UNITS[unit] == 0:
            return f"{millis // _UNITS[unit]}{unit}"
    return f"{millis}ms" if millis else "0s"


Duration = Annotated[Millis, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str)]
Ratio = Annotated[float, Field(ge=0.0, le=1.0)]


class Strength(StrEnum):
    """How binding a clause is; a recommended value is never printed as a legal duty."""

    LAW = "law"
    NORMATIVE_DOCUMENT = "normative document"
    LOCAL_STANDARD = "local standard"
    RECOMMENDED = "recommended"
    INTERNAL = "internal"


class Status(StrEnum):
    """How sure the wording is: read in the primary text, in a secondary source, or not verified."""

    PRIMARY = "primary"
    SECONDARY = "secondary"
    UNVERIFIED = "unverified"


class Text(Strict):
    """A text in the languages of the pages."""

    zh: Annotated[str, StringConstraints(min_length=1)]
    en: Annotated[str, StringConstraints(min_length=1)]


class Citation(Strict):
    """Where a requirement stands."""

    title: Text
    clause: Text
    strength: Strength
    status: Status
    url: str | None = None
    note: Text | None = None


class Due(StrEnum):
    """When something is owed: round the clock, or in opening hours."""

    ALWAYS = "always"
    OPENING_HOURS = "opening_hours"


class DueTime(Strict):
    """When a camera's picture or footage is owed, by the rooms that it shows."""

    default: Due = Due.ALWAYS
    rooms: dict[Room, Due] = Field(default_factory=dict)

    def of(self, camera: Camera, inventory: Inventory) -> Due:
        """Return when this camera's time is due: always, as soon as one of its rooms says so."""
        rooms = inventory.rooms_of(camera) or {None}
        dues = {self.rooms.get(room, self.default) if room else self.default for room in rooms}
        return Due.ALWAYS if Due.ALWAYS in dues else Due.OPENING_HOURS


class Deadlines(Strict):
    """How long after confirmation things are owed. Absent: the pack sets none."""

    rectify: Duration | None = None
    repair: Duration | None = None


class Requirement(Strict):
    """One checkable clause."""

    kind: ClassVar[str]
    title: Text
    citation: Citation
    effective_from: date | None = None
    effective_to: date | None = None
    confirm_after: Duration = 0
    """A finding opens (and closes) after two looks at least this far apart that agree."""
    deadlines: Deadlines = Deadlines()

    def in_force(self, day: date) -> bool:
        """Tell whether the requirement is in force on `day`; `effective_to` is its last day."""
        return (self.effective_from is None or self.effective_from <= day) and (
            self.effective_to is None or day <= self.effective_to
        )


class Uptime(Requirement):
    """Round the clock."""

    kind = "uptime"
    window: Duration
    minimum_ratio: Ratio
    minimum_known_ratio: Ratio
    grace: Duration
    """An outage up to this long is logged and never a lead."""
    longest_outage_in_hours: Duration
    longest_outage_out_of_hours: Duration
    due: DueTime = DueTime()


class ZoneCoverage(Requirement):
    """Every required zone has a camera that is up, recorded and shows what it should."""

    kind = "zone_coverage"
    proof: Annotated[tuple[Literal["attested", "planned", "camera"], ...], Field(min_length=1)]
    """What proves that a zone is *fully* covered; `camera`: one working camera is enough."""


class View(Requirement):
    """The camera shows a usable picture."""

    kind = "view"
    approved_view_required: bool = False
    """Whether a camera without an approved view is undetermined (`no_baseline`), and covers no zone for certain."""


class PictureQuality(Requirement):
    """What is recorded has a minimum size and frame rate; what is None is not asked for."""

    kind = "picture_quality"
    minimum_width: Annotated[int, Field(ge=1, le=16384)] | None = None
    """Pixels of the longer side: a camera may be mounted upright."""
    minimum_height: Annotated[int, Field(ge=1, le=16384)] | None = None
    """Pixels of the shorter side."""
    minimum_frame_rate: Annotated[float, Field(gt=0, le=240)] | None = None
    """Frames a second."""
    frame_rate_ratio: Ratio = 0.9
    """Share of the minimum that a measured rate has to reach: a short look counts few frames."""

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if self.minimum_width is None and self.minimum_height is None and self.minimum_frame_rate is None:
            msg = "asks for nothing: give minimum_width, minimum_height or minimum_frame_rate"
            raise ValueError(msg)
        return self


class ForbiddenZone(Requirement):
    """No camera where none may be."""

    kind = "forbidden_zone"


class UndeclaredChannel(Requirement):
    """The recorder records nothing that the site doesn't declare."""

    kind = "undeclared_channel"


class Retention(Requirement):
    """Recordings are kept."""

    kind = "retention"
    required_days: Annotated[int, Field(ge=1, le=3660)]
    day_held_ratio: Ratio = 0.99
    mass_min_ratio: Ratio = 0.9
    gap_tolerance: Duration = MINUTE
    newest_lag: Duration = 3 * MINUTE
    proof_failures_apart: Duration | None = None
    """How far apart two failed proofs must be to contradict the index; None: on different calendar days."""
    over_retention_days: Annotated[int, Field(ge=1, le=400)] | None = None
    """Footage kept for longer is flagged as kept too long, which is a fact and no breach. None: twice the required days."""
    due: DueTime = DueTime()

    @property
    def kept_at_most_days(self) -> int:
        """Return from how many days on footage is flagged as kept too long."""
        return self.over_retention_days or 2 * self.required_days

    @model_validator(mode="after")
    def _room_between(self) -> Self:
        if self.over_retention_days is not None and self.over_retention_days < self.required_days:
            msg = "over_retention_days must not be less than required_days"
            raise ValueError(msg)
        return self


class RecordingCompleteness(Requirement):
    """Yesterday's recorded minutes against its due minutes."""

    kind = "recording_completeness"
    minimum_ratio: Ratio
    due: DueTime = DueTime()


class RecorderClock(Requirement):
    """The recorder's clock is right."""

    kind = "recorder_clock"
    tolerance: Duration


class StorageHealth(Requirement):
    """The recorder's disks work."""

    kind = "storage_health"


class Measurability(Requirement):
    """Unknown is no hiding place."""

    kind = "measurability"
    max_undetermined_hours: Annotated[float, Field(gt=0.0, le=LONGEST / HOUR)]
    must_offer: tuple[str, ...] = ()
    """Requirements whose `not offered` counts as unmeasured."""

    @property
    def max_undetermined(self) -> Millis:
        """How long it may stay unknown, as every other duration."""
        return round(self.max_undetermined_hours * HOUR)


class AlarmSystem(Requirement):
    """The alarm system works."""

    kind = "alarm_system"


class AgentSilence(Requirement):
    """The agent reports."""

    kind = "agent_silence"
    silent_after: Duration


class Requirements(Strict):
    """The clauses of a pack, by kind; an absent one is not asked for."""

    uptime: Uptime | None = None
    zone_coverage: ZoneCoverage | None = None
    view: View | None = None
    picture_quality: PictureQuality | None = None
    forbidden_zone: ForbiddenZone | None = None
    undeclared_channel: UndeclaredChannel | None = None
    retention: Retention | None = None
    recording_completeness: RecordingCompleteness | None = None
    recorder_clock: RecorderClock | None = None
    storage_health: StorageHealth | None = None
    measurability: Measurability | None = None
    alarm_system: AlarmSystem | None = None
    agent_silence: AgentSilence | None = None

    def all(self) -> tuple[Requirement, ...]:
        """Return the requirements that the pack has, in the order of the law's sentence."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return tuple(value for value in values if value is not None)


class Rooms(Strict):
    """Which rooms a pack requires, forbids, leaves free, or leaves to the district. Each room once."""

    required: tuple[Room, ...] = ()
    forbidden: tuple[Room, ...] = ()
    free: tuple[Room, ...] = ()
    district_decides: tuple[Room, ...] = ()
    must_exist: tuple[Room, ...] = ()
    """Rooms of which at least one zone must be declared."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        named = [*self.required, *self.forbidden, *self.free, *self.district_decides]
        twice = sorted({room.value for room in named if named.count(room) > 1})
        missing = sorted(room.value for room in Room if room not in named)
        if twice:
            msg = f"room {', '.join(twice)} stands in more than one list"
            raise ValueError(msg)
        if missing:
            msg = f"room {', '.join(missing)} stands in no list: required, forbidden, free or district_decides"
            raise ValueError(msg)
        stray = sorted(room.value for room in self.must_exist if room not in self.required)
        if stray:
            msg = f"must_exist names {', '.join(stray)}, which is not required"
            raise ValueError(msg)
        return self


class Reference(Strict):
    """A text behind the pack: shown with it, cited by nothing of its own."""

    title: Text
    clause: Text | None = None
    strength: Strength
    status: Status
    says: Text
    url: str | None = None


class Regulation(Strict):
    """A pack: a dated, versioned set of clauses."""

    schema_: Literal["cradlewatch.regulation/1"] = Field(alias="schema")
    id: Identifier
    version: Annotated[int, Field(ge=1)]
    title: Text
    jurisdiction: str | None = None
    effective_from: date
    effective_to: date | None = None
    rooms: Rooms
    requirements: Requirements
    references: tuple[Reference, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.requirements.all():
            msg = "a pack needs at least one requirement"
            raise ValueError(msg)
        return self


def pack_json(pack: Regulation) -> dict[str, object]:
    """Return the pack as it travels: by alias, as JSON values."""
    return pack.model_dump(mode="json", by_alias=True)


def pack_digest(value: object) -> str:
    """Return the digest of a pack as it travels: what else it is called, and its version, is anybody's word."""
    return digest_of_bytes(json.dumps(value, sort_keys=True, ensure_ascii=False).encode())
