"""The driver for any recorder with ONVIF's Profile G: its recordings, when they hold data, and how to play them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from typing import Annotated, TypeVar

from pydantic import Field

from agents.recorders import onvif_parse as parse
from agents.recorders import xml
from agents.recorders.base import (
    LATEST_WINDOW,
    NOT_OFFERED,
    AlarmInput,
    Behind,
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
    StreamPlayback,
    TimeSync,
)
from agents.recorders.http import DeviceHttp
from agents.recorders.onvif_live import NO_STREAM, STREAM_SETUP, LiveStreams, own_profiles
from agents.recorders.onvif_soap import (
    DEVICE,
    DEVICE_IO,
    RECORDING,
    REPLAY,
    SEARCH,
    Soap,
    element,
)
from agents.recorders.settings import DriverOptions, RecorderSettings
from monitor.model.observation import StreamCause
from monitor.model.span import DAY, HOUR, MINUTE, SECOND, Millis, Spans, isoformat, to_millis

WINDOW: Millis = 28 * DAY
"""One search spans no more: wide ones fail at random on a busy recorder."""

KNOWN_SECONDS = 60.0
"""How long the list of recordings serves the questions about single ones."""

SEARCH_SECONDS = 120.0
MAX_RESULTS = 200
MAX_CHANGES = 20_000
SPLITS = 2
"""How often a window whose search fails is halved."""

STREAM_SECONDS = 3600.0
"""After so long a recording without a live stream is looked at again."""

FUTURE: Millis = 5 * MINUTE
"""Footage so far ahead of the recorder's own clock is dated wrongly."""

_PASSING = frozenset({StreamCause.RECORDER, StreamCause.RECORDER_FULL, StreamCause.TIMEOUT})
_HALF_SECOND = 0.5
_POLL_SECONDS = 0.5
_EVENT_FILTER = (
    '<tns:SearchFilter><wsnt:TopicExpression xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2" '
    'xmlns:tns1="http://www.onvif.org/ver10/topics" '
    'Dialect="http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet">'
    f"tns1:{parse.TRACK_STATE}</wsnt:TopicExpression></tns:SearchFilter>"
)
_KEEP_ALIVE = "<tns:KeepAliveTime>PT30S</tns:KeepAliveTime>"

T = TypeVar("T")
Found = TypeVar("Found", bound=Hashable)


class OnvifOptions(DriverOptions):
    """What may stand under an ONVIF recorder in site.yaml."""

    device_path: Annotated[str, Field(pattern=r"^/[\x21-\x7e]{0,200}$")] = "/onvif/device_service"
    timeout_seconds: Annotated[float, Field(gt=0, le=120)] = 20.0


