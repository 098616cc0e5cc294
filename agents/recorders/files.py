"""The driver for recordings kept as files: segments on disk, found by a path template."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from pydantic import field_validator

from agents.recorders.base import (
    MAX_EXCHANGES,
    Channel,
    Disk,
    DriverOptions,
    Exchange,
    FilePlayback,
    Footage,
    Identity,
    NotOffered,
    OffersNothing,
    Progress,
    RecorderError,
    RecorderSettings,
    latest_by_search,
)
from agents.recorders.container import Unfinished, duration_seconds
from agents.recorders.path_template import epoch, parse_template, wall_range
from agents.recorders.path_walk import ALWAYS, Found, walk
from monitor.model.observation import StreamCause
from monitor.model.span import Millis, Spans, from_millis, to_millis

LONGEST_SEGMENT = timedelta(days=1)
"""A file that began longer ago than this before the window isn't thought to reach into it."""

BEFORE_WINDOW = 2
"""How many of the files that begin before the window are looked at: only the latest can reach into it."""

BEING_WRITTEN = timedelta(minutes=5)
"""A file without an index that changed so lately is still being written; an older one was cut off and won't play."""

BELIEVABLE = timedelta(minutes=30)
"""How near a file's own change time must lie to its end to tell the two passes of a repeated hour apart."""

CHANNEL_DAYS = timedelta(days=2)
MAX_CACHED = 50_000

Key = tuple[str, int, int]
T = TypeVar("T")


class DurationCache(Protocol):
    """Keeps the length of files that were read before, by (path, size, change time in ns)."""

    def get(self, key: Key) -> float | None:
        """Return the seconds kept for `key`; None without any."""
        ...

    def put(self, key: Key, seconds: float) -> None:
        """Keep the seconds of `key`."""
        ...


class MemoryCache:
    """The latest lengths, in memory: some ten megabytes when full."""

    def __init__(self, limit: int = MAX_CACHED) -> None:
        """Keep at most `limit` lengths."""
        self._limit = limit
        self._kept: OrderedDict[Key, float] = OrderedDict()

    def get(self, key: Key) -> float | None:
        """Return the seconds kept for `key`; None without any."""
        seconds = self._kept.get(key)
        if seconds is not None:
            self._kept.move_to_end(key)
        return seconds

    def put(self, key: Key, seconds: float) -> None:
        """Keep the seconds of `key`, and forget the one unused longest."""
        self._kept[key] = seconds
        self._kept.move_to_end(key)
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)


class FilesOptions(DriverOptions):
    """What stands under a recorder of files in site.yaml."""

    path: str
    path_timezone: Literal["local", "utc"] = "local"

    @field_validator("path")
    @classmethod
    def _understood(cls, value: str) -> str:
        parse_template(value, Path())
        return value


