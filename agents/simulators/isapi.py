"""Hikvision ISAPI replies: a recorder's state as XML, with the shapes and the slips of real units."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr

from agents.simulators.zones import hikvision_zone

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agents.simulators.footage import Segment
    from agents.simulators.recorder import Channel, Disk, RecorderState

_NAMESPACES: Final = (
    "http://www.hikvision.com/ver20/XMLSchema",
    "http://www.hikvision.com/ver10/XMLSchema",
    "http://www.isapi.org/ver20/XMLSchema",
    "http://www.std-cgi.com/ver20/XMLSchema",
)
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def leaf(name: str, value: object) -> str:
    """Return an element that holds a value; truth is spelt as XML does."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"<{name}>{escape(text)}</{name}>"


def branch(name: str, *children: str, **attributes: object) -> str:
    """Return an element that holds elements."""
    written = "".join(f" {key}={quoteattr(str(value))}" for key, value in attributes.items())
    return f"<{name}{written}>{''.join(children)}</{name}>"


def document(namespace: str, name: str, *children: str, **attributes: object) -> bytes:
    """Return a whole reply."""
    root = branch(name, *children, version="2.0", xmlns=namespace, **attributes)
    return f'<?xml version="1.0" encoding="UTF-8" ?>\n{root}\n'.encode()


def namespace_of(path: str, state: RecorderState) -> str:
    """Return the namespace that this unit uses on a path: they differ between paths of one unit, and between units."""
    if not state.quirks.mixed_namespaces:
        return _NAMESPACES[0]
    return _NAMESPACES[zlib.crc32(f"{state.seed} {path}".encode()) % len(_NAMESPACES)]


def response_status(path: str, code: int, text: str, sub_status: str) -> bytes:
    """Return ISAPI's form of an error."""
    return document(
        _NAMESPACES[0],
        "ResponseStatus",
        leaf("requestURL", path),
        leaf("statusCode", code),
        leaf("statusString", text),
        leaf("subStatusCode", sub_status),
    )


def user_check(*, locked_seconds: float, tries_left: int | None) -> bytes:
    """Return the body of a refused login."""
    lock = (
        [leaf("lockStatus", "lock"), leaf("unlockTime", round(locked_seconds))]
        if locked_seconds
        else [leaf("lockStatus", "unlock")]
    )
    tries = [] if tries_left is None else [leaf("retryLoginTime", tries_left)]
    return document(
        _NAMESPACES[0], "userCheck", leaf("statusValue", 401), leaf("statusString", "Unauthorized"), *lock, *tries
    )


def device_info(state: RecorderState, namespace: str) -> bytes:
    """Return System/deviceInfo."""
    return document(
        namespace,
        "DeviceInfo",
        leaf("deviceName", state.device_name),
        leaf("deviceID", "48443030-3030-3030-3030-303030303030"),
        leaf("model", state.model),
        leaf("serialNumber", state.serial),
        leaf("firmwareVersion", state.firmware),
        leaf("firmwareReleasedDate", "build 210101"),
        leaf("deviceType", state.device_type),
    )


def local_time(state: RecorderState) -> str:
    """Return the wall clock with the zone's offset, as System/time and localTime write it."""
    return state.wall(state.now()).isoformat(timespec="seconds")


def system_time(state: RecorderState, namespace: str) -> bytes:
    """Return System/time."""
    zone = leaf("timeZone", hikvision_zone(state.timezone))
    mode = leaf("timeMode", "NTP" if state.ntp_server else "manual")
    return document(namespace, "Time", mode, leaf("localTime", local_time(state)), zone)


def time_servers(state: RecorderState, namespace: str) -> bytes:
    """Return System/time/ntpServers."""
    server = branch(
        "NTPServer", leaf("id", 1), leaf("addressingFormatType", "hostname"), leaf("hostName", state.ntp_server)
    )
    return document(namespace, "NTPServerList", server)


def alarm_inputs(state: RecorderState, namespace: str) -> bytes:
    """Return System/IO/inputs."""
    ports = (
        branch(
            "IOInputPort",
            leaf("id", one.id),
            leaf("enabled", one.armed),
            leaf("triggering", "low"),
            leaf("name", one.name),
        )
        for one in state.alarm_inputs
    )
    return document(namespace, "IOInputPortList", *ports)


