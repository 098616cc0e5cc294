"""Speaking SOAP to an ONVIF device: envelopes, the login inside them where HTTP has none, services by their paths."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar
from xml.sax.saxutils import escape

from agents.recorders import onvif_parse as parse
from agents.recorders import xml
from agents.recorders.base import NotOffered, RecorderError, lacking
from agents.recorders.http import Answer, DeviceHttp, NoSafeLogin
from agents.recorders.menus import busy
from agents.recorders.settings import RecorderSettings
from monitor.model.observation import StreamCause

CLOCK_SECONDS = 3600.0
"""How long the device's clock is taken to run on as it was seen."""

_LOGIN_TEST = "GetDeviceInformation"
_OK = 200
_UNAUTHORIZED = 401
_FORBIDDEN = 403
_ABSENT = frozenset({404, 405, 501})
_BUSY = 503
_SOAP = "http://www.w3.org/2003/05/soap-envelope"
_WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    f'<s:Envelope xmlns:s="{_SOAP}" xmlns:tt="http://www.onvif.org/ver10/schema">'
    "<s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
)
_SECURITY = (
    f'<wsse:Security s:mustUnderstand="1" xmlns:wsse="{_WSS}-wssecurity-secext-1.0.xsd" '
    f'xmlns:wsu="{_WSS}-wssecurity-utility-1.0.xsd"><wsse:UsernameToken><wsse:Username>{{user}}</wsse:Username>'
    f'<wsse:Password Type="{_WSS}-username-token-profile-1.0#PasswordDigest">{{digest}}</wsse:Password>'
    f'<wsse:Nonce EncodingType="{_WSS}-soap-message-security-1.0#Base64Binary">{{nonce}}</wsse:Nonce>'
    "<wsu:Created>{created}</wsu:Created></wsse:UsernameToken></wsse:Security>"
)

T = TypeVar("T")


@dataclass(frozen=True)
class Service:
    """One of ONVIF's services: its namespace, what GetCapabilities calls it, and what its questions are about."""

    namespace: str
    capability: str
    about: str


DEVICE = Service("http://www.onvif.org/ver10/device/wsdl", "Device", "the device")
MEDIA = Service("http://www.onvif.org/ver10/media/wsdl", "Media", "live streams")
MEDIA2 = Service("http://www.onvif.org/ver20/media/wsdl", "Media2", "live streams")
SEARCH = Service("http://www.onvif.org/ver10/search/wsdl", "Search", "recordings (Profile G)")
RECORDING = Service("http://www.onvif.org/ver10/recording/wsdl", "Recording", "recordings' settings (Profile G)")
REPLAY = Service("http://www.onvif.org/ver10/replay/wsdl", "Replay", "playback (Profile G)")
DEVICE_IO = Service("http://www.onvif.org/ver10/deviceIO/wsdl", "DeviceIO", "wired inputs")


@dataclass(frozen=True)
class _Message:
    """One question: where it is asked, its parameters as XML, and what people are told of it."""

    service: Service
    operation: str
    path: str
    inner: str
    note: str

    @property
    def content_type(self) -> str:
        return f'application/soap+xml; charset=utf-8; action="{self.service.namespace}/{self.operation}"'

    def content(self, header: str = "") -> bytes:
        body = f'<tns:{self.operation} xmlns:tns="{self.service.namespace}">{self.inner}</tns:{self.operation}>'
        return _ENVELOPE.format(header=header, body=body).encode()


def security_header(user: str, password: str, nonce: bytes, created: datetime) -> str:
    """Return a WS-Security UsernameToken with a password digest (OASIS UsernameToken Profile 1.0); `created` is UTC."""
    at = created.strftime("%Y-%m-%dT%H:%M:%SZ")
    # SHA-1 is what the profile prescribes; the nonce and the time keep the digest from being used again.
    digest = hashlib.sha1(nonce + at.encode() + password.encode(), usedforsecurity=False).digest()
    nonce_text, digest_text = (base64.b64encode(value).decode() for value in (nonce, digest))
    return _SECURITY.format(user=escape(user), digest=digest_text, nonce=nonce_text, created=at)


def element(name: str, text: str, prefix: str = "tns") -> str:
    """Return an element that holds `text`, escaped."""
    return f"<{prefix}:{name}>{escape(text)}</{prefix}:{name}>"


