"""Replies of Dahua's CGI: a recorder's state as lines of key=value, with the shapes and the slips of real units."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from agents.simulators.finders import Found, wall_text
from agents.simulators.zones import dahua_zone

if TYPE_CHECKING:
    from agents.simulators.dahua import DahuaQuirks
    from agents.simulators.recorder import Channel, Disk, RecorderState

_MIB: Final = 1 << 20
_SUNDAY_FIRST: Final = range(7)
_HOLIDAYS: Final = 7
_SECTIONS: Final = 6
_MASKS: Final = {"CMR": 1, "MOTION": 2, "EDR": 4}
_DISK_STATES: Final = {
    "ok": "Success",
    "idle": "Success",
    "smartFailed": "Error",
    "error": "Error",
    "repairing": "Recovering",
}
CAMERA_PASSWORD: Final = "Camera-Secret-9"  # noqa: S105  (a simulated device's)
"""The password of the cameras behind the recorder, which its table of devices holds in the clear."""


def lines(pairs: Iterable[tuple[str, object]]) -> bytes:
    """Return a reply; truth is spelt in lower case."""
    texts = (f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in pairs)
    return "".join(f"{text}\r\n" for text in texts).encode()


def system_info(state: RecorderState) -> bytes:
    """Return magicBox getSystemInfo: the type is a number, and the model stands under another name."""
    return lines(
        [
            ("appAutoStart", True),
            ("deviceType", 31),
            ("hardwareVersion", "1.00"),
            ("processor", "ST7108"),
            ("serialNumber", state.serial),
            ("updateSerial", state.model),
        ]
    )


def software_version(state: RecorderState) -> bytes:
    """Return magicBox getSoftwareVersion."""
    return lines([("version", f"{state.firmware},build:2026-03-31")])


def current_time(state: RecorderState) -> bytes:
    """Return global.cgi getCurrentTime: the wall clock, with no zone."""
    return lines([("result", f"{state.wall(state.now()):%Y-%m-%d %H:%M:%S}")])


def time_servers(state: RecorderState) -> bytes:
    """Return the table NTP, which also holds the time zone."""
    number, _ = dahua_zone(state.timezone)
    return lines(
        [
            ("table.NTP.Address", state.ntp_server),
            ("table.NTP.Enable", bool(state.ntp_server)),
            ("table.NTP.Port", 123),
            ("table.NTP.TimeZone", number),
            ("table.NTP.TimeZoneDesc", state.timezone.rpartition("/")[2]),
            ("table.NTP.UpdatePeriod", 10),
        ]
    )


def locales(state: RecorderState) -> bytes:
    """Return the table Locales: summer time. Where it is switched off its dates stay."""
    _, summer = dahua_zone(state.timezone)
    idle = {f"{edge}.{part}": "1" for edge in ("DSTStart", "DSTEnd") for part in ("Month", "Week", "Day", "Hour")}
    rows = [("table.Locales.DSTEnable", summer is not None)]
    return lines([*rows, *((f"table.Locales.{key}", value) for key, value in (summer or idle).items())])


def channel_titles(state: RecorderState, slots: int) -> bytes:
    """Return the names of all slots, used or not, numbered from 0."""
    named = {channel.id: channel.name for channel in state.channels}
    count = max([slots, *named])
    return lines((f"table.ChannelTitle[{n}].Name", named.get(n + 1, f"Channel{n + 1}")) for n in range(count))


def remote_devices(state: RecorderState, slots: int) -> bytes:
    """Return the cameras by slot, empty slots too; with their passwords, as firmware does."""
    used = {channel.id: channel for channel in state.channels}
    count = max([slots, *used])
    return lines(pair for n in range(count) for pair in _remote_device(n, used.get(n + 1)))


def _remote_device(slot: int, channel: Channel | None) -> list[tuple[str, object]]:
    prefix = f"table.RemoteDevice.uuid:System_CONFIG_NETCAMERA_INFO_{slot}."
    if channel is None:
        return [(f"{prefix}Address", "192.168.0.0"), (f"{prefix}Enable", False)]
    return [
        (f"{prefix}Address", channel.ip_address or f"192.0.2.{100 + channel.id}"),
        (f"{prefix}DeviceType", channel.camera_model),
        (f"{prefix}Enable", True),
        (f"{prefix}Mac", f"02:00:00:00:{channel.device_number >> 8:02x}:{channel.device_number & 255:02x}"),
        (f"{prefix}Password", CAMERA_PASSWORD),
        (f"{prefix}SerialNo", channel.camera_serial or f"6A0{channel.id:08d}PAZ"),
        (f"{prefix}UserName", "admin"),
        (f"{prefix}VideoInputs[0].Name", channel.name),
    ]


def camera_states(state: RecorderState) -> bytes:
    """Return LogicDeviceManager/getCameraState."""
    return json.dumps(
        {
            "states": [
                {"channel": one.id - 1, "connectionState": "Connected" if one.shown_online else "Unconnect"}
                for one in state.channels
            ]
        }
    ).encode()


def video_losses(state: RecorderState) -> bytes:
    """Return the channels without a picture; none is said by an error."""
    lost = [channel.id - 1 for channel in state.channels if not channel.shown_online]
    return lines((f"channels[{n}]", number) for n, number in enumerate(lost)) or b"Error: No Events\r\n"


def storage(state: RecorderState, quirks: DahuaQuirks) -> bytes:
    """Return storageDevice getDeviceAllInfo: every byte is used, since the unit overwrites; removed disks aren't listed."""
    prefix = "list.info" if quirks.storage_form == "info" else "list"
    present = [disk for disk in state.disks if disk.status != "notexist"]
    return lines(pair for n, disk in enumerate(present) for pair in _disk(f"{prefix}[{n}].", disk, quirks))


