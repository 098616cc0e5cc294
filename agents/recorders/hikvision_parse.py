"""What Hikvision's ISAPI answers mean: pure functions from bytes to values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import wraps
from typing import Literal, ParamSpec, TypeVar

from agents.recorders import xml
from agents.recorders.base import (
    AlarmInput,
    Behind,
    Channel,
    Disk,
    DiskKind,
    DiskState,
    Identity,
    NotOffered,
    RecorderError,
    RecordingMode,
    StorageMode,
)
from agents.recorders.schedule import WEEK_MINUTES, Entry, minute_of_week, recording_mode
from agents.recorders.zone import DeviceTime, device_time, to_instants
from monitor.model.observation import StreamCause

MIB = 1 << 20
"""ISAPI states capacities in MiB: 1907729 of them are the 2.0004 TB of a 2 TB drive."""

DISK_STATES: dict[str, DiskState] = {
    "ok": "ok",
    "idle": "ok",  # asleep
    "sleeping": "ok",
    "normal": "ok",
    "error": "failed",
    "smartfailed": "failed",
    "unformatted": "failed",  # present, and records nothing until a person formats it
    "mismatch": "failed",
    "offline": "missing",
    "repairing": "degraded",
    "formatting": "degraded",
}
GHOST = "notexist"
"""The word for a disk that was taken out long ago: no disk, never counted."""

MODES: dict[str, Literal["continuous", "event"]] = {
    "CMR": "continuous",
    **dict.fromkeys(
        ("MOTION", "ALARM", "EDR", "ALARMORMOTION", "ALARMANDMOTION", "ALLEVENT", "SMART", "COMMAND", "POS"), "event"
    ),
}
"""ISAPI's words for what a span of the schedule records; any other is not understood."""

FAULTS = frozenset(
    {
        "diskfull", "diskerror", "diskunformat", "diskrecover", "hdbadblock", "raidexception", "recordexception",
        "recordingfailure", "nicbroken", "ipconflict", "illaccess", "videoexception", "videoloss", "videomismatch",
        "badvideo",
    }
)  # fmt: skip
"""ISAPI's event types that are about the recorder's own health, in lower case; all others are about the scene [assumed]."""

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TRUTH = {"true": True, "false": False}
_SIZE = re.compile(r"[?&;]size=([0-9]{1,15})(?![0-9])")
_LOCKED = {"lock": True, "locked": True, "unlock": False, "unlocked": False, "": False}
_DAYS_IN_MONTH = 31

P = ParamSpec("P")
T = TypeVar("T")


def _answers(parse: Callable[P, T]) -> Callable[P, T]:
    """Turn whatever a hostile or broken body provokes into RecorderError: the answer is unknown, not zero."""

    @wraps(parse)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return parse(*args, **kwargs)
        except RecorderError:
            raise
        except (ValueError, OverflowError) as error:
            detail = f"The recorder's answer could not be read ({error}); note its model and firmware and report it."
            raise RecorderError(StreamCause.RECORDER, detail) from error

    return guarded


def _root(body: bytes, *names: str) -> xml.Node:
    node = xml.parse(body)
    if node.name not in names:
        said = node.value("subStatusCode") or node.value("statusString")
        msg = f"{node.name}{f': {said}' if said else ''} where {names[0]} was expected"
        raise ValueError(msg[:200])
    return node


def _required(node: xml.Node, *path: str) -> str:
    value = node.value(*path)
    if not value:
        msg = f"{node.name} without {'/'.join(path)}"
        raise ValueError(msg)
    return value


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 18):
        msg = f"{text[:40]!r} is no count"
        raise ValueError(msg)
    return int(text)


@dataclass(frozen=True)
class DeviceInfo:
    """Model, firmware, serial and the kind of device (NVR, DVR, IPCamera, ...)."""

    identity: Identity
    device_type: str


@_answers
def device_info(body: bytes) -> DeviceInfo:
    """Read /ISAPI/System/deviceInfo."""
    node = _root(body, "DeviceInfo")
    firmware = " ".join(filter(None, (node.value("firmwareVersion"), node.value("firmwareReleasedDate"))))
    identity = Identity(_required(node, "model"), firmware, node.value("serialNumber") or "")
    return DeviceInfo(identity, node.value("deviceType") or "")


