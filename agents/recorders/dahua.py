"""The driver for Dahua recorders and their kin (Amcrest, Intelbras): what is asked of the CGI, in which order, how gently."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote

from pydantic import Field

from agents.recorders import dahua_parse as parse
from agents.recorders.base import (
    NOT_OFFERED,
    AlarmInput,
    Channel,
    Disk,
    DriverOptions,
    Exchange,
    Footage,
    Identity,
    NotOffered,
    OffersNothing,
    Progress,
    RecorderError,
    RecorderSettings,
    RecordingMode,
    StreamPlayback,
    TimeSync,
    latest_by_search,
)
from agents.recorders.http import JSON, Answer, DeviceHttp
from agents.recorders.menus import busy
from agents.recorders.sizes import FileSizes
from agents.recorders.windows import Window, halves, stretches
from monitor.model.observation import StreamCause
from monitor.model.span import Millis, Spans, from_millis, to_millis

SYSTEM = "System > Account: 'System' and 'Network'"
PLAYBACK = "System > Account: 'Playback' of the channel"
"""What the makers' menus call the rights that are needed."""

PAGE_SIZE = 100
"""The most that a page may hold by the interface's description."""

SURELY_SHORT = 20
"""No firmware holds its pages below so many files: a shorter one is the last."""

MOST_PAGES = 400
"""A window with more pages than this is not moving on."""

EMPTY_MONTHS = 6
"""So many months without footage end the walk back to the oldest: each costs a search."""

ZONE_SECONDS = 3600.0
MENU_SECONDS = 4 * 3600.0
_OK = 200
_BAD_REQUEST = 400
_UNAUTHORIZED = 401
_FORBIDDEN = 403
_ABSENT = frozenset({404, 405, 501})
_BUSY = 503
_GONE = frozenset({StreamCause.REFUSED, StreamCause.NO_CONNECTION})
_HALF_SECOND = 0.5
_SHORTEST_WINDOW = timedelta(minutes=1)
_MONTH = timedelta(days=28)
_WIDEST: Window = (datetime(2000, 1, 1), datetime(2038, 1, 1))  # noqa: DTZ001  (wall time)
_CONFIG = "/cgi-bin/configManager.cgi?action=getConfig&name="
_FINDER = "/cgi-bin/mediaFileFind.cgi?action="
_STATES = "/cgi-bin/api/LogicDeviceManager/getCameraState"
_LOSSES = "/cgi-bin/eventManager.cgi?action=getEventIndexes&code=VideoLoss"

T = TypeVar("T")


class DahuaOptions(DriverOptions):
    """What may stand under a Dahua recorder in site.yaml."""

    page_size: Annotated[int, Field(ge=1, le=PAGE_SIZE)] = PAGE_SIZE
    timeout_seconds: Annotated[float, Field(gt=0, le=120)] = 20.0
    file_type: Literal["dav", "mp4"] = "dav"


@dataclass
class _Finder:
    """A search handle. One that the recorder doesn't know is answered as one that finds nothing, or no more."""

    handle: str
    refused: bool = False
    """The recorder ended the list by an error."""
    was_there: bool = False
    """The recorder took the handle back at the end."""