class Onvif(OffersNothing):
    """One recorder through ONVIF. Reads only; one request and one search at a time, each search ended."""

    cost: Cost = "dear"

    def __init__(self, settings: RecorderSettings) -> None:
        """Prepare; no I/O. Raises OptionsError."""
        options = OnvifOptions.read(settings.id, "onvif", settings.options)
        self._settings = settings
        self._http = DeviceHttp(settings, options.timeout_seconds)
        self._soap = Soap(settings, self._http, options.device_path)
        self._live = LiveStreams(settings, self._http, self._soap)
        self._searching = asyncio.Lock()
        self._recordings: tuple[dict[str, parse.Recording], float] | None = None
        self._sources: int | None = None
        self._streams: dict[tuple[str, bool], str] = {}
        self._looked_for: dict[str, float] = {}

    @property
    def exchanges(self) -> deque[Exchange]:
        """The latest questions and answers."""
        return self._http.exchanges

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def stream_url(self, channel: str, main: bool) -> str | None:
        """Return a channel's RTSP address as `channels` last found it; None before, and for sources that aren't matched."""
        return self._streams.get((channel, main))

    async def identity(self) -> Identity:
        """Return model, firmware and serial number. Raises RecorderError."""
        return await self._soap.ask(DEVICE, "GetDeviceInformation", parse.identity)

    async def clock_offset(self) -> float:
        """Return the recorder's clock minus the agent's, in seconds, to within half a second. Raises RecorderError."""
        shown, answer = await self._soap.clock()
        # The recorder cuts its seconds off: half of one is what it hides on average.
        return (shown.shown - answer.middle).total_seconds() + _HALF_SECOND

    async def time_sync(self) -> TimeSync:
        """Return whether a time server sets the clock. Raises RecorderError."""
        shown, _ = await self._soap.clock()
        try:
            return TimeSync(shown.by_server, await self._soap.ask(DEVICE, "GetNTP", parse.has_time_server))
        except NotOffered:
            return TimeSync(shown.by_server, None)

    async def disks(self) -> tuple[Disk, ...]:
        """Raise NotOffered: ONVIF has no word for the state of a disk."""
        raise NotOffered("ONVIF doesn't tell the state of disks.")

    async def alarm_inputs(self) -> tuple[AlarmInput, ...]:
        """Return the wired inputs; their states are not told. Raises RecorderError."""
        return await self._soap.ask(DEVICE_IO, "GetDigitalInputs", parse.digital_inputs)

    async def channels(self) -> tuple[Channel, ...]:
        """Return the recordings, a channel each, and find their live streams. Raises RecorderError."""
        async with self._searching:
            recordings = await self._known(fresh=True)
        await self._find_streams(recordings.values())
        return tuple(
            Channel(one.token, one.name, None, Behind(address=one.address) if one.address else None)
            for one in recordings.values()
        )

    async def expiry_days(self) -> Mapping[str, int | None]:
        """Return after how many days each recording's footage is deleted. Raises RecorderError."""
        async with self._searching:
            tokens = list(await self._known())
        found = {}
        for token in tokens:
            inner = element("RecordingToken", token)
            found[token] = await self._soap.ask(
                RECORDING, "GetRecordingConfiguration", parse.retention_days, inner, f"recording {token}"
            )
        return found

    async def earliest(self, channel: str) -> Millis | None:
        """Return the start of the oldest footage; None without any. Raises RecorderError."""
        async with self._searching:
            track = self._track(await self._recording(channel))
        return None if track is None else track.begin

    async def latest(self, channel: str) -> Millis | None:
        """Return the end of the newest footage of the last twelve hours; None without any. Raises RecorderError."""
        async with self._searching:
            track = self._track(await self._recording(channel))
        now = to_millis(await self._soap.device_now())
        return None if track is None or track.end < now - LATEST_WINDOW else track.end

    async def playback(self, channel: str, at: Millis, seconds: float) -> StreamPlayback:
        """Return the replay address of a recording, on the recorder's own host, and the range. Raises RecorderError."""
        inner = f"{STREAM_SETUP}{element('RecordingToken', channel)}"
        place = await self._soap.ask(REPLAY, "GetReplayUri", parse.rtsp_place, inner, f"recording {channel}")
        start, end = (
            isoformat(instant).replace("-", "").replace(":", "") for instant in (at, at + round(seconds * SECOND))
        )
        return StreamPlayback(self._live.url(place), f"clock={start}-{end}", (("Require", "onvif-replay"),))

    async def footage(self, channel: str, start: Millis, end: Millis, progress: Progress | None = None) -> Footage:
        """Return when a recording's video track holds data in [start, end). Raises RecorderError.

        What the recorder says of the oldest and newest data bounds what its history of the track says in between.
        """
        async with self._searching:
            recording = await self._recording(channel)
            track = self._track(recording)
            if track is None or track.end <= start or track.begin >= end:
                if progress is not None:
                    progress(1.0)
                return Footage(Spans.empty(), Spans.empty(), (start, end))
            await self._check(track)
            bounds = (max(start, track.begin), min(end, track.end))
            windows = list(_windows(*bounds))
            held: list[tuple[Millis, Millis]] = []
            for done, window in enumerate(windows, start=1):
                held += await self._held(recording, track, window)
                if progress is not None:
                    progress(done / len(windows))
        spans = Spans.of(held)
        if not spans and (start <= track.begin < end or start < track.end <= end):
            detail = "The recorder says that it holds footage, and lists none: what it holds is unknown."
            raise RecorderError(StreamCause.RECORDER, detail, f"FindEvents (recording {channel})")
        return Footage(spans, Spans.empty(), (start, end))

    async def _held(
        self, recording: parse.Recording, track: parse.Track, window: tuple[Millis, Millis], splits: int = SPLITS
    ) -> list[tuple[Millis, Millis]]:
        """Return when a track held data in a window; a search that fails is tried once more in halves."""
        start, end = window
        try:
            return _spans_held(await self._changes(recording, track, window), window)
        except RecorderError as error:
            if error.cause not in _PASSING or not splits or end - start < HOUR:
                raise
        middle = (start + end) // 2 // SECOND * SECOND
        halves = ((start, middle), (middle, end))
        return [span for half in halves for span in await self._held(recording, track, half, splits - 1)]

    async def _check(self, track: parse.Track) -> None:
        """Raise RecorderError where footage lies in the future of the recorder's own clock: its times are not UTC."""
        if track.end > to_millis(await self._soap.device_now()) + FUTURE:
            detail = (
                "The recorder dates footage after the present of its own clock: it gives local times for UTC, or its "
                "clock was set back. Note its model and firmware and report it."
            )
            raise RecorderError(StreamCause.RECORDER, detail, "FindRecordings")

    def _track(self, recording: parse.Recording) -> parse.Track | None:
        """Return a recording's video track; None when it holds no data at all. Raises RecorderError."""
        tracks = [track for track in recording.tracks if track.is_video]
        if len(tracks) > 1:
            raise NotOffered(
                f"Recording {recording.token} has several video tracks: which is the main stream isn't told."
            )
        if not tracks and recording.earliest is not None:
            raise NotOffered(f"Recording {recording.token} holds data, and tells of no video track.")
        return tracks[0] if tracks else None

    async def _recording(self, channel: str) -> parse.Recording:
        """Return what the recorder says of one recording. Raises RecorderError."""
        recordings = await self._known()
        if channel not in recordings:
            known = ", ".join(list(recordings)[:20]) or "none"
            detail = f"No recording {channel!r}: set `channel` to the token of one ({known})."
            raise RecorderError(StreamCause.NOT_FOUND, detail, "FindRecordings")
        if len(recordings) == 1 and await self._count_sources() > 1:
            raise NotOffered("The recorder tells of one recording for all its channels: what each holds isn't told.")
        return recordings[channel]

    async def _known(self, *, fresh: bool = False) -> dict[str, parse.Recording]:
        """Return the recordings by token, asked anew when `fresh` or a minute old. Raises RecorderError."""
        now = self._settings.clock.monotonic()
        if self._recordings is None or fresh or now - self._recordings[1] >= KNOWN_SECONDS:
            inner = f"<tns:Scope/>{_KEEP_ALIVE}"
            found = await self._search("Recordings", "GetRecordingSearchResults", inner, parse.recordings, "")
            self._recordings = ({one.token: one for one in found}, now)
        return self._recordings[0]

    async def _changes(
        self, recording: parse.Recording, track: parse.Track, window: tuple[Millis, Millis]
    ) -> list[parse.Change]:
        """Return the changes of a track in a window, the state at its start among them; in time's order."""
        start, end = (isoformat(instant) for instant in window)
        inner = (
            f"{element('StartPoint', start)}{element('EndPoint', end)}"
            f"<tns:Scope>{element('IncludedRecordings', recording.token, 'tt')}</tns:Scope>{_EVENT_FILTER}"
            f"<tns:IncludeStartState>true</tns:IncludeStartState>{_KEEP_ALIVE}"
        )
        note = f"recording {recording.token}, {start} to {end}"
        found = await self._search("Events", "GetEventSearchResults", inner, parse.changes, note)
        own = [one for one in found if one.recording == recording.token and one.track == track.token]
        return sorted(own, key=lambda one: (one.at, not one.is_start))

    async def _search(
        self, what: str, results: str, inner: str, reader: Callable[[xml.Node], parse.Page[Found]], note: str
    ) -> list[Found]:
        """Run one search to its end; the session is ended on every way out. Raises RecorderError."""
        opening = asyncio.ensure_future(self._soap.ask(SEARCH, f"Find{what}", parse.search_token, inner, note))
        try:
            token = await asyncio.shield(opening)
        except asyncio.CancelledError:
            # The question is on its way: the session that it opens is waited for, to be ended.
            with suppress(RecorderError):
                await self._end(await opening)
            raise
        completed = False
        try:
            found = await self._results(results, token, reader, note)
            completed = True
        finally:
            if not completed:
                # A session that came to its end is closed by the device; any other would block the next search.
                await self._end(token)
        return found

    async def _end(self, token: str) -> None:
        with suppress(RecorderError):
            await self._soap.ask(SEARCH, "EndSearch", _nothing, element("SearchToken", token))

    async def _results(
        self, operation: str, token: str, reader: Callable[[xml.Node], parse.Page[Found]], note: str
    ) -> list[Found]:
        """Fetch the results of a search until the device says that it is completed."""
        inner = (
            f"{element('SearchToken', token)}{element('MaxResults', str(MAX_RESULTS))}<tns:WaitTime>PT5S</tns:WaitTime>"
        )
        clock = self._settings.clock
        until = clock.monotonic() + SEARCH_SECONDS
        found: list[Found] = []
        seen: set[Found] = set()
        while True:
            page = await self._soap.ask(SEARCH, operation, reader, inner, note)
            if page.results and not page.completed and seen.issuperset(page.results):
                raise _unread(operation, "repeats the same results: note its model and firmware and report it")
            found += page.results
            seen.update(page.results)
            if page.completed:
                return found
            if len(found) > MAX_CHANGES:
                raise _unread(operation, f"lists over {MAX_CHANGES} results in one window")
            if clock.monotonic() >= until:
                raise _unread(operation, f"did not come to its end within {SEARCH_SECONDS:g} s")
            if not page.results:
                await clock.sleep(_POLL_SECONDS)

    async def _count_sources(self) -> int:
        """Return how many video sources the recorder has, asked once; 1 where it does not say."""
        if self._sources is None:
            try:
                _, profiles = await self._live.profiles()
                self._sources = max(1, len({profile.source for profile in profiles}))
            except RecorderError as error:
                if error.cause != NOT_OFFERED:
                    raise
                self._sources = 1
        return self._sources

    async def _find_streams(self, recordings: Iterable[parse.Recording]) -> None:
        """Match recordings to live streams by the source that they name: never by their order."""
        now = self._settings.clock.monotonic()
        wanted = [
            one
            for one in recordings
            if (one.token, True) not in self._streams
            and now - self._looked_for.get(one.token, -STREAM_SECONDS) >= STREAM_SECONDS
        ]
        if not wanted:
            return
        self._looked_for |= {one.token: now for one in wanted}
        try:
            service, profiles = await self._live.profiles()
        except RecorderError as error:
            if error.cause not in NO_STREAM:
                raise
            return
        for recording in wanted:
            source = next((one.source for one in profiles if recording.source_id in {one.source, one.token}), None)
            own = own_profiles(profiles, source)
            # A single one serves as main and sub-stream.
            for main, profile in ((True, own[0]), (False, own[-1])) if own else ():
                url = await self._live.url_of(service, profile)
                if url is not None:
                    self._streams[recording.token, main] = url


def _spans_held(changes: list[parse.Change], window: tuple[Millis, Millis]) -> list[tuple[Millis, Millis]]:
    """Return when a track held data in a window, by its changes in time's order.

    Where the state at the start isn't told, it was the opposite of what the first change made it. Raises RecorderError
    without any change: then nothing is known.
    """
    start, end = window
    if not changes:
        raise _unread("FindEvents", "tells neither the state at its start nor any change: what is held is unknown")
    states = [(start, not changes[0].has_data)] if changes[0].at > start else []
    states += [(min(max(start, one.at), end), one.has_data) for one in changes]
    ends = [at for at, _ in states[1:]] + [end]
    return [(at, until) for (at, has_data), until in zip(states, ends, strict=True) if has_data]


def _windows(start: Millis, end: Millis) -> Iterable[tuple[Millis, Millis]]:
    """Cut [start, end) into windows of whole seconds around it, none longer than WINDOW."""
    return ((at, min(at + WINDOW, end)) for at in range(start, end, WINDOW))


def _nothing(_: xml.Node) -> None:
    """Read an answer that says nothing but that it is one."""


def _unread(operation: str, why: str) -> RecorderError:
    return RecorderError(StreamCause.RECORDER, f"The recorder's search {why}.", operation)