@_answers
def proxy_channels(body: bytes) -> tuple[Channel, ...]:
    """Read /ISAPI/ContentMgmt/InputProxy/channels. The children count; the size attribute is often wrong."""
    return _channels(_root(body, "InputProxyChannelList").all("InputProxyChannel"))


@_answers
def analog_channels(body: bytes) -> tuple[Channel, ...]:
    """Read /ISAPI/System/Video/inputs/channels of a DVR."""
    return _channels(_root(body, "VideoInputChannelList").all("VideoInputChannel"))


def _channels(nodes: Iterable[xml.Node]) -> tuple[Channel, ...]:
    found = {}
    for node in nodes:
        channel_id = str(_number(_required(node, "id")))
        found[channel_id] = Channel(channel_id, (node.value("name") or "")[:200], None, _behind(node))
    return tuple(found.values())


def _behind(node: xml.Node) -> Behind | None:
    """Return the camera behind a channel; None where the recorder says nothing of it, as of an analog input."""
    source = node.child("sourceInputPortDescriptor")
    if source is None:
        return None
    address = next(filter(None, (source.value(name) for name in ("ipAddress", "ipv6Address", "hostName"))), "")
    said = Behind(
        (source.value("serialNumber") or "")[:100],
        (source.value("macAddress") or "").lower()[:40],
        address[:255],
        (source.value("model") or "")[:100],
    )
    return said if said != Behind() else None


@_answers
def proxy_status(body: bytes) -> dict[str, bool | None]:
    """Read /ISAPI/ContentMgmt/InputProxy/channels/status: channel id to online, None where it isn't said."""
    return {
        str(_number(_required(node, "id"))): _TRUTH.get((node.value("online") or "").lower())
        for node in _root(body, "InputProxyChannelStatusList").all("InputProxyChannelStatus")
    }


@_answers
def disks(body: bytes) -> tuple[Disk, ...]:
    """Read /ISAPI/ContentMgmt/Storage (or its hdd list alone): disks and network volumes, without ghosts."""
    root = _root(body, "storage", "hddList")
    lists = (
        [root] if root.name == "hddList" else [node for node in root.children if node.name in {"hddList", "nasList"}]
    )
    if not lists:
        msg = "storage without a list of disks"
        raise ValueError(msg)
    nodes = [node for one in lists for node in one.children if node.name in {"hdd", "nas"}]
    return tuple(disk for disk in map(_disk, nodes) if disk is not None)


def _disk(node: xml.Node) -> Disk | None:
    raw = node.value("status") or ""
    if raw.lower() == GHOST:
        return None
    state: DiskState = DISK_STATES.get(raw.lower(), "unknown")
    if state == "ok" and (node.value("property") or "").upper() == "RO":
        state = "read_only"
    capacity = node.value("capacity")
    megabytes = _number(capacity) if capacity else 0
    name = f"{node.name}{_required(node, 'id')}"
    kind: DiskKind = "network" if node.name == "nas" else "disk"
    return Disk(name[:40], state, megabytes * MIB or None, raw[:40], kind)


@_answers
def clock(body: bytes, fallback: tzinfo) -> DeviceTime:
    """Read /ISAPI/System/time; `fallback` is the zone where the recorder names none."""
    node = _root(body, "Time")
    return device_time(_required(node, "localTime"), node.value("timeZone"), fallback)


@_answers
def set_by_server(body: bytes) -> bool | None:
    """Read in /ISAPI/System/time whether a time server sets the clock; None where it isn't said."""
    mode = _root(body, "Time").value("timeMode")
    return None if not mode else "NTP" in mode.upper()


@_answers
def has_time_server(body: bytes) -> bool:
    """Read /ISAPI/System/time/ntpServers: whether one has an address."""
    servers = _root(body, "NTPServerList").all("NTPServer")
    return any(node.value(name) for node in servers for name in ("hostName", "ipAddress", "ipv6Address"))