class Dahua(OffersNothing):
    """One recorder through the CGI. Reads only; one request and one search at a time, and no finder left open."""

    has_dear_search = True

    def __init__(self, settings: RecorderSettings) -> None:
        """Prepare; no I/O. Raises OptionsError."""
        self._settings = settings
        self._options = DahuaOptions.read(settings.id, "dahua", settings.options)
        self._http = DeviceHttp(settings, self._options.timeout_seconds)
        self._searching = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self._zone: tuple[tzinfo, float] | None = None
        self._model: str | None = None
        self._firmware: tuple[bytes, float] | None = None
        self._menu: tuple[tzinfo | None, float] | None = None
        """The zone that the menu is set to, and when it was asked."""

    @property
    def exchanges(self) -> deque[Exchange]:
        """The latest questions and answers."""
        return self._http.exchanges

    async def close(self) -> None:
        """Close finders that are still being closed, and the connections."""
        await asyncio.gather(*self._closing)
        await self._http.close()

    def stream_url(self, channel: str, main: bool) -> str | None:
        """Return rtsp://HOST:PORT/cam/realmonitor?channel=N&subtype=0 (main) or 1 (sub); None for a channel that is no number."""
        if not _is_channel(channel):
            return None
        return f"rtsp://{self._rtsp_host}/cam/realmonitor?channel={int(channel)}&subtype={0 if main else 1}"

    @property
    def _rtsp_host(self) -> str:
        host = f"[{self._http.host}]" if ":" in self._http.host else self._http.host
        return f"{host}:{self._settings.rtsp_port}"

    async def identity(self) -> Identity:
        """Return model, firmware and serial number. Raises RecorderError."""
        system = await self._body("/cgi-bin/magicBox.cgi?action=getSystemInfo")
        found = parse.identity(system, await self._version())
        self._model = found.model
        return found

    async def _version(self) -> bytes:
        """Return what the recorder says of its firmware, asked each few hours: it changes once a year."""
        now = self._settings.clock.monotonic()
        if self._firmware is None or now - self._firmware[1] >= MENU_SECONDS:
            self._firmware = await self._body("/cgi-bin/magicBox.cgi?action=getSoftwareVersion"), now
        return self._firmware[0]

    async def channels(self) -> tuple[Channel, ...]:
        """Return the channels in use, with their state and the camera behind each. Raises RecorderError."""
        model = self._model
        if model is None:
            model = (await self.identity()).model  # known to be allowed: a 403 further on is about rights
        analog = any(word in model.upper() for word in parse.ANALOG)
        names = await self._get(parse.titles, f"{_CONFIG}ChannelTitle")
        try:
            slots = await self._get(parse.remotes, f"{_CONFIG}RemoteDevice")
        except RecorderError as error:
            # A recorder of analog cameras alone doesn't know the table, and says so as it says that a right is missing.
            if error.cause != NOT_OFFERED and not (analog and error.cause == StreamCause.NOT_PERMITTED):
                raise
            slots = None
        return parse.channels(names, slots, await self._online(), analog=analog)

    async def _online(self) -> dict[int, bool]:
        """Return the state of each channel that the recorder tells; a lost picture is one that is not there."""
        try:
            content = json.dumps({"uniqueChannels": [-1]}).encode()
            return await self._get(parse.camera_states, _STATES, content=content)
        except RecorderError as error:
            if error.cause not in {NOT_OFFERED, StreamCause.NOT_PERMITTED}:
                raise
        try:
            return dict.fromkeys(await self._get(parse.video_losses, _LOSSES), False)
        except NotOffered:
            return {}

    async def disks(self) -> tuple[Disk, ...]:
        """Return the disks and arrays that are present. Raises RecorderError."""
        return await self._get(parse.disks, "/cgi-bin/storageDevice.cgi?action=getDeviceAllInfo")

    async def clock_offset(self) -> float:
        """Return the recorder's clock minus the agent's, in seconds, to within half a second. Raises RecorderError."""
        return (await self._clock())[0]

    async def _clock(self) -> tuple[float, tzinfo]:
        """Return the clock's offset in seconds and the zone that it counts in."""
        answer = await self._answer("/cgi-bin/global.cgi?action=getCurrentTime", SYSTEM)
        wall = parse.wall_clock(answer.body)
        zone = parse.zone_of(wall, answer.middle, await self._configured_zone(), self._settings.timezone)
        self._zone = (zone, self._settings.clock.monotonic())
        shown = min((_utc(wall, zone, fold) for fold in (0, 1)), key=lambda instant: abs(instant - answer.middle))
        # The recorder cuts its seconds off: half of one is what it hides on average.
        return (shown - answer.middle).total_seconds() + _HALF_SECOND, zone

    async def _configured_zone(self) -> tzinfo | None:
        """Return the zone that the menu is set to, asked each few hours; None where it isn't told."""
        now = self._settings.clock.monotonic()
        if self._menu is not None and now - self._menu[1] < MENU_SECONDS:
            return self._menu[0]
        zone = None
        try:
            ntp = await self._body(f"{_CONFIG}NTP")
            zone = parse.configured_zone(ntp, await self._body(f"{_CONFIG}Locales"))
        except RecorderError as error:
            if error.cause not in {NOT_OFFERED, StreamCause.NOT_PERMITTED}:
                raise
        self._menu = zone, now
        return zone

    async def _recorder_zone(self) -> tzinfo:
        """Return the zone that the recorder counts in, asked once an hour."""
        if self._zone is not None and self._settings.clock.monotonic() - self._zone[1] < ZONE_SECONDS:
            return self._zone[0]
        return (await self._clock())[1]

    async def time_sync(self) -> TimeSync:
        """Return whether a time server sets the clock. Raises RecorderError."""
        return await self._get(parse.time_sync, f"{_CONFIG}NTP")

    async def recording_modes(self) -> Mapping[str, RecordingMode]:
        """Return what each channel is set to record. Raises RecorderError."""
        mode = await self._body(f"{_CONFIG}RecordMode")
        return parse.recording_modes(mode, await self._body(f"{_CONFIG}Record"))

    async def expiry_days(self) -> Mapping[str, int | None]:
        """Return after how many days files are deleted: one setting for all channels. Raises RecorderError."""
        days = await self._get(parse.hold_days, f"{_CONFIG}StorageGlobal")
        names = await self._get(parse.titles, f"{_CONFIG}ChannelTitle")
        return {str(number + 1): days for number in names}

    async def alarm_inputs(self) -> tuple[AlarmInput, ...]:
        """Return the wired alarm inputs. Raises RecorderError."""
        try:
            active = await self._get(parse.input_states, "/cgi-bin/alarm.cgi?action=getInState")
        except NotOffered:
            active = None
        return parse.alarm_inputs(await self._body(f"{_CONFIG}Alarm"), active)

    async def playback(self, channel: str, at: Millis, seconds: float) -> StreamPlayback:
        """Return the address of the recording from `at` on, in the recorder's wall time. Raises RecorderError."""
        number, zone = _number(channel), await self._recorder_zone()
        begin = from_millis(at).astimezone(zone)
        start, end = (f"{moment:%Y_%m_%d_%H_%M_%S}" for moment in (begin, begin + timedelta(seconds=seconds)))
        where = f"channel={number}&subtype=0&starttime={start}&endtime={end}"
        return StreamPlayback(f"rtsp://{self._rtsp_host}/cam/playback?{where}")

    async def footage(self, channel: str, start: Millis, end: Millis, progress: Progress | None = None) -> Footage:
        """Return the main stream's footage in [start, end). Raises RecorderError when any part cannot be read."""
        number, zone = _number(channel), await self._recorder_zone()
        held: list[tuple[Millis, Millis]] = []
        locked: list[tuple[Millis, Millis]] = []
        sizes: list[tuple[Millis, Millis, int | None]] = []
        async with self._searching:
            windows = _windows(start, end, zone)
            for done, window in enumerate(windows, start=1):
                segments = await self._search(number, window)
                for segment, (begin, finish) in zip(segments, parse.instants(segments, zone), strict=True):
                    span = to_millis(begin), to_millis(finish)
                    (locked if segment.locked else held).append(span)
                    sizes.append((*span, segment.bytes))
                if progress is not None:
                    progress(done / len(windows))
        unlocked, kept = (Spans.of(spans).clip(start, end) for spans in (held, locked))
        return Footage(unlocked, kept, (start, end), FileSizes.of(sizes))

    async def earliest(self, channel: str) -> Millis | None:
        """Return the start of the oldest footage, which the recorder lists first; None without any. Raises RecorderError."""
        number, zone = _number(channel), await self._recorder_zone()
        async with self._searching:
            try:
                segments = await self._pages(number, _WIDEST, first=True)
            except RecorderError as error:
                if error.cause not in {StreamCause.RECORDER, StreamCause.TIMEOUT}:
                    raise
                segments = await self._oldest(number, zone)
        return min((to_millis(begin) for begin, _ in parse.instants(segments, zone)), default=None)

    async def _oldest(self, number: int, zone: tzinfo) -> list[parse.Segment]:
        """Walk back month by month where the wide window fails; give up after EMPTY_MONTHS empty ones in a row."""
        end = self._settings.clock.now().astimezone(zone).replace(tzinfo=None, microsecond=0) + timedelta(days=1)
        oldest: list[parse.Segment] = []
        empty = 0
        while empty < EMPTY_MONTHS:
            start = end - _MONTH
            segments = await self._pages(number, (start, end), first=True)
            empty = 0 if segments else empty + 1
            oldest, end = segments or oldest, start
        return oldest

    async def latest(self, channel: str) -> Millis | None:
        """Return the end of the newest footage of the last hours; None without any. Raises RecorderError."""
        return await latest_by_search(self, self._settings.clock, channel)

    async def _search(self, number: int, window: Window) -> list[parse.Segment]:
        """Return all files of a window; a search that fails is tried once more in two halves."""
        try:
            return await self._pages(number, window)
        except RecorderError as error:
            splittable = {StreamCause.RECORDER, StreamCause.RECORDER_FULL, StreamCause.TIMEOUT}
            if error.cause not in splittable or window[1] - window[0] < _SHORTEST_WINDOW:
                raise
        return [one for half in halves(window) for one in await self._pages(number, half)]

    async def _pages(self, number: int, window: Window, *, first: bool = False) -> list[parse.Segment]:
        """Read a window page by page until the recorder has no more, or its `first` file alone.

        A page that is shorter than asked for is no sign of the end, since firmware may hold them so; a very short one is.
        Raises RecorderError when the pages do not move on, and when the end was told by an error to a finder that wasn't
        there.
        """
        async with self._finder() as finder:
            segments = await self._listed(finder, number, window, first=first)
        if finder.refused and not finder.was_there:
            detail = "The recorder lost its own search handle: what it found is not known, and it is asked again later."
            raise RecorderError(StreamCause.RECORDER, detail, f"GET {_FINDER}findFile ({_note(number, window)})")
        return segments

    async def _listed(self, finder: _Finder, number: int, window: Window, *, first: bool) -> list[parse.Segment]:
        if not await self._begin(finder, number, window):
            return []
        segments: list[parse.Segment] = []
        previous: parse.Page | None = None
        for _ in range(MOST_PAGES):
            page = await self._page(finder, number, size=1 if first else self._options.page_size)
            if page is not None:
                segments += page.segments
            if page is None or not page.files or (first and segments):
                return segments
            if not first and page.files < min(SURELY_SHORT, self._options.page_size):
                return segments
            if page == previous and page.segments:
                break
            previous = page
        detail = "The recorder repeats the same page of its search: note its model and firmware and report it."
        raise RecorderError(StreamCause.RECORDER, detail, f"GET {_FINDER}findNextFile ({_note(number, window)})")

    async def _begin(self, finder: _Finder, number: int, window: Window) -> bool:
        """Start a search; False when the recorder says by an error of the request that there is nothing to find."""
        start, end = (quote(moment.isoformat(" ", "seconds")) for moment in window)
        path = (
            f"{_FINDER}findFile&object={finder.handle}&condition.Channel={number}&condition.StartTime={start}"
            f"&condition.EndTime={end}&condition.Types[0]={self._options.file_type}&condition.VideoStream=Main"
        )
        answer = await _whole(self._http.fetch("GET", path, note=_note(number, window)))
        if answer.status == _BAD_REQUEST:
            finder.refused = True
            return False
        self._check(answer, f"GET {path} ({_note(number, window)})", PLAYBACK)
        if answer.body.strip() != b"OK":
            raise RecorderError(
                StreamCause.RECORDER, f"{self._http.host} answered a search neither with OK nor with an error.", path
            )
        return True

    async def _page(self, finder: _Finder, number: int, *, size: int) -> parse.Page | None:
        """Return the next page; None when the recorder says by an error of the request that there is no more."""
        path = f"{_FINDER}findNextFile&object={finder.handle}&count={size}"
        answer = await _whole(self._http.fetch("GET", path, note=f"channel {number}"))
        if answer.status == _BAD_REQUEST:
            finder.refused = True
            return None
        self._check(answer, f"GET {path}", PLAYBACK)
        return self._read(lambda body: parse.found_files(body, number - 1), answer, f"GET {path}")

    @asynccontextmanager
    async def _finder(self) -> AsyncIterator[_Finder]:
        """Open a finder, and close and destroy it whatever happens, a cancelled scan included: they are few."""
        opening = asyncio.create_task(self._open_finder())
        try:
            yield await asyncio.shield(opening)
        finally:
            closing = asyncio.create_task(self._close_finder(opening))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            await asyncio.shield(closing)

    async def _open_finder(self) -> _Finder:
        path = f"{_FINDER}factory.create"
        answer = await self._http.fetch("GET", path)
        if answer.status == _OK and parse.says_no_handle(answer.body):
            detail = f"{self._http.host} gives no search handle: others may hold them all; it is asked again later."
            raise RecorderError(StreamCause.RECORDER_FULL, detail, f"GET {path}")
        self._check(answer, f"GET {path}", PLAYBACK)
        return _Finder(self._read(parse.handle, answer, f"GET {path}"))

    async def _close_finder(self, opening: asyncio.Task[_Finder]) -> None:
        with suppress(RecorderError):
            finder = await opening
            for action in ("close", "destroy"):
                try:
                    answer = await self._http.fetch("GET", f"{_FINDER}{action}&object={finder.handle}")
                except RecorderError as error:
                    if error.cause in _GONE:
                        raise  # nobody is there to be told
                else:
                    finder.was_there = answer.status == _OK and not parse.says_error(answer.body)

    async def _body(self, path: str) -> bytes:
        return (await self._answer(path, SYSTEM)).body

    async def _get(self, reader: Callable[[bytes], T], path: str, content: bytes | None = None) -> T:
        """Ask and read the answer; an error of either names the request."""
        answer = await self._answer(path, SYSTEM, content)
        return self._read(reader, answer, f"{'GET' if content is None else 'POST'} {path}")

    def _read(self, reader: Callable[[bytes], T], answer: Answer, asked: str) -> T:
        try:
            return reader(answer.body)
        except RecorderError as error:
            error.asked = asked
            raise

    async def _answer(self, path: str, right: str, content: bytes | None = None) -> Answer:
        """Return a 200 answer; any other becomes a RecorderError. `right` is what its menu calls the need."""
        method = "GET" if content is None else "POST"
        answer = await self._http.fetch(method, path, content=content, content_type=JSON)
        self._check(answer, f"{method} {path}", right)
        return answer

    def _check(self, answer: Answer, asked: str, right: str) -> None:
        if answer.status != _OK:
            raise _refused(answer, self._http.host, self._settings.username, asked, right)
        if parse.says_error(answer.body) and not parse.says_no_events(answer.body):
            raise _error(answer, self._http.host, asked)


