"""What ONVIF's answers mean: pure functions from bytes or nodes to values, by local names of elements.

Sources: the schemas and specifications of ONVIF (core, media, recording search, recording control, replay, device I/O).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from agents.recorders import xml
from agents.recorders.answers import answers, count
from agents.recorders.base import AlarmInput, Identity
from agents.recorders.zone import parse_rule
from monitor.model.span import Millis, to_millis

TRACK_STATE = "RecordingHistory/Track/State"
"""The topic of the events that say when a track holds data."""

_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_DURATION = re.compile(
    r"P(?:(\d{1,4})Y)?(?:(\d{1,5})M)?(?:(\d{1,6})D)?(?:T(?:(\d{1,7})H)?(?:(\d{1,8})M)?(?:(\d{1,9})(?:\.\d+)?S)?)?",
    re.ASCII,
)
_DAYS = (365, 30, 1)
_SECONDS = (3600, 60, 1)
_DAY_SECONDS = 86_400
_TOKEN_LENGTH = 200
_NOT_AUTHORIZED = frozenset({"NotAuthorized", "FailedAuthentication", "InvalidSecurityToken"})
_UNSUPPORTED = frozenset({"ActionNotSupported", "NotImplemented", "OptionalActionNotImplemented", "NoSuchService"})
_FULL = frozenset({"ResourceProblem", "TooManySessions", "OutOfMemory"})

T = TypeVar("T")


@dataclass(frozen=True)
class Fault:
    """What a SOAP fault says: the local names of its codes, and the words for people."""

    codes: frozenset[str]
    said: str

    @property
    def refuses_login(self) -> bool:
        """Whether a login is wanted, was wrong, or the user lacks a right: SOAP doesn't tell these apart."""
        return bool(self.codes & _NOT_AUTHORIZED) and not self.is_prohibited

    @property
    def is_prohibited(self) -> bool:
        """Whether the user lacks a right."""
        return "OperationProhibited" in self.codes

    @property
    def is_unsupported(self) -> bool:
        """Whether the device has no such question."""
        return bool(self.codes & _UNSUPPORTED)

    @property
    def is_full(self) -> bool:
        """Whether the device has no room for another search."""
        return bool(self.codes & _FULL)


def fault(body: bytes) -> Fault | None:
    """Return the fault that a body holds; None for any other body. Never raises."""
    try:
        node = _inside(body)
    except (ValueError, RecursionError):
        return None
    if node is None or node.name != "Fault":
        return None
    told = [one for part in node.children if part.name in {"Code", "faultcode"} for one in part.walk()]
    codes = {one.text.strip().rpartition(":")[2] for one in told if one.name in {"Value", "faultcode"}}
    words = node.value("Reason", "Text") or node.value("faultstring") or ""
    return Fault(frozenset(codes), " ".join(words.split())[:120])


@answers
def response(body: bytes, operation: str) -> xml.Node:
    """Return the element that answers `operation`, inside a SOAP envelope."""
    node = _inside(body)
    name = node.name if node is not None else "nothing"
    if node is None or name != f"{operation}Response":
        raise ValueError(f"{name[:60]} where {operation}Response was expected")
    return node


def _inside(body: bytes) -> xml.Node | None:
    root = xml.parse(body)
    if root.name != "Envelope":
        raise ValueError(f"{root.name[:60]} where an Envelope was expected")
    inside = root.child("Body")
    return inside.children[0] if inside is not None and inside.children else None


def _required(node: xml.Node, *path: str) -> str:
    value = node.value(*path)
    if not value:
        raise ValueError(f"{node.name[:60]} without {'/'.join(path)}")
    return value


def _token(text: str) -> str:
    if len(text) > _TOKEN_LENGTH or not text.isprintable():
        raise ValueError("a token that is too long or not printable")
    return text


def _instant(text: str) -> Millis:
    """Read an xs:dateTime that names its zone, as the specification demands of every answer."""
    return to_millis(datetime.fromisoformat(text))


@answers
def identity(node: xml.Node) -> Identity:
    """Read GetDeviceInformationResponse."""
    firmware, serial = ((node.value(name) or "")[:200] for name in ("FirmwareVersion", "SerialNumber"))
    return Identity(_required(node, "Model")[:200], firmware, serial)


@dataclass(frozen=True)
class DeviceClock:
    """What the device's clock showed, and whether a time server sets it; None where it isn't said."""

    shown: datetime
    by_server: bool | None


