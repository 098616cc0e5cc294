"""A recorder that speaks Dahua's CGI over HTTP and serves its cameras over RTSP; its faults are set while it runs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qsl, urlsplit

from agents.simulators import dahua_replies as replies
from agents.simulators.account import Answer
from agents.simulators.camera import MAIN, SUB, Format
from agents.simulators.device import Address, RecorderDevice, Searched, StreamName
from agents.simulators.finders import Finders, NoHandle, digits
from agents.simulators.playback import Asked, Stamp, wall_digits
from agents.simulators.recorder import RecorderState
from agents.simulators.webserver import Request, Response

_TEXT: Final = "text/plain;charset=utf-8"
_CGI: Final = "/cgi-bin/"
_PLAYBACK: Final = re.compile(r"/cam/playback\?channel=(\d+)&subtype=0&starttime=([\d_]+)&endtime=([\d_]+)")
_DENIED: Final = b"Error\r\nAuthority:check failure.\r\n"
_BAD_REQUEST: Final = b"Error\r\nBad Request!\r\n"

Parameters = dict[str, str]


@dataclass
class DahuaQuirks:
    """How this unit's firmware misbehaves; the defaults are what descriptions of units in the field agree on."""

    page_cap: int = 100  # a page holds no more than this, whatever count says
    max_finders: int = 8
    finder_seconds: float = 60.0  # a handle that is idle for longer is taken back
    nothing_found: Literal["400", "found=0"] = "400"  # how findFile says that there is nothing
    end_of_list: Literal["found=0", "400"] = "found=0"  # how findNextFile says that there is no more
    camera_state: bool = True  # without it 501, and only a lost picture is told
    remote_devices: bool = True
    storage_form: Literal["info", "list"] = "info"
    unknown_name: Literal["403", "400"] = "403"  # a table that the firmware doesn't know: the words of a missing right
    zone_tables: bool = True
    hold_days: int = 0
    slots: int = 16
    wide_window_days: float | None = None  # a search over more fails with 500
    search_seconds: float = 0.02
    forbidden: tuple[str, ...] = ()  # beginnings of requests below /cgi-bin/ that the account has no right to