def _disk(prefix: str, disk: Disk, quirks: DahuaQuirks) -> list[tuple[str, object]]:
    size = f"{disk.capacity_mib * _MIB}.000000"
    named = [(f"{prefix}Name", f"/dev/sd{'abcdefghijklmnop'[disk.id - 1]}")] if quirks.storage_form == "info" else []
    return [
        (f"{prefix}Detail[0].IsError", disk.status in {"error", "smartFailed"}),
        (f"{prefix}Detail[0].Path", f"/mnt/dvr/sd{disk.id}"),
        (f"{prefix}Detail[0].TotalBytes", size),
        (f"{prefix}Detail[0].Type", "ReadWrite" if disk.property == "RW" else "ReadOnly"),
        (f"{prefix}Detail[0].UsedBytes", size),
        *named,
        (f"{prefix}State", _DISK_STATES.get(disk.status, disk.status)),
    ]


def record_modes(state: RecorderState) -> bytes:
    """Return the table RecordMode: 0 by schedule, 2 nothing."""
    return lines((f"table.RecordMode[{one.id - 1}].Mode", 0 if one.schedule_enabled else 2) for one in state.channels)


def record_schedules(state: RecorderState) -> bytes:
    """Return the table Record: six sections a day from Sunday on, and an eighth day for holidays."""
    return lines(
        (
            f"table.Record[{one.id - 1}].TimeSection[{day}][{n}]",
            f"{mask} 00:00:00-{'23:59:59' if day == _HOLIDAYS else '24:00:00'}",
        )
        for one in state.channels
        for day in (*_SUNDAY_FIRST, _HOLIDAYS)
        for n, mask in enumerate([_MASKS[one.mode], *[0] * (_SECTIONS - 1)])
    )


def storage_global(quirks: DahuaQuirks) -> bytes:
    """Return the table StorageGlobal: after how many days files are deleted, 0 for never."""
    return lines([("table.StorageGlobal.FileHoldTime", quirks.hold_days)])


def alarms(state: RecorderState) -> bytes:
    """Return the table Alarm."""
    return lines(
        pair
        for one in state.alarm_inputs
        for pair in (
            (f"table.Alarm[{one.id - 1}].Enable", one.armed),
            (f"table.Alarm[{one.id - 1}].Name", one.name),
            (f"table.Alarm[{one.id - 1}].SensorType", "NC"),
        )
    )


def alarm_states(state: RecorderState) -> bytes:
    """Return alarm.cgi getInState: a bit for each input."""
    return lines([("result", sum(1 << (one.id - 1) for one in state.alarm_inputs if one.active))])


def files(page: Sequence[Found], channel_id: int) -> bytes:
    """Return a page of findNextFile. The channel was asked for from 1, and is told from 0."""
    rows = (pair for n, found in enumerate(page) for pair in _file(f"items[{n}].", found, channel_id))
    return lines([("found", len(page)), *rows])


def _file(prefix: str, found: Found, channel_id: int) -> list[tuple[str, object]]:
    segment, (start, end) = found
    path = f"/mnt/dvr/{channel_id - 1:03d}/dav/{start}-{end}[R][0@0][0].dav"
    return [
        (f"{prefix}Channel", channel_id - 1),
        (f"{prefix}Cluster", start % 100_000),
        (f"{prefix}Duration", end - start),
        (f"{prefix}EndTime", wall_text(end)),
        (f"{prefix}FilePath", path),
        (f"{prefix}Flags[0]", "Timing"),
        *([(f"{prefix}Flags[1]", "Locked")] if segment.locked else []),
        (f"{prefix}Length", int((end - start) * segment.bytes_per_second)),
        (f"{prefix}StartTime", wall_text(start)),
        (f"{prefix}Type", "dav"),
        (f"{prefix}VideoStream", "Main"),
    ]
