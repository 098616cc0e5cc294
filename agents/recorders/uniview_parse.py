"""What Uniview's LAPI answers mean: pure functions from bytes to values.

Names and numbers are those of client code in the field; where that code says nothing, an answer is not understood.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from agents.recorders.answers import JsonObject, answers, count, json_object
from agents.recorders.base import Behind, Channel, Disk, DiskKind, DiskState, Identity, RecordingMode, TimeSync
from agents.recorders.schedule import DAY_MINUTES, Entry, minute_of_week, recording_mode

MIB = 1 << 20
"""Capacities are said to be in MB; that these are MiB, as in other makes, is assumed."""

DISK_STATES: dict[int, DiskState] = {
    1: "failed",  # not formatted: present, and records nothing until a person formats it
    2: "degraded",  # formatting
    3: "ok",
    4: "ok",  # asleep
    5: "failed",
    7: "missing",  # unmounted
}
"""0 is an empty bay; 6 ("switching") and whatever else there may be is unknown."""

DISK_LISTS: dict[str, tuple[str, DiskKind]] = {
    "LocalHDDList": ("hdd", "disk"),
    "SDList": ("sd", "disk"),
    "ExtendCabinet1HDDList": ("cabinet1-", "disk"),
    "ExtendCabinet2HDDList": ("cabinet2-", "disk"),
    "eSATAList": ("esata", "disk"),
    "ArrayList": ("array", "array"),
    "NASList": ("nas", "network"),
}

ARMING: dict[int, Literal["continuous", "event"]] = {0: "continuous", 1: "event", 2: "event"}
"""What a span of the schedule records; other kinds are not understood."""

OK = 0
NOT_AUTHORIZED = 3
_ONLINE = {0: False, 1: True}
_TRUTH = {0: False, 1: True}  # false and true of JSON are equal to these
_LAST_INSTANT = 1 << 33
_LOCK = re.compile(r"(?<![bc])lock", re.IGNORECASE)  # a block or a clock locks nothing
_DAYS_IN_MONTH = 31
_WEEK = range(1, 8)
_NO_MAC = frozenset({"000000000000", "ffffffffffff"})


@dataclass(frozen=True)
class Envelope:
    """What every answer is wrapped in; `code` is None where the body is no envelope."""

    code: int | None
    said: str
    data: object


def envelope(body: bytes) -> Envelope:
    """Read {"Response": {"ResponseCode", "ResponseString", "Data"}}. Never raises."""
    try:
        response = json_object(body)["Response"]
        code = count(response["ResponseCode"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return Envelope(None, "", None)
    said = response.get("ResponseString")
    return Envelope(code, said[:80] if isinstance(said, str) else "", response.get("Data"))


def _data(body: bytes) -> JsonObject:
    found = envelope(body)
    if found.code != OK:
        raise ValueError(f"{found.said or 'no LAPI answer'} where data was expected")
    if not isinstance(found.data, dict):
        raise ValueError("an answer without Data")  # noqa: TRY004  (a wrong answer, as any other)
    return found.data


def _rows(data: JsonObject, name: str) -> list[JsonObject]:
    """Return a list of objects; empty where there is no such list, since empty ones are often left out or null."""
    rows = data.get(name)
    if rows is None:
        return []
    if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
        raise ValueError(f"{name} is no list of objects")
    return rows


def _text(row: JsonObject, name: str, most: int = 200) -> str:
    value = row.get(name)
    return value.strip()[:most] if isinstance(value, str) else ""


@answers
def identity(body: bytes) -> Identity:
    """Read /LAPI/V1.0/System/DeviceInfo."""
    data = _data(body)
    model = _text(data, "DeviceModel")
    if not model:
        raise ValueError("a device without DeviceModel")
    return Identity(model, _text(data, "FirmwareVersion"), _text(data, "SerialNumber"))


@answers
def channels(body: bytes) -> tuple[Channel, ...]:
    """Read /LAPI/V1.0/Channels/System/ChannelDetailInfos. Empty slots are left out: offline, with an empty address."""
    data = _data(body)
    if "DetailInfos" not in data and data.get("Nums") != 0:
        raise ValueError("an answer without DetailInfos")
    found = {}
    for row in _rows(data, "DetailInfos"):
        channel_id = str(count(row.get("ID")))
        behind = _behind(row)
        status = _ONLINE.get(_whole(row.get("Status")))
        if status or behind is not None or "AddressInfo" not in row:
            found[channel_id] = Channel(channel_id, _text(row, "Name"), status, behind)
    return tuple(found.values())


def _whole(value: object) -> int:
    try:
        return count(value)
    except ValueError:
        return -1


def _behind(row: JsonObject) -> Behind | None:
    address = row.get("AddressInfo")
    place: JsonObject = address if isinstance(address, dict) else {}
    where = _text(place, "Address") or _text(place, "IPAddress")
    said = Behind(
        serial=_text(row, "SerialNumber", 100),
        mac=_mac(_text(place, "MAC") or _text(place, "Mac")),
        address="" if where == "0.0.0.0" else where,  # noqa: S104  (what an empty slot shows, not a place to listen)
        model=_text(row, "DeviceModel", 100),
    )
    return said if said != Behind() else None


def _mac(text: str) -> str:
    digits = "".join(sign for sign in text.lower() if sign in "0123456789abcdef")
    if len(digits) != 12 or digits in _NO_MAC:
        return ""
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


@answers
def serials(body: bytes) -> dict[str, str]:
    """Read /LAPI/V1.0/Channels/System/DeviceInfos: channel id to the serial number of the camera behind it."""
    rows = _rows(_data(body), "DeviceInfos")
    return {str(count(row.get("ID"))): serial for row in rows if (serial := _text(row, "SerialNumber", 100))}


@answers
def disks(body: bytes) -> tuple[Disk, ...]:
    """Read /LAPI/V1.0/Storage/Containers/DetailInfos: what is present. Members of an array have its capacity."""
    data = _data(body)
    if not any(name in data for name in DISK_LISTS):
        raise ValueError("an answer without a list of disks")
    is_array = bool(_rows(data, "ArrayList"))
    found = []
    for name, (prefix, kind) in DISK_LISTS.items():
        for row in _rows(data, name):
            disk = _disk(row, prefix, kind)
            if disk is not None:
                found.append(_member(disk) if is_array and kind == "disk" else disk)
    return tuple(found)


def _disk(row: JsonObject, prefix: str, kind: DiskKind) -> Disk | None:
    status = _whole(row.get("Status"))
    megabytes = count(row.get("TotalCapacity", 0), most=10**12)
    if status == 0 and not megabytes:
        return None
    raw = str(row.get("Status"))[:40]
    return Disk(
        f"{prefix}{count(row.get('ID'))}", DISK_STATES.get(status, "unknown"), megabytes * MIB or None, raw, kind
    )


def _member(disk: Disk) -> Disk:
    return Disk(disk.id, disk.state, None, disk.raw_state, disk.kind)


@answers
def clock(body: bytes) -> datetime:
    """Read DeviceTime of /LAPI/V1.0/System/TimeNTP or .../Time: seconds since 1970 in UTC, whatever TimeZone says."""
    return datetime.fromtimestamp(count(_data(body).get("DeviceTime"), most=_LAST_INSTANT), UTC)


@answers
def time_sync(body: bytes) -> TimeSync:
    """Read /LAPI/V1.0/System/Time/NTP."""
    data = _data(body)
    enabled = data.get("Enabled")
    if not isinstance(enabled, int) or enabled not in _TRUTH:
        raise ValueError("an answer without Enabled")
    names = ("IPAddress", "IPv4Address", "IPv6Address", "DomainName", "Address", "ServerAddress")
    told = [_text(data, name) for name in names if isinstance(data.get(name), str)]
    return TimeSync(_TRUTH[enabled], any(one not in {"", "0.0.0.0", "::"} for one in told) if told else None)  # noqa: S104  (an unset server)


@answers
def days_recorded(body: bytes) -> frozenset[int]:
    """Read a month's Records/DailyDistribution: the days of the month that hold footage."""
    status = _data(body).get("DailyStatus")
    if not isinstance(status, list) or len(status) > _DAYS_IN_MONTH:
        raise ValueError("an answer without DailyStatus")
    return frozenset(day for day, held in enumerate(status, start=1) if count(held))