def alarm_states(state: RecorderState, namespace: str) -> bytes:
    """Return System/IO/status: the inputs, and an output that nothing is wired to."""
    inputs = [(one.id, "input", one.active) for one in state.alarm_inputs]
    ports = (
        branch(
            "IOPortStatus",
            leaf("ioPortID", number),
            leaf("ioPortType", kind),
            leaf("ioState", "active" if on else "inactive"),
        )
        for number, kind, on in [*inputs, (1, "output", False)]
    )
    return document(namespace, "IOPortStatusList", *ports)


def _source(channel: Channel) -> str:
    return branch(
        "sourceInputPortDescriptor",
        leaf("proxyProtocol", "HIKVISION"),
        leaf("addressingFormatType", "ipaddress"),
        leaf("ipAddress", channel.ip_address or f"192.0.2.{100 + channel.id}"),
        leaf("managePortNo", 8000),
        leaf("srcInputPort", 1),
        leaf("userName", "admin"),
        leaf("streamType", "auto"),
        leaf("model", channel.camera_model),
        leaf("serialNumber", channel.camera_serial or f"{channel.camera_model}20210101AAWRF{channel.id:08d}"),
    )


def channel_list(state: RecorderState, namespace: str) -> bytes:
    """Return InputProxy/channels. Its size attribute is not the number of its children."""
    children = [
        branch("InputProxyChannel", leaf("id", channel.id), leaf("name", channel.name), _source(channel), version="1.0")
        for channel in state.channels
    ]
    return document(namespace, "InputProxyChannelList", *children, size=len(children) + 4)


def channel_status(state: RecorderState, namespace: str) -> bytes:
    """Return InputProxy/channels/status."""
    children = [
        branch(
            "InputProxyChannelStatus",
            leaf("id", channel.id),
            _source(channel),
            leaf("online", channel.shown_online),
            leaf("chanDetectResult", "connect" if channel.shown_online else "netUnreachable"),
            version="1.0",
        )
        for channel in state.channels
    ]
    return document(namespace, "InputProxyChannelStatusList", *children)


def _disk(disk: Disk) -> str:
    return branch(
        "hdd",
        leaf("id", disk.id),
        leaf("hddName", f"hdd{disk.id}"),
        leaf("hddPath", ""),
        leaf("hddType", "SATA"),
        leaf("status", disk.status),
        leaf("capacity", disk.capacity_mib),
        leaf("freeSpace", disk.free_mib),
        leaf("property", disk.property),
        version="1.0",
    )


def disk_list(state: RecorderState, namespace: str) -> bytes:
    """Return ContentMgmt/Storage/hdd."""
    return document(namespace, "hddList", *map(_disk, state.disks), size=len(state.disks))


def storage(state: RecorderState, namespace: str) -> bytes:
    """Return ContentMgmt/Storage."""
    disks = branch("hddList", *map(_disk, state.disks), size=len(state.disks))
    return document(namespace, "storage", disks, branch("nasList", size=0), leaf("workMode", state.storage_mode))


def event_triggers(state: RecorderState, namespace: str) -> bytes:
    """Return Event/triggers: all that it knows of, each with the ways in which it tells of it, often none."""
    known = ("diskfull", "diskerror", "nicbroken", "ipconflict", "illaccess", "VMD")
    return document(
        namespace,
        "EventTriggerList",
        *(_trigger(word, told=word in state.told_faults or word == "VMD") for word in known),
    )


def _trigger(word: str, *, told: bool) -> str:
    ways = [branch("EventTriggerNotification", leaf("id", "beep"), leaf("notificationMethod", "beep"))] if told else []
    listed = branch("EventTriggerNotificationList", *ways)
    return branch("EventTrigger", leaf("id", word), leaf("eventType", word), leaf("eventDescription", word), listed)


def mailing(state: RecorderState, namespace: str) -> bytes:
    """Return System/Network/mailing."""
    smtp = branch(
        "smtp",
        leaf("enableAuthorization", value=True),
        leaf("hostName", "mail.example" if state.mail_to else ""),
        leaf("portNo", 25),
    )
    sender = branch("sender", leaf("emailAddress", ""), leaf("name", ""), smtp)
    receivers = branch(
        "receiverList", branch("receiver", leaf("id", 1), leaf("name", ""), leaf("emailAddress", state.mail_to))
    )
    return document(namespace, "mailingList", branch("mailing", leaf("id", 1), sender, receivers))


