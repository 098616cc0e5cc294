"""Recorded footage played over RTSP: what a channel's camera showed at an instant of the recorder's own clock."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import enum
import functools
import re
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from agents.simulators.camera import Camera, Format, Watcher
from agents.simulators.encoder import CLOCK_RATE, AccessUnit, Encoder, parameter_sets
from agents.simulators.footage import Segment
from agents.simulators.recorder import Channel, RecorderState, Unplayable
from agents.simulators.scenes import Scene

_NOTHING_THERE: Final = 404
_INVALID_RANGE: Final = 457
_BAD_REQUEST: Final = 400
_NTP_EPOCH_OFFSET: Final = 2_208_988_800
_CLOCK: Final = re.compile(r"clock=(\d{8}T\d{6}(?:\.\d+)?Z)(?:-(\d{8}T\d{6}(?:\.\d+)?Z)?)?", re.IGNORECASE)


class Stamp(enum.Enum):
    """How a maker writes instants into its playback addresses."""

    DIGITS = "digits"  # the wall clock's digits, whatever stands behind them
    EPOCH = "epoch"  # seconds since 1970 by the recorder's clock


@dataclass(frozen=True)
class Asked:
    """What an address asks to be played; without `begin` the PLAY request says it."""

    channel_id: int
    stamp: Stamp
    begin: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Habits:
    """What a maker's playback tells of time: `clock` ranges, and ONVIF's RTP header extension on every picture."""

    clock_range: bool = False
    extension: bool = False


class Recordings:
    """All that a recorder plays back, and who asked for it."""

    def __init__(self, state: RecorderState, form: Format, habits: Habits, read: Callable[[str], Asked | None]) -> None:
        """`read` takes an address (path and query, in lower case) apart; None for one that is no playback."""
        self.state, self.form, self.habits, self._read = state, form, habits, read
        self.counts: Counter[str] = Counter()
        self.playing = 0

    def of(self, address: str) -> Playback | None:
        """Return what an address names; None when it is no playback, or there is no such channel."""
        asked = self._read(address)
        if asked is None:
            return None
        try:
            channel = self.state.channel(asked.channel_id)
        except KeyError:
            return None
        return Playback(self, channel, asked)

    def refusal(self, address: str) -> int | None:
        """Return the status by which an address is refused: a missing right, or nothing to play."""
        playback = self.of(address)
        if playback is None:
            return None
        if self.state.playback_status is not None:
            self.counts["playback_refusals"] += 1
            return self.state.playback_status
        return playback.missing()

    def stats(self) -> dict[str, int]:
        """Return the counters."""
        names = ("playbacks", "concurrent_playbacks", "playback_refusals", "played_pictures")
        return {name: self.counts[name] for name in names}


class Playback:
    """One recording that is played: made for a request, cued by PLAY, drawn while somebody watches."""

    is_dead = False

    def __init__(self, recordings: Recordings, channel: Channel, asked: Asked) -> None:
        """Nothing is drawn yet."""
        self._all, self.channel, self._asked = recordings, channel, asked
        self.form, self.frames_encoded = recordings.form, 0
        self._segment: Segment | None = None
        self._begin = self._end = 0.0
        self._task: asyncio.Task[None] | None = None
        if asked.begin is not None:
            self._find(asked.begin, asked.end)

    @property
    def parameter_sets(self) -> tuple[bytes, ...]:
        """Return SPS and PPS."""
        form = self.form
        return parameter_sets(form.width, form.height, form.fps, form.gop_seconds)

    @property
    def range(self) -> str:
        """Return what the description says of time."""
        if self._segment is None or not self._all.habits.clock_range:
            return "npt=0-"
        return f"clock={self._written(self._begin)}-{self._written(self._end)}"

    def missing(self) -> int | None:
        """Return the status for nothing to play, where the address itself says when; None when something may be there."""
        if self._asked.begin is None:
            return None
        return _NOTHING_THERE if self._segment is None or self._fault is Unplayable.MISSING else None

    def cue(self, wanted: str, requires: str) -> int | str:
        """Go to where PLAY's Range header says; return the Range of the answer, or a status that refuses it."""
        if self._all.habits.extension and "onvif-replay" not in requires.lower():
            return _BAD_REQUEST
        if self._asked.begin is None:
            found = _CLOCK.match(wanted)
            if found is None:
                return _INVALID_RANGE
            self._find(_epoch(found[1]), None if found[2] is None else _epoch(found[2]))
            if self._segment is None or self._fault is Unplayable.MISSING:
                return _INVALID_RANGE
        return f"clock={self._written(self._begin)}-" if self._all.habits.clock_range else "npt=0.000-"

    def watch(self, watcher: Watcher) -> None:
        """Begin to play."""
        recordings = self._all
        recordings.counts["playbacks"] += 1
        recordings.counts["concurrent_playbacks"] += recordings.playing > 0
        recordings.playing += 1
        self._task = asyncio.create_task(self._run(watcher), name=f"playback of channel {self.channel.id}")

    def leave(self, _: Watcher) -> None:
        """Stop."""
        task, self._task = self._task, None
        if task is not None:
            self._all.playing -= 1
            task.cancel()

    async def _run(self, watcher: Watcher) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            if self._fault is Unplayable.SILENT:
                await asyncio.Event().wait()
            await self._show(watcher)
            watcher.end()

    async def _show(self, watcher: Watcher) -> None:
        form, tick = self.form, 0
        encoder = Encoder(form.width, form.height, form.fps, gop_seconds=form.gop_seconds)
        while (at := self._begin + tick / form.fps) < self._end:
            picture = self._scene.room(at, self._camera.zone)
            for unit in encoder.encode(picture, tick * CLOCK_RATE // form.fps):
                self._all.counts["played_pictures"] += 1
                sent = _spoilt(unit) if self._fault is Unplayable.GARBAGE else unit
                watcher.show(sent, tick * CLOCK_RATE // form.fps, self._extension(at, tick, keyframe=unit.keyframe))
            tick += 1
            await asyncio.sleep(1 / form.fps / self._all.state.playback_speed)

    def _extension(self, at: float, tick: int, *, keyframe: bool) -> bytes:
        """Return ONVIF's replay header extension: the picture's time, and what begins with it."""
        if not self._all.habits.extension:
            return b""
        stamped = at + (self._segment.clock_offset_seconds if self._segment else 0.0)
        seconds = int(stamped)
        flags = (0x80 if keyframe else 0) | (0x20 if tick == 0 else 0)
        body = struct.pack(">IIBBH", seconds + _NTP_EPOCH_OFFSET, int((stamped - seconds) * 2**32), flags, 0, 0)
        return struct.pack(">HH", 0xABAC, len(body) // 4) + body

    def _find(self, begin: float, end: float | None) -> None:
        """Find the segment that holds an instant as the maker writes it, and turn it into true time."""
        for segment in self.channel.footage.segments(self._all.state.now()):
            low, high = self._stamps(segment)
            if low <= begin < high:
                self._segment = segment
                self._begin = segment.start + begin - low
                self._end = segment.end if end is None else min(segment.end, segment.start + end - low)

    def _stamps(self, segment: Segment) -> tuple[float, float]:
        if self._asked.stamp is Stamp.DIGITS:
            return self._all.state.wall_span(segment)
        return segment.start + segment.clock_offset_seconds, segment.end + segment.clock_offset_seconds

    def _written(self, at: float) -> str:
        segment = self._segment or Segment(at, at)
        low, _ = self._stamps(segment)
        return datetime.fromtimestamp(low + at - segment.start, UTC).strftime("%Y%m%dT%H%M%SZ")

    @property
    def _fault(self) -> Unplayable | None:
        spoilt = any(start <= self._begin < end for start, end in self.channel.unplayable)
        return self.channel.unplayable_as if spoilt else None

    @property
    def _camera(self) -> Camera:
        return self.channel.recorded_camera or self.channel.camera

    @functools.cached_property
    def _scene(self) -> Scene:
        camera, form = self._camera, self.form
        return Scene(camera.seed, width=form.width, height=form.height, name=camera.name, figures=camera.figures)


def wall_digits(text: str) -> float:
    """Return wall clock digits such as 20261123T120000Z or 2026_11_23_12_00_00, counted as if UTC. Raises ValueError."""
    plain = "".join(char for char in text if char.isdigit())
    return datetime.strptime(plain, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()


def _epoch(text: str) -> float:
    whole, _, fraction = text.upper().rstrip("Z").partition(".")
    return wall_digits(whole) + (float(f"0.{fraction}") if fraction else 0.0)


def _spoilt(unit: AccessUnit) -> AccessUnit:
    """Return a picture of which nothing can be decoded: the kinds of its parts stay, what is in them doesn't."""
    return dataclasses.replace(unit, nals=tuple(nal[:1] + b"\xff" * (len(nal) - 1) for nal in unit.nals))
