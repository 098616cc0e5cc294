"""LAPI replies: a recorder's state as JSON, in the envelope and with the slips of real units."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from agents.simulators.recorder import Channel, Disk, RecorderState

Json = dict[str, Any]
Row = tuple[int, int, bool]
"""A listed record: from and to in epoch seconds by the recorder's clock, and whether it is locked."""

_STATUS: Final = {"ok": 3, "idle": 4, "unformatted": 1, "formatting": 2, "error": 5, "smartFailed": 5, "offline": 7}
_DAYS_OF_WEEK: Final = 7


def envelope(path: str, data: Json | None, *, code: int = 0, text: str = "Succeed") -> bytes:
    """Return what every reply is wrapped in."""
    response = {
        "ResponseURL": path,
        "CreatedID": -1,
        "ResponseCode": code,
        "ResponseString": text,
        "StatusCode": code,
        "StatusString": text,
        "Data": "null" if data is None else data,
    }
    return (json.dumps({"Response": response}, ensure_ascii=False, indent="\t") + "\r\n").encode()


def device_info(state: RecorderState) -> Json:
    """Return System/DeviceInfo."""
    return {
        "DeviceName": state.device_name,
        "DeviceModel": state.model,
        "SerialNumber": state.serial,
        "FirmwareVersion": state.firmware,
        "HardwareID": "A",
        "UbootVersion": "V2.0",
    }


def channel_details(state: RecorderState, slots: int) -> Json:
    """Return Channels/System/ChannelDetailInfos: all slots, those without a camera too."""
    rows = [_channel(channel) for channel in state.channels]
    taken = {channel.id for channel in state.channels}
    empty = [_empty_slot(number) for number in range(1, slots + 1) if number not in taken]
    rows = sorted(rows + empty, key=lambda row: int(row["ID"]))
    return {"Nums": len(rows), "DetailInfos": rows}


def _channel(channel: Channel) -> Json:
    online = channel.shown_online
    return {
        "ID": channel.id,
        "Name": channel.name,
        "Status": int(online),
        "OffReason": 0 if online else 1,
        "StreamNums": 2,
        "Manufacturer": "UNIVIEW",
        "DeviceModel": channel.camera_model,
        "AddressInfo": {
            "AddressType": 0,
            "Address": channel.ip_address or f"192.0.2.{100 + channel.id}",
            "Port": 80,
            "MAC": mac(channel),
        },
    }


def mac(channel: Channel) -> str:
    """Return the camera's MAC address as LAPI writes it."""
    return f"48EA63{channel.device_number:06X}"


def _empty_slot(number: int) -> Json:
    return {
        "ID": number,
        "Name": f"IP Camera {number:02d}",
        "Status": 0,
        "AddressInfo": {"AddressType": 0, "Address": "0.0.0.0", "Port": 0, "MAC": ""},  # noqa: S104  (an empty slot)
    }


def camera_infos(state: RecorderState) -> Json:
    """Return Channels/System/DeviceInfos: the cameras behind the channels."""
    rows = [
        {
            "ID": channel.id,
            "DeviceModel": channel.camera_model,
            "SerialNumber": channel.camera_serial or f"210235C3EC{channel.id:010d}",
            "FirmwareVersion": "IPC_D1201-B0011P30D1806",
        }
        for channel in state.channels
    ]
    return {"Nums": len(rows), "DeviceInfos": rows}


def containers(state: RecorderState) -> Json:
    """Return Storage/Containers/DetailInfos; a disk that was taken out is an empty bay."""
    rows = [_disk(disk) for disk in state.disks]
    return {"LocalHDDNum": len(rows), "LocalHDDList": rows, "NASNum": 0, "NASList": [], "SDNum": 0}


def _disk(disk: Disk) -> Json:
    return {
        "ID": disk.id,
        "RemainCapacity": disk.free_mib,
        "TotalCapacity": disk.capacity_mib,
        "Manufacturer": "WDC",
        "Status": 0 if disk.status == "notexist" else _STATUS.get(disk.status, 6),
        "Property": 0 if disk.property == "RW" else 1,
        "FormatProgress": 0,
        "GroupID": 1,
    }


def device_time(state: RecorderState) -> Json:
    """Return System/TimeNTP: epoch seconds by the recorder's clock, and its zone, which no other figure follows."""
    offset = state.wall(state.now()).utcoffset() or timedelta()
    minutes = int(offset.total_seconds() // 60)
    return {
        "TimeZone": f"GMT{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}",
        "DeviceTime": math.floor(state.now() + state.clock_offset_seconds),
        "DateFormat": 0,
        "HourFormat": 1,
    }


def ntp(*, enabled: bool, server: str) -> Json:
    """Return System/Time/NTP."""
    return {"Enabled": int(enabled), "AddressType": 0, "IPAddress": server, "Port": 123, "SynchronizeInterval": 600}


def schedule(channel: Channel) -> Json:
    """Return a channel's Storage/Private/Schedule/Record: every day whole, or on motion, and its unused sections."""
    kind = 0 if channel.mode == "CMR" else 2
    sections = [
        {"Begin": "00:00:00", "End": "24:00:00", "ArmingType": kind},
        {"Begin": "00:00:00", "End": "00:00:00", "ArmingType": 0},
    ]
    days = [{"ID": number, "Num": 1, "TimeSectionInfos": sections} for number in range(1, _DAYS_OF_WEEK + 1)]
    return {
        "Enabled": int(channel.schedule_enabled),
        "PreRecordTime": 5,
        "PostRecordTime": 10,
        "WeekPlan": {"Enabled": 1, "Num": _DAYS_OF_WEEK, "Days": days},
    }


def record_rows(state: RecorderState, channel: Channel, begin: int, end: int) -> list[Row]:
    """Return a channel's records that touch [begin, end], oldest first, by the recorder's clock."""
    return [
        (int(one.start + one.clock_offset_seconds), int(one.end + one.clock_offset_seconds), one.locked)
        for one in channel.footage.segments(state.now(), begin, end)
    ]


def record_page(rows: list[Row], offset: int, counts: Json) -> Json:
    """Return one page of Records."""
    listed = [
        {"RecordID": offset + number, "Begin": begin, "End": end, "Type": 1, "LockStatus": int(locked)}
        for number, (begin, end, locked) in enumerate(rows)
    ]
    return {**counts, "RecordInfos": listed}


def daily_status(state: RecorderState, channel: Channel, year: int, month: int) -> Json:
    """Return a month's DailyDistribution: for each day of the recorder's zone, 1 where anything was recorded."""
    zone = ZoneInfo(state.timezone)
    first = datetime(year, month, 1, tzinfo=zone)
    following = (first + timedelta(days=31)).replace(day=1)
    held = [0] * (following.date() - first.date()).days
    for begin, end, _ in record_rows(state, channel, math.floor(first.timestamp()), math.ceil(following.timestamp())):
        low, high = (datetime.fromtimestamp(at, zone).date() for at in (begin, max(begin, end - 1)))
        for number in range((low - first.date()).days, (high - first.date()).days + 1):
            if 0 <= number < len(held):
                held[number] = 1
    return {"DayNum": len(held), "DailyStatus": held}
