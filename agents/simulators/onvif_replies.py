"""ONVIF replies: a recorder's state as SOAP, with the shapes of Profile G and the slips of real units."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr
from zoneinfo import ZoneInfo

from agents.simulators.zones import hikvision_zone

if TYPE_CHECKING:
    from agents.simulators.recorder import Channel, RecorderState

NAMESPACES: Final = {
    "env": "http://www.w3.org/2003/05/soap-envelope",
    "ter": "http://www.onvif.org/ver10/error",
    "tt": "http://www.onvif.org/ver10/schema",
    "tds": "http://www.onvif.org/ver10/device/wsdl",
    "trt": "http://www.onvif.org/ver10/media/wsdl",
    "tr2": "http://www.onvif.org/ver20/media/wsdl",
    "tse": "http://www.onvif.org/ver10/search/wsdl",
    "trc": "http://www.onvif.org/ver10/recording/wsdl",
    "trp": "http://www.onvif.org/ver10/replay/wsdl",
    "tmd": "http://www.onvif.org/ver10/deviceIO/wsdl",
    "wsnt": "http://docs.oasis-open.org/wsn/b-2",
    "tns1": "http://www.onvif.org/ver10/topics",
}
PATHS: Final = {
    "tds": "/onvif/device_service",
    "trt": "/onvif/Media",
    "tr2": "/onvif/Media2",
    "tse": "/onvif/SearchRecording",
    "trc": "/onvif/Recording",
    "trp": "/onvif/Replay",
    "tmd": "/onvif/DeviceIO",
}
TRACK_STATE: Final = "tns1:RecordingHistory/Track/State"
_DIALECT: Final = "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet"
_SIZES: Final = {"main": (1920, 1080), "sub": (704, 576)}

Spans = list[tuple[float, float]]
"""Half-open (from, to) in epoch seconds by the recorder's clock: when a track holds data."""


@dataclass(frozen=True)
class Event:
    """A track that begins or ceases to hold data, or holds some or none where a search starts."""

    at: float
    recording: str
    track: str
    has_data: bool
    is_start: bool = False


def tag(name: str, *inner: str, **attributes: str) -> str:
    """Return an element with what is inside it, already escaped."""
    written = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    return f"<{name}{written}>{''.join(inner)}</{name}>"


def text(name: str, value: object) -> str:
    """Return an element that holds a value."""
    return f"<{name}>{escape(str(value).lower() if isinstance(value, bool) else str(value))}</{name}>"


def envelope(*inner: str) -> bytes:
    """Return a whole message."""
    spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    body = tag("env:Body", *inner)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<env:Envelope {spaces}>{body}</env:Envelope>\n'.encode()


def fault(code: str, subcodes: tuple[str, ...], words: str) -> bytes:
    """Return a SOAP 1.2 fault."""
    inner = ""
    for subcode in reversed(subcodes):
        inner = tag("env:Subcode", text("env:Value", subcode), inner)
    reason = tag("env:Reason", f'<env:Text xml:lang="en">{escape(words)}</env:Text>')
    return envelope(tag("env:Fault", tag("env:Code", text("env:Value", code), inner), reason))


def instant(at: float) -> str:
    """Return an epoch second as an xs:dateTime in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def date_and_time(state: RecorderState, *, by_server: bool) -> str:
    """Return GetSystemDateAndTimeResponse."""
    at = state.now() + state.clock_offset_seconds
    zone = text("tt:TZ", hikvision_zone(state.timezone))
    return tag(
        "tds:GetSystemDateAndTimeResponse",
        tag(
            "tds:SystemDateAndTime",
            text("tt:DateTimeType", "NTP" if by_server else "Manual"),
            text("tt:DaylightSavings", value=False),
            tag("tt:TimeZone", zone),
            _moment("tt:UTCDateTime", datetime.fromtimestamp(at, UTC)),
            _moment("tt:LocalDateTime", datetime.fromtimestamp(at, ZoneInfo(state.timezone))),
        ),
    )


def _moment(name: str, at: datetime) -> str:
    clock = (("Hour", at.hour), ("Minute", at.minute), ("Second", at.second))
    date = (("Year", at.year), ("Month", at.month), ("Day", at.day))
    parts = (
        tag(f"tt:{kind}", *(text(f"tt:{key}", value) for key, value in told))
        for kind, told in (("Time", clock), ("Date", date))
    )
    return tag(name, *parts)


def device_information(state: RecorderState) -> str:
    """Return GetDeviceInformationResponse."""
    return tag(
        "tds:GetDeviceInformationResponse",
        text("tds:Manufacturer", "General"),
        text("tds:Model", state.model),
        text("tds:FirmwareVersion", state.firmware),
        text("tds:SerialNumber", state.serial),
        text("tds:HardwareId", "1.0"),
    )


def services(host: str, offered: Iterable[str]) -> str:
    """Return GetServicesResponse; `host` is what the unit takes for its own address."""
    version = tag("tds:Version", text("tt:Major", 2), text("tt:Minor", 60))
    return tag(
        "tds:GetServicesResponse",
        *(
            tag(
                "tds:Service",
                text("tds:Namespace", NAMESPACES[prefix]),
                text("tds:XAddr", f"http://{host}{PATHS[prefix]}"),
                version,
            )
            for prefix in offered
        ),
    )


def capabilities(host: str, offered: Iterable[str]) -> str:
    """Return GetCapabilitiesResponse of older units; the later services stand in its extension."""
    names = {
        "tds": "Device",
        "trt": "Media",
        "tr2": "Media2",
        "tse": "Search",
        "trc": "Recording",
        "trp": "Replay",
        "tmd": "DeviceIO",
    }
    told = {prefix: tag(f"tt:{names[prefix]}", text("tt:XAddr", f"http://{host}{PATHS[prefix]}")) for prefix in offered}
    first = [told.pop(prefix) for prefix in ("tds", "trt") if prefix in told]
    return tag("tds:GetCapabilitiesResponse", tag("tds:Capabilities", *first, tag("tt:Extension", *told.values())))


def ntp(server: str) -> str:
    """Return GetNTPResponse."""
    manual = [tag("tt:NTPManual", text("tt:Type", "DNS"), text("tt:DNSname", server))] if server else []
    return tag("tds:GetNTPResponse", tag("tds:NTPInformation", text("tt:FromDHCP", value=False), *manual))


def profiles(channels: Iterable[Channel], prefix: str) -> str:
    """Return GetProfilesResponse of the older (trt) or newer (tr2) media service: main and sub of each channel."""
    streams = (_profile(one, stream, prefix) for one in channels for stream in ("main", "sub"))
    return tag(f"{prefix}:GetProfilesResponse", *streams)


def _profile(channel: Channel, stream: str, prefix: str) -> str:
    width, height = _SIZES[stream]
    names = ("tt:VideoSourceConfiguration", "tt:VideoEncoderConfiguration")
    if prefix == "tr2":
        names = ("tr2:VideoSource", "tr2:VideoEncoder")
    source = tag(names[0], text("tt:SourceToken", source_token(channel)), token=f"VSC{channel.id}")
    resolution = tag("tt:Resolution", text("tt:Width", width), text("tt:Height", height))
    encoder = tag(names[1], text("tt:Encoding", "H264"), resolution, token=f"VEC{channel.id}{stream}")
    inner = [tag("tr2:Configurations", source, encoder)] if prefix == "tr2" else [source, encoder]
    name = text(f"{'tt' if prefix == 'trt' else prefix}:Name", f"{channel.id} {stream}")
    return tag(f"{prefix}:Profiles", name, *inner, token=f"Profile_{channel.id}_{stream}")


def source_token(channel: Channel) -> str:
    """Return the token of a channel's video source."""
    return f"VideoSource_{channel.id}"


