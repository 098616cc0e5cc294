"""A camera behind an address: its scene, its fault, and streams that encode only while somebody watches."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import functools
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Final, Protocol

from agents.simulators.encoder import CLOCK_RATE, AccessUnit, Encoder, parameter_sets
from agents.simulators.scenes import Picture, Scene, seed_number

Now = Callable[[], float]


class Fault(enum.StrEnum):
    """What is wrong with a camera."""

    NONE = "none"
    BLACK = "black"  # the lens is capped; the camera still writes its clock
    DARK = "dark"  # the light is off in the room: no fault of the camera, and to be told from black
    FROZEN = "frozen"  # the same picture for ever, its clock included
    FROZEN_SENSOR = "frozen_sensor"  # the same picture under a running clock
    COVERED = "covered"  # a hand before the lens: most of the view is gone
    MOVED = "moved"  # the camera was turned and looks at another part of the room
    BLURRED = "blurred"  # out of focus
    LOOPED = "looped"  # the last seconds played again and again, as if they were live
    SIGNAL_LOST = "signal_lost"  # the recorder serves its placeholder
    STALLED = "stalled"  # the connection stays, no frame comes
    DEAD = "dead"  # sessions end and the stream cannot be found


class Watcher(Protocol):
    """Somebody who is sent a stream's access units."""

    def show(self, unit: AccessUnit, ticks: int, extension: bytes = b"") -> None:
        """Take one access unit shown at `ticks` of the 90 kHz clock, with an RTP header extension where there is one."""
        ...

    def end(self) -> None:
        """The stream has ended: the camera is dead."""
        ...


@dataclass(frozen=True)
class Format:
    """Picture size and pace of one stream."""

    width: int = 352
    height: int = 288
    fps: int = 5
    gop_seconds: float = 2.0
    loop_seconds: float = 16.0
    """How much of what was sent is played again when it is looped, once somebody has watched for so long."""


MAIN: Final = Format(640, 360)
SUB: Final = Format()


class Camera:
    """One camera: its streams show the same scene and share its fault."""

    def __init__(
        self,
        seed: int | str,
        *,
        name: str = "",
        zone: tzinfo = UTC,
        figures: int = 3,
        now: Now = time.time,
    ) -> None:
        """`seed` decides what the room looks like; `name` (ASCII) is written into the picture; `zone` is its clock's."""
        self.seed, self.name, self.zone, self.figures, self.now = seed, name, zone, figures, now
        self.fault = Fault.NONE
        self.fault_since = now()
        self.streams: list[Stream] = []

    def add_stream(self, form: Format) -> Stream:
        """Give the camera one more stream (main, sub) of this format."""
        stream = Stream(self, form)
        self.streams.append(stream)
        return stream

    def set_fault(self, fault: Fault) -> None:
        """Let the fault begin now, or end now with `Fault.NONE`."""
        self.fault, self.fault_since = fault, self.now()
        for stream in self.streams:
            stream.take_fault()


class Replay:
    """A recording that is played as if it were live, again and again, at the pace at which it was taken."""

    def __init__(self, taken: Sequence[tuple[int, AccessUnit]], start: int, step: int) -> None:
        """Take access units with their 90 kHz ticks, the first a keyframe; they run from `start` on, `step` ticks apart."""
        self._parts = [(ticks - taken[0][0], unit) for ticks, unit in taken]
        self._period = self._parts[-1][0] + step
        self._start = start
        self._played = 0

    def due(self, ticks: int) -> Iterator[tuple[AccessUnit, int]]:
        """Yield what is to be shown up to `ticks`, and when: late ones too, since a recording loses no frames."""
        while True:
            turn, place = divmod(self._played, len(self._parts))
            offset, unit = self._parts[place]
            at = self._start + turn * self._period + offset
            if at > ticks:
                return
            if ticks - at >= self._period:  # the whole machine stood still: no burst of hours
                self._played += (ticks - at) // self._period * len(self._parts)
                continue
            self._played += 1
            yield unit, at