@dataclass(frozen=True)
class Record:
    """One stretch of footage, in seconds since 1970 by the recorder's clock, end exclusive."""

    begin: int
    end: int
    locked: bool


@dataclass(frozen=True)
class Page:
    """One page of records, and how many there are in all where the recorder says it."""

    records: tuple[Record, ...]
    total: int | None


@answers
def records(body: bytes) -> Page:
    """Read .../Streams/0/Records. A page without RecordInfos must say that it has none."""
    data = _data(body)
    rows = _rows(data, "RecordInfos")
    claims = {name: count(data[name]) for name in ("Nums", "Num", "Total") if data.get(name) is not None}
    if not rows and "RecordInfos" not in data and not any(claim == 0 for claim in claims.values()):
        raise ValueError("an answer without RecordInfos")
    listed = max((claim for name, claim in claims.items() if name != "Total"), default=len(rows))
    if listed > len(rows) and "Total" not in claims:
        # Some lists count all there is by Nums: then it says how many are still to come.
        return Page(tuple(map(_record, rows)), listed)
    return Page(tuple(map(_record, rows)), claims.get("Total"))


def _record(row: JsonObject) -> Record:
    begin, end = (count(row.get(name), most=_LAST_INSTANT) for name in ("Begin", "End"))
    if end < begin:
        raise ValueError(f"a record from {begin} to {end}")
    return Record(begin, end, any(_is_set(value) for name, value in row.items() if _LOCK.search(name)))


