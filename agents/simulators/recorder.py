"""What a simulated recorder is: channels, disks, clock, limits and quirks; and when each channel records."""

from __future__ import annotations

import calendar
import enum
import time
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from agents.simulators.camera import Camera, Fault, Now
from agents.simulators.footage import Footage, Segment
from agents.simulators.seats import WhenFull

Mode = Literal["CMR", "MOTION", "EDR"]
Redirect = Literal["", "https", "elsewhere", "http", "circle"]
"""Where its http port sends everybody: nowhere, to its own https under a certificate that it signed itself, to https of
another host, to another http port, or to an https that sends on to itself."""

Span = tuple[float, float]


class Unplayable(enum.StrEnum):
    """How it shows that footage which the index lists can't be played."""

    MISSING = "missing"  # 404 or 457: there is nothing at that time
    SILENT = "silent"  # PLAY is answered, and no packet comes
    GARBAGE = "garbage"  # packets come, and nothing can be decoded from them


@dataclass
class Disk:
    """One bay. `capacity_mib` counts 2^20 bytes; a recorder that overwrites reports no free space for ever."""

    id: int
    capacity_mib: int = 7_630_885
    free_mib: int = 0
    status: str = "ok"
    property: str = "RW"


@dataclass
class Channel:
    """One input of the recorder, the camera behind it and its footage.

    `live` false leaves the footage as it is; `mode` MOTION records nothing while nothing moves, so nothing grows.
    """

    id: int
    name: str
    camera: Camera
    footage: Footage = field(default_factory=Footage)
    mode: Mode = "CMR"
    schedule_enabled: bool = True
    online: bool = True
    live: bool = True
    unplayable: list[Span] = field(default_factory=list)
    """What the index lists and playback doesn't give: true epoch seconds, half-open."""
    unplayable_as: Unplayable = Unplayable.MISSING
    recorded_camera: Camera | None = None
    """Whose picture the recordings show, when it isn't the camera behind the channel's live stream."""
    ip_address: str = ""
    camera_model: str = "DS-2CD2343G2-I"
    camera_serial: str = ""

    @property
    def shown_online(self) -> bool:
        """Say what the recorder's status page says of the channel."""
        return self.online and self.camera.fault not in {Fault.DEAD, Fault.SIGNAL_LOST}

    @property
    def device_number(self) -> int:
        """Return what the MAC address of the camera behind ends with: it goes with the camera, not with the channel."""
        return zlib.crc32(self.camera_serial.encode()) & 0xFFFF if self.camera_serial else self.id

    @property
    def track_id(self) -> int:
        """Return the number of the main stream's track."""
        return self.id * 100 + 1


@dataclass
class AlarmInput:
    """One wired alarm input: a button, a contact, a beam."""

    id: int
    name: str = ""
    armed: bool = True
    active: bool = False


@dataclass
class Quirks:
    """How this unit's firmware misbehaves; the defaults are what units in the field do."""

    wide_window: Literal["flaky", "fails", "works"] = "flaky"  # a search wider than a month: 500 about half of the time
    wide_window_days: float = 31.0
    max_results: int = 50  # a search that asks for more is refused
    match_cap: int = 4000  # a search lists no more than this, and does not say that there is more
    search_seconds: float = 0.02
    mixed_namespaces: bool = True
    forbidden_paths: tuple[str, ...] = ()  # beginnings of ISAPI paths that the account has no right to


@dataclass
class RecorderState:
    """A whole recorder. Instants are epoch seconds, true UTC: only its answers carry its own wrong clock."""

    channels: list[Channel] = field(default_factory=list)
    disks: list[Disk] = field(default_factory=lambda: [Disk(1)])
    username: str = "compliance"
    password: str = "Cradle-2026"  # noqa: S105  (a simulated device's)
    timezone: str = "Asia/Shanghai"
    clock_offset_seconds: float = 0.0
    device_name: str = "NVR"
    device_type: Literal["NVR", "DVR", "IPCamera"] = "NVR"
    model: str = "DS-7616NI-K2"
    serial: str = "DS-7616NI-K21620210101CCRRE00000001WCVU"
    firmware: str = "V4.31.102"
    seed: int = 1
    max_sessions: int | None = None
    when_full: WhenFull = WhenFull.NOT_ENOUGH_BANDWIDTH
    session_timeout_seconds: float = 60.0
    playback_status: int | None = None
    """401 or 403: the account has no right to play back."""
    playback_speed: float = 1.0
    """Pictures of a playback are sent so many times as fast as they were taken; their timestamps don't show it."""
    lock_after: int | None = 5
    lock_seconds: float = 1800.0
    nonce_seconds: float = 600.0
    nonces_once: bool = False
    """A digest nonce is good for one request."""
    redirect: Redirect = ""
    ntp_server: str = "time.example"
    """Empty: its clock is set by hand."""
    alarm_inputs: list[AlarmInput] = field(default_factory=list)
    told_faults: list[str] = field(default_factory=lambda: ["diskerror"])
    """Of which of its own faults it tells by beeping; others stand in its list without any way to tell of them."""
    mail_to: str = ""
    """Whom it writes to; empty: nobody."""
    storage_mode: str = "quota"
    quirks: Quirks = field(default_factory=Quirks)
    """Of a Hikvision; other makes' simulators are given their own."""
    now: Now = time.time
    powered: bool = True

    def channel(self, channel_id: int) -> Channel:
        """Return the channel of this number. Raises KeyError."""
        for channel in self.channels:
            if channel.id == channel_id:
                return channel
        raise KeyError(f"the recorder has no channel {channel_id}")

    def disk(self, disk_id: int) -> Disk:
        """Return the disk of this number. Raises KeyError."""
        for disk in self.disks:
            if disk.id == disk_id:
                return disk
        raise KeyError(f"the recorder has no disk {disk_id}")

    def wall(self, at: float) -> datetime:
        """Return what the recorder's clock shows at the true instant `at`, with its zone."""
        return datetime.fromtimestamp(at + self.clock_offset_seconds, ZoneInfo(self.timezone))

    def instant(self, digits: int) -> float:
        """Return the epoch second, by the recorder's clock, of local wall clock digits counted as if UTC."""
        wall = datetime.fromtimestamp(digits, UTC).replace(tzinfo=ZoneInfo(self.timezone))
        return wall.timestamp()

    def wall_span(self, segment: Segment) -> tuple[int, int]:
        """Return a segment's start and end as its files are named: local wall clock digits, counted as if UTC."""
        return (
            self._wall_digits(segment.start + segment.clock_offset_seconds),
            self._wall_digits(segment.end + segment.clock_offset_seconds),
        )

    def _wall_digits(self, at: float) -> int:
        return calendar.timegm(datetime.fromtimestamp(at, ZoneInfo(self.timezone)).timetuple())

    def update_recording(self) -> None:
        """Start and stop each channel's recording as its camera, its line, the disks and the power allow."""
        now = self.now()
        writable = any(disk.status in {"ok", "idle"} and disk.property == "RW" for disk in self.disks)
        for channel in self.channels:
            wanted = channel.live and channel.mode == "CMR" and channel.schedule_enabled and channel.shown_online
            if self.powered and writable and wanted:
                channel.footage.start(now, self.clock_offset_seconds)
            else:
                channel.footage.stop(now)

    def step_clock(self, offset_seconds: float) -> None:
        """Set the recorder's clock to be `offset_seconds` ahead from now on; older footage keeps its stamps."""
        self.clock_offset_seconds = offset_seconds
        for channel in self.channels:
            channel.footage.step_clock(self.now(), offset_seconds)