@answers
def clock(node: xml.Node) -> DeviceClock:
    """Read GetSystemDateAndTimeResponse: UTC where it is told, else local time with its POSIX zone."""
    told = node.child("SystemDateAndTime")
    if told is None:
        raise ValueError("an answer without SystemDateAndTime")
    by_server = {"ntp": True, "manual": False}.get((told.value("DateTimeType") or "").lower())
    universal = told.child("UTCDateTime")
    if universal is not None and universal.child("Date") is not None:
        return DeviceClock(_wall(universal).replace(tzinfo=UTC), by_server)
    local = told.child("LocalDateTime")
    rule = parse_rule(told.value("TimeZone", "TZ") or "")
    if local is None or rule is None:
        raise ValueError("a time in no zone")
    return DeviceClock(_wall(local).replace(tzinfo=rule).astimezone(UTC), by_server)


def _wall(node: xml.Node) -> datetime:
    year, month, day = (count(_required(node, "Date", name)) for name in ("Year", "Month", "Day"))
    hour, minute, second = (count(_required(node, "Time", name)) for name in ("Hour", "Minute", "Second"))
    # A leap second is shown as the 60th.
    return datetime(year, month, day, hour, minute) + timedelta(seconds=min(second, 60))  # noqa: DTZ001  (the zone follows)


@answers
def has_time_server(node: xml.Node) -> bool:
    """Read GetNTPResponse: whether a server's address is set, by hand or by DHCP."""
    told = node.child("NTPInformation")
    if told is None:
        raise ValueError("an answer without NTPInformation")
    names = {"IPv4Address", "IPv6Address", "DNSname"}
    return any(one.text.strip() not in {"", "0.0.0.0", "::"} for one in told.walk() if one.name in names)  # noqa: S104  (an unset server)


@answers
def services(node: xml.Node) -> dict[str, str]:
    """Read GetServicesResponse: namespace to path. The host of an address is left out: it is often another one."""
    found = {}
    for service in node.all("Service"):
        found[_required(service, "Namespace")] = _path(_required(service, "XAddr"))
    return found


@answers
def capabilities(node: xml.Node) -> dict[str, str]:
    """Read GetCapabilitiesResponse of devices without GetServices: the name of a service to its path."""
    told = node.child("Capabilities")
    if told is None:
        raise ValueError("an answer without Capabilities")
    return {one.name: _path(address) for one in told.walk() if (address := one.value("XAddr"))}


def _path(address: str) -> str:
    parts = urlsplit(address)
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path or len(path) > 500:
        raise ValueError("a service without a usable address")
    return path


@dataclass(frozen=True)
class Track:
    """A track of a recording, and from when to when it holds data, holes and all."""

    token: str
    is_video: bool
    begin: Millis
    end: Millis


@dataclass(frozen=True)
class Recording:
    """One recording: a container of tracks, on most recorders one for each channel."""

    token: str
    source_id: str
    name: str
    address: str
    earliest: Millis | None
    tracks: tuple[Track, ...]


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some results of a search, and whether they are the last."""

    results: tuple[T, ...]
    completed: bool


@answers
def search_token(node: xml.Node) -> str:
    """Read the response of FindRecordings or FindEvents."""
    return _token(_required(node, "SearchToken"))


@answers
def recordings(node: xml.Node) -> Page[Recording]:
    """Read GetRecordingSearchResultsResponse."""
    results, completed = _results(node)
    return Page(tuple(_recording(one) for one in results.all("RecordingInformation")), completed)


def _results(node: xml.Node) -> tuple[xml.Node, bool]:
    results = node.child("ResultList")
    if results is None:
        raise ValueError("an answer without ResultList")
    state = _required(results, "SearchState")
    if state not in {"Queued", "Searching", "Completed"}:
        raise ValueError(f"search state {state[:40]!r}")
    return results, state == "Completed"


def _recording(node: xml.Node) -> Recording:
    earliest = node.value("EarliestRecording")
    return Recording(
        _token(_required(node, "RecordingToken")),
        (node.value("Source", "SourceId") or "")[:_TOKEN_LENGTH],
        (node.value("Source", "Name") or "")[:200],
        _host(node.value("Source", "Address") or ""),
        _instant(earliest) if earliest else None,
        tuple(_track(track) for track in node.all("Track")),
    )


def _host(address: str) -> str:
    """Return the host that a source's URI names; empty for anything else."""
    try:
        return (urlsplit(address).hostname or "")[:255]
    except ValueError:
        return ""