def stream_uri(url: str, prefix: str) -> str:
    """Return GetStreamUriResponse of the older or newer media service."""
    told = text("tr2:Uri", url)
    if prefix == "trt":
        told = tag("trt:MediaUri", text("tt:Uri", url), text("tt:Timeout", "PT0S"))
    return tag(f"{prefix}:GetStreamUriResponse", told)


def replay_uri(url: str) -> str:
    """Return GetReplayUriResponse."""
    return tag("trp:GetReplayUriResponse", text("trp:Uri", url))


def recording_configuration(retention: str) -> str:
    """Return GetRecordingConfigurationResponse."""
    told = tag("trc:RecordingConfiguration", text("tt:Content", ""), text("tt:MaximumRetentionTime", retention))
    return tag("trc:GetRecordingConfigurationResponse", told)


def digital_inputs(state: RecorderState) -> str:
    """Return GetDigitalInputsResponse: which there are, and nothing of their states."""
    inputs = (tag("tmd:DigitalInputs", token=f"In{one.id}") for one in state.alarm_inputs)
    return tag("tmd:GetDigitalInputsResponse", *inputs)


def recording_information(token: str, channel: Channel, held: Spans, shift: float) -> str:
    """Return one RecordingInformation. A track without data is not listed, nor is when it began."""
    source = tag(
        "tt:Source",
        text("tt:SourceId", source_token(channel)),
        text("tt:Name", channel.name),
        text("tt:Location", ""),
        text("tt:Description", ""),
        text("tt:Address", f"rtsp://{channel.ip_address or f'192.0.2.{100 + channel.id}'}/stream1"),
    )
    told = ""
    if held:
        begin, end = instant(held[0][0] + shift), instant(held[-1][1] + shift)
        told = text("tt:EarliestRecording", begin) + text("tt:LatestRecording", end)
    status = text("tt:RecordingStatus", "Recording" if channel.footage.recording else "Stopped")
    tracks = [_track(kind, begin, end) for kind in ("Video", "Audio")] if held else []
    return tag(
        "tt:RecordingInformation",
        text("tt:RecordingToken", token),
        source,
        told,
        text("tt:Content", ""),
        *tracks,
        status,
    )


def _track(kind: str, begin: str, end: str) -> str:
    return tag(
        "tt:Track",
        text("tt:TrackToken", f"{kind.upper()}001"),
        text("tt:TrackType", kind),
        text("tt:Description", ""),
        text("tt:DataFrom", begin),
        text("tt:DataTo", end),
    )


def event_result(event: Event) -> str:
    """Return one Result of an event search."""
    at = instant(event.at)

    def item(name: str, value: str) -> str:
        return f"<tt:SimpleItem Name={quoteattr(name)} Value={quoteattr(value)}/>"

    message = tag(
        "tt:Message",
        tag("tt:Source", item("RecordingToken", event.recording), item("Track", event.track)),
        tag("tt:Data", item("IsDataPresent", str(event.has_data).lower())),
        UtcTime=at,
        PropertyOperation="Initialized" if event.is_start else "Changed",
    )
    topic = f'<wsnt:Topic Dialect="{_DIALECT}">{TRACK_STATE}</wsnt:Topic>'
    return tag(
        "tt:Result",
        text("tt:RecordingToken", event.recording),
        text("tt:TrackToken", event.track),
        text("tt:Time", at),
        tag("tt:Event", topic, tag("wsnt:Message", message)),
        text("tt:StartStateEvent", event.is_start),
    )


def results(operation: str, items: Iterable[str], *, completed: bool) -> str:
    """Return a page of a search's results."""
    state = text("tt:SearchState", "Completed" if completed else "Searching")
    return tag(f"tse:{operation}Response", tag("tse:ResultList", state, *items))
