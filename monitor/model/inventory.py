"""What an institution says it has: zones, cameras, recorders, hours; and the tree of areas above it."""

from __future__ import annotations

import unicodedata
from datetime import date, time
from enum import StrEnum
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""An id chosen by people: letters, digits, dot, underscore, hyphen; at most 64."""

WITHOUT_ADDRESS: Final = frozenset({"files", "attested"})
"""Drivers of recorders that are no device in the network: nobody can ask whether they answer."""


def _plain(text: str) -> str:
    """Refuse what would move a terminal's cursor or break a line. Raises ValueError."""
    if any(unicodedata.category(letter) == "Cc" for letter in text):
        raise ValueError("holds a control character: write plain text")
    return text


Name = Annotated[str, StringConstraints(max_length=200), AfterValidator(_plain)]


def _of_the_day(value: time) -> time:
    """Refuse a zone: it can't be compared with a time that has none. Raises ValueError."""
    if value.tzinfo is not None:
        raise ValueError("must be the institution's local time, without a zone: write it like 07:30")
    return value


LocalTime = Annotated[time, AfterValidator(_of_the_day)]


class Strict(BaseModel):
    """A frozen value whose unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Room(StrEnum):
    """What a zone is used for; the regulation says which rooms are required, forbidden or free."""

    ENTRANCE = "entrance"
    CORRIDOR = "corridor"
    PLAY = "play"
    NAP = "nap"
    DINING = "dining"
    WASH = "wash"
    CHANGING = "changing"
    TOILET = "toilet"
    NURSING = "nursing"
    KITCHEN = "kitchen"
    RECEPTION = "reception"
    OUTDOOR_PLAY = "outdoor_play"
    OFFICE = "office"
    STAFF_REST = "staff_rest"
    OTHER = "other"


class Weekday(StrEnum):
    """Days of the week, Monday first as in ISO 8601."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class Institution(Strict):
    """The supervised site."""

    id: Identifier
    name: Name = ""
    timezone: str = "Asia/Shanghai"

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            msg = f"unknown time zone {value!r}; write an IANA name such as Asia/Shanghai"
            raise ValueError(msg) from error
        return value

    @property
    def zone_info(self) -> ZoneInfo:
        """The institution's time zone."""
        return ZoneInfo(self.timezone)


class OpeningHours(Strict):
    """When children may be there, local time; `close` after `open` on the same day."""

    open: LocalTime
    close: LocalTime
    days: tuple[Weekday, ...] = (Weekday.MON, Weekday.TUE, Weekday.WED, Weekday.THU, Weekday.FRI)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.close <= self.open:
            msg = (
                "close must be later than open on the same day; who is open over midnight leaves hours out:"
                " then all of the day counts as open"
            )
            raise ValueError(msg)
        return self


class Closure(Strict):
    """Days on which the institution is closed; `to` is its last closed day."""

    start: date = Field(alias="from")
    to: date
    reason: Name = ""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.to < self.start:
            msg = "to must not be before from"
            raise ValueError(msg)
        return self


class Nap(Strict):
    """When children sleep, local time."""

    start: LocalTime = Field(alias="from")
    to: LocalTime


class Zone(Strict):
    """A named area with its room."""

    id: Identifier
    room: Room
    name: Name = ""


class Camera(Strict):
    """A camera as declared: which zones it shows, and where it is recorded. Holds no address and no secret."""

    id: Identifier
    name: Name = ""
    zones: tuple[Identifier, ...]
    recorder: Identifier | None = None
    channel: str | None = None
    has_stream: bool = True
    commissioned: date | None = None


class Recorder(Strict):
    """A recorder as declared. Holds no address and no secret."""

    id: Identifier
    name: Name = ""
    driver: str


class ChangedThreshold(Strict):
    """A number of the picture checks that a site has set other than its default."""

    camera: Identifier | None = None
    """None: for all cameras."""
    light: Annotated[str, StringConstraints(pattern=r"^[a-z]{1,20}$")] | None = None
    """None: in any light."""
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,60}$")]
    value: Annotated[float, Field(allow_inf_nan=False)]
    default: Annotated[float, Field(allow_inf_nan=False)]


class Inventory(Strict):
    """All that an institution declares, as it travels in a report."""

    institution: Institution
    zones: tuple[Zone, ...]
    cameras: tuple[Camera, ...]
    recorders: tuple[Recorder, ...] = ()
    hours: OpeningHours | None = None
    closures: tuple[Closure, ...] = ()
    naps: tuple[Nap, ...] = ()
    thresholds: tuple[ChangedThreshold, ...] = ()
    """Which thresholds of the picture checks the site has changed."""

    def zone(self, zone_id: str) -> Zone | None:
        """Return the zone called `zone_id`, if declared."""
        return next((zone for zone in self.zones if zone.id == zone_id), None)

    def camera(self, camera_id: str) -> Camera | None:
        """Return the camera called `camera_id`, if declared."""
        return next((camera for camera in self.cameras if camera.id == camera_id), None)

    def rooms_of(self, camera: Camera) -> frozenset[Room]:
        """Return the rooms of the zones that `camera` shows."""
        return frozenset(zone.room for zone in self.zones if zone.id in camera.zones)

    def cameras_of(self, zone_id: str) -> tuple[Camera, ...]:
        """Return the cameras declared to show the zone."""
        return tuple(camera for camera in self.cameras if zone_id in camera.zones)


class Level(StrEnum):
    """Levels of the tree of supervising areas; supervision acts at district and town."""

    COUNTRY = "country"
    PROVINCE = "province"
    CITY = "city"
    DISTRICT = "district"
    TOWN = "town"

    def is_above(self, other: Level) -> bool:
        """Tell whether an area of this level can have one of the `other` below it: levels may be left out, never turned round."""
        order = list(Level)
        return order.index(self) < order.index(other)


class Jurisdiction(Strict):
    """A node of the tree of supervising areas, with its division code (GB/T 2260, GB/T 10114)."""

    code: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,16}$")]
    name: Name
    level: Level
    parent: str | None = None
