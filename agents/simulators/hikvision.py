"""A recorder that speaks Hikvision ISAPI over HTTP and serves its cameras over RTSP; its faults are set while it runs."""

from __future__ import annotations

import asyncio
import calendar
import re
from collections.abc import Awaitable, Callable
from typing import Final

from agents.simulators import isapi
from agents.simulators.account import Answer
from agents.simulators.camera import MAIN, SUB, Format
from agents.simulators.device import Address, RecorderDevice, Searched, StreamName
from agents.simulators.playback import Asked, Habits, Stamp, wall_digits
from agents.simulators.recorder import RecorderState
from agents.simulators.search import (
    BadParameters,
    Description,
    DeviceError,
    SearchDesk,
    days_recorded,
    parse_description,
    parse_xml,
)
from agents.simulators.webserver import Request, Response

_DAILY: Final = re.compile(r"^/ISAPI/ContentMgmt/record/tracks/(\d+)/dailyDistribution$", re.IGNORECASE)
_TRACK: Final = re.compile(r"/streaming/tracks/(\d+)01/?\?starttime=([\dtz]+)&endtime=([\dtz]+)")
_INPUT_PROXY: Final = "/isapi/contentmgmt/inputproxy"


class HikvisionSimulator(RecorderDevice):
    """A running recorder: `async with HikvisionSimulator(state) as recorder`."""

    playback_habits = Habits(clock_range=True)

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
        super().__init__(state, "DVRNVRDVS", http=http, rtsp=rtsp, main=main, sub=sub)
        self.desk = SearchDesk(state)

    def stream_path(self, channel_id: int, stream: StreamName) -> str:
        """Return Streaming/Channels/N01 (main) or N02 (sub)."""
        return f"Streaming/Channels/{channel_id}{'01' if stream == 'main' else '02'}"

    def playback_asked(self, address: str) -> Asked | None:
        """Read Streaming/tracks/N01/?starttime=...&endtime=..., wall clock digits dressed as UTC; `name` and `size` may follow."""
        found = _TRACK.match(address)
        return found and Asked(int(found[1]), Stamp.DIGITS, wall_digits(found[2]), wall_digits(found[3]))

    def search_stats(self) -> dict[str, int]:
        """Return the counters of its search desk."""
        return self.desk.stats()

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
            "/isapi/system/time/ntpservers": isapi.time_servers,
            "/isapi/system/io/inputs": isapi.alarm_inputs,
            "/isapi/system/io/status": isapi.alarm_states,
            "/isapi/event/triggers": isapi.event_triggers,
            "/isapi/system/network/mailing": isapi.mailing,
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
            self._note(wanted)
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

    def _note(self, wanted: Description) -> None:
        if not wanted.position:
            start, end = (self.state.instant(edge) for edge in (wanted.start, wanted.end))
            self.searched += [Searched(track // 100, start, end) for track in wanted.track_ids]

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
