"""The driver for Uniview recorders, by LAPI: what is asked, in which order, how gently."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, TypeVar

from pydantic import Field

from agents.recorders import uniview_parse as parse
from agents.recorders.base import (
    NOT_OFFERED,
    Channel,
    Disk,
    Exchange,
    Footage,
    Identity,
    NotOffered,
    OffersNothing,
    Progress,
    RecorderError,
    RecordingMode,
    StreamPlayback,
    TimeSync,
    lacking,
    latest_by_search,
)
from agents.recorders.http import Answer, DeviceHttp
from agents.recorders.menus import busy
from agents.recorders.numbered import is_number, number_of
from agents.recorders.settings import DriverOptions, RecorderSettings
from agents.recorders.windows import Window, halves, months, plan
from monitor.model.observation import StreamCause
from monitor.model.span import SECOND, Millis, Spans, from_millis

EMPTY_MONTHS = 12
"""So many months without footage, and the search for the oldest ends: each costs a question."""

MAX_RECORDS = 20_000
"""A window with more is searched in parts."""

CALENDAR_SECONDS = 3600.0
"""After so long a recorder without a calendar is asked for it again."""

_OK = 200
_ENVELOPED = 599
"""LAPI's own status: the envelope says what is wrong, on some firmware that nothing is."""
_FORBIDDEN = 403
_ABSENT = frozenset({404, 405, 501})
_BUSY = 503
_HALF_SECOND = 0.5
_DAY = timedelta(days=1)
_SHORTEST_WINDOW = timedelta(minutes=1)
_UNSAID = frozenset({NOT_OFFERED, StreamCause.RECORDER})
"""Firmware without a path says so in many ways, cut-off answers among them: then the next best is asked."""

_DEVICE = "/LAPI/V1.0/System/DeviceInfo"
_CHANNELS = "/LAPI/V1.0/Channels/System/ChannelDetailInfos"
_CAMERAS = "/LAPI/V1.0/Channels/System/DeviceInfos"
_DISKS = "/LAPI/V1.0/Storage/Containers/DetailInfos"
_CLOCKS = ("/LAPI/V1.0/System/TimeNTP", "/LAPI/V1.0/System/Time")
_NTP = "/LAPI/V1.0/System/Time/NTP"

T = TypeVar("T")


class UniviewOptions(DriverOptions):
    """What may stand under a Uniview recorder in site.yaml."""

    page_size: Annotated[int, Field(ge=1, le=1000)] = 100
    timeout_seconds: Annotated[float, Field(gt=0, le=120)] = 20.0


