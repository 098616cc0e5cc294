"""The driver for Hikvision recorders and those that speak its ISAPI: what is asked, in which order, how gently."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta, tzinfo
from typing import Annotated, TypeVar

from pydantic import Field

from agents.recorders import hikvision_parse as parse
from agents.recorders.base import (
    NOT_OFFERED,
    AlarmInput,
    Channel,
    Disk,
    Exchange,
    FaultNotices,
    Footage,
    Identity,
    NotOffered,
    OffersNothing,
    Progress,
    RecorderError,
    RecordingMode,
    StorageMode,
    StreamPlayback,
    TimeSync,
    lacking,
    latest_by_search,
)
from agents.recorders.http import Answer, DeviceHttp
from agents.recorders.menus import busy
from agents.recorders.numbered import is_number, number_of
from agents.recorders.settings import DriverOptions, RecorderSettings
from agents.recorders.sizes import FileSizes
from agents.recorders.windows import Window, halves, months, plan
from agents.recorders.zone import DeviceTime
from monitor.model.observation import StreamCause
from monitor.model.span import Millis, Spans, from_millis, to_millis

PARAMETERS = "Remote: Parameters Settings"
PLAYBACK = "Remote: Playback"
MATCH_CAP = 4000
"""The recorder counts no further; a window with so many matches is searched in parts."""

ZONE_SECONDS = 3600.0
EMPTY_MONTHS = 36
_OK = 200
_FORBIDDEN = 403
_ABSENT = frozenset({404, 405, 501})
_BUSY = 503
_HALF_SECOND = 0.5
_SHORTEST_WINDOW = timedelta(minutes=1)
_WIDEST: Window = (datetime(2000, 1, 1), datetime(2038, 1, 1))  # noqa: DTZ001  (wall time)
_SEARCH_PATH = "/ISAPI/ContentMgmt/search"
_SEARCH = """<?xml version="1.0" encoding="utf-8"?>
<CMSearchDescription><searchID>{search_id}</searchID><trackList><trackID>{track}</trackID></trackList>\
<timeSpanList><timeSpan><startTime>{start}Z</startTime><endTime>{end}Z</endTime></timeSpan></timeSpanList>\
<maxResults>{size}</maxResults><searchResultPostion>{position}</searchResultPostion>\
<metadataList><metadataDescriptor>//recordType.meta.std-cgi.com</metadataDescriptor></metadataList>\
</CMSearchDescription>"""
_MONTH = """<?xml version="1.0" encoding="utf-8"?>
<trackDailyParam><year>{year}</year><monthOfYear>{month}</monthOfYear></trackDailyParam>"""

T = TypeVar("T")


class HikvisionOptions(DriverOptions):
    """What may stand under a Hikvision recorder in site.yaml."""

    page_size: Annotated[int, Field(ge=1, le=40)] = 40
    timeout_seconds: Annotated[float, Field(gt=0, le=120)] = 20.0


class Hikvision(OffersNothing):
    """One recorder through ISAPI. Reads only; one request and one search at a time."""

    def __init__(self, settings: RecorderSettings) -> None:
        """Prepare; no I/O. Raises OptionsError."""
        self._settings = settings
        self._options = HikvisionOptions.read(settings.id, "hikvision", settings.options)
        self._http = DeviceHttp(settings, self._options.timeout_seconds)
        self._searching = asyncio.Lock()
        self._device: parse.DeviceInfo | None = None
        self._zone: tuple[tzinfo, float] | None = None

    @property
    def exchanges(self) -> deque[Exchange]:
        """The latest questions and answers."""
        return self._http.exchanges

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def stream_url(self, channel: str, main: bool) -> str | None:
        """Return rtsp://HOST:PORT/Streaming/Channels/N01 (main) or N02 (sub); None for a channel that is no number."""
        if not is_number(channel):
            return None
        return f"{self._http.rtsp}/Streaming/Channels/{int(channel)}{'01' if main else '02'}"

    async def identity(self) -> Identity:
        """Return model, firmware and serial number. Raises RecorderError."""
        self._device = await self._get(parse.device_info, "/ISAPI/System/deviceInfo")
        return self._device.identity

    async def channels(self) -> tuple[Channel, ...]:
        """Return the IP channels with their state, and a DVR's analog inputs (whose state ISAPI does not say).

        Raises RecorderError.
        """
        if self._device is None:
            await self.identity()  # known to be allowed: a 403 further on is then about rights, not the login
        proxied: tuple[Channel, ...] | None = None
        refused: RecorderError | None = None
        try:
            proxied = await self._get(parse.proxy_channels, "/ISAPI/ContentMgmt/InputProxy/channels")
        except RecorderError as error:
            if error.cause not in {NOT_OFFERED, StreamCause.NOT_PERMITTED}:
                raise
            refused = error
        if proxied:
            online = await self._online()
            proxied = tuple(replace(one, online=online.get(one.id)) for one in proxied)
            if not self._has_analog_inputs():
                return proxied
        try:
            analog = await self._get(parse.analog_channels, "/ISAPI/System/Video/inputs/channels")
        except NotOffered:
            analog = ()
        if refused is not None and not analog:
            raise refused
        known = {channel.id for channel in proxied or ()}
        return (*(proxied or ()), *(channel for channel in analog if channel.id not in known))

    async def _online(self) -> dict[str, bool | None]:
        try:
            return await self._get(parse.proxy_status, "/ISAPI/ContentMgmt/InputProxy/channels/status")
        except NotOffered:
            return {}

    def _has_analog_inputs(self) -> bool:
        return self._device is not None and "DVR" in self._device.device_type.upper()

    async def disks(self) -> tuple[Disk, ...]:
        """Return the disks and network volumes that are present. Raises RecorderError."""
        try:
            return await self._get(parse.disks, "/ISAPI/ContentMgmt/Storage")
        except NotOffered:
            return await self._get(parse.disks, "/ISAPI/ContentMgmt/Storage/hdd")

    async def clock_offset(self) -> float:
        """Return the recorder's clock minus the agent's, in seconds, to within half a second. Raises RecorderError."""
        answer = await self._answer("GET", "/ISAPI/System/time", PARAMETERS)
        shown = self._shown(answer.body)
        self._keep_zone(shown.zone)
        # The recorder cuts its seconds off: half of one is what it hides on average.
        rounding = _HALF_SECOND if shown.wall.microsecond == 0 else 0.0
        return (shown.instant - answer.middle).total_seconds() + rounding

    async def footage(self, channel: str, start: Millis, end: Millis, progress: Progress | None = None) -> Footage:
        """Return what the index lists for `channel` in [start, end), main stream. Raises RecorderError.

        A page or a window that cannot be read makes the whole answer an error: a part would look like a gap.
        """
        track = f"{number_of(channel, 'Hikvision')}01"
        zone = await self._recorder_zone()
        held: list[tuple[Millis, Millis]] = []
        locked: list[tuple[Millis, Millis]] = []
        sizes: list[tuple[Millis, Millis, int | None]] = []
        async with self._searching:
            windows = await self._windows(track, zone, start, end)
            for done, window in enumerate(windows, start=1):
                segments = await self._search(track, window)
                for segment, (begin, finish) in zip(segments, parse.instants(segments, zone), strict=True):
                    span = to_millis(begin), to_millis(finish)
                    (locked if segment.locked else held).append(span)
                    sizes.append((*span, segment.bytes))
                if progress is not None:
                    progress(done / len(windows))
        unlocked, kept = (Spans.of(spans).clip(start, end) for spans in (held, locked))
        return Footage(unlocked, kept, (start, end), FileSizes.of(sizes))

    async def latest(self, channel: str) -> Millis | None:
        """Return the end of the newest footage of the last hours; None without any. Raises RecorderError."""
        return await latest_by_search(self, self._settings.clock, channel)

    async def recording_modes(self) -> Mapping[str, RecordingMode]:
        """Return what each channel's main stream is set to record. Raises RecorderError."""
        return await self._get(parse.recording_modes, "/ISAPI/ContentMgmt/record/tracks")

    async def time_sync(self) -> TimeSync:
        """Return whether a time server sets the clock. Raises RecorderError."""
        enabled = await self._get(parse.set_by_server, "/ISAPI/System/time")
        try:
            return TimeSync(enabled, await self._get(parse.has_time_server, "/ISAPI/System/time/ntpServers"))
        except NotOffered:
            return TimeSync(enabled, None)

    async def alarm_inputs(self) -> tuple[AlarmInput, ...]:
        """Return the wired alarm inputs. Raises RecorderError."""
        inputs = await self._get(parse.alarm_inputs, "/ISAPI/System/IO/inputs")
        try:
            active = await self._get(parse.active_inputs, "/ISAPI/System/IO/status") if inputs else {}
        except NotOffered:
            active = {}
        return tuple(replace(one, active=active.get(one.id)) for one in inputs)

    async def fault_notices(self) -> FaultNotices:
        """Return of which faults of its own the recorder would tell, and whether by mail. Raises RecorderError."""
        armed = await self._get(parse.armed_faults, "/ISAPI/Event/triggers")
        try:
            return FaultNotices(armed, await self._get(parse.mails, "/ISAPI/System/Network/mailing"))
        except RecorderError as error:
            if error.cause not in {NOT_OFFERED, StreamCause.NOT_PERMITTED}:
                raise
        return FaultNotices(armed, None)

    async def storage_mode(self) -> StorageMode:
        """Return whether quotas or groups of disks share the storage out. Raises RecorderError."""
        return await self._get(parse.storage_mode, "/ISAPI/ContentMgmt/Storage")

    async def playback(self, channel: str, at: Millis, seconds: float) -> StreamPlayback:
        """Return the recording track's address from `at` on; its times are the recorder's wall clock dressed as UTC.

        Raises RecorderError.
        """
        track, zone = f"{number_of(channel, 'Hikvision')}01", await self._recorder_zone()
        begin = from_millis(at).astimezone(zone)
        times = (f"{moment:%Y%m%dT%H%M%SZ}" for moment in (begin, begin + timedelta(seconds=seconds)))
        start, end = times
        return StreamPlayback(f"{self._http.rtsp}/Streaming/tracks/{track}/?starttime={start}&endtime={end}")

    async def earliest(self, channel: str) -> Millis | None:
        """Return the start of the oldest footage; None without any. Raises RecorderError.

        Some firmware answers the wide window with an error; then the months are walked back.
        """
        track = f"{number_of(channel, 'Hikvision')}01"
        zone = await self._recorder_zone()
        async with self._searching:
            try:
                page = await self._page(track, _WIDEST, str(uuid.uuid4()).upper(), 0, size=1)
                segments = list(page.segments)
            except RecorderError as error:
                if error.cause not in {StreamCause.RECORDER, StreamCause.RECORDER_FULL, NOT_OFFERED}:
                    raise
                first_day = await self._first_day(track, zone)
                segments = await self._search(track, first_day) if first_day is not None else []
        return min((to_millis(start) for start, _ in parse.instants(segments, zone)), default=None)

    async def _first_day(self, track: str, zone: tzinfo) -> Window | None:
        """Walk the months back to the first day with footage; give up after EMPTY_MONTHS empty ones in a row."""
        today = self._settings.clock.now().astimezone(zone)
        month, empty, found = today.year * 12 + today.month - 1, 0, None
        while empty < EMPTY_MONTHS:
            days = await self._days(track, month // 12, month % 12 + 1)
            empty = 0 if days else empty + 1
            if days:
                found = datetime(month // 12, month % 12 + 1, min(days))  # noqa: DTZ001  (wall time)
            month -= 1
        return None if found is None else (found, found + timedelta(days=1, seconds=-1))

    async def _windows(self, track: str, zone: tzinfo, start: Millis, end: Millis) -> list[Window]:
        if end <= start:
            return []
        first, last = (from_millis(instant).astimezone(zone).replace(tzinfo=None) for instant in (start, end))

        calendars = {month: await self._calendar(track, month) for month in months(first, last)}

        def recorded(day: date) -> bool:
            days = calendars.get((day.year, day.month))
            return days is None or day.day in days

        return plan(first, last, recorded)

    async def _calendar(self, track: str, month: tuple[int, int]) -> frozenset[int] | None:
        """Return the days of a month with footage; None where the recorder does not say: then each is searched."""
        try:
            return await self._days(track, *month)
        except RecorderError as error:
            if error.cause not in {NOT_OFFERED, StreamCause.RECORDER}:
                raise
        return None

    async def _days(self, track: str, year: int, month: int) -> frozenset[int]:
        path = f"/ISAPI/ContentMgmt/record/tracks/{track}/dailyDistribution"
        body = _MONTH.format(year=year, month=month).encode()
        note = f"track {track}, {year}-{month:02}"
        return await self._read(parse.days_recorded, "POST", path, PLAYBACK, body, note)

    async def _search(self, track: str, window: Window) -> list[parse.Segment]:
        """Return all matches of a window; a search that fails is tried once more in two halves."""
        try:
            return await self._pages(track, window)
        except _TooManyError:
            if window[1] - window[0] < _SHORTEST_WINDOW:
                raise
            return [one for half in halves(window) for one in await self._search(track, half)]
        except RecorderError as error:
            splittable = {StreamCause.RECORDER, StreamCause.RECORDER_FULL, StreamCause.TIMEOUT}
            if error.cause not in splittable or window[1] - window[0] < _SHORTEST_WINDOW:
                raise
        return [one for half in halves(window) for one in await self._pages(track, half)]

    async def _pages(self, track: str, window: Window) -> list[parse.Segment]:
        """Read a search page by page, under one search id, until the recorder has no more.

        Raises RecorderError when the pages do not move on or end short of their own count.
        """
        search_id = str(uuid.uuid4()).upper()
        segments: list[parse.Segment] = []
        seen: set[parse.Segment] = set()
        position = claimed = 0
        while True:
            page = await self._page(track, window, search_id, position, size=self._options.page_size)
            wrong = _wrong_page(page, position, seen)
            seen.update(page.segments)
            segments += page.segments
            position += page.matches
            claimed = max(claimed, page.claimed or 0)
            more = page.more or claimed > position
            if more and not page.matches:
                wrong = "The recorder's search ended before all that it had counted; it is asked again later."
            asked = f"POST {_SEARCH_PATH} ({_search_note(track, window, position)})"
            if wrong:
                raise RecorderError(StreamCause.RECORDER, wrong, asked)
            if position >= MATCH_CAP:
                raise _TooManyError(
                    StreamCause.RECORDER, f"The recorder lists over {MATCH_CAP} segments in one window.", asked
                )
            if not more:
                return segments

    async def _page(self, track: str, window: Window, search_id: str, position: int, *, size: int) -> parse.Page:
        start, end = (moment.isoformat(timespec="seconds") for moment in window)
        body = _SEARCH.format(search_id=search_id, track=track, start=start, end=end, size=size, position=position)
        note = _search_note(track, window, position)

        def read(answer: bytes) -> parse.Page:
            return parse.search_page(answer, track)

        return await self._read(read, "POST", _SEARCH_PATH, PLAYBACK, body.encode(), note)

    async def _recorder_zone(self) -> tzinfo:
        """Return the zone that the recorder counts in, asked once an hour; the institution's where it says none."""
        if self._zone is not None and self._settings.clock.monotonic() - self._zone[1] < ZONE_SECONDS:
            return self._zone[0]
        try:
            shown = await self._get(self._shown, "/ISAPI/System/time")
            return self._keep_zone(shown.zone)
        except RecorderError as error:
            if error.cause not in {NOT_OFFERED, StreamCause.NOT_PERMITTED}:
                raise
        return self._keep_zone(self._settings.timezone)

    def _shown(self, body: bytes) -> DeviceTime:
        return parse.clock(body, self._settings.timezone)

    def _keep_zone(self, zone: tzinfo) -> tzinfo:
        self._zone = (zone, self._settings.clock.monotonic())
        return zone

    async def _get(self, reader: Callable[[bytes], T], path: str) -> T:
        return await self._read(reader, "GET", path, PARAMETERS)

    async def _read(
        self,
        reader: Callable[[bytes], T],
        method: str,
        path: str,
        right: str,
        content: bytes | None = None,
        note: str = "",
    ) -> T:
        """Ask and read the answer; an error of either names the request."""
        answer = await self._answer(method, path, right, content, note)
        try:
            return reader(answer.body)
        except RecorderError as error:
            error.asked = f"{method} {path}{f' ({note})' if note else ''}"
            raise

    async def _answer(self, method: str, path: str, right: str, content: bytes | None = None, note: str = "") -> Answer:
        """Return a 200 answer; any other status becomes a RecorderError. `right` is what its menu calls the need."""
        answer = await self._http.fetch(method, path, content=content, note=note)
        if answer.status == _OK:
            return answer
        asked = f"{method} {path}{f' ({note})' if note else ''}"
        raise _refused(answer, self._http.host, self._settings.username, asked, right)


def _refused(answer: Answer, host: str, user: str, asked: str, right: str) -> RecorderError:
    """Say why an answer with an error status is none."""
    said = parse.refusal(answer.body)
    word = f" ({said.code})" if said.code else ""
    code = said.code.lower()
    if code in {"notsupport", "methodnotallowed"} or (answer.status in _ABSENT and code != "lowprivilege"):
        request = asked.partition(" (")[0]
        return NotOffered(lacking(host, f"{request}{word}"), asked)
    if answer.status == _FORBIDDEN or code == "lowprivilege":
        detail = (
            f"User {user} may not ask this of {host}{word}: give it the right '{right}' under System > User Management."
        )
        return RecorderError(StreamCause.NOT_PERMITTED, detail, asked)
    if answer.status == _BUSY or code == "devicebusy":
        return RecorderError(StreamCause.RECORDER_FULL, busy("hikvision", host, word), asked)
    detail = f"{host} answered HTTP {answer.status}{word}: note its model and firmware if this stays so."
    return RecorderError(StreamCause.RECORDER, detail, asked)


def _wrong_page(page: parse.Page, position: int, seen: set[parse.Segment]) -> str:
    """Say what is wrong with a page: firmware that ignores the position sends the first one for ever."""
    if position and page.segments and all(segment in seen for segment in page.segments):
        return "The recorder repeats the same page of its search: note its model and firmware and report it."
    return ""


def _search_note(track: str, window: Window, position: int) -> str:
    start, end = (moment.isoformat(timespec="seconds") for moment in window)
    return f"track {track}, {start} to {end} recorder time, from match {position}"


class _TooManyError(RecorderError):
    """A window holds more matches than the recorder counts."""
