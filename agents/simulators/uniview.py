"""A recorder that speaks Uniview's LAPI over HTTP and serves its cameras over RTSP; its faults are set while it runs."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qs, urlsplit

from agents.simulators import uniview_replies as replies
from agents.simulators.account import Answer
from agents.simulators.camera import MAIN, SUB, Format
from agents.simulators.device import Address, RecorderDevice, Searched, StreamName
from agents.simulators.playback import Asked, Stamp
from agents.simulators.recorder import Channel, RecorderState
from agents.simulators.webserver import Request, Response

Json = replies.Json
Counting = Literal["page", "all", "total", "none"]

_ROOT: Final = "/LAPI/V1.0/"
_CHANNEL: Final = re.compile(r"Channels/(\d+)/(.+)")
_REPLAY: Final = re.compile(r"/c(\d+)/b(\d+)/e(\d+)/replay/?")
_NOT_AUTHORIZED: Final = 3
_ENVELOPED: Final = 599
_JSON: Final = "application/json; charset=utf-8"
_DAY: Final = 86_400


class LapiError(Exception):
    """The device refuses: LAPI's number and words."""

    def __init__(self, code: int, text: str) -> None:
        """Keep both."""
        super().__init__(text)
        self.code, self.text = code, text


@dataclass
class UniviewQuirks:
    """How this unit's firmware misbehaves; the defaults are what descriptions of units in the field agree on."""

    counting: Counting = (
        "page"  # what Nums counts: the page's records, all there are; or Total says it; or nothing does
    )
    page_cap: int = 100  # a page holds no more than this, whatever Limit says
    ignores_offset: bool = False  # every page is the first
    ignores_limit: bool = False  # and holds everything
    calendar: bool = True
    camera_infos: bool = True
    time_path: str = "System/TimeNTP"
    slots: int = 16
    absent_status: int = _ENVELOPED  # how a path that the firmware lacks is refused
    wide_window_days: float = 31.0  # a search over more fails half of the time
    search_seconds: float = 0.02
    forbidden_paths: tuple[str, ...] = ()  # beginnings of paths below /LAPI/V1.0/ that the account has no right to