class DahuaSimulator(RecorderDevice):
    """A running recorder: `async with DahuaSimulator(state) as recorder`."""

    def __init__(
        self,
        state: RecorderState,
        quirks: DahuaQuirks | None = None,
        *,
        http: Address = ("127.0.0.1", 0),
        rtsp: Address = ("127.0.0.1", 0),
        main: Format = MAIN,
        sub: Format = SUB,
    ) -> None:
        """Port 0 is chosen by the system at the first start and kept over `die` and `revive`."""
        super().__init__(state, f"Login to {state.seed:032x}", http=http, rtsp=rtsp, main=main, sub=sub)
        self.quirks = quirks if quirks is not None else DahuaQuirks()
        self.finders = Finders(state, lambda: (self.quirks.max_finders, self.quirks.finder_seconds))
        self._channels_of: dict[str, int] = {}

    def stream_path(self, channel_id: int, stream: StreamName) -> str:
        """Return cam/realmonitor?channel=N&subtype=0 (main) or 1 (sub)."""
        return f"cam/realmonitor?channel={channel_id}&subtype={0 if stream == 'main' else 1}"

    def playback_asked(self, address: str) -> Asked | None:
        """Read cam/playback?channel=N&subtype=0&starttime=...&endtime=..., wall clock digits with underscores."""
        found = _PLAYBACK.fullmatch(address)
        return found and Asked(int(found[1]), Stamp.DIGITS, wall_digits(found[2]), wall_digits(found[3]))

    def search_stats(self) -> dict[str, int]:
        """Return the counters of its finders."""
        return self.finders.stats()

    def lose_client(self) -> int:
        """Leave its finders open, as nobody's; return how many."""
        return self.finders.orphan()

    async def _answer(self, request: Request) -> Response:
        answer = self.door.check(request.method, request.target, request.headers.get("authorization"))
        if answer is not Answer.OK:
            return self._refuse(answer)
        path, parameters = request.path, dict(parse_qsl(urlsplit(request.target).query, keep_blank_values=True))
        asked = f"{path.removeprefix(_CGI)}?action={parameters.get('action', '')}&name={parameters.get('name', '')}"
        self.requests[parameters.get("action") or path.rpartition("/")[2]] += 1
        if any(asked.startswith(beginning) for beginning in self.quirks.forbidden):
            return _text(403, _DENIED)
        if path == f"{_CGI}mediaFileFind.cgi":
            return await self._media(parameters)
        if path == f"{_CGI}configManager.cgi" and parameters.get("action") == "getConfig":
            return self._table(parameters.get("name", ""))
        if path == f"{_CGI}api/LogicDeviceManager/getCameraState":
            states = replies.camera_states(self.state)
            return _text(200, states) if self.quirks.camera_state and request.method == "POST" else _text(501)
        return self._ask(asked.partition("&name=")[0], parameters)

    def _refuse(self, answer: Answer) -> Response:
        self.requests[f"401_{answer.value}"] += 1
        if answer is Answer.LOCKED:
            return _text(403, f"Error\r\nRmLock:{round(self.account.locked_for_seconds)}\r\n".encode())
        challenges = self.door.challenges(stale=answer is Answer.STALE)
        headers = [("WWW-Authenticate", challenge) for challenge in challenges]
        return Response(401, b"Invalid Authority!\r\n", content_type=_TEXT, headers=headers)

    def _table(self, name: str) -> Response:
        state, quirks = self.state, self.quirks
        tables: dict[str, Callable[[], bytes]] = {
            "ChannelTitle": lambda: replies.channel_titles(state, quirks.slots),
            "Record": lambda: replies.record_schedules(state),
            "RecordMode": lambda: replies.record_modes(state),
            "StorageGlobal": lambda: replies.storage_global(quirks),
        }
        if state.alarm_inputs:
            tables["Alarm"] = lambda: replies.alarms(state)
        if quirks.zone_tables:
            tables["NTP"] = lambda: replies.time_servers(state)
            tables["Locales"] = lambda: replies.locales(state)
        if quirks.remote_devices:
            tables["RemoteDevice"] = lambda: replies.remote_devices(state, quirks.slots)
        if name in tables:
            return _text(200, tables[name]())
        return _text(403, _DENIED) if quirks.unknown_name == "403" else _text(400, _BAD_REQUEST)

    def _ask(self, asked: str, parameters: Parameters) -> Response:
        state = self.state
        render: dict[str, Callable[[], bytes]] = {
            "magicBox.cgi?action=getSystemInfo": lambda: replies.system_info(state),
            "magicBox.cgi?action=getSoftwareVersion": lambda: replies.software_version(state),
            "global.cgi?action=getCurrentTime": lambda: replies.current_time(state),
            "storageDevice.cgi?action=getDeviceAllInfo": lambda: replies.storage(state, self.quirks),
            "alarm.cgi?action=getInState": lambda: replies.alarm_states(state),
        }
        if asked == "eventManager.cgi?action=getEventIndexes" and parameters.get("code") == "VideoLoss":
            return _text(200, replies.video_losses(state))
        return _text(200, render[asked]()) if asked in render else _text(404, b"Error\r\nNot Found!\r\n")

    # Searching.

    async def _media(self, parameters: Parameters) -> Response:
        self.finders.begin()
        try:
            await asyncio.sleep(self.quirks.search_seconds)
            return self._search(parameters)
        except NoHandle:
            return _text(200, b"Error\r\n") if parameters["action"] == "factory.create" else _text(400, _BAD_REQUEST)
        except (KeyError, ValueError):
            return _text(400, _BAD_REQUEST)
        finally:
            self.finders.finish()

    def _search(self, parameters: Parameters) -> Response:
        action, handle = parameters["action"], parameters.get("object", "")
        match action:
            case "factory.create":
                return _text(200, f"result={self.finders.create()}\r\n".encode())
            case "findFile":
                return self._find(handle, parameters)
            case "findNextFile":
                return self._next(handle, int(parameters["count"]))
            case "close":
                self.finders.close(handle)
            case "destroy":
                self.finders.destroy(handle)
            case _:
                return _text(400, _BAD_REQUEST)
        return _text(200, b"OK\r\n")

    def _find(self, handle: str, parameters: Parameters) -> Response:
        channel = int(parameters["condition.Channel"])
        start, end = (digits(parameters[f"condition.{edge}Time"]) for edge in ("Start", "End"))
        widest = self.quirks.wide_window_days
        if widest is not None and end - start > widest * 86_400 + 1:
            return _text(500, b"Error\r\n")
        self._channels_of[handle] = channel
        self.searched.append(Searched(channel, self.state.instant(start), self.state.instant(end)))
        found = self.finders.find(handle, channel, start, end)
        wanted = parameters.get("condition.Types[0]", "dav") == "dav"
        if (not found or not wanted) and self.quirks.nothing_found == "400":
            return _text(400, _BAD_REQUEST)
        return _text(200, b"OK\r\n")

    def _next(self, handle: str, count: int) -> Response:
        page = self.finders.page(handle, min(count, self.quirks.page_cap))
        if not page and self.quirks.end_of_list == "400":
            return _text(400, _BAD_REQUEST)
        return _text(200, replies.files(page, self._channels_of[handle]))


def _text(status: int, body: bytes = b"") -> Response:
    return Response(status, body, content_type=_TEXT)
