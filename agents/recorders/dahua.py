"""The driver for Dahua recorders and their kin (Amcrest, Intelbras): what is asked of the CGI, in which order, how gently."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated, Literal

from pydantic import Field

from agents.recorders import dahua_parse as parse
from agents.recorders.base import (
    NOT_OFFERED,
    AlarmInput,
    Channel,
    Cost,
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
    latest_by_search,
)
from agents.recorders.dahua_cgi import SYSTEM, Cgi
from agents.recorders.dahua_search import PAGE_SIZE, Search
from agents.recorders.http import DeviceHttp
from agents.recorders.numbered import is_number, number_of
from agents.recorders.settings import DriverOptions, RecorderSettings
from agents.recorders.sizes import FileSizes
from agents.recorders.windows import Window, stretches
from monitor.model.observation import StreamCause
from monitor.model.span import Millis, Spans, from_millis, to_millis

EMPTY_MONTHS = 6
"""So many months without footage end the walk back to the oldest: each costs a search."""

ZONE_SECONDS = 3600.0
MENU_SECONDS = 12 * 3600.0
"""What seldom changes is asked so seldom: the zone in the menu, the firmware."""

ASKED_JUST_NOW = 60.0
JUMP_SECONDS = 60.0
"""Where the clock's offset changed by more, either the clock was set or the zone in the menu: it is asked for at once."""

_HALF_SECOND = 0.5
_MONTH = timedelta(days=28)
_WIDEST: Window = (datetime(2000, 1, 1), datetime(2038, 1, 1))  # noqa: DTZ001  (wall time)
_CONFIG = "/cgi-bin/configManager.cgi?action=getConfig&name="
_STATES = "/cgi-bin/api/LogicDeviceManager/getCameraState"
_LOSSES = "/cgi-bin/eventManager.cgi?action=getEventIndexes&code=VideoLoss"


class DahuaOptions(DriverOptions):
    """What may stand under a Dahua recorder in site.yaml."""

    page_size: Annotated[int, Field(ge=1, le=PAGE_SIZE)] = PAGE_SIZE
    timeout_seconds: Annotated[float, Field(gt=0, le=120)] = 20.0
    file_type: Literal["dav", "mp4"] = "dav"


