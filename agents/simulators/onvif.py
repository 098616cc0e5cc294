"""A recorder that speaks ONVIF Profile G over HTTP and serves its cameras over RTSP; its manners are counted."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal
from xml.etree import ElementTree as ET

from agents.simulators import onvif_replies as replies
from agents.simulators.account import Answer
from agents.simulators.camera import MAIN, SUB, Format
from agents.simulators.device import Address, RecorderDevice, Searched, StreamName
from agents.simulators.onvif_replies import Event, Spans
from agents.simulators.playback import Asked, Habits, Stamp
from agents.simulators.recorder import Channel, RecorderState
from agents.simulators.webserver import Request, Response

Login = Literal["digest", "token", "either", "none"]

_CONTENT: Final = "application/soap+xml; charset=utf-8"
_FRESH_SECONDS: Final = 300.0
_WSSE: Final = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd}"
_WSU: Final = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd}"
_BODY: Final = "{http://www.w3.org/2003/05/soap-envelope}Body"
_REPLAY: Final = re.compile(r"/replay/(\d+)")
_SECONDS: Final = re.compile(r"PT(\d+)S")
_NO_LOGIN: Final = frozenset({"GetSystemDateAndTime", "GetServices", "GetCapabilities"})
_KEEP_ALIVE_SECONDS: Final = 10.0


class SoapError(Exception):
    """The device refuses: SOAP's code, ONVIF's subcodes and words."""

    def __init__(self, code: str, *subcodes: str, words: str = "refused") -> None:
        """Keep them."""
        super().__init__(words)
        self.code, self.subcodes, self.words = f"env:{code}", tuple(f"ter:{one}" for one in subcodes), words


@dataclass
class OnvifQuirks:
    """How this unit misbehaves; the defaults are a unit by the book."""

    login: Login = "digest"  # HTTP digest, a UsernameToken in the message, whichever comes, or none at all
    fault_status: int = 400
    offered: tuple[str, ...] = ("tds", "trt", "tse", "trc", "trp", "tmd")
    get_services: bool = True
    own_address: str = "10.0.0.8:8000"  # what the unit takes for its address and writes into its answers
    named: str = "{id}"  # the token of a channel's recording
    one_recording: bool = False  # a single recording for all channels
    events: bool = True
    start_states: bool = True
    always_present: bool | None = None  # every search of events says so, and nothing else
    page_size: int = 100
    repeats: bool = False  # every page is the first, and none is the last
    slow_polls: int = 0  # so many empty pages come first
    max_sessions: int = 4
    local_for_utc: bool = False  # times of footage are the wall clock's, dressed as UTC
    search_seconds: float = 0.0
    retention: str = "PT0S"
    forbidden: tuple[str, ...] = ()  # operations that the account has no right to


@dataclass
class Session:
    """One search: what is still to be handed out, and until when it is kept: each request keeps it anew."""

    operation: str
    items: list[str]
    keep_seconds: float
    until: float
    polls: int = 0
    is_orphan: bool = False


@dataclass
class _Asked:
    operation: str
    texts: dict[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a parameter. Raises SoapError when it is missing."""
        if name not in self.texts:
            raise SoapError("Sender", "InvalidArgVal", words=f"{name} is missing")
        return self.texts[name]


