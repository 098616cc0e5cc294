"""The form of site.yaml: its keys and what each may hold. Sentences here never repeat a value: it may be a secret."""

from __future__ import annotations

import ipaddress
import re
from datetime import date, time
from typing import Annotated, Self
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StrictBool,
    StringConstraints,
    model_validator,
)

from agents.bounds import ThresholdsForm
from agents.confidential import NAMES
from monitor.model.inventory import Closure, Identifier, Institution, Name, Nap, OpeningHours, Zone
from monitor.model.regulation import parse_duration

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")
_LIKE_AN_ADDRESS = re.compile(r"(?:.*\.)?(?:\d+|0[xX][0-9A-Fa-f]*)\.?")
"""No name ends in a number. The system's resolver reads 192.0.2.010 as 192.0.2.8, which is another device."""
_PASSWORD_IN_URL = re.compile(rf"(?i)(?:{NAMES}|auth(?:basic|orization)?)=[^&]")
_DIGITS = re.compile(r"[0-9a-f]{64}")
_QUIET = re.compile(r"(\d{2}:\d{2})-(\d{2}:\d{2})")


class Form(BaseModel):
    """A part of the file whose unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def split_url(text: str, schemes: tuple[str, ...]) -> SplitResult:
    """Split an address. Raises ValueError with a sentence: another scheme, no host, a bad port, a password in it."""
    shape = f"write it like {schemes[0]}://192.0.2.10"
    if any(ord(char) <= 0x20 or ord(char) == 0x7F for char in text):
        raise ValueError(f"holds a space or a control character: {shape}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(f"is no address: {shape}") from None
    if "@" in parts.netloc or _PASSWORD_IN_URL.search(unquote(text)):
        raise ValueError("holds a user name or password: remove it, and write username and password_file instead")
    if parts.scheme.lower() not in schemes:
        raise ValueError(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if _LIKE_AN_ADDRESS.fullmatch(parts.hostname or "") and not is_address(parts.hostname or ""):
        raise ValueError(f"is no address, which is four numbers from 0 to 255 without leading zeros: {shape}")
    if not is_host(parts.hostname or "") or port == 0:
        raise ValueError(f"names no host: {shape}")
    return parts


def is_host(text: str) -> bool:
    """Tell whether the text is a host name or a numeric address."""
    return is_address(text) or bool(_HOST.fullmatch(text) and not _LIKE_AN_ADDRESS.fullmatch(text))


def is_address(text: str) -> bool:
    """Tell whether the text is a numeric address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _http(text: str) -> str:
    split_url(text, ("http", "https"))
    return text


def _rtsp(text: str) -> str:
    split_url(text, ("rtsp", "rtsps"))
    return text


def _network(value: object) -> Network:
    if not isinstance(value, str):
        raise ValueError('must be a network: write it like "192.0.2.0/24"')  # noqa: TRY004  (pydantic wants ValueError)
    try:
        loose = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError('is no network: write it like "192.0.2.0/24"') from None
    if str(loose.network_address) != str(ipaddress.ip_interface(value).ip):
        raise ValueError(f"names an address inside a network: write {loose} for the network, or {_single(value)}")
    return loose


def _single(value: str) -> str:
    address = ipaddress.ip_interface(value).ip
    return f"{address}/{address.max_prefixlen} for the one address"


def is_channel(text: str) -> bool:
    """Tell whether site.yaml can name a channel so."""
    return 0 < len(text) <= 64 and text.isprintable()


