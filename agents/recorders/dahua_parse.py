"""What the answers of Dahua's CGI mean (also Amcrest and Intelbras): pure functions from bytes to values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Literal

from agents.recorders import keyvalue
from agents.recorders.answers import answers, json_object
from agents.recorders.base import (
    AlarmInput,
    Behind,
    Channel,
    Disk,
    DiskKind,
    DiskState,
    Identity,
    RecordingMode,
    TimeSync,
)
from agents.recorders.schedule import DAY_MINUTES, Entry, minute_of_week, recording_mode
from agents.recorders.zone import RuleZone, Switch, to_instants

ZONE_MINUTES: tuple[int, ...] = (
    0, 60, 120, 180, 210, 240, 270, 300, 330, 345, 360, 390, 420, 480, 540, 570, 600, 660, 720, 780,
    -60, -120, -180, -210, -240, -300, -360, -420, -480, -540, -600, -660, -720,
)  # fmt: skip
"""Minutes east of Greenwich by NTP.TimeZone, as the maker's interface description numbers them."""

DISK_STATES: dict[str, DiskState] = {
    "success": "ok",
    "normal": "ok",
    "running": "ok",
    "sleeping": "ok",
    "error": "failed",
    "failed": "failed",
    "bad": "failed",
    "unformatted": "failed",  # present, and records nothing until a person formats it
    "offline": "missing",
    "removed": "missing",
    "initializing": "degraded",
    "formatting": "degraded",
    "degraded": "degraded",
    "rebuilding": "degraded",
    "recovering": "degraded",
}
ANALOG = ("XVR", "HCVR", "DVR")
"""In a model's name: a recorder with inputs of its own, which no remote device stands behind."""

_MODES = {"0": "auto", "1": "manual", "2": "stop"}
_TRUTH = {"true": True, "false": False}
_REMOTE = re.compile(r"table\.RemoteDevice\.uuid:System_CONFIG_NETCAMERA_INFO_([0-9]{1,4})\.(\w+)")
_SECTION = re.compile(r"TimeSection\[([0-9])\]\[([0-9]{1,2})\]")
_SPAN = re.compile(r"([0-9]{1,10}) ([0-9:]{7,8})-([0-9:]{7,8})")
_HANDLE = re.compile(r"[0-9A-Za-z]{1,32}")
_NO_ADDRESS = {"", "0.0.0.0", "192.168.0.0"}  # noqa: S104  (what an empty slot shows; nothing is bound to it)
_NO_MAC = {"", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"}
_MONDAY_FIRST = 6
_REGULAR = 1
_SIZE_DIGITS = 15
_MOST_DAYS = 10_000
_LOCK_FLAGS = {"lock", "locked"}


def _values(body: bytes) -> dict[str, str]:
    values = keyvalue.parse(body)
    if not values:
        raise keyvalue.KeyValueError("an empty answer")
    return values


def _required(values: dict[str, str], key: str) -> str:
    value = values.get(key, "")
    if not value:
        raise ValueError(f"no {key}")
    return value


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 18):
        raise ValueError(f"{text[:40]!r} is no count")
    return int(text)


@answers
def result(body: bytes) -> str:
    """Read the one value of an answer like result=..."""
    return _required(_values(body), "result")


@answers
def identity(system: bytes, version: bytes) -> Identity:
    """Read magicBox getSystemInfo and getSoftwareVersion. `deviceType` is often a mere number: then updateSerial names it."""
    values = _values(system)
    kind = values.get("deviceType", "")
    model = values.get("updateSerial") or (kind if not kind.isdigit() else "") or _required(values, "deviceType")
    firmware = _required(_values(version), "version")
    return Identity(model[:100], firmware[:100], values.get("serialNumber", "")[:100])


@answers
def titles(body: bytes) -> dict[int, str]:
    """Read the names by channel number from 0."""
    named = {
        number: row.get("Name", "")[:200] for number, row in keyvalue.rows(_values(body), "table.ChannelTitle").items()
    }
    if not named:
        raise ValueError("no channel")
    return named


@dataclass(frozen=True)
class Remote:
    """One slot for a network camera: whether it is in use, and the camera there."""

    enabled: bool
    camera: Behind | None


