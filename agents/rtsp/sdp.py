"""What a DESCRIBE answer says: the first video stream that can be watched, and where to ask for it."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, urlsplit

from agents.rtsp.errors import MalformedError, StreamError
from agents.rtsp.message import MAX_BODY_BYTES
from agents.rtsp.request import MAX_URL_LENGTH, URL_SAFE
from monitor.model.observation import StreamCause

Codec = Literal["h264", "h265", "mjpeg"]

MAX_LINES = 2000
_START_CODE = b"\0\0\1"
_CODECS: dict[str, Codec] = {"H264": "h264", "H265": "h265", "HEVC": "h265", "JPEG": "mjpeg"}
_SPROPS = {"h264": ("sprop-parameter-sets",), "h265": ("sprop-vps", "sprop-sps", "sprop-pps"), "mjpeg": ()}
_STATIC = {"26": ("JPEG", 90000)}
"""Payload types that need no rtpmap (RFC 3551)."""
_SIZE = re.compile(r"(?:\d+ )?(\d{1,5}) ?[,-] ?(\d{1,5})")
"""x-dimensions:1920,1080 (some write a space: 1280, 720) or framesize:26 1920-1080"""


@dataclass(frozen=True)
class Video:
    """The video stream of a description."""

    codec: Codec
    clock_rate: int
    control_url: str
    """Where SETUP goes."""
    play_url: str
    """Where PLAY, TEARDOWN and the keep-alive go."""
    parameter_sets: tuple[bytes, ...]
    """NAL units from the description; may be empty, then they come in the stream."""
    size: tuple[int, int] | None = None
    """Pixels, where the description gives them apart: MJPEG's packets can't tell more than 2040."""
    time_range: str | None = None
    """What its range attribute says, the video's own before that of the whole: from when to when it plays."""


@dataclass
class _Section:
    """One m= section, or with kind "" the lines before the first."""

    kind: str
    formats: list[str] = field(default_factory=list)
    control: str | None = None
    time_range: str | None = None
    size: tuple[int, int] | None = None
    codecs: dict[str, tuple[str, int]] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)


def parse_description(body: bytes, base_url: str, request_url: str) -> Video:
    """Read a session description.

    `base_url` is what Content-Base says (or the URL that was asked for); another host in any URL is replaced by the
    one that was asked. Raises StreamError: no_video without video, decode_error for video in a codec that is not
    supported, protocol_error for what is no description.
    """
    try:
        sections = _sections(body)
        videos = [section for section in sections[1:] if section.kind == "video"]
        if not videos:
            kinds = sorted({section.kind for section in sections[1:] if section.kind.isalnum()})[:4]
            shown = ", ".join(kinds) or "no media"
            raise StreamError(StreamCause.NO_VIDEO, "describe", f"the stream holds no video, but {shown[:60]}")
        for video in videos:
            codec = _codec(video)
            if codec is not None:
                return _video(video, codec, sections[0], base_url, request_url)
    except MalformedError as error:
        raise StreamError(StreamCause.PROTOCOL_ERROR, "describe", str(error)) from None
    names = sorted({name for video in videos for name, _ in video.codecs.values() if name.isalnum()})[:4]
    shown = ", ".join(names) or "an unnamed codec"
    detail = f"the video is in {shown[:60]}; H.264, H.265 and MJPEG can be watched"
    raise StreamError(StreamCause.DECODE_ERROR, "describe", detail)


def _sections(body: bytes) -> list[_Section]:
    if len(body) > MAX_BODY_BYTES:
        raise MalformedError(f"the description is longer than {MAX_BODY_BYTES} bytes")
    lines = body.decode("utf-8", "replace").replace("\r", "\n").split("\n")
    if len(lines) > MAX_LINES:
        raise MalformedError(f"the description has more than {MAX_LINES} lines")
    if not any(line.startswith(("v=", "m=")) for line in lines):
        raise MalformedError("DESCRIBE was answered without a description")
    sections = [_Section("")]
    for line in lines:
        name, _, value = line.strip().partition("=")
        if name == "m":
            kind, _, rest = value.partition(" ")
            sections.append(_Section(kind.lower(), formats=rest.split()[2:]))
        elif name == "a":
            _attribute(sections[-1], value)
    return sections