class Uniview(OffersNothing):
    """One recorder through LAPI. Reads only; one request and one search at a time."""

    def __init__(self, settings: RecorderSettings) -> None:
        """Prepare; no I/O. Raises OptionsError."""
        self._settings = settings
        self._options = UniviewOptions.read(settings.id, "uniview", settings.options)
        self._http = DeviceHttp(settings, self._options.timeout_seconds)
        self._searching = asyncio.Lock()
        self._clock_path: str | None = None
        self._let_in = False
        self._without_calendar_until = float("-inf")

    @property
    def exchanges(self) -> deque[Exchange]:
        """The latest questions and answers."""
        return self._http.exchanges

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def stream_url(self, channel: str, main: bool) -> str | None:
        """Return rtsp://HOST:PORT/unicast/cN/s0/live (main) or s1 (sub); None for a channel that is no number."""
        if not is_number(channel):
            return None
        return f"{self._http.rtsp}/unicast/c{int(channel)}/s{'0' if main else '1'}/live"

    async def identity(self) -> Identity:
        """Return model, firmware and serial number. Raises RecorderError."""
        return await self._get(parse.identity, _DEVICE)

    async def channels(self) -> tuple[Channel, ...]:
        """Return the channels that a camera was added to, their state and the cameras behind them. Raises RecorderError."""
        found = await self._get(parse.channels, _CHANNELS)
        try:
            serials = await self._get(parse.serials, _CAMERAS)
        except RecorderError as error:
            if error.cause not in _UNSAID:
                raise
            return found
        return tuple(_with_serial(channel, serials.get(channel.id)) for channel in found)

    async def disks(self) -> tuple[Disk, ...]:
        """Return disks, arrays and network volumes that are present. Raises RecorderError."""
        return await self._get(parse.disks, _DISKS)

    async def clock_offset(self) -> float:
        """Return the recorder's clock minus the agent's, in seconds, to within half a second. Raises RecorderError."""
        paths = _CLOCKS if self._clock_path is None else (self._clock_path,)
        for path in paths:
            try:
                answer = await self._answer(path)
                shown = parse.clock(answer.body)
            except RecorderError as error:
                if error.cause not in _UNSAID or path == paths[-1]:
                    raise
                continue
            self._clock_path = path
            # The recorder cuts its seconds off: half of one is what it hides on average.
            return (shown - answer.middle).total_seconds() + _HALF_SECOND
        raise AssertionError("the last path either answers or raises")

    async def time_sync(self) -> TimeSync:
        """Return whether a time server sets the clock. Raises RecorderError."""
        return await self._get(parse.time_sync, _NTP)

    async def recording_modes(self) -> Mapping[str, RecordingMode]:
        """Return what each channel is set to record; one question a channel. Raises RecorderError."""
        found = {}
        for channel in await self._get(parse.channels, _CHANNELS):
            path = f"/LAPI/V1.0/Channels/{channel.id}/Storage/Private/Schedule/Record/"
            mode = await self._get(parse.schedule, path)
            if mode is not None:
                found[channel.id] = mode
        return found

    async def latest(self, channel: str) -> Millis | None:
        """Return the end of the newest footage of the last hours; None without any. Raises RecorderError."""
        return await latest_by_search(self, self._settings.clock, channel)

    async def playback(self, channel: str, at: Millis, seconds: float) -> StreamPlayback:
        """Return the address that the recorder gives for [at, at + seconds), on its own host. Raises RecorderError."""
        begin = at // SECOND
        end = max(begin + 1, -(-(at + round(seconds * SECOND)) // SECOND))
        path = f"{_streams(channel)}/RecordURL?Begin={begin}&End={end}"
        return StreamPlayback(f"{self._http.rtsp}{await self._get(parse.playback_path, path)}")

    async def footage(self, channel: str, start: Millis, end: Millis, progress: Progress | None = None) -> Footage:
        """Return what the index lists for `channel` in [start, end), main stream. Raises RecorderError.

        A page or a window that cannot be read makes the whole answer an error: a part would look like a gap.
        """
        _streams(channel)
        held: list[tuple[Millis, Millis]] = []
        locked: list[tuple[Millis, Millis]] = []
        async with self._searching:
            windows = await self._windows(channel, start, end)
            for done, window in enumerate(windows, start=1):
                for record in await self._search(channel, window):
                    (locked if record.locked else held).append((record.begin * SECOND, record.end * SECOND))
                if progress is not None:
                    progress(done / len(windows))
        return Footage(Spans.of(held).clip(start, end), Spans.of(locked).clip(start, end), (start, end))

    async def earliest(self, channel: str) -> Millis | None:
        """Return the start of the oldest footage; None without any in the latest twelve months. Raises RecorderError.

        LAPI has no search that promises the oldest first: the months are walked back by the calendar, or by searches
        where there is none.
        """
        _streams(channel)
        async with self._searching:
            today = self._settings.clock.now().astimezone(UTC).date()
            month, empty, oldest = today.year * 12 + today.month - 1, 0, None
            while empty < EMPTY_MONTHS:
                window = await self._first_of(channel, month // 12, month % 12 + 1)
                empty = 0 if window is not None else empty + 1
                oldest = oldest if window is None else window
                month -= 1
            records = [] if oldest is None else await self._search(channel, oldest)
        return min((record.begin * SECOND for record in records), default=None)

    async def _first_of(self, channel: str, year: int, month: int) -> Window | None:
        """Return a window with the first footage of a month; None for a month without any."""
        days = await self._calendar(channel, (year, month))
        begin = datetime(year, month, 1)  # noqa: DTZ001  (wall time of UTC)
        if days:
            # The calendar counts days by the recorder's zone, which may begin up to a day before or after UTC's.
            return begin + (min(days) - 2) * _DAY, begin + (min(days) + 1) * _DAY
        whole = begin, (begin + 31 * _DAY).replace(day=1)
        return whole if days is None and await self._search(channel, whole) else None

    async def _windows(self, channel: str, start: Millis, end: Millis) -> list[Window]:
        """Return the windows to search, by UTC: one a day with footage, one for each run of days without."""
        if end <= start:
            return []
        first, last = (_wall(from_millis(instant)) for instant in (start, end))
        calendars = {month: await self._calendar(channel, month) for month in months(first, last)}

        def recorded(day: date) -> bool:
            # Days are the recorder's, windows are UTC's: a neighbouring day's footage may lie in this one.
            near = [day + shift * _DAY for shift in (-1, 0, 1)]
            listed = [(calendars.get((one.year, one.month)), one.day) for one in near]
            return any(days is None or number in days for days, number in listed)

        return plan(first, last, recorded)

    async def _calendar(self, channel: str, month: tuple[int, int]) -> frozenset[int] | None:
        """Return the days of a month with footage; None where the recorder does not say: then each is searched."""
        now = self._settings.clock.monotonic()
        if self._without_calendar_until > now:
            return None
        path = f"{_streams(channel)}/0/Records/DailyDistribution?Year={month[0]}&Month={month[1]}"
        try:
            return await self._get(parse.days_recorded, path)
        except RecorderError as error:
            if error.cause not in _UNSAID:
                raise
        self._without_calendar_until = now + CALENDAR_SECONDS
        return None

    async def _search(self, channel: str, window: Window) -> list[parse.Record]:
        """Return all records of a window; a search that fails is tried once more in two halves."""
        try:
            return await self._pages(channel, window)
        except _TooManyError:
            if window[1] - window[0] < _SHORTEST_WINDOW:
                raise
            return [one for half in halves(window) for one in await self._search(channel, half)]
        except RecorderError as error:
            splittable = {StreamCause.RECORDER, StreamCause.RECORDER_FULL, StreamCause.TIMEOUT}
            if error.cause not in splittable or window[1] - window[0] < _SHORTEST_WINDOW:
                raise
        return [one for half in halves(window) for one in await self._pages(channel, half)]

    async def _pages(self, channel: str, window: Window) -> list[parse.Record]:
        """Read a window page by page, until the recorder's own count is reached or a page is empty.

        A short page is no proof of the end, since firmware may cut pages as it likes. Raises RecorderError when the
        pages do not move on or end short of the count.
        """
        found: list[parse.Record] = []
        while True:
            page = await self._page(channel, window, len(found))
            if found and page.records and set(page.records) <= set(found):
                return await self._proved(channel, window, found)
            found += page.records
            # A count of as many as were asked for may be the page's own, which then lists fewer than it counts.
            total = page.total if page.total != self._options.page_size else None
            if total is not None and len(found) > total:
                raise _unread(channel, window, "counts fewer records than it lists; it is asked again later")
            if total is not None and len(found) == total:
                return found
            if not page.records:
                if total is not None:
                    raise _unread(channel, window, "ended before all that it had counted; it is asked again later")
                return found
            if len(found) > MAX_RECORDS:
                raise _TooManyError(StreamCause.RECORDER, f"The recorder lists over {MAX_RECORDS} records in a window.")

    async def _proved(self, channel: str, window: Window, whole: list[parse.Record]) -> list[parse.Record]:
        """Return a window's records of firmware that knows no pages, if its halves list no others.

        Else its pages are cut and can't be turned, and footage beyond the cut would look like a gap. Raises RecorderError.
        """
        parts = [one for half in halves(window) for one in (await self._page(channel, half, 0)).records]
        # A record over the middle may be listed by both halves, whole or cut at the middle.
        if _spans(parts) != _spans(whole):
            raise _unread(channel, window, "repeats the same page: note its model and firmware and report it")
        return whole

    async def _page(self, channel: str, window: Window, offset: int) -> parse.Page:
        begin, end = _seconds(window)
        path = f"{_streams(channel)}/0/Records?Begin={begin}&End={end}&Types=0&Limit={self._options.page_size}&Offset={offset}"
        return await self._get(parse.records, path)

    async def _get(self, reader: Callable[[bytes], T], path: str) -> T:
        """Ask and read the answer; an error of either names the request."""
        answer = await self._answer(path)
        try:
            return reader(answer.body)
        except RecorderError as error:
            error.asked = f"GET {path}"
            raise

    async def _answer(self, path: str) -> Answer:
        """Return an answer that carries data; any other becomes a RecorderError."""
        if not self._let_in and path != _DEVICE:
            await self._answer(_DEVICE)  # known to exist: LAPI's odd refusals further on then say nothing of the login
        answer = await self._http.fetch("GET", path)
        said = parse.envelope(answer.body)
        if answer.status in {_OK, _ENVELOPED} and said.code == parse.OK:
            self._let_in = True
            return answer
        raise _refused(answer, said, self._http.host, self._settings.username, f"GET {path}")


def _refused(answer: Answer, said: parse.Envelope, host: str, user: str, asked: str) -> RecorderError:
    """Say why an answer is none."""
    word = f" ({said.said})" if said.said else ""
    if answer.status in _ABSENT or "not support" in said.said.lower():
        return NotOffered(lacking(host, f"{asked}{word}"), asked)
    if answer.status == _FORBIDDEN or said.code == parse.NOT_AUTHORIZED:
        detail = (
            f"User {user} may not ask this of {host}{word}: under System > User give it the rights of playback and of "
            "parameter configuration; firmware that answers its own web pages only can't be asked by this driver."
        )
        return RecorderError(StreamCause.NOT_PERMITTED, detail, asked)
    if answer.status == _BUSY:
        return RecorderError(StreamCause.RECORDER_FULL, busy("uniview", host, word), asked)
    if answer.status == _OK and said.code is None:
        return RecorderError(StreamCause.RECORDER, f"{host} didn't answer in LAPI: check `driver` and `url`.", asked)
    detail = f"{host} answered HTTP {answer.status}{word}: note its model and firmware if this stays so."
    return RecorderError(StreamCause.RECORDER, detail, asked)


def _unread(channel: str, window: Window, why: str) -> RecorderError:
    begin, end = _seconds(window)
    asked = f"GET {_streams(channel)}/0/Records?Begin={begin}&End={end}"
    return RecorderError(StreamCause.RECORDER, f"The recorder's search {why}.", asked)


def _with_serial(channel: Channel, serial: str | None) -> Channel:
    if serial is None or channel.behind is None:
        return channel
    return replace(channel, behind=replace(channel.behind, serial=channel.behind.serial or serial))


def _wall(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)


def _seconds(window: Window) -> tuple[int, int]:
    """Return a window of UTC wall times in seconds since 1970."""
    begin, end = (round(moment.replace(tzinfo=UTC).timestamp()) for moment in window)
    return begin, end


def _spans(records: list[parse.Record]) -> tuple[Spans, Spans]:
    held, locked = (
        Spans.of([(one.begin, one.end) for one in records if one.locked is locks]) for locks in (False, True)
    )
    return held, locked


def _streams(channel: str) -> str:
    """Return the path of a channel's streams."""
    return f"/LAPI/V1.0/Channels/{number_of(channel, 'Uniview')}/Media/Video/Streams"


class _TooManyError(RecorderError):
    """A window holds more records than are read at once."""
