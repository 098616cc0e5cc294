"""The script of a set of simulated devices: read from JSON, checked, and turned into recorders and cameras."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agents.simulators.camera import MAIN, SUB, Camera, Fault, Format, Now
from agents.simulators.dahua import DahuaQuirks
from agents.simulators.footage import Cutting, Footage, Segment, Spans, continuous, midnight_days_ago, motion_clips
from agents.simulators.onvif import OnvifQuirks
from agents.simulators.recorder import Channel, Disk, Mode, Quirks, RecorderState, Redirect
from agents.simulators.scenes import seed_number
from agents.simulators.seats import WhenFull
from agents.simulators.uniview import UniviewQuirks

Json = dict[str, Any]
MAKES: Final[dict[str, type[Any]]] = {
    "hikvision": Quirks,
    "dahua": DahuaQuirks,
    "uniview": UniviewQuirks,
    "onvif": OnvifQuirks,
}
"""The makes of recorders, and how the firmware of each may misbehave."""

Made = TypeVar("Made")


class ScriptError(ValueError):
    """A script that can't be played; the text says where and why."""


@dataclass(frozen=True)
class SpanSpec:
    """A span in one of three forms: calendar days of the recorder's zone, seconds back from now, or two instants."""

    days_ago: int | None = None
    days: int = 1
    seconds_ago: float | None = None
    seconds: float | None = None
    start_at: str | None = None
    end_at: str | None = None

    def resolve(self, now: float, zone: ZoneInfo) -> tuple[float, float]:
        """Return the span in epoch seconds. Raises ScriptError when it is in none of the forms."""
        if self.days_ago is not None:
            start = midnight_days_ago(now, zone, self.days_ago)
            return start, midnight_days_ago(now, zone, self.days_ago - self.days)
        if self.seconds_ago is not None:
            start = now - self.seconds_ago
            return start, now if self.seconds is None else start + self.seconds
        if self.start_at is not None and self.end_at is not None:
            return _instant(self.start_at), _instant(self.end_at)
        raise ScriptError("a span needs days_ago (and days), seconds_ago (and seconds), or start_at and end_at")


@dataclass(frozen=True)
class RateSpec:
    """A channel's bit rate since so many calendar days ago (days_ago 0: today); before that it was the usual one."""

    days_ago: int
    kilobits_per_second: float


@dataclass(frozen=True)
class ChannelSpec:
    """One channel of a recorder. `camera` is the seed of its scene; what is absent comes from the recorder."""

    id: int
    name: str = ""
    camera: str = ""
    osd: str = ""
    figures: int = 3
    days_held: float | None = None
    holes: tuple[SpanSpec, ...] = ()
    locked: tuple[SpanSpec, ...] = ()
    unplayable: tuple[SpanSpec, ...] = ()
    """Listed, and not played."""
    rate: RateSpec | None = None
    mode: Mode = "CMR"
    live: bool = True
    online: bool = True
    fault: Fault = Fault.NONE
    serial: str = ""


@dataclass(frozen=True)
class RecorderSpec:
    """One recorder. `days_held` counts whole calendar days before today; `keep_seconds` overwrites older footage."""

    id: str
    make: str = "hikvision"
    http: str = "127.0.0.1:0"
    rtsp: str = "127.0.0.1:0"
    username: str = "compliance"
    password: str = "Cradle-2026"  # noqa: S105  (a simulated device's)
    timezone: str = "Asia/Shanghai"
    seed: int | None = None
    device_name: str = "NVR"
    device_type: str = "NVR"
    model: str = "DS-7616NI-K2"
    serial: str = ""
    firmware: str = "V4.31.102"
    clock_offset_seconds: float = 0.0
    days_held: float = 95
    holes: tuple[SpanSpec, ...] = ()
    keep_seconds: float | None = None
    lag_seconds: float = 20.0
    segment_minutes: tuple[float, float] = (30, 60)
    overlap_every: int = 0
    duplicate_every: int = 0
    max_sessions: int | None = None
    when_full: WhenFull = WhenFull.NOT_ENOUGH_BANDWIDTH
    people: int = 0
    lock_after: int | None = 5
    redirect: Redirect = ""
    disks: tuple[Disk, ...] = (Disk(1),)
    channels: tuple[ChannelSpec, ...] = ()
    quirks: Any = None
    """Of its make's own kind; None: those of units in the field."""
    main: Format = MAIN
    sub: Format = SUB

    @property
    def zone(self) -> ZoneInfo:
        """Return its time zone. Raises ScriptError for a name that is none."""
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ScriptError(f"{self.id}: {self.timezone!r} is no time zone") from error


@dataclass(frozen=True)
class CameraSpec:
    """A camera that stands alone, with one stream and no recorder; without a username anybody may watch."""

    id: str
    rtsp: str = "127.0.0.1:0"
    path: str = "stream1"
    username: str = ""
    password: str = ""
    timezone: str = "Asia/Shanghai"
    seed: str = ""
    osd: str = ""
    figures: int = 3
    format: Format = SUB
    fault: Fault = Fault.NONE