@_answers
def alarm_inputs(body: bytes) -> tuple[AlarmInput, ...]:
    """Read /ISAPI/System/IO/inputs."""
    return tuple(
        AlarmInput(
            str(_number(_required(node, "id"))),
            (node.value("name") or "")[:200],
            _TRUTH.get((node.value("enabled") or "").lower()),
            None,
        )
        for node in _root(body, "IOInputPortList").all("IOInputPort")
    )


@_answers
def active_inputs(body: bytes) -> dict[str, bool | None]:
    """Read /ISAPI/System/IO/status: input id to whether it is triggered now, None where it isn't said."""
    said = {"active": True, "inactive": False}
    return {
        str(_number(_required(node, "ioPortID"))): said.get((node.value("ioState") or "").lower())
        for node in _root(body, "IOPortStatusList").all("IOPortStatus")
        if (node.value("ioPortType") or "").lower() == "input"
    }


@_answers
def armed_faults(body: bytes) -> tuple[str, ...]:
    """Read /ISAPI/Event/triggers: the recorder's own faults of which it tells in at least one way."""
    root = _root(body, "EventTriggerList", "EventNotification")
    found = set()
    for trigger in (node for node in root.walk() if node.name == "EventTrigger"):
        word = (trigger.value("eventType") or "").lower()
        ways = {
            (node.value("notificationMethod") or "").lower()
            for node in trigger.walk()
            if node.name == "EventTriggerNotification"
        }
        if word in FAULTS and ways - {"", "record"}:
            found.add(word)
    return tuple(sorted(found))


@_answers
def mails(body: bytes) -> bool:
    """Read /ISAPI/System/Network/mailing: whether there is a mail server, and somebody to write to."""
    nodes = list(_root(body, "mailingList", "mailing").walk())

    def said(parent: str, *names: str) -> bool:
        return any(node.value(name) for node in nodes if node.name == parent for name in names)

    return said("smtp", "hostName", "ipAddress", "ipv6Address") and said("receiver", "emailAddress")


@_answers
def storage_mode(body: bytes) -> StorageMode:
    """Read in /ISAPI/ContentMgmt/Storage how the disks are shared out. Raises NotOffered where it isn't said."""
    word = (_root(body, "storage", "hddList").value("workMode") or "").lower()
    if word == "quota":
        return "quota"
    if word == "group":
        return "group"
    raise NotOffered("The recorder doesn't say how its disks are shared out.")