class OnvifSimulator(RecorderDevice):
    """A running recorder: `async with OnvifSimulator(state) as recorder`."""

    playback_habits = Habits(clock_range=True, extension=True)

    def __init__(
        self,
        state: RecorderState,
        quirks: OnvifQuirks | None = None,
        *,
        http: Address = ("127.0.0.1", 0),
        rtsp: Address = ("127.0.0.1", 0),
        main: Format = MAIN,
        sub: Format = SUB,
    ) -> None:
        """Port 0 is chosen by the system at the first start and kept over `die` and `revive`."""
        super().__init__(state, "ONVIF", http=http, rtsp=rtsp, main=main, sub=sub)
        self.quirks = quirks if quirks is not None else OnvifQuirks()
        self.sessions = self.searches = self.concurrent_searches = self.abandoned_searches = 0
        self._sessions: dict[str, Session] = {}
        self._nonces: set[str] = set()

    def stream_path(self, channel_id: int, stream: StreamName) -> str:
        """Return live/N/main or live/N/sub."""
        return f"live/{channel_id}/{stream}"

    def recording_token(self, channel_id: int) -> str:
        """Return the token of a channel's recording."""
        return self.quirks.named.format(id=channel_id)

    def playback_asked(self, address: str) -> Asked | None:
        """Read replay/N: PLAY says from when, by a clock range in UTC."""
        found = _REPLAY.fullmatch(address)
        return found and Asked(int(found[1]), Stamp.EPOCH)

    def search_stats(self) -> dict[str, int]:
        """Return the counters of its sessions; `searches` are those of a channel's footage."""
        self._forget_sessions()
        return {
            "searches": self.searches,
            "concurrent_searches": self.concurrent_searches,
            "abandoned_searches": self.abandoned_searches,
            "open_searches": sum(not one.is_orphan for one in self._sessions.values()),
            "orphaned_searches": sum(one.is_orphan for one in self._sessions.values()),
        }

    def lose_client(self) -> int:
        """Leave its searches open, as nobody's; return how many."""
        left = [session for session in self._sessions.values() if not session.is_orphan]
        for session in left:
            session.is_orphan = True
        return len(left)

    # HTTP and SOAP.

    async def _answer(self, request: Request) -> Response:
        try:
            header, asked = _parse(request.body)
            refusal = self._check_login(request, header, asked.operation)
            if refusal is not None:
                return refusal
            self.requests[asked.operation] += 1
            prefix = next((one for one, path in replies.PATHS.items() if path == request.path), None)
            if request.method != "POST" or prefix is None or prefix not in self.quirks.offered:
                return Response(404, b"", "text/html")
            return Response(200, replies.envelope(await self._operate(asked, prefix)), _CONTENT)
        except SoapError as error:
            status = self.quirks.fault_status if error.code == "env:Sender" else 500
            return Response(status, replies.fault(error.code, error.subcodes, error.words), _CONTENT)

    def _check_login(self, request: Request, header: ET.Element, operation: str) -> Response | None:
        """Return a refusal by HTTP, or none. Raises SoapError for a refusal by SOAP."""
        if operation in _NO_LOGIN or self.quirks.login == "none":
            return None
        token = header.find(f".//{_WSSE}UsernameToken")
        if self.quirks.login in {"token", "either"} and token is not None:
            answer = self._judge(token)
            self.requests[f"token_{answer.value}"] += 1
            if answer is not Answer.OK:
                raise SoapError("Sender", "NotAuthorized", words="Sender not Authorized")
            return None
        if self.quirks.login == "token":
            self.requests["token_missing"] += 1
            raise SoapError("Sender", "NotAuthorized", words="Sender not Authorized")
        answer = self.door.check(request.method, request.target, request.headers.get("authorization"))
        if answer is Answer.OK:
            return None
        self.requests[f"401_{answer.value}"] += 1
        challenges = self.door.challenges(stale=answer is Answer.STALE)
        return Response(401, b"", "text/html", [("WWW-Authenticate", challenge) for challenge in challenges])

    def _judge(self, token: ET.Element) -> Answer:
        """Judge a UsernameToken by the password digest of OASIS' profile, fresh by this unit's own clock and never seen."""
        name, digest, nonce = (token.findtext(f"{_WSSE}{part}", "") for part in ("Username", "Password", "Nonce"))
        created = token.findtext(f"{_WSU}Created", "")
        try:
            age = self._clock() - datetime.fromisoformat(created).timestamp()
            salt = base64.b64decode(nonce, validate=True)
        except (ValueError, binascii.Error):
            return Answer.REFUSED
        fresh = abs(age) <= _FRESH_SECONDS and nonce not in self._nonces
        self._nonces.add(nonce)

        def matches(_: str, password: str) -> bool:
            expected = base64.b64encode(hashlib.sha1(salt + created.encode() + password.encode()).digest()).decode()
            return fresh and hmac.compare_digest(expected, digest)

        return self.account.judge(name, matches)

    def _clock(self) -> float:
        return self.state.now() + self.state.clock_offset_seconds

    async def _operate(self, asked: _Asked, prefix: str) -> str:
        if asked.operation in self.quirks.forbidden:
            raise SoapError("Sender", "NotAuthorized", words="not permitted for this user")
        if asked.operation.startswith("Find") or asked.operation.endswith("SearchResults"):
            await asyncio.sleep(self.quirks.search_seconds)
        state, quirks = self.state, self.quirks
        operations: dict[str, Callable[[], str]] = {
            "GetSystemDateAndTime": lambda: replies.date_and_time(state, by_server=bool(state.ntp_server)),
            "GetDeviceInformation": lambda: replies.device_information(state),
            "GetCapabilities": lambda: replies.capabilities(quirks.own_address, quirks.offered),
            "GetNTP": lambda: replies.ntp(state.ntp_server),
            "GetProfiles": lambda: replies.profiles(state.channels, prefix),
            "GetStreamUri": lambda: self._stream_uri(asked, prefix),
            "GetReplayUri": lambda: self._replay_uri(asked),
            "GetRecordingConfiguration": lambda: self._configuration(asked),
            "GetDigitalInputs": lambda: replies.digital_inputs(state),
            "FindRecordings": lambda: self._find_recordings(asked),
            "GetRecordingSearchResults": lambda: self._results(asked),
            "GetEventSearchResults": lambda: self._results(asked),
            "EndSearch": lambda: self._end(asked),
        }
        if quirks.get_services:
            operations["GetServices"] = lambda: replies.services(quirks.own_address, quirks.offered)
        if quirks.events:
            operations["FindEvents"] = lambda: self._find_events(asked)
        if asked.operation not in operations:
            raise SoapError("Receiver", "ActionNotSupported", words="Optional Action Not Implemented")
        return operations[asked.operation]()

    def _stream_uri(self, asked: _Asked, prefix: str) -> str:
        found = re.fullmatch(r"Profile_(\d+)_(main|sub)", asked.text("ProfileToken"))
        if found is None:
            raise SoapError("Sender", "InvalidArgVal", "NoProfile")
        host = self.quirks.own_address.partition(":")[0]
        return replies.stream_uri(f"rtsp://{host}:{self.rtsp.port}/live/{found[1]}/{found[2]}", prefix)

    def _replay_uri(self, asked: _Asked) -> str:
        channel = self._channel(asked.text("RecordingToken"))
        host = self.quirks.own_address.partition(":")[0]
        return replies.replay_uri(f"rtsp://{host}:{self.rtsp.port}/replay/{channel.id}")

    def _configuration(self, asked: _Asked) -> str:
        self._channel(asked.text("RecordingToken"))
        return replies.recording_configuration(self.quirks.retention)

    def _channel(self, token: str) -> Channel:
        for channel in self._recorded():
            if self.recording_token(channel.id) == token:
                return channel
        raise SoapError("Sender", "InvalidArgVal", "InvalidToken", words="The recording token is not valid")

    def _recorded(self) -> list[Channel]:
        return self.state.channels[:1] if self.quirks.one_recording else self.state.channels

    # Searches.

    def _find_recordings(self, asked: _Asked) -> str:
        items = [
            replies.recording_information(self.recording_token(one.id), one, self._held(one), self._shift())
            for one in self._recorded()
        ]
        return self._open("FindRecordings", "GetRecordingSearchResults", items, asked)

    def _find_events(self, asked: _Asked) -> str:
        token = asked.text("IncludedRecordings")
        start, end = (datetime.fromisoformat(asked.text(name)).timestamp() for name in ("StartPoint", "EndPoint"))
        channel = self._channel(token)
        self.searched.append(Searched(channel.id, start, end))
        found = self._events(token, self._held(channel), start, end)
        return self._open("FindEvents", "GetEventSearchResults", [replies.event_result(one) for one in found], asked)

    def _events(self, token: str, held: Spans, start: float, end: float) -> list[Event]:
        """Return what a search lists, of the audio track too, in time's order."""
        always = self.quirks.always_present
        tracks = ("VIDEO001", "AUDIO001")
        if always is not None:
            return [Event(start, token, track, always, is_start=True) for track in tracks]
        present = any(low <= start < high for low, high in held)
        found = [Event(start, token, track, present, is_start=True) for track in tracks if self.quirks.start_states]
        edges = [(at, has_data) for low, high in held for at, has_data in ((low, True), (high, False))]
        found += [Event(at, token, track, has_data) for at, has_data in edges if start < at <= end for track in tracks]
        return found

    def _held(self, channel: Channel) -> Spans:
        """Return when a channel holds data by the recorder's clock, what touches or overlaps joined."""
        held: Spans = []
        segments = channel.footage.segments(self.state.now())
        for low, high in sorted(
            (one.start + one.clock_offset_seconds, one.end + one.clock_offset_seconds) for one in segments
        ):
            if held and low <= held[-1][1]:
                held[-1] = (held[-1][0], max(held[-1][1], high))
            else:
                held.append((low, high))
        return held

    def _shift(self) -> float:
        """Return how far from UTC the times of footage are written."""
        if not self.quirks.local_for_utc:
            return 0.0
        now = self.state.now()
        return (self.state.wall(now).utcoffset() or timedelta()).total_seconds()

    def _forget_sessions(self) -> None:
        now = self.state.now()
        expired = [token for token, session in self._sessions.items() if session.until < now]
        for token in expired:
            self.abandoned_searches += not self._sessions.pop(token).is_orphan

    def _open(self, find: str, results: str, items: list[str], asked: _Asked) -> str:
        self._forget_sessions()
        self.sessions += 1
        self.searches += find == "FindEvents"
        self.concurrent_searches += any(not one.is_orphan for one in self._sessions.values())
        if len(self._sessions) >= self.quirks.max_sessions:
            raise SoapError("Receiver", "Action", "ResourceProblem", words="no more search sessions")
        wanted = _SECONDS.fullmatch(asked.texts.get("KeepAliveTime", ""))
        keep = float(wanted[1]) if wanted else _KEEP_ALIVE_SECONDS
        token = f"SearchToken_{self.sessions}"
        self._sessions[token] = Session(results, items, keep, self.state.now() + keep)
        return replies.tag(f"tse:{find}Response", replies.text("tse:SearchToken", token))

    def _results(self, asked: _Asked) -> str:
        session = self._session(asked)
        if session.polls < self.quirks.slow_polls:
            session.polls += 1
            return replies.results(asked.operation, [], completed=False)
        size = min(self.quirks.page_size, int(asked.texts.get("MaxResults", self.quirks.page_size)))
        page = session.items[:size]
        if self.quirks.repeats:
            return replies.results(asked.operation, page, completed=False)
        session.items = session.items[size:]
        if not session.items:
            del self._sessions[asked.text("SearchToken")]
        return replies.results(asked.operation, page, completed=not session.items)

    def _session(self, asked: _Asked) -> Session:
        self._forget_sessions()
        session = self._sessions.get(asked.text("SearchToken"))
        if session is None or session.operation != asked.operation:
            raise SoapError("Sender", "InvalidArgVal", "InvalidToken", words="The search token is invalid")
        session.until = self.state.now() + session.keep_seconds
        return session

    def _end(self, asked: _Asked) -> str:
        self._forget_sessions()
        if self._sessions.pop(asked.text("SearchToken"), None) is None:
            raise SoapError("Sender", "InvalidArgVal", "InvalidToken", words="The search token is invalid")
        return replies.tag("tse:EndSearchResponse", replies.text("tse:Endpoint", replies.instant(self.state.now())))


def _parse(body: bytes) -> tuple[ET.Element, _Asked]:
    """Return the whole message and what its body asks. Raises SoapError."""
    try:
        root = ET.fromstring(body)  # noqa: S314  (a simulator on loopback; expat bounds entity expansion)
    except ET.ParseError as error:
        raise SoapError("Sender", "WellFormed", words=str(error)) from error
    inside = root.find(f"{_BODY}/*")
    if inside is None:
        raise SoapError("Sender", "WellFormed", words="an empty message")
    texts = {one.tag.rpartition("}")[2]: (one.text or "").strip() for one in inside.iter() if one is not inside}
    return root, _Asked(inside.tag.rpartition("}")[2], texts)