@dataclass(frozen=True)
class GatewaySpec:
    """A site's router: it answers, and that is all."""

    id: str
    listen: str = "127.0.0.1:0"


@dataclass(frozen=True)
class Script:
    """All devices, and what happens to them, in seconds after the start signal."""

    recorders: tuple[RecorderSpec, ...] = ()
    cameras: tuple[CameraSpec, ...] = ()
    gateways: tuple[GatewaySpec, ...] = ()
    timeline: tuple[Json, ...] = ()


def load(path: Path) -> Script:
    """Read a script. Raises ScriptError that names the file and the place in it."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ScriptError(f"{path}: {error}") from error
    try:
        return parse(data)
    except ScriptError as error:
        raise ScriptError(f"{path}: {error}") from error


def parse(data: Any) -> Script:
    """Turn JSON into a script. Raises ScriptError."""
    plain = _table(data, "the script")
    recorders = tuple(
        recorder_spec(item, f"recorders[{number}]") for number, item in enumerate(plain.pop("recorders", []))
    )
    cameras = tuple(_camera_spec(item, f"cameras[{number}]") for number, item in enumerate(plain.pop("cameras", [])))
    gateways = tuple(
        _make(GatewaySpec, item, f"gateways[{number}]") for number, item in enumerate(plain.pop("gateways", []))
    )
    timeline = tuple(_table(item, f"timeline[{number}]") for number, item in enumerate(plain.pop("timeline", [])))
    if plain:
        raise ScriptError(f"the script has unknown keys: {', '.join(sorted(plain))}")
    for number, event in enumerate(timeline):
        if not isinstance(event.get("at_seconds"), int | float) or not isinstance(event.get("do"), str):
            raise ScriptError(f"timeline[{number}] needs at_seconds (a number) and do (a text)")
    return Script(recorders, cameras, gateways, timeline)


def recorder_spec(item: Any, where: str) -> RecorderSpec:
    """Turn JSON into a recorder's description. Raises ScriptError."""
    plain = _table(item, where)
    kind = MAKES.get(str(plain.get("make", "hikvision")))
    if kind is None:
        raise ScriptError(f"{where}.make: {plain['make']!r} is none of {', '.join(MAKES)}")
    for key, made in (("main", Format), ("sub", Format), ("quirks", kind)):
        _replace(plain, key, lambda value, made=made, key=key: _make(made, value, f"{where}.{key}"))
    _replace(plain, "disks", lambda value: tuple(_make(Disk, one, f"{where}.disks") for one in value))
    _replace(plain, "channels", lambda value: tuple(channel_spec(one, f"{where}.channels") for one in value))
    _replace(plain, "holes", lambda value: _spans(value, f"{where}.holes"))
    _replace(plain, "segment_minutes", tuple)
    _replace(plain, "when_full", lambda value: _choice(WhenFull, str(value), f"{where}.when_full"))
    return _make(RecorderSpec, plain, where)


def channel_spec(item: Any, where: str) -> ChannelSpec:
    """Turn JSON into a channel's description. Raises ScriptError."""
    plain = _table(item, where)
    for key in ("holes", "locked", "unplayable"):
        _replace(plain, key, lambda value, key=key: _spans(value, f"{where}.{key}"))
    _replace(plain, "fault", lambda value: _choice(Fault, value, f"{where}.fault"))
    _replace(plain, "rate", lambda value: _make(RateSpec, value, f"{where}.rate"))
    return _make(ChannelSpec, plain, where)


def span_spec(item: Any, where: str) -> SpanSpec:
    """Turn JSON into a span. Raises ScriptError."""
    return _make(SpanSpec, item, where)


def _camera_spec(item: Any, where: str) -> CameraSpec:
    plain = _table(item, where)
    _replace(plain, "format", lambda value: _make(Format, value, f"{where}.format"))
    _replace(plain, "fault", lambda value: _choice(Fault, value, f"{where}.fault"))
    return _make(CameraSpec, plain, where)


def build_recorder(spec: RecorderSpec, now: Now) -> RecorderState:
    """Make a recorder with its cameras and footage as of now. Raises ScriptError."""
    seed = seed_number(spec.id) if spec.seed is None else spec.seed
    return RecorderState(
        channels=[build_channel(spec, channel, now) for channel in spec.channels],
        disks=[dataclasses.replace(disk) for disk in spec.disks],
        username=spec.username,
        password=spec.password,
        timezone=spec.timezone,
        clock_offset_seconds=spec.clock_offset_seconds,
        device_name=spec.device_name,
        device_type=_choice_of(("NVR", "DVR", "IPCamera"), spec.device_type, f"{spec.id}.device_type"),
        model=spec.model,
        serial=spec.serial or f"{spec.model}1620210101CCRR{seed % 10**9:09d}WCVU",
        firmware=spec.firmware,
        seed=seed,
        max_sessions=spec.max_sessions,
        when_full=spec.when_full,
        lock_after=spec.lock_after,
        redirect=_choice_of(get_args(Redirect), spec.redirect, f"{spec.id}.redirect"),
        quirks=spec.quirks if isinstance(spec.quirks, Quirks) else Quirks(),
        now=now,
    )