def _is_set(value: Any) -> bool:
    return value not in (0, "0", "", None, False)


@answers
def schedule(body: bytes) -> RecordingMode | None:
    """Read .../Storage/Private/Schedule/Record/: what a channel is set to record; None when it isn't understood."""
    data = _data(body)
    enabled = _TRUTH.get(_whole(data.get("Enabled")))
    if enabled is None:
        return None
    if not enabled:
        return recording_mode([])
    plan = data.get("WeekPlan")
    days = _rows(plan, "Days") if isinstance(plan, dict) else []
    by_day = {_whole(day.get("ID")): day for day in days}
    if not set(_WEEK) <= set(by_day):
        return None
    entries = [_entry(number - 1, row) for number in _WEEK for row in _rows(by_day[number], "TimeSectionInfos")]
    known = [entry for entry in entries if entry is not None]
    return recording_mode(known) if len(known) == len(entries) else None


def _entry(weekday: int, row: JsonObject) -> Entry | None:
    """Return one span of a day, empty ones too; None when it is of a kind that isn't known."""
    start = minute_of_week(weekday, _text(row, "Begin"))
    end = minute_of_week(weekday, _text(row, "End"), up=True)
    when = ARMING.get(_whole(row.get("ArmingType")))
    if end <= start:
        # Unused sections are written 00:00:00 to 00:00:00, or 24:00:00 to 24:00:00.
        return (weekday * DAY_MINUTES, weekday * DAY_MINUTES, when or "event")
    return None if when is None else (start, end, when)


@answers
def playback_path(body: bytes) -> str:
    """Read .../Streams/RecordURL: path and query of the RTSP address. Its host is left out: it is often another one."""
    url = _text(_data(body), "URL", 2000)
    parts = urlsplit(url)
    if parts.scheme not in {"rtsp", "rtsps"} or not parts.path.startswith("/") or not url.isprintable() or " " in url:
        raise ValueError("no RTSP address")
    return f"{parts.path}{f'?{parts.query}' if parts.query else ''}"
