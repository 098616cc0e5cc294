"""What an institution of the demo is made of: its devices, what is planted, and how it is told when that began."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

Json = dict[str, Any]

RECORDER: Final = "nvr"
"""The id of every institution's one recorder."""
AGENT: Final = "box"
"""The id of every institution's one agent."""

PACK: Final = "demo-nursery"
"""The regulation: Wujiang's, with timings of seconds."""
DIVISION_CODE: Final = "320509"
"""Wujiang District, Suzhou (GB/T 2260)."""


class Began(StrEnum):
    """Which fact tells when a planted fault began."""

    FIRST_LOOK = "first look"
    """It was so before anybody looked: it begins at the agent's first look."""
    HOLE = "hole"
    """When the footage stops, as the simulators tell of their index."""
    EVENT = "event"
    """When the simulators did it."""
    KILLED = "killed"
    """When the demo killed the agent."""


@dataclass(frozen=True)
class Plant:
    """What has to be found of one fault: exactly this, and once."""

    requirement: str
    kind: str
    id: str
    state: str
    began: Began = Began.FIRST_LOOK
    do: str = ""
    """The event that begins it, when an event does."""
    healed_by: str = ""
    """The event that ends it; empty: it stays."""
    channel: int | None = None
    """The recorder's channel that it happens to; None: the recorder itself, or none."""


@dataclass(frozen=True)
class Town:
    """A town or street of the district."""

    spelling: str
    name: str

    @property
    def code(self) -> str:
        """Return a code below the district's: the demo's own, for towns are told apart by name here."""
        return f"{DIVISION_CODE}-{self.spelling}"


@dataclass(frozen=True)
class Zone:
    """A zone of an institution."""

    id: str
    room: str
    name: str


@dataclass(frozen=True)
class Camera:
    """A camera on the recorder's channel of the same number."""

    id: str
    channel: int
    zone: str
    name: str
    recorded: Json = field(default_factory=dict)
    """What its channel holds and plays, where that differs from the recorder's 95 days (keys of the simulators' script)."""
    sees_too: tuple[str, ...] = ()
    """Further zones in its picture."""


@dataclass(frozen=True)
class Institution:
    """One institution with its devices and its fault."""

    number: int
    name: str
    town: Town
    planted_zh: str
    planted_en: str
    zones: tuple[Zone, ...]
    cameras: tuple[Camera, ...]
    plants: tuple[Plant, ...] = ()
    recorder: Json = field(default_factory=dict)
    """What is different about its recorder (keys of the simulators' script)."""
    rhythm: Json = field(default_factory=dict)
    """What its agent does more often (keys of `rhythm` in site.yaml)."""
    always_quiet: bool = False
    """Its footage may be played at any hour, not at night alone."""
    views_approved: bool = False
    """Somebody on site approves what each camera shows, before the agent is enrolled."""
    stray_channels: tuple[Json, ...] = ()
    """Channels that the recorder has and site.yaml doesn't."""
    events: tuple[Json, ...] = ()
    """What happens to its devices, in seconds after the start: at_seconds, do, and channel for a camera's."""
    agent_killed_at: float | None = None
    """When its agent is killed, in seconds after the start."""

    @property
    def id(self) -> str:
        """Return its id in the register."""
        return f"wj-{self.number:04d}"

    @property
    def device(self) -> str:
        """Return its recorder's name among the simulators."""
        return f"{self.id}/{RECORDER}"

    @property
    def make(self) -> str:
        """Return the make of its recorder: the simulator's, and the driver that reads it."""
        return str(self.recorder.get("make", "hikvision"))

    @property
    def full_name(self) -> str:
        """Return the town with the name, as the register has it."""
        return f"{self.town.name}{self.name}"