@answers
def remotes(body: bytes) -> dict[int, Remote]:
    """Read the table of remote devices by channel number from 0. It also holds the cameras' logins, which are not read."""
    slots: dict[int, dict[str, str]] = {}
    for key, value in _values(body).items():
        found = _REMOTE.fullmatch(key)
        if found is not None:
            slots.setdefault(int(found[1]), {})[found[2]] = value
    return {number: Remote(_truth(_required(slot, "Enable")), _behind(slot)) for number, slot in slots.items()}


def _truth(text: str) -> bool:
    said = _TRUTH.get(text.lower())
    if said is None:
        raise ValueError(f"{text[:40]!r} is neither true nor false")
    return said


def _behind(slot: dict[str, str]) -> Behind | None:
    address, mac = slot.get("Address", ""), slot.get("Mac", "").lower()
    said = Behind(
        slot.get("SerialNo", "")[:100],
        "" if mac in _NO_MAC else mac[:40],
        "" if address in _NO_ADDRESS else address[:255],
        slot.get("DeviceType", "")[:100],
    )
    return None if said == Behind() else said


@answers
def channels(
    named: dict[int, str], slots: dict[int, Remote] | None, online: dict[int, bool], *, analog: bool
) -> tuple[Channel, ...]:
    """Put the channels that are set up together, numbered from 1 as the search and the streams number them.

    A slot that is switched off is none; a name without a slot is an input of the recorder's own (`analog`), or unused.
    """
    listed = []
    for number in sorted(named.keys() | (slots or {}).keys()):
        slot = slots.get(number) if slots is not None else None
        used = slot.enabled if slot is not None else slots is None or not slots or analog
        if used:
            behind = slot.camera if slot is not None else None
            listed.append(Channel(str(number + 1), named.get(number, ""), online.get(number), behind))
    return tuple(listed)


@answers
def camera_states(body: bytes) -> dict[int, bool]:
    """Read LogicDeviceManager/getCameraState: channel number from 0 to whether it is connected, where it is said."""
    said = {"connected": True, "unconnect": False, "disconnected": False}
    states = json_object(body).get("states")
    if not isinstance(states, list):
        raise ValueError("no states")  # noqa: TRY004  (whatever is wrong with an answer is a ValueError here)
    found = {}
    for state in states:
        number, word = (state.get("channel"), state.get("connectionState")) if isinstance(state, dict) else (None, None)
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < keyvalue.MAX_ROWS:
            raise ValueError("a state of no channel")
        online = said.get(word.lower()) if isinstance(word, str) else None
        if online is not None:
            found[number] = online
    return found


@answers
def video_losses(body: bytes) -> frozenset[int]:
    """Read eventManager getEventIndexes&code=VideoLoss: the channel numbers from 0 that show no picture."""
    if says_no_events(body):
        return frozenset()
    return frozenset(_number(row.get("", "")) for row in keyvalue.rows(_values(body), "channels").values())


def says_error(body: bytes) -> bool:
    """Tell whether the answer is the maker's word for an error, under a status that says OK."""
    return re.match(rb"\s*Error\b", body, re.IGNORECASE) is not None


def says_no_handle(body: bytes) -> bool:
    """Tell whether the recorder gives no finder: it says so by an error, or by the handle 0."""
    return says_error(body) or re.fullmatch(rb"\s*result=0\s*", body) is not None


def says_no_events(body: bytes) -> bool:
    """Tell whether an answer that reads as an error only says that nothing is the matter."""
    return re.fullmatch(rb"\s*Error\s*:?\s*No Events\.?\s*", body, re.IGNORECASE) is not None


@answers
def disks(body: bytes) -> tuple[Disk, ...]:
    """Read storageDevice getDeviceAllInfo, in both of its forms. An answer without any device is none."""
    values = _values(body)
    listed = keyvalue.rows(values, "list.info") or keyvalue.rows(values, "list")
    if not listed:
        raise ValueError("no storage device")
    return tuple(_disk(number, row) for number, row in listed.items())


def _disk(number: int, row: dict[str, str]) -> Disk:
    parts = list(keyvalue.rows(row, "Detail").values())
    raw = row.get("State", "")
    state: DiskState = DISK_STATES.get(raw.lower(), "unknown")
    if any(part.get("IsError", "").lower() == "true" for part in parts):
        state = "failed"
    elif state == "ok" and any(part.get("Type", "").lower() == "readonly" for part in parts):
        state = "read_only"
    capacity = sum(_bytes(part["TotalBytes"]) for part in parts if part.get("TotalBytes"))
    name = row.get("Name") or f"disk{number}"
    kind: DiskKind = "array" if "/md" in name else "disk"
    return Disk(name[:40], state, capacity or None, raw[:40], kind)