class Stream:
    """One encoded view of a camera, live: pictures are drawn and encoded only while there are watchers."""

    def __init__(self, camera: Camera, form: Format) -> None:
        """Nothing is drawn and nothing runs until somebody watches. Raises ValueError for an impossible size."""
        if form.width % 2 or form.height % 4:
            raise ValueError(f"{form.width}x{form.height}: width must be even, height a multiple of four")
        self.camera, self.form = camera, form
        self.frames_encoded = 0
        self._watchers: set[Watcher] = set()
        self._pump: asyncio.Task[None] | None = None
        self._held: Picture | None = None
        self._encoder: Encoder | None = None
        self._sent: deque[tuple[int, AccessUnit]] = deque()
        """What was sent in the last `loop_seconds`."""
        self._loop: Replay | None = None
        # Cameras of one site don't tick together.
        self._phase = seed_number(camera.seed) % 97 / 97

    @property
    def is_dead(self) -> bool:
        """Tell whether the stream can't be found now."""
        return self.camera.fault is Fault.DEAD

    @property
    def range(self) -> str:
        """Return what the description says of time."""
        return "npt=now-"

    def cue(self, wanted: str, requires: str) -> int | str:  # noqa: ARG002  (as of a playback)
        """Return the Range of the answer to PLAY: a live stream is where it is."""
        return "npt=0.000-"

    @functools.cached_property
    def _scene(self) -> Scene:
        camera, form = self.camera, self.form
        return Scene(camera.seed, width=form.width, height=form.height, name=camera.name, figures=camera.figures)

    @property
    def parameter_sets(self) -> tuple[bytes, ...]:
        """Return SPS and PPS."""
        return parameter_sets(self.form.width, self.form.height, self.form.fps, self.form.gop_seconds)

    def watch(self, watcher: Watcher) -> None:
        """Begin to show the stream to `watcher`: from the next keyframe on."""
        self._watchers.add(watcher)
        if self._pump is None:
            self._pump = asyncio.create_task(self._run(), name=f"stream {self.camera.name}")

    def leave(self, watcher: Watcher) -> None:
        """Stop showing the stream to `watcher`; the last one to leave stops the encoder."""
        self._watchers.discard(watcher)
        self._rest()

    def _rest(self) -> None:
        """Draw and encode nothing when nobody watches; a recording that is played as live goes on unseen."""
        if not self._watchers and self._pump is not None and self._loop is None:
            self._pump.cancel()
            self._pump = None

    async def close(self) -> None:
        """Stop the encoder, whoever watches."""
        pump, self._pump = self._pump, None
        self._watchers.clear()
        if pump is not None:
            pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pump

    def take_fault(self) -> None:
        """Follow the camera's new fault."""
        self._held = None
        if self._loop is not None:
            self._loop, self._encoder = None, None  # live again, from a keyframe on
        if self.camera.fault is Fault.DEAD:
            for watcher in list(self._watchers):
                watcher.end()
        self._rest()

    async def _run(self) -> None:
        form, loop = self.form, asyncio.get_running_loop()
        self._encoder, self._loop = None, None
        self._sent.clear()
        step, tick = 1 / form.fps, 0
        start = loop.time() + self._phase * step
        while True:
            await asyncio.sleep(start + tick * step - loop.time())
            if self.camera.fault not in {Fault.STALLED, Fault.DEAD}:
                self._show(tick * CLOCK_RATE // form.fps)
            # After a stop of the whole machine frames are left out, as a live camera does: no burst to catch up.
            tick = max(tick + 1, int((loop.time() - start) / step))

    def _show(self, ticks: int) -> None:
        for unit, at in self._units(ticks):
            for watcher in list(self._watchers):
                watcher.show(unit, at)

    def _units(self, ticks: int) -> Iterable[tuple[AccessUnit, int]]:
        """Return what is sent now, and its ticks: the newest picture, or what is due of a recording played as live."""
        kept = round(self.form.loop_seconds * CLOCK_RATE)
        while self._sent and ticks - self._sent[0][0] >= kept:
            self._sent.popleft()
        if self._loop is None and self.camera.fault is Fault.LOOPED and ticks >= kept:
            whole = list(itertools.dropwhile(lambda sent: not sent[1].keyframe, self._sent))
            self._loop = Replay(whole, ticks, CLOCK_RATE // self.form.fps) if whole else None
        if self._loop is not None:
            return self._loop.due(ticks)
        if self._encoder is None:
            form = self.form
            self._encoder = Encoder(form.width, form.height, form.fps, gop_seconds=form.gop_seconds)
        units = self._encoder.encode(self._picture(), ticks)
        self.frames_encoded += len(units)
        self._sent.extend((ticks, unit) for unit in units)
        return [(unit, ticks) for unit in units]

    def _picture(self) -> Picture:
        scene, at, zone, fault = self._scene, self.camera.now(), self.camera.zone, self.camera.fault
        match fault:
            case Fault.SIGNAL_LOST:
                return scene.placeholder()
            case Fault.FROZEN | Fault.FROZEN_SENSOR:
                return scene.with_clock(self._hold(), self.camera.fault_since if fault is Fault.FROZEN else at, zone)
            case _:
                views = {
                    Fault.BLACK: scene.black,
                    Fault.DARK: scene.dark,
                    Fault.COVERED: scene.covered,
                    Fault.MOVED: scene.moved,
                    Fault.BLURRED: scene.blurred,
                }
                return views.get(fault, scene.room)(at, zone)

    def _hold(self) -> Picture:
        if self._held is None:
            self._held = self._scene.sensor(self.camera.fault_since)
        return self._held