class Files(OffersNothing):
    """Recordings on disk. Reads names, sizes and containers; never a picture."""

    def __init__(self, settings: RecorderSettings, cache: DurationCache | None = None) -> None:
        """Prepare; no I/O. Lengths read once are kept in `cache`, or in memory. Raises OptionsError."""
        self._settings = settings
        options = FilesOptions.read(settings.id, "files", settings.options)
        self._template = parse_template(options.path, settings.base_dir)
        self._zone = settings.timezone if options.path_timezone == "local" else UTC
        self._cache = cache if cache is not None else MemoryCache()
        self._cache_lock = threading.Lock()
        self.exchanges: deque[Exchange] = deque(maxlen=MAX_EXCHANGES)

    async def close(self) -> None:
        """Hold nothing open: there is nothing to let go of."""

    def stream_url(self, channel: str, main: bool) -> str | None:  # noqa: ARG002  (the port's signature)
        """Return None: files have no live stream."""
        return None

    async def identity(self) -> Identity:
        """Raise NotOffered: a folder has neither model nor serial number."""
        raise NotOffered("A folder of files has no model, firmware or serial number.")

    async def clock_offset(self) -> float:
        """Raise NotOffered: files are stamped by whoever wrote them, and that clock can't be asked."""
        raise NotOffered("A folder of files has no clock to compare with.")

    async def channels(self) -> tuple[Channel, ...]:
        """Return the cameras that have a folder, or a file of the last two days. Raises RecorderError."""
        if not self._template.has_camera:
            raise NotOffered("The path template names no {camera}: the folder holds one camera and lists none.")
        names = await self._in_thread("cameras", self._cameras)
        return tuple(Channel(name, name, None) for name in sorted(names))

    async def disks(self) -> tuple[Disk, ...]:
        """Return the file system that holds the recordings, as one disk. Raises RecorderError."""
        root = self._template.root
        status = await self._in_thread("file system", lambda: os.statvfs(root))
        read_only = bool(status.f_flag & os.ST_RDONLY)
        capacity = status.f_blocks * status.f_frsize
        state: Literal["read_only", "ok"] = "read_only" if read_only else "ok"
        return (Disk(str(root), state, capacity or None, "mounted read-only" if read_only else "mounted"),)

    async def footage(self, channel: str, start: Millis, end: Millis, progress: Progress | None = None) -> Footage:
        """Return what the files of `channel` hold in [start, end). Raises RecorderError, for one unreadable file too."""
        camera = _camera(channel)
        stop = threading.Event()
        loop = asyncio.get_running_loop()

        def report(share: float) -> None:
            if progress is not None:
                loop.call_soon_threadsafe(progress, share)

        try:
            work = self._in_thread(f"files of {camera}", lambda: self._footage(camera, start, end, report, stop))
            spans = await work
        finally:
            stop.set()
        return Footage(spans, Spans.empty(), (start, end))

    async def earliest(self, channel: str) -> Millis | None:
        """Return the start of the oldest file that plays; None without any. Raises RecorderError."""
        camera = _camera(channel)
        return await self._in_thread(f"oldest file of {camera}", lambda: self._earliest(camera))

    async def latest(self, channel: str) -> Millis | None:
        """Return the end of the newest footage of the last hours; None without any. Raises RecorderError."""
        return await latest_by_search(self, self._settings.clock, channel)

    async def playback(self, channel: str, at: Millis, seconds: float) -> FilePlayback:  # noqa: ARG002  (the port's signature)
        """Return the file that holds the instant `at`, and where in it. Raises RecorderError when none does."""
        camera = _camera(channel)
        return await self._in_thread(f"file of {camera}", lambda: self._playback(camera, at))

    async def _in_thread(self, asked: str, work: Callable[[], T]) -> T:
        """Do file work beside the event loop; an unreadable folder or file is an error, never an empty answer."""
        where = f"{asked} under {self._template.root}"
        try:
            result = await asyncio.to_thread(self._with_root, work)
        except OSError as error:
            name = error.filename if isinstance(error.filename, str) else str(self._template.root)
            detail = f"{name} cannot be read ({error.strerror or error}): check that the disk is mounted and the agent's user may read it."
            self.exchanges.append(Exchange(where, detail))
            raise RecorderError(StreamCause.RECORDER, detail, where) from error
        except RecorderError as error:
            error.asked = where
            self.exchanges.append(Exchange(where, error.detail))
            raise
        self.exchanges.append(Exchange(where, str(result)[:500]))
        return result

    def _with_root(self, work: Callable[[], T]) -> T:
        if not self._template.root.is_dir():
            raise FileNotFoundError(2, "no such folder", str(self._template.root))
        return work()

    def _cameras(self) -> set[str]:
        now = self._settings.clock.now()
        found = self._found(None, now - CHANNEL_DAYS, now + LONGEST_SEGMENT, self._template.camera_depth)
        return {one.camera for one in found if one.camera is not None}

    def _footage(self, camera: str, start: Millis, end: Millis, report: Progress, stop: threading.Event) -> Spans:
        pairs = [span for span, _ in self._playable(camera, start, end, report, stop)]
        return Spans.of(pairs).clip(start, end)

    def _playback(self, camera: str, at: Millis) -> FilePlayback:
        for (start, end), path in self._playable(camera, at, at + 1, lambda _: None, threading.Event()):
            if start <= at < end:
                return FilePlayback(Path(path), (at - start) / 1000)
        moment = from_millis(at).astimezone(self._settings.timezone).isoformat(timespec="seconds")
        raise RecorderError(StreamCause.NOT_FOUND, f"No file of {camera} holds {moment}.")

    def _playable(
        self, camera: str, start: Millis, end: Millis, report: Progress, stop: threading.Event
    ) -> Iterator[tuple[tuple[Millis, Millis], str]]:
        """Yield what each file that may touch [start, end) holds, and its path."""
        if end <= start:
            return
        first, last = from_millis(start), from_millis(end)
        self._require_folder(camera)
        listed = sorted(
            (readings, one.path)
            for one in self._found(camera, first - LONGEST_SEGMENT, last)
            if (readings := self._readings(one)) and first - LONGEST_SEGMENT <= readings[-1] and readings[0] < last
        )
        before = [one for one in listed if one[0][-1] < first]
        files = before[-BEFORE_WINDOW:] + [one for one in listed if one[0][-1] >= first]
        unplayable = 0
        for done, (readings, path) in enumerate(files, start=1):
            if stop.is_set():
                break
            span = self._span(path, readings)
            if span is None:
                unplayable += 1
            else:
                yield span, path
            if done % 200 == 0 or done == len(files):
                report(done / len(files))
        self.exchanges.append(
            Exchange(f"lengths of {len(files)} files of {camera}", f"{unplayable} hold nothing playable")
        )

    def _require_folder(self, camera: str) -> None:
        """Tell a camera without any folder (a wrong `channel`, a lost mount) from one that recorded nothing."""
        if not self._template.camera_is_folder:
            return
        if next(self._found(camera, *ALWAYS, self._template.camera_depth), None) is None:
            detail = (
                f"No folder for channel {camera!r} under {self._template.root}: check `channel` of the camera and `path` of "
                f"recorder {self._settings.id}."
            )
            raise RecorderError(StreamCause.RECORDER, detail)

    def _earliest(self, camera: str) -> Millis | None:
        self._require_folder(camera)
        oldest: tuple[Millis, Millis] | None = None
        for one in self._found(camera, *ALWAYS):
            readings = self._readings(one)
            if not readings or (oldest is not None and to_millis(readings[0]) > oldest[0]):
                continue
            span = self._span(one.path, readings)
            if span is not None and (oldest is None or span[0] < oldest[0]):
                oldest = span
        return oldest[0] if oldest is not None else None

    def _found(self, camera: str | None, first: datetime, last: datetime, depth: int | None = None) -> Iterator[Found]:
        return walk(self._template, self._zone, camera, (first, last), depth)

    def _readings(self, found: Found) -> tuple[datetime, ...]:
        """Return the instants at which the file may begin, the likely one first: two in a repeated hour, else one."""
        stated = epoch(found.parts)
        if stated is not None:
            return (stated,)
        spread = wall_range(found.parts)
        if spread is None:
            return ()
        first, second = (spread[0].replace(tzinfo=self._zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        return (first, second) if first < second else (first,)

    def _span(self, path: str, readings: tuple[datetime, ...]) -> tuple[Millis, Millis] | None:
        """Return what the file holds; None when nothing in it plays, or when it was removed meanwhile."""
        try:
            status = Path(path).stat()
        except FileNotFoundError:
            return None  # the recorder overwrites its oldest files all the time
        changed = datetime.fromtimestamp(status.st_mtime, UTC)
        try:
            seconds = self._duration(path, status)
        except FileNotFoundError:
            return None
        except Unfinished:
            return self._unfinished(readings, changed, status.st_size)
        if seconds > LONGEST_SEGMENT.total_seconds():
            return None  # a damaged or senseless length proves nothing
        begin, length = readings[0], timedelta(seconds=seconds)
        if len(readings) > 1:
            near = [(abs(changed - (reading + length)), reading) for reading in readings]
            distance, nearest = min(near)
            begin = nearest if distance <= BELIEVABLE else begin
        return to_millis(begin), to_millis(begin + length)

    def _unfinished(self, readings: tuple[datetime, ...], changed: datetime, size: int) -> tuple[Millis, Millis] | None:
        """A file that is being written reaches up to its last change; one that was cut off holds nothing that plays."""
        begin = max((reading for reading in readings if reading <= changed), default=None)
        young = abs(self._settings.clock.now() - changed) <= BEING_WRITTEN
        if not young or size == 0 or begin is None or changed - begin > LONGEST_SEGMENT:
            return None
        return to_millis(begin), to_millis(changed)

    def _duration(self, path: str, status: os.stat_result) -> float:
        key = (path, status.st_size, status.st_mtime_ns)
        with self._cache_lock:
            kept = self._cache.get(key)
        if kept is None:
            kept = duration_seconds(Path(path))
            with self._cache_lock:
                self._cache.put(key, kept)
        return kept


def _camera(channel: str) -> str:
    """Return the channel as a part of a file name. Raises RecorderError for one that would leave its folder."""
    if not channel or "/" in channel or "\0" in channel or channel in {".", ".."} or len(channel) > 200:
        detail = f"Channel {channel!r} can't be part of a path: set `channel` of the camera to its folder's name."
        raise RecorderError(StreamCause.NOT_FOUND, detail)
    return channel