async def _whole(request: Coroutine[Any, Any, Answer]) -> Answer:
    """Wait for the answer even when given up meanwhile: the recorder searches on, and must not be asked twice at once."""
    task = asyncio.create_task(request)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise


def _refused(answer: Answer, host: str, user: str, asked: str, right: str) -> RecorderError:
    """Say why an answer with an error status is none."""
    locked = parse.locked_seconds(answer.body)
    if locked is not None:
        detail = f"{host} has locked user {user} for {locked} s after wrong passwords: correct the password and wait."
        return RecorderError(StreamCause.UNAUTHORIZED, detail, asked)
    if answer.status == _FORBIDDEN:
        # The maker's firmware answers so to a name that it doesn't know as well: which of the two it is, it doesn't say.
        detail = f"User {user} may not ask this of {host}: give it the right {right}; older firmware may lack it."
        return RecorderError(StreamCause.NOT_PERMITTED, detail, asked)
    if answer.status in _ABSENT or (answer.status == _BAD_REQUEST and _FINDER not in asked):
        return NotOffered(f"{host} doesn't offer {asked}: this model or firmware lacks it.", asked)
    if answer.status == _BUSY:
        return RecorderError(StreamCause.RECORDER_FULL, busy("dahua", host), asked)
    detail = f"{host} answered HTTP {answer.status}: note its model and firmware if this stays so."
    return RecorderError(StreamCause.RECORDER, detail, asked)