def track_list(state: RecorderState, namespace: str) -> bytes:
    """Return record/tracks. `Enable` says true whatever the schedule is: only enableSchedule counts."""
    return document(namespace, "TrackList", *map(_track, state.channels))


def _track(channel: Channel) -> str:
    extension = branch(
        "CustomExtension",
        leaf("CustomExtensionName", "www.hikvision.com/RaCM/trackExt/ver10"),
        leaf("enableSchedule", channel.schedule_enabled),
    )
    return branch(
        "Track",
        leaf("id", channel.track_id),
        leaf("Channel", channel.track_id),
        leaf("Enable", value=True),
        leaf(
            "Description",
            f"trackType=standard,sourceTag=TVTerminal,contentType=video,codecType=H.264,resolution=640x360,framerate=5 fps,id={channel.track_id}",
        ),
        leaf("DefaultRecordingMode", channel.mode),
        leaf("LoopEnable", value=True),
        branch(
            "TrackSchedule",
            branch("ScheduleBlockList", branch("ScheduleBlock", *(_whole_day(day, channel.mode) for day in range(7)))),
        ),
        branch("CustomExtensionList", extension),
    )


def _whole_day(day: int, mode: str) -> str:
    start, end = (
        branch(name, leaf("DayOfWeek", _DAYS[day]), leaf("TimeOfDay", hour))
        for name, hour in (("ScheduleActionStartTime", "00:00:00"), ("ScheduleActionEndTime", "24:00:00"))
    )
    actions = branch("Actions", leaf("Record", value=True), leaf("ActionRecordingMode", mode))
    return branch("ScheduleAction", leaf("id", day + 1), leaf("ScheduleDSTEnable", value=False), start, end, actions)


def daily_distribution(namespace: str, recorded: Sequence[bool]) -> bytes:
    """Return a track's month: for each of its days whether anything was recorded."""
    days = (
        branch(
            "day",
            leaf("id", number),
            leaf("dayOfMonth", number),
            leaf("record", held),
            *([leaf("recordType", "time")] if held else []),
        )
        for number, held in enumerate(recorded, start=1)
    )
    return document(namespace, "trackDailyDistribution", branch("dayList", *days))


def search_result(namespace: str, *, search_id: str, matches: Iterable[str], more: bool, total: int) -> bytes:
    """Return a page of ContentMgmt/search; a search without matches is a success too."""
    listed = list(matches)
    status = "MORE" if more else "OK" if listed else "NO MATCHES"
    return document(
        namespace,
        "CMSearchResult",
        leaf("searchID", search_id),
        leaf("responseStatus", value=True),
        leaf("responseStatusStrg", status),
        leaf("numOfMatches", total),
        branch("matchList", *listed),
    )


def search_match(track_id: int, segment: Segment, wall_span: tuple[int, int], host: str) -> str:
    """Return one searchMatchItem; its times are local wall clock dressed as UTC."""
    start, end = (datetime.fromtimestamp(at, UTC) for at in wall_span)
    name = f"ch{track_id // 100:02d}_{wall_span[0] % 10**11:011d}"
    size = int((wall_span[1] - wall_span[0]) * segment.bytes_per_second)
    query = f"starttime={start:%Y%m%dT%H%M%SZ}&endtime={end:%Y%m%dT%H%M%SZ}&name={name}&size={size}"
    return branch(
        "searchMatchItem",
        leaf("sourceID", "{0000000000-0000-0000-0000-000000000000}"),
        leaf("trackID", track_id),
        branch(
            "timeSpan", leaf("startTime", f"{start:%Y-%m-%dT%H:%M:%SZ}"), leaf("endTime", f"{end:%Y-%m-%dT%H:%M:%SZ}")
        ),
        branch(
            "mediaSegmentDescriptor",
            leaf("contentType", "video"),
            leaf("codecType", "H.264-BP"),
            leaf("playbackURI", f"rtsp://{host}/Streaming/tracks/{track_id}/?{query}"),
            leaf("lockStatus", "lock" if segment.locked else "unlock"),
            leaf("name", name),
        ),
        branch("metadataMatches", leaf("metadataDescriptor", "recordType.meta.hikvision.com/timing")),
    )