def _bytes(text: str) -> int:
    """Read a count of bytes that is written as a decimal fraction: 495636709376.000000."""
    return _number(text.partition(".")[0])


@answers
def wall_clock(body: bytes) -> datetime:
    """Read global.cgi getCurrentTime: the naive wall clock."""
    return _wall(result(body))


def _wall(text: str) -> datetime:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2} [0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}", text.strip(), re.ASCII):
        raise ValueError(f"{text[:40]!r} is no time")
    return datetime.strptime(text.strip(), "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007  (wall time, on purpose)


@answers
def time_sync(body: bytes) -> TimeSync:
    """Read the NTP table: whether it is on, and whether any server is named."""
    values = _values(body)
    extra = keyvalue.rows(values, "table.NTP.ServerList").values()
    addresses = [values.get("table.NTP.Address", ""), *(row.get("Address", "") for row in extra)]
    return TimeSync(_truth(_required(values, "table.NTP.Enable")), any(addresses))


@answers
def configured_zone(ntp: bytes, locales: bytes | None) -> tzinfo | None:
    """Return the zone that the recorder is set to; None where its tables don't say it in words that are known."""
    index = _values(ntp).get("table.NTP.TimeZone", "")
    if not index.isdigit() or int(index) >= len(ZONE_MINUTES):
        return None
    standard = timedelta(minutes=ZONE_MINUTES[int(index)])
    if locales is None:
        return None
    values = _values(locales)
    summer = _TRUTH.get(values.get("table.Locales.DSTEnable", "").lower())
    if summer is None:
        return None
    if not summer:
        return timezone(standard)
    begins, ends = (_switch(values, f"table.Locales.DST{edge}.") for edge in ("Start", "End"))
    return None if begins is None or ends is None else RuleZone(standard, timedelta(hours=1), begins, ends)


def _switch(values: dict[str, str], prefix: str) -> Switch | None:
    """Return the yearly moment that a rule by week and weekday names; a rule by date is good for one year, and is none."""
    names = ("Month", "Week", "Day", "Hour", "Minute")
    texts = [values.get(prefix + name, "0" if name == "Minute" else "") for name in names]
    if not all(re.fullmatch(r"-?[0-9]{1,2}", text, re.ASCII) for text in texts):
        return None
    month, week, day, hour, minute = (int(text) for text in texts)
    week = 5 if week == -1 else week
    if not (1 <= month <= 12 and 1 <= week <= 5 and 0 <= day <= 6 and 0 <= hour <= 24 and 0 <= minute < 60):
        return None
    return Switch(month, week, day, timedelta(hours=hour, minutes=minute))


@answers
def zone_of(wall: datetime, now: datetime, configured: tzinfo | None, institution: tzinfo) -> tzinfo:
    """Return the zone in which the recorder's wall clock is nearest to `now`: the one that it is set to, or the institution's.

    The clock carries no zone, and people set it right by hand while the zone in the menu is wrong. Where both fit as
    well, the menu knows whether the recorder keeps summer time.
    """
    if configured is None:
        return institution

    def error(zone: tzinfo) -> timedelta:
        return min(abs(wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) - now) for fold in (0, 1))

    return configured if error(configured) <= error(institution) else institution


@answers
def recording_modes(mode: bytes, schedule: bytes) -> dict[str, RecordingMode]:
    """Read the tables RecordMode and Record. A channel whose mode or schedule isn't understood is left out."""
    schedules = keyvalue.rows(_values(schedule), "table.Record")
    modes = keyvalue.rows(_values(mode), "table.RecordMode")
    if not modes:
        raise ValueError("no channel's mode")
    found = {}
    for number, row in modes.items():
        known = _recording_mode(_MODES.get(row.get("Mode", ""), ""), schedules.get(number))
        if known is not None:
            found[str(number + 1)] = known
    return found


def _recording_mode(mode: str, schedule: dict[str, str] | None) -> RecordingMode | None:
    if mode == "stop":
        return recording_mode([])
    if mode == "manual":
        return RecordingMode("continuous")
    return recording_mode(_entries(schedule)) if mode == "auto" and schedule is not None else None