def _error(answer: Answer, host: str, asked: str) -> RecorderError:
    said = " ".join(answer.body[:120].decode("utf-8", "replace").split())
    return RecorderError(StreamCause.RECORDER, f"{host} answered {said!r}: note its model and firmware.", asked)


def _windows(start: Millis, end: Millis, zone: tzinfo) -> list[Window]:
    """Cut the window into searches of at most a month: there is no calendar that says which days hold footage."""
    if end <= start:
        return []
    first, last = (from_millis(instant).astimezone(zone).replace(tzinfo=None) for instant in (start, end))
    return stretches(first, last)


def _utc(wall: datetime, zone: tzinfo, fold: int) -> datetime:
    return wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _note(number: int, window: Window) -> str:
    start, end = (moment.isoformat(timespec="seconds") for moment in window)
    return f"channel {number}, {start} to {end} recorder time"


def _is_channel(channel: str) -> bool:
    return channel.isascii() and channel.isdigit() and 0 < int(channel) < 10_000


def _number(channel: str) -> int:
    """Return a channel's number as the search counts, from 1."""
    if not _is_channel(channel):
        detail = (
            f"Channel {channel!r} is none of a Dahua recorder: set `channel` to the number in its camera list, from 1."
        )
        raise RecorderError(StreamCause.NOT_FOUND, detail)
    return int(channel)