@_answers
def recording_modes(body: bytes) -> dict[str, RecordingMode]:
    """Read /ISAPI/ContentMgmt/record/tracks: what each channel's main stream is set to record.

    `Enable` says true whatever is set: the schedule's own switch counts. A schedule in words that aren't known is left out.
    """
    found = {}
    for track in _root(body, "TrackList").all("Track"):
        number = _number(_required(track, "id"))
        mode = _mode(track) if number % 100 == 1 else None
        if mode is not None:
            found[str(number // 100)] = mode
    return found


def _mode(track: xml.Node) -> RecordingMode | None:
    extensions = track.child("CustomExtensionList")
    switches = {node.value("enableSchedule") for node in (extensions.all("CustomExtension") if extensions else [])}
    switches.discard(None)
    if switches == {"false"}:
        return recording_mode([])
    schedule = track.child("TrackSchedule")
    if switches != {"true"} or schedule is None:
        return None
    entries = [_entry(action) for action in schedule.walk() if action.name == "ScheduleAction"]
    known = [entry for entry in entries if entry is not None]
    return recording_mode(known) if len(known) == len(entries) else None


def _entry(action: xml.Node) -> Entry | None:
    """Return one span of the week; None when it is in words that aren't known."""
    when = MODES.get((action.value("Actions", "ActionRecordingMode") or "").upper())
    start, end = (_minute(action.find(f"ScheduleAction{edge}Time"), up=edge == "End") for edge in ("Start", "End"))
    if when is None or start is None or end is None:
        return None
    # A whole day ends at 00:00 of the next; Sunday's at 00:00 of Monday.
    return start, end if end > start else end + WEEK_MINUTES, when


def _minute(node: xml.Node | None, *, up: bool) -> int | None:
    day = (node.value("DayOfWeek") or "").lower() if node is not None else ""
    clock = node.value("TimeOfDay") if node is not None else None
    return minute_of_week(_DAYS.index(day), clock, up=up) if day in _DAYS and clock else None


@_answers
def days_recorded(body: bytes) -> frozenset[int]:
    """Read a month's dailyDistribution: the days of the month that hold footage."""
    node = _root(body, "trackDailyDistribution")
    day_list = node.child("dayList")
    if day_list is None:
        msg = "trackDailyDistribution without dayList"
        raise ValueError(msg)
    found = set()
    for day in day_list.all("day"):
        number = _number(_required(day, "dayOfMonth"))
        if not 1 <= number <= _DAYS_IN_MONTH:
            msg = f"day {number} of a month"
            raise ValueError(msg)
        if _required(day, "record").lower() == "true":
            found.add(number)
    return frozenset(found)


@dataclass(frozen=True)
class Segment:
    """One match of a search, in the recorder's wall time; `name` tells apart what the times do not."""

    start: datetime
    end: datetime
    locked: bool
    name: str
    bytes: int | None = None
    """Size of the file, as its playback address tells it; None where it doesn't."""


@dataclass(frozen=True)
class Page:
    """One page of a search: the footage of the track, how many matches it holds in all, and whether more follow."""

    segments: tuple[Segment, ...]
    matches: int
    claimed: int | None
    more: bool


@_answers
def search_page(body: bytes, track: str) -> Page:
    """Read a CMSearchResult for `track`. An empty matchList is an answer: nothing is there."""
    node = _root(body, "CMSearchResult")
    status = " ".join(_required(node, "responseStatusStrg").upper().split())
    if status not in {"OK", "MORE", "NO MATCHES"}:
        msg = f"search status {status[:40]!r}"
        raise ValueError(msg)
    match_list = node.child("matchList")
    items = match_list.all("searchMatchItem") if match_list else []
    claimed = node.value("numOfMatches")
    segments = tuple(_segment(item, track) for item in items if _is_video(item))
    return Page(segments, len(items), _number(claimed) if claimed else None, status == "MORE")


def _is_video(item: xml.Node) -> bool:
    kind = item.value("mediaSegmentDescriptor", "contentType")
    return kind is None or kind.lower() in {"", "video"}


def _segment(item: xml.Node, track: str) -> Segment:
    said = item.value("trackID")
    if said and said != track:
        msg = f"track {said[:20]!r} where {track} was asked for"
        raise ValueError(msg)
    start, end = (_wall(_required(item, "timeSpan", name)) for name in ("startTime", "endTime"))
    lock = (item.value("mediaSegmentDescriptor", "lockStatus") or "").lower()
    if lock not in _LOCKED:
        msg = f"lock status {lock[:20]!r}"
        raise ValueError(msg)
    name = item.value("mediaSegmentDescriptor", "playbackURI") or ""
    size = _SIZE.search(name)
    return Segment(start, end, _LOCKED[lock], name, int(size[1]) if size else None)


@_answers
def instants(segments: list[Segment], zone: tzinfo) -> list[tuple[datetime, datetime]]:
    """Return the segments' spans as UTC instants, by the recorder's zone."""
    return to_instants([(segment.start, segment.end) for segment in segments], zone)


def _wall(text: str) -> datetime:
    """Read a search time: the recorder's wall clock, whatever zone it is dressed in."""
    return datetime.fromisoformat(text).replace(tzinfo=None)


@dataclass(frozen=True)
class Refusal:
    """What the body of an error status says."""

    code: str
    locked_seconds: int | None


def refusal(body: bytes) -> Refusal:
    """Read a ResponseStatus or userCheck body; empty where it says nothing. Never raises."""
    try:
        node = xml.parse(body)
    except xml.XmlError:
        return Refusal("", None)
    found = {child.name: child.text.strip() for child in node.walk() if not child.children}
    code = found.get("subStatusCode") or found.get("statusString") or ""
    locked = found.get("lockStatus", "").lower() in {"lock", "locked"}
    seconds = found.get("unlockTime", "")
    return Refusal(
        code[:60],
        (int(seconds) if seconds.isdigit() and len(seconds) < 9 else 0) if locked else None,
    )