def _entries(schedule: dict[str, str]) -> list[Entry]:
    """Return the spans of the week; the maker's days are 0 (Sunday) to 6, and 7 is holidays."""
    entries: list[Entry] = []
    for key, value in schedule.items():
        section = _SECTION.fullmatch(key)
        if section is None or int(section[1]) > 6:
            continue
        span = _SPAN.fullmatch(value.strip())
        if span is None:
            raise ValueError(f"{value[:40]!r} is no span of a day")
        mask = int(span[1])
        day = (int(section[1]) + _MONDAY_FIRST) % 7
        start, end = minute_of_week(day, span[2]), minute_of_week(day, span[3], up=True)
        if mask and start < end <= (day + 1) * DAY_MINUTES:
            when: Literal["continuous", "event"] = "continuous" if mask & _REGULAR else "event"
            entries.append((start, end, when))
    return entries


@answers
def hold_days(body: bytes) -> int | None:
    """Read StorageGlobal: after how many days files are deleted; None when only for want of space."""
    text = _required(_values(body), "table.StorageGlobal.FileHoldTime")
    if text == "-1":
        return None
    days = _number(text)
    if days > _MOST_DAYS:
        raise ValueError(f"{days} days of keeping")
    return days or None


@answers
def alarm_inputs(body: bytes, active: int | None) -> tuple[AlarmInput, ...]:
    """Read the table Alarm; `active` has a bit for each input that is triggered now."""
    inputs = keyvalue.rows(_values(body), "table.Alarm")
    if not inputs:
        raise ValueError("no alarm input")
    return tuple(
        AlarmInput(
            str(number + 1),
            row.get("Name", "")[:200],
            _TRUTH.get(row.get("Enable", "").lower()),
            None if active is None else bool(active >> number & 1),
        )
        for number, row in inputs.items()
    )


@answers
def input_states(body: bytes) -> int:
    """Read alarm.cgi getInState: a bit for each input."""
    return _number(result(body))


@answers
def handle(body: bytes) -> str:
    """Read the handle of a new finder."""
    text = result(body)
    if not _HANDLE.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no handle")
    return text


@dataclass(frozen=True)
class Segment:
    """One file of a search, in the recorder's wall time; `path` tells apart what the times do not."""

    start: datetime
    end: datetime
    locked: bool
    path: str
    bytes: int | None = None
    """Size of the file; None where it isn't told."""


@dataclass(frozen=True)
class Page:
    """One page of a search: the main stream's footage, and how many files of any kind it listed."""

    segments: tuple[Segment, ...]
    files: int


@answers
def found_files(body: bytes, channel: int) -> Page:
    """Read findNextFile for `channel`, counted from 0 as the answers count. `found` and the files must agree."""
    values = _values(body)
    count = _number(_required(values, "found"))
    listed = keyvalue.rows(values, "items")
    if list(listed) != list(range(count)):
        raise ValueError(f"{len(listed)} files where {count} were found")
    return Page(tuple(_segment(row, channel) for row in listed.values() if _is_main(row)), count)


def _is_main(row: dict[str, str]) -> bool:
    return row.get("VideoStream", "Main").lower() == "main" and row.get("Type", "dav").lower() in {"dav", "mp4"}


def _segment(row: dict[str, str], channel: int) -> Segment:
    said = row.get("Channel")
    if said is not None and said != str(channel):
        raise ValueError(f"channel {said[:20]!r} where {channel} was asked for, counted from 0")
    start, end = _wall(_required(row, "StartTime")), _wall(_required(row, "EndTime"))
    flags = {value.lower() for key, value in row.items() if key.startswith("Flags[")}
    length = row.get("Length", "")
    size = int(length) if length.isascii() and length.isdigit() and len(length) <= _SIZE_DIGITS else None
    return Segment(start, end, bool(flags & _LOCK_FLAGS), row.get("FilePath", ""), size)


@answers
def instants(segments: Iterable[Segment], zone: tzinfo) -> list[tuple[datetime, datetime]]:
    """Return the segments' spans as UTC instants, by the recorder's zone."""
    return to_instants([(segment.start, segment.end) for segment in segments], zone)


_LOCKED = re.compile(rb"RmLock\W{0,3}([0-9]{1,7})")


def locked_seconds(body: bytes) -> int | None:
    """Return for how long the user is locked, as a refusal says; None where it doesn't."""
    found = _LOCKED.search(body[:4096])
    return None if found is None else int(found[1])


def is_missing_right(body: bytes) -> bool:
    """Tell whether a refusal is of a right: the maker's words, used for a name that the firmware doesn't know as well."""
    return b"authority:check failure" in body[:4096].lower()