class UniviewSimulator(RecorderDevice):
    """A running recorder: `async with UniviewSimulator(state) as recorder`."""

    def __init__(
        self,
        state: RecorderState,
        quirks: UniviewQuirks | None = None,
        *,
        http: Address = ("127.0.0.1", 0),
        rtsp: Address = ("127.0.0.1", 0),
        main: Format = MAIN,
        sub: Format = SUB,
    ) -> None:
        """Port 0 is chosen by the system at the first start and kept over `die` and `revive`."""
        super().__init__(state, "NVRDVR", http=http, rtsp=rtsp, main=main, sub=sub)
        self.quirks = quirks if quirks is not None else UniviewQuirks()
        self.searches = self.concurrent_searches = self.failed_wide_windows = 0
        self._running = 0
        self._chance = random.Random(state.seed)

    def stream_path(self, channel_id: int, stream: StreamName) -> str:
        """Return unicast/cN/s0/live (main) or s1 (sub)."""
        return f"unicast/c{channel_id}/s{0 if stream == 'main' else 1}/live"

    def playback_asked(self, address: str) -> Asked | None:
        """Read cN/bBEGIN/eEND/replay/, epoch seconds."""
        found = _REPLAY.fullmatch(address)
        return found and Asked(int(found[1]), Stamp.EPOCH, float(found[2]), float(found[3]))

    def search_stats(self) -> dict[str, int]:
        """Return the counters of its search."""
        return {
            "searches": self.searches,
            "concurrent_searches": self.concurrent_searches,
            "failed_wide_windows": self.failed_wide_windows,
        }

    # HTTP.

    async def _answer(self, request: Request) -> Response:
        answer = self.door.check(request.method, request.target, request.headers.get("authorization"))
        if answer is not Answer.OK:
            self.requests[f"401_{answer.value}"] += 1
            challenges = self.door.challenges(stale=answer is Answer.STALE)
            body = replies.envelope(request.path, None, code=_NOT_AUTHORIZED, text="Not Authorized")
            return Response(401, body, _JSON, [("WWW-Authenticate", challenge) for challenge in challenges])
        path = request.path.removeprefix(_ROOT)
        self.requests[path.rpartition("/")[2]] += 1
        try:
            data = await self._data(request, path)
        except LapiError as error:
            status = 200 if error.code == _NOT_AUTHORIZED else self.quirks.absent_status
            return Response(status, replies.envelope(request.path, None, code=error.code, text=error.text), _JSON)
        return Response(200, replies.envelope(request.path, data), _JSON)

    async def _data(self, request: Request, path: str) -> Json:
        if any(path.startswith(beginning) for beginning in self.quirks.forbidden_paths):
            raise LapiError(_NOT_AUTHORIZED, "Not Authorized")
        if request.method != "GET":
            raise LapiError(1, "Common Error")
        found = _CHANNEL.fullmatch(path)
        if found is not None:
            query = {name: values[0] for name, values in parse_qs(urlsplit(request.target).query).items()}
            try:
                return await self._of_channel(self.state.channel(int(found[1])), found[2], query)
            except (KeyError, ValueError) as error:
                raise LapiError(2, "Invalid Arguments") from error
        render: dict[str, Callable[[], Json]] = {
            "System/DeviceInfo": lambda: replies.device_info(self.state),
            "Channels/System/ChannelDetailInfos": lambda: replies.channel_details(self.state, self.quirks.slots),
            "Storage/Containers/DetailInfos": lambda: replies.containers(self.state),
            "System/Time/NTP": lambda: replies.ntp(
                enabled=bool(self.state.ntp_server),
                server=self.state.ntp_server or "0.0.0.0",  # noqa: S104  (unset)
            ),
            self.quirks.time_path: lambda: replies.device_time(self.state),
        }
        if self.quirks.camera_infos:
            render["Channels/System/DeviceInfos"] = lambda: replies.camera_infos(self.state)
        if path not in render:
            raise LapiError(1, "Common Error")
        return render[path]()

    async def _of_channel(self, channel: Channel, rest: str, query: dict[str, str]) -> Json:
        """Answer what is asked of one channel. Raises KeyError and ValueError for wrong arguments, and LapiError."""
        if rest == "Media/Video/Streams/0/Records":
            return await self._search(channel, query)
        if rest == "Media/Video/Streams/0/Records/DailyDistribution" and self.quirks.calendar:
            return replies.daily_status(self.state, channel, int(query["Year"]), int(query["Month"]))
        if rest == "Media/Video/Streams/RecordURL":
            begin, end = int(query["Begin"]), int(query["End"])
            return {"URL": f"rtsp://{self.rtsp.address}/c{channel.id}/b{begin}/e{end}/replay/"}
        if rest == "Storage/Private/Schedule/Record":
            return replies.schedule(channel)
        raise LapiError(1, "Common Error")

    async def _search(self, channel: Channel, query: dict[str, str]) -> Json:
        self.searches += 1
        self.concurrent_searches += self._running > 0
        self._running += 1
        try:
            await asyncio.sleep(self.quirks.search_seconds)
            return self._page(channel, query)
        finally:
            self._running -= 1

    def _page(self, channel: Channel, query: dict[str, str]) -> Json:
        quirks = self.quirks
        begin, end = int(query["Begin"]), int(query["End"])
        limit, offset = int(query.get("Limit", quirks.page_cap)), int(query.get("Offset", 0))
        if end < begin or limit < 1 or offset < 0:
            raise LapiError(2, "Invalid Arguments")
        if end - begin > quirks.wide_window_days * _DAY + 1 and self._chance.random() < 0.5:
            self.failed_wide_windows += 1
            raise LapiError(1, "Common Error")
        if not offset:
            self.searched.append(Searched(channel.id, begin, end))
        rows = replies.record_rows(self.state, channel, begin, end)
        first = 0 if quirks.ignores_offset or quirks.ignores_limit else offset
        last = len(rows) if quirks.ignores_limit else first + min(limit, quirks.page_cap)
        page = rows[first:last]
        counts = {
            "page": {"Nums": len(page)},
            "all": {"Nums": len(rows)},
            "total": {"Num": len(page), "Total": len(rows), "Offset": first},
            "none": {},
        }[quirks.counting]
        return replies.record_page(page, first, counts)