def _track(node: xml.Node) -> Track:
    begin, end = (_instant(_required(node, name)) for name in ("DataFrom", "DataTo"))
    if end < begin:
        raise ValueError("a track that ends before it begins")
    return Track(_token(_required(node, "TrackToken")), (node.value("TrackType") or "").lower() == "video", begin, end)


@dataclass(frozen=True)
class Change:
    """From an instant on a track holds data or none; `is_start` at the start of the window searched."""

    recording: str
    track: str
    at: Millis
    has_data: bool
    is_start: bool


@answers
def changes(node: xml.Node) -> Page[Change]:
    """Read GetEventSearchResultsResponse: what it says of tracks that hold data; other events are left out."""
    results, completed = _results(node)
    found = [_change(one) for one in results.all("Result")]
    return Page(tuple(one for one in found if one is not None), completed)


def _change(node: xml.Node) -> Change | None:
    topic = (node.value("Event", "Topic") or "").rpartition(":")[2].strip("/")
    if topic != TRACK_STATE:
        return None
    items = {
        item.attributes.get("Name", ""): item.attributes.get("Value", "")
        for item in node.walk()
        if item.name == "SimpleItem"
    }
    has_data = _TRUTH.get(items.get("IsDataPresent", "").strip().lower())
    is_start = _TRUTH.get((node.value("StartStateEvent") or "false").lower())
    if has_data is None or is_start is None:
        raise ValueError("a track's event without IsDataPresent")
    recording = node.value("RecordingToken") or items.get("RecordingToken", "")
    track = node.value("TrackToken") or items.get("Track", "")
    return Change(recording, track, _instant(_required(node, "Time")), has_data, is_start)


@dataclass(frozen=True)
class Profile:
    """One way to see a video source live; `pixels` is 0 where its size isn't told."""

    token: str
    source: str
    pixels: int


@answers
def profiles(node: xml.Node) -> tuple[Profile, ...]:
    """Read GetProfilesResponse of either media service; profiles without video are left out."""
    found = []
    for profile in node.all("Profiles"):
        token = profile.attributes.get("token")
        video = profile.child("VideoSourceConfiguration") or profile.find("Configurations", "VideoSource")
        source = video.value("SourceToken") if video is not None else None
        if source and token:
            encoder = profile.child("VideoEncoderConfiguration") or profile.find("Configurations", "VideoEncoder")
            found.append(Profile(_token(token), _token(source), _pixels(encoder)))
    return tuple(found)


def _pixels(encoder: xml.Node | None) -> int:
    if encoder is None:
        return 0
    width, height = (count(encoder.value("Resolution", side) or "0", most=100_000) for side in ("Width", "Height"))
    return width * height


@dataclass(frozen=True)
class RtspPlace:
    """The part of an RTSP address that is taken: its host is left out."""

    port: int | None
    path: str


@answers
def rtsp_place(node: xml.Node) -> RtspPlace:
    """Read GetStreamUriResponse or GetReplayUriResponse."""
    uri = next((one.text.strip() for one in node.walk() if one.name == "Uri"), "")
    parts = urlsplit(uri)
    if parts.scheme not in {"rtsp", "rtsps"} or not uri.isprintable() or " " in uri or len(uri) > 2000:
        raise ValueError("no RTSP address")
    return RtspPlace(parts.port, f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}")


@answers
def retention_days(node: xml.Node) -> int | None:
    """Read GetRecordingConfigurationResponse: whole days after which data is deleted; None when it is not."""
    text = _required(node, "RecordingConfiguration", "MaximumRetentionTime")
    seconds = duration_seconds(text)
    return None if seconds == 0 else seconds // _DAY_SECONDS


def duration_seconds(text: str) -> int:
    """Return an xs:duration in whole seconds, years of 365 and months of 30 days. Raises ValueError."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        raise ValueError(f"{text[:40]!r} is no duration")
    numbers = [int(group or 0) for group in found.groups()]
    days = sum(number * days for number, days in zip(numbers[:3], _DAYS, strict=True))
    return days * _DAY_SECONDS + sum(number * unit for number, unit in zip(numbers[3:], _SECONDS, strict=True))


@answers
def digital_inputs(node: xml.Node) -> tuple[AlarmInput, ...]:
    """Read GetDigitalInputsResponse: which there are; ONVIF has no word for armed, and tells states by events only."""
    tokens = [_token(one.attributes.get("token", "")) for one in node.all("DigitalInputs")]
    if not all(tokens):
        raise ValueError("a digital input without token")
    return tuple(AlarmInput(token, token, None, None) for token in tokens)