def _attribute(section: _Section, text: str) -> None:
    name, _, value = text.partition(":")
    payload, _, rest = value.strip().partition(" ")
    if name == "control":
        section.control = value.strip()
    elif name == "range":
        section.time_range = value.strip()
    elif name == "rtpmap":
        encoding, _, rate = rest.strip().partition("/")
        digits = rate.partition("/")[0]
        clock_rate = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 9 else 0
        section.codecs.setdefault(payload, (encoding.upper(), clock_rate))
    elif name in {"x-dimensions", "framesize"}:
        found = _SIZE.fullmatch(value.strip())
        section.size = (int(found[1]), int(found[2])) if found else None
    elif name == "fmtp":
        section.parameters.setdefault(payload, rest)


def _codec(section: _Section) -> tuple[str, Codec, int] | None:
    """Return payload type, codec and clock rate of the section's first supported format."""
    for payload in section.formats:
        encoding, clock_rate = section.codecs.get(payload) or _STATIC.get(payload, ("", 0))
        if encoding in _CODECS:
            return payload, _CODECS[encoding], clock_rate or 90000
    return None


def _video(
    section: _Section, codec: tuple[str, Codec, int], session: _Section, base_url: str, request_url: str
) -> Video:
    payload, name, clock_rate = codec
    base = same_host(base_url, request_url)
    play_url = _resolved(session.control, base, request_url)
    return Video(
        codec=name,
        clock_rate=clock_rate,
        control_url=_resolved(section.control, base, request_url),
        play_url=play_url,
        parameter_sets=_parameter_sets(name, _parameters(section, payload)),
        size=section.size,
        time_range=section.time_range or session.time_range,
    )


def _parameters(section: _Section, payload: str) -> str:
    """Return a format's parameters; where there is one format alone, some devices give them another one's number."""
    found = section.parameters.get(payload)
    if found is None and len(section.formats) == len(section.parameters) == 1:
        (found,) = section.parameters.values()
    return found or ""


def _parameter_sets(codec: Codec, text: str) -> tuple[bytes, ...]:
    """Return the NAL units of a format's sprop parameters; what is no base64 is left out, and the start codes that some recorders write before each."""
    values = dict(_pair(item) for item in text.split(";"))
    encoded = [item for name in _SPROPS[codec] for item in values.get(name, "").split(",") if item]
    nals = []
    for item in encoded:
        try:
            nals.append(base64.b64decode(item + "=" * (-len(item) % 4)))
        except (binascii.Error, ValueError):
            continue
    parts = (part.rstrip(b"\0") for nal in nals for part in nal.split(_START_CODE))
    return tuple(part for part in parts if part)


def _pair(item: str) -> tuple[str, str]:
    name, _, value = item.strip().partition("=")
    return name.strip().lower(), value.strip()


def _resolved(control: str | None, base: str, request_url: str) -> str:
    """Return a control attribute as a URL, percent-encoded. Raises MalformedError for what is too long for a request line."""
    if control is None or control in ("", "*"):
        return base
    control = quote(control, safe=URL_SAFE)
    if len(control) > MAX_URL_LENGTH:
        raise MalformedError("the description holds a control URL that cannot be asked for")
    if "://" in control:
        return same_host(control, request_url)
    if control.startswith("/"):
        parts = urlsplit(base)
        return f"{parts.scheme}://{parts.netloc}{control}"
    # Not RFC 3986: devices expect the attribute behind the whole base, its query included, and so do other clients.
    return base + control if base.endswith("/") else f"{base}/{control}"


def same_host(url: str, request_url: str) -> str:
    """Return `url` with scheme, host and port of the URL that was asked for; that one itself when `url` is no RTSP URL.

    The connection stays where it is: a device behind address translation names its inner address, a hostile one
    another host, and neither is contacted.
    """
    if len(url) > 2048 or not url.isascii() or any(ord(char) <= 0x20 or ord(char) == 0x7F for char in url):
        return request_url
    scheme, mark, rest = url.partition("://")
    if not mark or scheme.lower() not in ("rtsp", "rtsps"):
        return request_url
    asked = urlsplit(request_url)
    cut = min((index for index in (rest.find("/"), rest.find("?")) if index >= 0), default=len(rest))
    return f"{asked.scheme}://{asked.netloc}{rest[cut:]}"