class Soap:
    """One device's SOAP interface over its pinned HTTP.

    A request first goes without a login in it: HTTP's own digest is answered below. Only where the device wants the
    login inside the message is it put there, dated by the device's own clock; once taken, it goes along at once.
    """

    def __init__(self, settings: RecorderSettings, http: DeviceHttp, device_path: str) -> None:
        """Prepare; no I/O."""
        self._settings = settings
        self._http = http
        self._device_path = device_path
        self._paths: dict[str, str] | None = None
        self._taken: set[str] = set()
        """The operations that were answered with a login inside."""
        self._clock: tuple[timedelta, float] | None = None

    async def ask(
        self, service: Service, operation: str, reader: Callable[[xml.Node], T], inner: str = "", note: str = ""
    ) -> T:
        """Ask one question and read its answer; an error of either names the request. Raises RecorderError."""
        path = self._device_path if service is DEVICE else await self._path(service)
        answer = await self._post(service, operation, path, inner, note)
        try:
            return reader(parse.response(answer.body, operation))
        except RecorderError as error:
            error.asked = f"POST {path} ({_note(operation, note)})"
            raise

    async def clock(self) -> tuple[parse.DeviceClock, Answer]:
        """Return what the device's clock shows, and the answer that said so. Raises RecorderError."""
        answer = await self._post(DEVICE, "GetSystemDateAndTime", self._device_path, "", "")
        shown = parse.clock(parse.response(answer.body, "GetSystemDateAndTime"))
        self._clock = (shown.shown - answer.middle, self._settings.clock.monotonic())
        return shown, answer

    async def device_now(self) -> datetime:
        """Return the present by the device's clock; by the agent's where the device does not show its own."""
        if self._clock is None or self._settings.clock.monotonic() - self._clock[1] >= CLOCK_SECONDS:
            try:
                await self.clock()
            except RecorderError as error:
                if error.cause not in {StreamCause.RECORDER, StreamCause.NOT_PERMITTED, StreamCause.UNAUTHORIZED}:
                    raise
                self._clock = (timedelta(0), self._settings.clock.monotonic())
        assert self._clock is not None  # noqa: S101  (for the type checker: set above)
        return self._settings.clock.now() + self._clock[0]

    async def _path(self, service: Service) -> str:
        """Return where a service is asked: the path that the device names, on the device's own address."""
        if self._paths is None:
            # Everyone who may log in may ask this: odd refusals further on then say nothing of the login.
            await self.ask(DEVICE, _LOGIN_TEST, parse.identity)
            self._paths = await self._services()
        path = self._paths.get(service.namespace) or self._paths.get(service.capability)
        if path is None:
            raise NotOffered(f"{self._http.host} tells nothing of {service.about} by ONVIF.", service.namespace)
        return path

    async def _services(self) -> dict[str, str]:
        try:
            inner = "<tns:IncludeCapability>false</tns:IncludeCapability>"
            return await self.ask(DEVICE, "GetServices", parse.services, inner)
        except NotOffered:
            inner = "<tns:Category>All</tns:Category>"
            return await self.ask(DEVICE, "GetCapabilities", parse.capabilities, inner)

    async def _post(self, service: Service, operation: str, path: str, inner: str, note: str) -> Answer:
        """Return an answer that is no fault; any other becomes a RecorderError."""
        message = _Message(service, operation, path, inner, _note(operation, note))
        answer: Answer | None = None
        if not self._taken or operation == "GetSystemDateAndTime":
            try:
                answer = await self._http.fetch(
                    "POST", path, content=message.content(), content_type=message.content_type, note=message.note
                )
            except NoSafeLogin:
                if operation == "GetSystemDateAndTime":
                    raise
        wants_login = answer is None or (not answer.logged_in and _refuses(answer))
        # The clock is told to everyone, and it is what a login is dated by: never asked for with one.
        if wants_login and operation != "GetSystemDateAndTime":
            answer = await self._signed(message)
        assert answer is not None  # noqa: S101  (for the type checker: without an answer a login was wanted)
        if answer.status == _OK and parse.fault(answer.body) is None:
            return answer
        raise self._refused(answer, service, f"POST {path} ({message.note})")

    async def _signed(self, message: _Message) -> Answer:
        """Ask with the login inside. Raises RecorderError when it is refused.

        SOAP's refusal means a wrong password or a missing right. The first login is refused by it, and so is one that
        the same question was answered with before; else a question that everyone may ask decides between the two.
        """
        created = await self.device_now()
        settings = self._settings
        known = not self._taken or message.operation in self._taken

        def refuses(answer: Answer) -> bool | None:
            return (True if known else None) if _refuses(answer) else False

        header = security_header(settings.username, self._http.password(), secrets.token_bytes(16), created)
        answer = await self._http.fetch_signed(
            message.path,
            content=message.content(header),
            content_type=message.content_type,
            note=message.note,
            refuses=refuses,
        )
        if not _refuses(answer):
            self._taken.add(message.operation)
        elif message.operation != _LOGIN_TEST:
            await self._signed(_Message(DEVICE, _LOGIN_TEST, self._device_path, "", _LOGIN_TEST))
        return answer

    def _refused(self, answer: Answer, service: Service, asked: str) -> RecorderError:
        """Say why an answer is none."""
        fault = parse.fault(answer.body) or parse.Fault(frozenset(), "")
        host = self._http.host
        word = f" ({fault.said})" if fault.said else ""
        if fault.is_unsupported or (answer.status in _ABSENT and not fault.codes):
            return NotOffered(lacking(host, f"{asked}{word}"), asked)
        if fault.refuses_login or fault.is_prohibited or answer.status == _FORBIDDEN:
            detail = (
                f"User {self._settings.username} may not ask {host} about {service.about}{word}: many recorders keep "
                "ONVIF users of their own (on Hikvision Network > Advanced > Integration Protocol, or System > System Service > "
                "ONVIF); give it the level Operator."
            )
            return RecorderError(StreamCause.NOT_PERMITTED, detail, asked)
        if fault.is_full or answer.status == _BUSY:
            return RecorderError(StreamCause.RECORDER_FULL, busy("onvif", host, word), asked)
        if "InvalidToken" in fault.codes or "NoRecording" in fault.codes:
            return RecorderError(StreamCause.NOT_FOUND, f"{host} knows no such token{word}.", asked)
        detail = f"{host} answered HTTP {answer.status}{word}: note its model and firmware if this stays so."
        return RecorderError(StreamCause.RECORDER, detail, asked)


def _refuses(answer: Answer) -> bool:
    """Whether an answer asks for a login, or refuses one."""
    fault = parse.fault(answer.body)
    return answer.status == _UNAUTHORIZED or (fault is not None and fault.refuses_login)


def _note(operation: str, note: str) -> str:
    return f"{operation}{f', {note}' if note else ''}"