def _channel(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a number or a text")  # noqa: TRY004  (pydantic wants ValueError)
    text = str(value)
    if not is_channel(text):
        raise ValueError("must be a number or a text of 1 to 64 characters")
    return text


def _fingerprint(text: str) -> str:
    digits = text.replace(":", "").lower()
    if not _DIGITS.fullmatch(digits):
        raise ValueError("must be a certificate's SHA-256: 64 hexadecimal digits")
    return digits


class QuietHours(Form):
    """When playback may be asked, local time; an `end` not after `start` lies on the next day."""

    start: time
    end: time


def _quiet(value: object) -> object:
    match = _QUIET.fullmatch(value) if isinstance(value, str) else None
    try:
        start, end = (time.fromisoformat(match[index]) for index in (1, 2)) if match else (None, None)
    except ValueError:
        start = end = None
    if start is None or end is None or start == end:
        raise ValueError('must be a span of two times: write it like "01:00-05:00"')
    return QuietHours(start=start, end=end)


class Endpoint(Form):
    """HOST or HOST:PORT."""

    host: str
    port: int | None = None


def _endpoint(value: object) -> object:
    try:
        parts = urlsplit(f"//{value}") if isinstance(value, str) else None
        port = parts.port if parts else None
    except ValueError:
        parts, port = None, None
    if parts is None or "@" in parts.netloc or parts.path or port == 0 or not is_host(parts.hostname or ""):
        raise ValueError("must be HOST or HOST:PORT: write it like 192.0.2.1 or 192.0.2.1:80")
    return Endpoint(host=parts.hostname or "", port=port)


Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
HttpUrl = Annotated[str, AfterValidator(_http)]
RtspUrl = Annotated[str, AfterValidator(_rtsp)]


def _variable(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise ValueError("must be the name of a variable, and not the password: letters, digits and underscore")
    return text


def _credential(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,199}", text):
        raise ValueError(
            "must be the name of a credential as in LoadCredential=NAME:FILE, not a path and not the password"
        )
    return text


class Login(Form):
    """A user name and where its password is; both or neither, and the password in one place."""

    username: Text | None = None
    password_file: Text | None = None
    password_env: Annotated[str, AfterValidator(_variable)] | None = None
    password_credential: Annotated[str, AfterValidator(_credential)] | None = None

    @model_validator(mode="after")
    def _together(self) -> Self:
        places = ("password_file", "password_env", "password_credential")
        named = [name for name in places if getattr(self, name) is not None]
        if len(named) > 1:
            raise ValueError(f"has both {' and '.join(named)}: keep one of them")
        has_password = bool(named)
        if self.username is not None and not has_password:
            raise ValueError("has a username and no password: add password_file, password_env or password_credential")
        if self.username is None and has_password:
            raise ValueError("has a password and no username: add username")
        return self


class RecorderForm(Login):
    """One recorder; keys that aren't here are its driver's own options."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: Identifier
    name: Name = ""
    driver: Text
    url: HttpUrl | None = None
    tls_fingerprint: Annotated[str, AfterValidator(_fingerprint)] | None = None
    old_tls: StrictBool = False
    ports: tuple[Annotated[int, Field(strict=True, ge=1, le=65535)], ...] = ()
    max_streams: Annotated[int, Field(ge=1, le=1024)] | None = None
    quiet_hours: tuple[Annotated[QuietHours, PlainValidator(_quiet)], ...] = ()


class CameraForm(Login):
    """One camera."""

    id: Identifier
    name: Name = ""
    zones: tuple[Identifier, ...]
    recorder: Identifier | None = None
    channel: Annotated[str, PlainValidator(_channel)] | None = None
    stream: RtspUrl | None = None
    main_stream: RtspUrl | None = None
    tls_fingerprint: Annotated[str, AfterValidator(_fingerprint)] | None = None
    identity: Text | None = None
    commissioned: date | None = None
    thresholds: ThresholdsForm | None = None


Seconds = Annotated[float, BeforeValidator(lambda value: parse_duration(value) / 1000), Field(gt=0)]
"""A duration as people write it (10s, 5m), in seconds."""


class Rhythm(Form):
    """How often the agent looks, asks and reports. The defaults suit a small box; a test bench may want others."""

    look_every: Seconds = 10.0
    """One keyframe of each camera."""
    reach_every: Seconds = 10.0
    """Does each recorder answer."""
    recorder_every: Seconds = 3600.0
    """Clock and disks, who it is, its channels; while all streams are up some of it less often."""
    settings_every: Seconds = 43200.0
    """What changes seldom: recording modes, expiry, time server, alarm inputs, the cameras behind the channels."""
    index_every: Seconds = 3600.0
    """What the index lists since the last reading."""
    report_every: Seconds = 60.0
    reconnect_most: Seconds = 60.0
    """The longest wait before a failed stream is tried again."""
    assignment_every: Seconds = 300.0
    far_edge_every: Seconds = 43200.0
    """Where each camera's footage begins: whether what was held at its far edge is still there."""
    main_stream_every: Seconds = 86400.0
    """A short look at each camera's main stream, for the size and rate that are recorded."""
    proof_every: Seconds = 86400.0
    """One minute of each camera's footage sought, played and decoded, in the recorder's quiet hours."""


class SiteForm(Form):
    """The whole file."""

    institution: Institution
    regulation: Identifier
    networks: tuple[Annotated[Network, PlainValidator(_network)], ...]
    gateway: Annotated[Endpoint, PlainValidator(_endpoint)] | None = None
    state_dir: Text | None = None
    hours: OpeningHours | None = None
    closures: tuple[Closure, ...] = ()
    naps: tuple[Nap, ...] = ()
    keep_images: bool = False
    """Whether `agent baseline` keeps a picture of each approved view, on this machine alone."""
    thresholds: ThresholdsForm | None = None
    recorders: tuple[RecorderForm, ...] = ()
    zones: tuple[Zone, ...]
    cameras: tuple[CameraForm, ...]
    rhythm: Rhythm = Rhythm()
