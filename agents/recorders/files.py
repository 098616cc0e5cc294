"""The driver for recordings kept as files: segments on disk, found by a path template."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, timedelta
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from agents.recorders.answers import storable
from agents.recorders.base import (
    MAX_EXCHANGES,
    Channel,
    Cost,
    Disk,
    Exchange,
    FilePlayback,
    Footage,
    Identity,
    NotOffered,
    OffersNothing,
    Progress,
    RecorderError,
    latest_by_search,
)
from agents.recorders.catalogue import Catalogue
from agents.recorders.demuxer import Demuxer
from agents.recorders.path_template import parse_template
from agents.recorders.path_walk import ALWAYS, walk
from agents.recorders.segments import LONGEST_SEGMENT, SegmentReader, Starts
from agents.recorders.settings import DriverOptions, RecorderSettings
from agents.recorders.sizes import FileSizes
from agents.recorders.tree import Tree
from monitor.model.counted import counted
from monitor.model.observation import StreamCause
from monitor.model.span import Millis, Spans, from_millis

CHANNEL_DAYS = timedelta(days=2)
RULES = 1
"""Goes up when files are read by other rules than before: what is catalogued is read again then."""

T = TypeVar("T")


class FilesOptions(DriverOptions):
    """What stands under a recorder of files in site.yaml."""

    path: str
    path_timezone: Literal["local", "utc"] = "local"
    starts: Starts = Field(default="path", validate_default=True)

    @field_validator("path")
    @classmethod
    def _understood(cls, value: str) -> str:
        parse_template(value, Path())
        return value

    @field_validator("starts")
    @classmethod
    def _told(cls, value: Starts, info: ValidationInfo) -> Starts:
        path = info.data.get("path")
        if path is not None and value == "path" and not parse_template(path, Path()).tells_start:
            msg = (
                f"`path` {path!r} tells the day and not when each file begins; add %H and %M, or set `starts: written` "
                "where a file's change time is its end"
            )
            raise ValueError(msg)
        return value


class Files(OffersNothing):
    """Recordings on disk. Reads names, sizes and containers; never a picture."""

    cost: Cost = "free"

    def __init__(self, settings: RecorderSettings) -> None:
        """Prepare; no I/O. What was read once is kept in the state directory, if there is one. Raises OptionsError."""
        self._settings = settings
        options = FilesOptions.read(settings.id, "files", settings.options)
        self._template = parse_template(options.path, settings.base_dir)
        self._zone = settings.timezone if options.path_timezone == "local" else UTC
        self._catalogue = Catalogue(
            _catalogue_path(settings), f"{RULES} {options.starts} {self._zone} {self._template}"
        )
        self._demuxer = Demuxer()
        reader = SegmentReader(self._zone, settings.clock, options.starts, self._demuxer)
        self._tree = Tree(self._template, reader, self._catalogue)
        self._reading = threading.Lock()
        self.exchanges: deque[Exchange] = deque(maxlen=MAX_EXCHANGES)

    async def close(self) -> None:
        """Close the catalogue, and end the process that reads files."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        with self._reading:
            self._demuxer.close()
            self._catalogue.close()

    @property
    def looked_into(self) -> int:
        """How many files were opened so far; a known file isn't."""
        return self._tree.opened

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
        return tuple(Channel(name, name, None) for name in sorted({storable(name) for name in names}))

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
            return await self._in_thread(f"files of {camera}", lambda: self._footage(camera, start, end, report, stop))
        finally:
            stop.set()

    async def earliest(self, channel: str) -> Millis | None:
        """Return the start of the oldest file that plays; None without any. Raises RecorderError."""
        camera = _camera(channel)
        return await self._in_thread(f"oldest file of {camera}", lambda: self._oldest(camera))

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
            name = storable(error.filename) if isinstance(error.filename, str) else str(self._template.root)
            detail = f"{name} cannot be read ({error.strerror or error}): check that the disk is mounted and the agent's user may read it."
            self.exchanges.append(Exchange(where, detail))
            raise RecorderError(StreamCause.RECORDER, detail, where) from error
        except RecorderError as error:
            error.asked = where
            self.exchanges.append(Exchange(where, error.detail))
            raise
        shown = counted(len(result.spans), "span") if isinstance(result, Footage) else storable(str(result)[:500])
        trouble = f"; what was read could not be kept: {self._catalogue.trouble}" if self._catalogue.trouble else ""
        self.exchanges.append(Exchange(where, f"{shown}{trouble}"))
        return result

    def _with_root(self, work: Callable[[], T]) -> T:
        if not self._template.root.is_dir():
            raise FileNotFoundError(2, "no such folder", str(self._template.root))
        return work()

    def _cameras(self) -> set[str]:
        now = self._settings.clock.now()
        window = now - CHANNEL_DAYS, now + LONGEST_SEGMENT
        if self._template.components[-1].tells_camera:
            with self._reading:
                return self._tree.cameras(window)
        found = walk(self._template, self._zone, None, window, self._template.camera_depth)
        return {one.camera for one in found if one.camera is not None}

    def _footage(self, camera: str, start: Millis, end: Millis, report: Progress, stop: threading.Event) -> Footage:
        self._require_folder(camera)
        if end <= start:
            return Footage(Spans.empty(), Spans.empty(), (start, end), FileSizes.of(()))
        with self._reading:
            opened = self._tree.opened
            held = self._tree.read(camera, (from_millis(start), from_millis(end)), report, stop)
            opened = self._tree.opened - opened
        segments = np.concatenate([one.shelf.segments for one in held]) if held else np.empty((0, 4), dtype=np.int64)
        plays = segments[:, 1] > segments[:, 0]
        told = f"{len(plays) - int(plays.sum())} hold nothing playable, {opened} were looked into"
        self.exchanges.append(Exchange(f"{counted(len(plays), 'file')} of {camera}", told))
        touching = segments.compress(plays & (segments[:, 0] < end) & (segments[:, 1] > start), axis=0)
        if np.any(touching[1:, 0] < touching[:-1, 0]):
            touching = touching.take(np.argsort(touching[:, 0], kind="stable"), axis=0)
        spans = Spans.of(touching[:, :2]).clip(start, end)
        return Footage(spans, Spans.empty(), (start, end), FileSizes(touching[:, :3]))

    def _playback(self, camera: str, at: Millis) -> FilePlayback:
        self._require_folder(camera)
        window = from_millis(at), from_millis(at + 1)
        with self._reading:
            for held in self._tree.read(camera, window, lambda _: None, threading.Event()):
                segments = held.shelf.segments
                for row in np.flatnonzero((segments[:, 0] <= at) & (at < segments[:, 1])).tolist():
                    path = self._tree.path_of(camera, held, row)
                    if path is not None:
                        return FilePlayback(Path(path), (at - int(segments[row, 0])) / 1000)
        moment = from_millis(at).astimezone(self._settings.timezone).isoformat(timespec="seconds")
        raise RecorderError(StreamCause.NOT_FOUND, f"No file of {camera} holds {moment}.")

    def _oldest(self, camera: str) -> Millis | None:
        self._require_folder(camera)
        with self._reading:
            return self._tree.oldest(camera)

    def _require_folder(self, camera: str) -> None:
        """Tell a camera without any folder (a wrong `channel`, a lost mount) from one that recorded nothing."""
        if not self._template.camera_is_folder:
            return
        if next(walk(self._template, self._zone, camera, ALWAYS, self._template.camera_depth), None) is None:
            detail = (
                f"No folder for channel {camera!r} under {self._template.root}: check `channel` of the camera and `path` of "
                f"recorder {self._settings.id}."
            )
            raise RecorderError(StreamCause.RECORDER, detail)


def _catalogue_path(settings: RecorderSettings) -> Path | None:
    """Return where the catalogue lies: a name for each recorder, whatever its id is made of."""
    name = hashlib.sha256(settings.id.encode()).hexdigest()[:12]
    return settings.state_dir / f"files-{name}.sqlite" if settings.state_dir is not None else None


def _camera(channel: str) -> str:
    """Return the channel as a part of a file name. Raises RecorderError for one that would leave its folder."""
    if not channel or "/" in channel or "\0" in channel or channel in {".", ".."} or len(channel) > 200:
        detail = f"Channel {channel!r} can't be part of a path: set `channel` of the camera to its folder's name."
        raise RecorderError(StreamCause.NOT_FOUND, detail)
    return channel