class Dahua(OffersNothing):
    """One recorder through the CGI. Reads only; one request and one search at a time, and no finder left open."""

    cost: Cost = "dear"

    def __init__(self, settings: RecorderSettings) -> None:
        """Prepare; no I/O. Raises OptionsError."""
        self._settings = settings
        self._options = DahuaOptions.read(settings.id, "dahua", settings.options)
        self._http = DeviceHttp(settings, self._options.timeout_seconds)
        self._cgi = Cgi(self._http, settings.username)
        self._search = Search(self._cgi, self._options.page_size, self._options.file_type)
        self._zone: tuple[tzinfo, float] | None = None
        self._model: str | None = None
        self._firmware: tuple[bytes, float] | None = None
        self._menu: tuple[tzinfo | None, float] | None = None
        """The zone that the menu is set to, and when it was asked."""
        self._offset: float | None = None

    @property
    def exchanges(self) -> deque[Exchange]:
        """The latest questions and answers."""
        return self._http.exchanges

    async def close(self) -> None:
        """Close finders that are still being closed, and the connections."""
        await self._search.close()
        await self._http.close()

    def stream_url(self, channel: str, main: bool) -> str | None:
        """Return rtsp://HOST:PORT/cam/realmonitor?channel=N&subtype=0 (main) or 1 (sub); None for a channel that is no number."""
        if not is_number(channel):
            return None
        return f"{self._http.rtsp}/cam/realmonitor?channel={int(channel)}&subtype={0 if main else 1}"

    async def identity(self) -> Identity:
        """Return model, firmware and serial number. Raises RecorderError."""
        system = await self._cgi.body("/cgi-bin/magicBox.cgi?action=getSystemInfo")
        found = parse.identity(system, await self._version())
        self._model = found.model
        return found

    async def _version(self) -> bytes:
        """Return what the recorder says of its firmware, asked each few hours: it changes once a year."""
        now = self._settings.clock.monotonic()
        if self._firmware is None or now - self._firmware[1] >= MENU_SECONDS:
            self._firmware = await self._cgi.body("/cgi-bin/magicBox.cgi?action=getSoftwareVersion"), now
        return self._firmware[0]

    async def channels(self) -> tuple[Channel, ...]:
        """Return the channels in use, with their state and the camera behind each. Raises RecorderError."""
        model = self._model
        if model is None:
            model = (await self.identity()).model  # known to be allowed: a 403 further on is about rights
        analog = any(word in model.upper() for word in parse.ANALOG)
        names = await self._cgi.get(parse.titles, f"{_CONFIG}ChannelTitle")
        try:
            slots = await self._cgi.get(parse.remotes, f"{_CONFIG}RemoteDevice")
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
            return await self._cgi.get(parse.camera_states, _STATES, content=content)
        except RecorderError as error:
            if error.cause not in {NOT_OFFERED, StreamCause.NOT_PERMITTED}:
                raise
        try:
            return dict.fromkeys(await self._cgi.get(parse.video_losses, _LOSSES), False)
        except NotOffered:
            return {}

    async def disks(self) -> tuple[Disk, ...]:
        """Return the disks and arrays that are present. Raises RecorderError."""
        return await self._cgi.get(parse.disks, "/cgi-bin/storageDevice.cgi?action=getDeviceAllInfo")

    async def clock_offset(self) -> float:
        """Return the recorder's clock minus the agent's, in seconds, to within half a second. Raises RecorderError."""
        return (await self._clock())[0]

    async def _clock(self) -> tuple[float, tzinfo]:
        """Return the clock's offset in seconds and the zone that it counts in."""
        answer = await self._cgi.answer("/cgi-bin/global.cgi?action=getCurrentTime", SYSTEM)
        wall = parse.wall_clock(answer.body)
        offset, zone = self._read_clock(wall, answer.middle, await self._configured_zone())
        if self._offset is not None and abs(offset - self._offset) > JUMP_SECONDS and self._menu_is_old():
            offset, zone = self._read_clock(wall, answer.middle, await self._configured_zone(anew=True))
        self._zone, self._offset = (zone, self._settings.clock.monotonic()), offset
        return offset, zone

    def _read_clock(self, wall: datetime, middle: datetime, configured: tzinfo | None) -> tuple[float, tzinfo]:
        zone = parse.zone_of(wall, middle, configured, self._settings.timezone)
        shown = min((_utc(wall, zone, fold) for fold in (0, 1)), key=lambda instant: abs(instant - middle))
        # The recorder cuts its seconds off: half of one is what it hides on average.
        return (shown - middle).total_seconds() + _HALF_SECOND, zone

    def _menu_is_old(self) -> bool:
        return self._menu is not None and self._settings.clock.monotonic() - self._menu[1] > ASKED_JUST_NOW

    async def _configured_zone(self, *, anew: bool = False) -> tzinfo | None:
        """Return the zone that the menu is set to, asked each few hours or `anew`; None where it isn't told."""
        now = self._settings.clock.monotonic()
        if self._menu is not None and not anew and now - self._menu[1] < MENU_SECONDS:
            return self._menu[0]
        zone = None
        try:
            ntp = await self._cgi.body(f"{_CONFIG}NTP")
            zone = parse.configured_zone(ntp, await self._cgi.body(f"{_CONFIG}Locales"))
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
        return await self._cgi.get(parse.time_sync, f"{_CONFIG}NTP")

    async def recording_modes(self) -> Mapping[str, RecordingMode]:
        """Return what each channel is set to record. Raises RecorderError."""
        mode = await self._cgi.body(f"{_CONFIG}RecordMode")
        return parse.recording_modes(mode, await self._cgi.body(f"{_CONFIG}Record"))

    async def expiry_days(self) -> Mapping[str, int | None]:
        """Return after how many days files are deleted: one setting for all channels. Raises RecorderError."""
        days = await self._cgi.get(parse.hold_days, f"{_CONFIG}StorageGlobal")
        names = await self._cgi.get(parse.titles, f"{_CONFIG}ChannelTitle")
        return {str(number + 1): days for number in names}

    async def alarm_inputs(self) -> tuple[AlarmInput, ...]:
        """Return the wired alarm inputs. Raises RecorderError."""
        try:
            active = await self._cgi.get(parse.input_states, "/cgi-bin/alarm.cgi?action=getInState")
        except NotOffered:
            active = None
        return parse.alarm_inputs(await self._cgi.body(f"{_CONFIG}Alarm"), active)

    async def playback(self, channel: str, at: Millis, seconds: float) -> StreamPlayback:
        """Return the address of the recording from `at` on, in the recorder's wall time. Raises RecorderError."""
        number, zone = number_of(channel, "Dahua"), await self._recorder_zone()
        begin = from_millis(at).astimezone(zone)
        start, end = (f"{moment:%Y_%m_%d_%H_%M_%S}" for moment in (begin, begin + timedelta(seconds=seconds)))
        where = f"channel={number}&subtype=0&starttime={start}&endtime={end}"
        return StreamPlayback(f"{self._http.rtsp}/cam/playback?{where}")

    async def footage(self, channel: str, start: Millis, end: Millis, progress: Progress | None = None) -> Footage:
        """Return the main stream's footage in [start, end). Raises RecorderError when any part cannot be read."""
        number, zone = number_of(channel, "Dahua"), await self._recorder_zone()
        held: list[tuple[Millis, Millis]] = []
        locked: list[tuple[Millis, Millis]] = []
        sizes: list[tuple[Millis, Millis, int | None]] = []
        async with self._search.running:
            windows = _windows(start, end, zone)
            for done, window in enumerate(windows, start=1):
                segments = await self._search.files(number, window)
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
        number, zone = number_of(channel, "Dahua"), await self._recorder_zone()
        async with self._search.running:
            try:
                segments = await self._search.pages(number, _WIDEST, first=True)
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
            segments = await self._search.pages(number, (start, end), first=True)
            empty = 0 if segments else empty + 1
            oldest, end = segments or oldest, start
        return oldest

    async def latest(self, channel: str) -> Millis | None:
        """Return the end of the newest footage of the last hours; None without any. Raises RecorderError."""
        return await latest_by_search(self, self._settings.clock, channel)


def _windows(start: Millis, end: Millis, zone: tzinfo) -> list[Window]:
    """Cut the window into searches of at most a month: there is no calendar that says which days hold footage."""
    if end <= start:
        return []
    first, last = (from_millis(instant).astimezone(zone).replace(tzinfo=None) for instant in (start, end))
    return stretches(first, last)


def _utc(wall: datetime, zone: tzinfo, fold: int) -> datetime:
    return wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