def build_channel(spec: RecorderSpec, channel: ChannelSpec, now: Now) -> Channel:
    """Make one channel with its camera and footage as of now. Raises ScriptError."""
    scene = channel.camera or f"{spec.id}/{channel.id}"
    osd = channel.osd or f"Camera {channel.id:02d}"
    camera = Camera(scene, name=osd, zone=spec.zone, figures=channel.figures, now=now)
    if channel.fault is not Fault.NONE:
        camera.set_fault(channel.fault)
    name = channel.name or osd
    footage = _footage(spec, channel, float(int(now())))
    return Channel(
        channel.id,
        name,
        camera,
        footage,
        mode=channel.mode,
        online=channel.online,
        live=channel.live,
        camera_serial=channel.serial,
        unplayable=[span.resolve(now(), spec.zone) for span in channel.unplayable],
    )


def holes_of(spec: RecorderSpec, channel: ChannelSpec, now: float) -> Spans:
    """Return the holes of a channel's footage in epoch seconds: the recorder's and its own."""
    return sorted(span.resolve(now, spec.zone) for span in (*spec.holes, *channel.holes))


def footage_from(spec: RecorderSpec, channel: ChannelSpec, now: float) -> float:
    """Return where a channel's history begins: whole days at the zone's midnight, a fraction counted back from now."""
    days = spec.days_held if channel.days_held is None else channel.days_held
    return midnight_days_ago(now, spec.zone, int(days)) if float(days).is_integer() else now - days * 86_400


def _footage(spec: RecorderSpec, channel: ChannelSpec, now: float) -> Footage:
    days = spec.days_held if channel.days_held is None else channel.days_held
    start, seed = footage_from(spec, channel, now), seed_number(f"{spec.id}/{channel.id}")
    cutting = Cutting(
        (spec.segment_minutes[0] * 60, spec.segment_minutes[1] * 60),
        spec.overlap_every,
        spec.duplicate_every,
        spec.clock_offset_seconds,
    )
    if not days:
        history = []
    elif channel.mode == "MOTION":
        history = motion_clips(start, now, seed=seed)
    else:
        locked = [span.resolve(now, spec.zone) for span in channel.locked]
        history = continuous(start, now, seed=seed, holes=holes_of(spec, channel, now), locked=locked, cutting=cutting)
    if channel.rate is not None:
        history = _rated(history, channel.rate, midnight_days_ago(now, spec.zone, channel.rate.days_ago))
    footage = Footage(
        history,
        lag_seconds=spec.lag_seconds,
        segment_seconds=cutting.segment_seconds[1],
        keep_seconds=spec.keep_seconds,
    )
    if channel.rate is not None:
        footage.bytes_per_second = channel.rate.kilobits_per_second * 125
    return footage


def _rated(history: list[Segment], rate: RateSpec, since: float) -> list[Segment]:
    changed = rate.kilobits_per_second * 125
    return [dataclasses.replace(item, bytes_per_second=changed) if item.start >= since else item for item in history]


def address(text: str, where: str) -> tuple[str, int]:
    """Split host:port. Raises ScriptError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ScriptError(f"{where}: {text!r} is no host:port")
    return host, int(port)


def _instant(text: str) -> float:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise ScriptError(f"{text!r} is no ISO 8601 instant") from error
    if instant.tzinfo is None:
        raise ScriptError(f"{text!r} has no time zone")
    return instant.timestamp()


def _spans(items: Any, where: str) -> tuple[SpanSpec, ...]:
    return tuple(span_spec(item, where) for item in items)


def _table(item: Any, where: str) -> Json:
    if not isinstance(item, dict):
        raise ScriptError(f"{where} must be a JSON object")
    return dict(item)


def _replace(plain: Json, key: str, change: Any) -> None:
    if key in plain:
        try:
            plain[key] = change(plain[key])
        except TypeError as error:
            raise ScriptError(f"{key}: {error}") from error


_PLAIN_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
}


def _make(made: type[Made], item: Any, where: str) -> Made:
    plain = _table(item, where)
    known = {one.name: str(one.type) for one in dataclasses.fields(made)}  # type: ignore[arg-type]  # a dataclass
    for key, value in plain.items():
        if key not in known:
            raise ScriptError(f"{where} has an unknown key {key}; it knows {', '.join(known)}")
        kind, _, optional = known[key].partition(" | ")
        right = _PLAIN_TYPES.get(kind, (object,))
        if not (isinstance(value, right) or (optional == "None" and value is None)):
            raise ScriptError(f"{where}.{key}: {value!r} is no {known[key]}")
    try:
        return made(**plain)
    except TypeError as error:
        raise ScriptError(f"{where}: {error}") from error


Chosen = TypeVar("Chosen", WhenFull, Fault)


def _choice(kind: type[Chosen], value: str, where: str) -> Chosen:
    try:
        return kind(value)
    except ValueError as error:
        raise ScriptError(f"{where}: {value!r} is none of {', '.join(kind)}") from error


def _choice_of(options: tuple[Made, ...], value: object, where: str) -> Made:
    for option in options:
        if option == value:
            return option
    raise ScriptError(f"{where}: {value!r} is none of {', '.join(map(str, options))}")
