"""A recorder that speaks Hikvision ISAPI over HTTP and serves its cameras over RTSP; its faults are set while it runs."""

from __future__ import annotations

import asyncio
import calendar
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, Literal, Self

from agents.simulators import isapi
from agents.simulators.account import Account, Answer, Authenticator
from agents.simulators.camera import MAIN, SUB, Fault, Format
from agents.simulators.recorder import Channel, RecorderState
from agents.simulators.rtsp import Manners, RtspServer
from agents.simulators.search import BadParameters, DeviceError, SearchDesk, days_recorded, parse_description, parse_xml
from agents.simulators.webserver import Request, Response, WebServer

_DAILY: Final = re.compile(r"^/ISAPI/ContentMgmt/record/tracks/(\d+)/dailyDistribution$", re.IGNORECASE)
_INPUT_PROXY: Final = "/isapi/contentmgmt/inputproxy"

StreamName = Literal["main", "sub"]
Address = tuple[str, int]


class HikvisionSimulator:
    """A running recorder: `async with HikvisionSimulator(state) as recorder`."""

    def __init__(
        self,
        state: RecorderState,
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
        self.door = Authenticator(self.account, "DVRNVRDVS", qop=True, nonce_seconds=state.nonce_seconds)
        self.desk = SearchDesk(state)
        self.requests: Counter[str] = Counter()
        self.web = WebServer(self._answer, host=http[0], port=http[1])
        manners = Manners(
            max_sessions=state.max_sessions,
            when_full=state.when_full,
            session_timeout_seconds=state.session_timeout_seconds,
        )
        self.rtsp = RtspServer(self.account, host=rtsp[0], port=rtsp[1], manners=manners)
        for channel in state.channels:
            self._publish(channel)

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop for good."""
        await self.close()

    @property
    def url(self) -> str:
        """Return the address of the web interface."""
        return f"http://{self.web.address}"

    def rtsp_url(self, channel_id: int, stream: StreamName = "sub") -> str:
        """Return a channel's stream address, without credentials."""
        return self.rtsp.url(f"Streaming/Channels/{channel_id}{'01' if stream == 'main' else '02'}")

    async def start(self) -> None:
        """Listen on both ports and record. Raises OSError when an address is taken."""
        await self.web.start()
        await self.rtsp.start()
        self.state.update_recording()

    async def close(self) -> None:
        """Stop everything."""
        await self.web.die()
        await self.rtsp.close()

    # What can be done to it while it runs.

    async def die(self) -> None:
        """Cut its power: connections are reset, nothing is recorded."""
        self.state.powered = False
        self.state.update_recording()
        await self.disconnect()

    async def disconnect(self) -> None:
        """Cut its line: connections are reset, but it goes on recording."""
        await self.web.die()
        await self.rtsp.die()

    async def revive(self) -> None:
        """Give it power and line again, on the same ports."""
        self.state.powered = True
        await self.start()

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
        return {**self.account.stats(), **self.desk.stats(), **self.rtsp.stats(), **requests}

    def _publish(self, channel: Channel) -> None:
        for form, stream in ((self._main, 1), (self._sub, 2)):
            self.rtsp.publish(f"Streaming/Channels/{channel.id}{stream:02d}", channel.camera.add_stream(form))

    # HTTP.

    async def _answer(self, request: Request) -> Response:
        answer = self.door.check(request.method, request.target, request.headers.get("authorization"))
        if answer is not Answer.OK:
            return self._refuse(answer)
        path = request.path
        self.requests[path.rpartition("/")[2]] += 1
        if any(path.startswith(beginning) for beginning in self.state.quirks.forbidden_paths):
            return _error(path, 403, 4, "Invalid Operation", "lowPrivilege")
        if self.state.device_type != "NVR" and path.lower().startswith(_INPUT_PROXY):
            return _error(path, 403, 4, "Invalid Operation", "notSupport")
        if request.method == "POST":
            return await self._post(request)
        return self._get(request)

    def _refuse(self, answer: Answer) -> Response:
        self.requests[f"401_{answer.value}"] += 1
        challenges = self.door.challenges(stale=answer is Answer.STALE)
        left = self.account.tries_left if answer is Answer.REFUSED else None
        body = isapi.user_check(locked_seconds=self.account.locked_for_seconds, tries_left=left)
        return Response(401, body, headers=[("WWW-Authenticate", challenge) for challenge in challenges])

    def _get(self, request: Request) -> Response:
        path, state = request.path, self.state
        if path.lower() == "/isapi/system/time/localtime":
            return Response(200, isapi.local_time(state).encode(), content_type="text/plain")
        render = {
            "/isapi/system/deviceinfo": isapi.device_info,
            "/isapi/system/time": isapi.system_time,
            "/isapi/contentmgmt/inputproxy/channels": isapi.channel_list,
            "/isapi/contentmgmt/inputproxy/channels/status": isapi.channel_status,
            "/isapi/contentmgmt/storage": isapi.storage,
            "/isapi/contentmgmt/storage/hdd": isapi.disk_list,
            "/isapi/contentmgmt/record/tracks": isapi.track_list,
        }.get(path.lower())
        if request.method != "GET":
            return _error(path, 405, 4, "Invalid Operation", "methodNotAllowed")
        if render is None:
            return _error(path, 404, 4, "Invalid Operation", "notSupport")
        return Response(200, render(state, isapi.namespace_of(path, state)))

    async def _post(self, request: Request) -> Response:
        path = request.path
        handler: Callable[[Request], Awaitable[Response]] | None = None
        if path.lower() == "/isapi/contentmgmt/search":
            handler = self._search
        elif _DAILY.match(path):
            handler = self._daily
        if handler is None:
            return _error(path, 404, 4, "Invalid Operation", "notSupport")
        try:
            return await handler(request)
        except BadParameters:
            return _error(path, 400, 6, "Invalid Content", "badParameters")
        except DeviceError:
            return _error(path, 500, 3, "Device Error", "deviceError")

    async def _search(self, request: Request) -> Response:
        self.desk.begin()
        try:
            await asyncio.sleep(self.state.quirks.search_seconds)
            wanted = parse_description(request.body)
            page = self.desk.page(wanted)
        finally:
            self.desk.finish()
        matches = (
            isapi.search_match(match.track_id, match.segment, match.wall_span, self.rtsp.address)
            for match in page.matches
        )
        namespace = isapi.namespace_of(request.path, self.state)
        return Response(
            200,
            isapi.search_result(
                namespace, search_id=wanted.search_id, matches=matches, more=page.more, total=page.total
            ),
        )

    async def _daily(self, request: Request) -> Response:
        found = _DAILY.match(request.path)
        texts = parse_xml(request.body)
        try:
            year, month = int(texts["year"][0]), int(texts["monthOfYear"][0])
            days = calendar.monthrange(year, month)[1]
        except (KeyError, ValueError) as error:
            raise BadParameters(str(error)) from error
        track_id = int(found[1]) if found else 0
        held = days_recorded(self.state, track_id, year, month, days)
        return Response(200, isapi.daily_distribution(isapi.namespace_of(request.path, self.state), held))


def _error(path: str, status: int, code: int, text: str, sub_status: str) -> Response:
    return Response(status, isapi.response_status(path, code, text, sub_status))
