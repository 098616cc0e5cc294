"""What all simulated recorders have in common: power, line, cameras over RTSP, one account, and a web server to answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from typing import Literal, NamedTuple, Self

from agents.simulators import certificate
from agents.simulators.account import Account, Authenticator
from agents.simulators.camera import MAIN, SUB, Fault, Format
from agents.simulators.playback import Asked, Habits, Recordings
from agents.simulators.recorder import Channel, RecorderState, Unplayable
from agents.simulators.rtsp import Manners, RtspServer
from agents.simulators.webserver import Request, Response, WebServer

StreamName = Literal["main", "sub"]
Address = tuple[str, int]


class Searched(NamedTuple):
    """What a search asked for: a channel, from when until when, in epoch seconds of the recorder's own clock."""

    channel_id: int
    start: float
    end: float


class RecorderDevice(ABC):
    """A running recorder: `async with SomeMaker(state) as recorder`. A make says what its interface answers."""

    playback_habits = Habits()
    """What the make's playback tells of time."""

    def __init__(
        self,
        state: RecorderState,
        realm: str,
        *,
        http: Address = ("127.0.0.1", 0),
        rtsp: Address = ("127.0.0.1", 0),
        main: Format = MAIN,
        sub: Format = SUB,
    ) -> None:
        """Port 0 is chosen by the system at the first start and kept over `die` and `revive`."""
        self.state, self._main, self._sub = state, main, sub
        self.account = Account(
            state.username, state.password, lock_after=state.lock_after, lock_seconds=state.lock_seconds
        )
        self.door = Authenticator(
            self.account, realm, qop=True, nonce_seconds=state.nonce_seconds, nonces_once=state.nonces_once
        )
        self.requests: Counter[str] = Counter()
        self.searched: list[Searched] = []
        """Each search for footage, in turn; the pages that follow its first one are no further search."""
        self.front: WebServer | None = None
        """Where `redirect` has its http port; `web` is what it then serves elsewhere."""
        if state.redirect:
            self.front = WebServer(self._redirect, host=http[0], port=http[1])
            tls = None if state.redirect == "http" else certificate.self_signed()
            handler = self._redirect if state.redirect == "circle" else self._answer
            self.web = WebServer(handler, host=http[0], tls=tls)
        else:
            self.web = WebServer(self._answer, host=http[0], port=http[1])
        manners = Manners(
            max_sessions=state.max_sessions,
            when_full=state.when_full,
            session_timeout_seconds=state.session_timeout_seconds,
        )
        self.rtsp = RtspServer(self.account, host=rtsp[0], port=rtsp[1], manners=manners)
        self.rtsp.recordings = Recordings(state, main, self.playback_habits, self.playback_asked)
        for channel in state.channels:
            self._publish(channel)

    @abstractmethod
    async def _answer(self, request: Request) -> Response:
        """Answer one request of the maker's interface."""

    @abstractmethod
    def stream_path(self, channel_id: int, stream: StreamName) -> str:
        """Return the path of a channel's stream, without a slash before it."""

    @abstractmethod
    def playback_asked(self, address: str) -> Asked | None:
        """Take the path and query of a playback apart, in lower case; None for an address that is none."""

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop for good."""
        await self.close()

    @property
    def url(self) -> str:
        """Return the address of the web interface, as people know it."""
        return (self.front or self.web).url

    def rtsp_url(self, channel_id: int, stream: StreamName = "sub") -> str:
        """Return a channel's stream address, without credentials."""
        return self.rtsp.url(self.stream_path(channel_id, stream))

    async def start(self) -> None:
        """Listen on both ports and record. Raises OSError when an address is taken."""
        for server in self._web_servers:
            await server.start()
        await self.rtsp.start()
        self.state.update_recording()

    async def close(self) -> None:
        """Stop everything."""
        for server in self._web_servers:
            await server.die()
        await self.rtsp.close()

    # What can be done to it while it runs.

    async def die(self) -> None:
        """Cut its power: connections are reset, nothing is recorded."""
        self.state.powered = False
        self.state.update_recording()
        await self.disconnect()

    async def disconnect(self) -> None:
        """Cut its line: connections are reset, but it goes on recording."""
        for server in self._web_servers:
            await server.die()
        await self.rtsp.die()

    async def revive(self) -> None:
        """Give it power and line again, on the same ports."""
        self.state.powered = True
        await self.start()

    def renew_certificate(self) -> None:
        """Show another certificate by https from the next connection on, as after a reset. Raises ValueError without any."""
        if self.web.tls is None:
            raise ValueError("it speaks no https")
        certificate.renew(self.web.tls)

    def lose_client(self) -> int:
        """Know that whoever asked so far was killed: what it left open, until it times out, is nobody's fault; return how much."""
        return 0

    def set_fault(self, channel_id: int, fault: Fault) -> None:
        """Let a fault of the channel's camera begin, or end with `Fault.NONE`. Raises KeyError."""
        self.state.channel(channel_id).camera.set_fault(fault)
        self.state.update_recording()

    def set_online(self, channel_id: int, *, online: bool) -> None:
        """Let the status page call a channel offline, and stop its recording; its stream is left as it is."""
        self.state.channel(channel_id).online = online
        self.state.update_recording()

    def set_schedule(self, channel_id: int, *, enabled: bool) -> None:
        """Switch a channel's recording schedule on or off."""
        self.state.channel(channel_id).schedule_enabled = enabled
        self.state.update_recording()

    def set_disk(self, disk_id: int, status: str) -> None:
        """Give a disk another status (ok, idle, error, notexist, smartFailed, ...). Raises KeyError."""
        self.state.disk(disk_id).status = status
        self.state.update_recording()

    def erase(self, channel_id: int, start: float, end: float) -> None:
        """Lose a channel's footage within [start, end), epoch seconds."""
        self.state.channel(channel_id).footage.erase(start, end)

    def set_unplayable(self, channel_id: int, start: float, end: float, how: Unplayable = Unplayable.MISSING) -> None:
        """Let playback of a channel's footage within [start, end), epoch seconds, fail; the index goes on listing it."""
        channel = self.state.channel(channel_id)
        channel.unplayable.append((start, end))
        channel.unplayable_as = how

    def set_clock_offset(self, seconds: float) -> None:
        """Set the recorder's clock `seconds` ahead of true time (negative: behind) from now on."""
        self.state.step_clock(seconds)

    def change_password(self, password: str) -> None:
        """Change the account's password; running sessions stay, as on real units."""
        self.account.change_password(password)

    def add_channel(self, channel: Channel) -> None:
        """Plug in one more camera."""
        self.state.channels.append(channel)
        self._publish(channel)
        self.state.update_recording()

    def stats(self) -> dict[str, int]:
        """Return all counters: logins, searches, sessions, and HTTP requests by kind."""
        requests = {f"http_{kind}": count for kind, count in self.requests.items()}
        return {**self.account.stats(), **self.search_stats(), **self.rtsp.stats(), **requests}

    @abstractmethod
    def search_stats(self) -> dict[str, int]:
        """Return the counters of its search, `searches` and `concurrent_searches` among them."""

    @property
    def _web_servers(self) -> list[WebServer]:
        return [server for server in (self.web, self.front) if server is not None]

    async def _redirect(self, request: Request) -> Response:
        """Send everybody elsewhere, whatever is asked, before any login."""
        self.requests["redirected"] += 1
        self.requests["redirected_login"] += "authorization" in request.headers
        place = "https://192.0.2.99" if self.state.redirect == "elsewhere" else self.web.url
        return Response(302, content_type="text/html", headers=[("Location", f"{place}{request.target}")])

    def _publish(self, channel: Channel) -> None:
        self.rtsp.publish(self.stream_path(channel.id, "main"), channel.camera.add_stream(self._main))
        self.rtsp.publish(self.stream_path(channel.id, "sub"), channel.camera.add_stream(self._sub))
