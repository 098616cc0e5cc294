"""One camera's stream looked at once, within ten seconds: does it run, what does it show."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from pydantic import JsonValue

from agents.look_shown import look_lines
from agents.rtsp.errors import StreamError
from agents.rtsp.rtp import FrameEvent
from agents.rtsp.stream import Stream
from agents.site import CameraConfig
from agents.station import Station
from agents.views import ApprovedView, agreed_view
from agents.vision.diagnose import OK
from agents.vision.eye import Eye, Judged
from agents.watch.budget import FULL_RETRIES, Seat
from agents.watch.camera import OPENING_SECONDS, Timings
from agents.watch.decoder import DecodeError, Decoder, DecoderBusyError
from agents.watch.failure import SILENCE
from agents.watch.main_look import look_at_main
from agents.watch.placeholder import PLAYS_PLACEHOLDER, SIGNAL_LOST
from agents.watch.track import Sink
from monitor.model.observation import Kind, Observation, StreamCause, Subject
from monitor.model.span import HOUR, Basis, Millis, to_millis

STREAM_SECONDS = 10.0
"""A stream is looked at no longer than this, refusals and waiting for a turn aside."""
PATIENCE_SECONDS = Timings().keyframe_wait
"""So long after PLAY was answered the service waits for a first packet: nothing is called down before that."""
LATE = (
    f"the stream was opened, and at most one frame came in time; some cameras begin with their next keyframe, or send a frame in 16 s, for which the service waits, {PATIENCE_SECONDS:.0f} s: "
    "check again, or look at `agent run`; a channel without a camera sends nothing either"
)
FIRST_FRAMES_SECONDS = 1.5
"""By then the frames of healthy cameras have begun to arrive."""
MAIN_SECONDS = 4.0
"""How long the recorded stream is looked at: two keyframes of most cameras."""
LEAST_SECONDS = 0.2
"""In less than this no keyframe comes."""
HOLDS_FOR: Millis = HOUR


class Tell(Protocol):
    """Told what --explain shows."""

    def __call__(self, subject: str, line: str, /, *shorter: str) -> None:
        """Take a line of a subject, and what of it people read on a terminal where that is less."""
        ...


async def next_picture(stream: Stream, left: float, for_keyframe: float) -> bytes | None:
    """Return the next picture within `left` seconds, None when there is none. Raises StreamError.

    After `for_keyframe` seconds without a keyframe frames from a recovery point on will do, too: some streams never have another.
    """
    if left <= LEAST_SECONDS:
        return None
    first = min(left, for_keyframe)
    return await stream.next_keyframe(first) or (await stream.next_keyframe(left - first) if left > first else None)


class Glance:
    """One camera's stream, looked at once."""

    def __init__(
        self,
        station: Station,
        decoder: Decoder,
        camera: CameraConfig,
        sink: Sink,
        tell: Tell,
        approved: Sequence[ApprovedView] = (),
        *,
        main: bool = False,
    ) -> None:
        """Look at nothing yet. `main`: at the recorded stream as well, where time is left."""
        self._approved = approved
        self._main = main
        self._station = station
        self._decoder = decoder
        self._camera = camera
        self._sink = sink
        self._to = tell
        self._subject = Subject(kind="camera", id=camera.id)
        self._shows: str | None = None
        """What the picture was, None where none was looked at."""

    async def run(self) -> None:
        """Take the camera's turn; a full recorder gives it another one."""
        budget = self._station.budget(self._camera)
        first = self._station.clock.monotonic()
        for attempt in range(FULL_RETRIES + 1):
            async with budget.session(self._camera.id) as seat:
                opened = self._station.clock.monotonic()
                began = to_millis(self._station.clock.now())
                try:
                    await self._stream(began, opened, seat)
                    if self._main:
                        await self._look_at_main(STREAM_SECONDS - self._since(opened))
                    self._tell(f"ended after {self._since(opened):.1f} s")
                    return
                except StreamError as error:
                    self._tell(f"ended after {self._since(opened):.1f} s")
                    state, cause = await self._station.meaning_of(self._camera, error, first, seat)
                    self._tell(f"{error.stage}: {error.detail} -> {state}, {cause}")
                    again = cause is StreamCause.RECORDER_FULL or (attempt == 0 and self._too_early(cause, opened))
                    if not again or attempt == FULL_RETRIES:
                        self._saw(began, state, cause, error.detail)
                        return
            await self._station.clock.sleep(1.0 * (attempt + 1))

    def _too_early(self, cause: StreamCause, opened: float) -> bool:
        """Tell whether a session may have been refused by silence before another camera's frames could show it."""
        early = self._since(opened) < FIRST_FRAMES_SECONDS
        return early and cause in SILENCE and self._camera.recorder is not None

    async def _stream(self, began: Millis, opened: float, seat: Seat) -> None:
        """Open the stream, take frames, look at one or two keyframes. Raises StreamError when it breaks off."""
        stream = await self._station.open(self._camera, self._tell)
        try:
            first = await self._first_frames(stream, opened, seat)
            if not first:
                self._tell(LATE)
                self._saw(began, "unknown", StreamCause.STALLED, LATE)
                return
            seat.playing()
            self._station.runs(self._camera)
            left = STREAM_SECONDS - self._since(opened) - 0.5
            pictures = asyncio.create_task(self._pictures(stream, max(1.0, left)))
            try:
                while not pictures.done():
                    waiting = asyncio.create_task(stream.batch())
                    await asyncio.wait({pictures, waiting}, return_when=asyncio.FIRST_COMPLETED)
                    if not waiting.done():
                        waiting.cancel()
                        await asyncio.gather(waiting, return_exceptions=True)
                    else:
                        first += waiting.result()
                await pictures
            finally:
                pictures.cancel()
                await asyncio.gather(pictures, return_exceptions=True)
            # Its placeholder is frames, too, and the camera's are gone.
            if self._shows == SIGNAL_LOST and await self._station.says_offline(self._camera):
                self._tell(PLAYS_PLACEHOLDER)
                self._saw(began, "down", StreamCause.CHANNEL_OFFLINE, PLAYS_PLACEHOLDER, Basis.RECORDER_SAYS)
            else:
                self._saw(began, "up", None, "")
            info = stream.info
            size = f", {info.width} x {info.height}" if info.width else ""
            self._tell(f"{len(first)} frames, {info.codec}{size}")
        finally:
            if seat.is_playing:
                self._station.runs(self._camera)
            await asyncio.gather(stream.close(), return_exceptions=True)

    async def _look_at_main(self, left: float) -> None:
        """See what is recorded, in the session that the watched stream had, when `left` seconds are enough."""
        if left < MAIN_SECONDS:
            self._tell("no time was left for the main stream")
            return
        clock, camera = self._station.clock, self._camera
        looking = look_at_main(
            self._subject,
            lambda: self._station.open_main(camera),
            clock,
            min(left - 1.0, MAIN_SECONDS),
            lambda _first, _last: self._station.runs(camera),
        )
        try:
            async with asyncio.timeout(left):
                seen = await looking
        except TimeoutError:
            self._tell("the main stream did not come in time")
            return
        self._tell(f"main stream: {seen.detail or seen.facts}")
        self._sink(seen)

    async def _first_frames(self, stream: Stream, opened: float, seat: Seat) -> list[FrameEvent]:
        """Return three frames, or as many as come while the stream's time lasts. Raises StreamError.

        Many devices begin with their next keyframe: one that sends nothing while a look lasts is not down, as the service would still wait.
        """
        stream.wait_for_first(PATIENCE_SECONDS)
        aside = asyncio.get_running_loop().call_later(OPENING_SECONDS, seat.aside)
        frames: list[FrameEvent] = []
        try:
            async with asyncio.timeout(STREAM_SECONDS - 0.5 - self._since(opened)):
                while len(frames) < 3:
                    frames += await stream.batch()
                    aside.cancel()
                    self._station.runs(self._camera)
        except TimeoutError:
            pass  # what came by then is what there is
        finally:
            aside.cancel()
        return frames

    async def _pictures(self, stream: Stream, seconds: float) -> None:
        """Look at a keyframe and, if time allows, at another one to tell a frozen picture."""
        until = self._station.clock.monotonic() + seconds
        judged: Judged | None = None
        bounds = self._camera.bounds
        eye = Eye(bounds.day, [item.fingerprint for item in self._approved], by_light=bounds.of)
        began = to_millis(self._station.clock.now())
        for _ in range(2):
            keyframe = await next_picture(stream, until - self._station.clock.monotonic(), seconds / 2)
            if keyframe is None:
                break
            try:
                info = stream.info
                looked = await self._decoder.look(self._camera.id, info.codec, keyframe, (info.width, info.height))
                judged = eye.look(looked.measures, looked.view, codec=info.codec)
            except DecodeError as error:
                if judged is not None and isinstance(error, DecoderBusyError):
                    self._tell(f"{error} with other cameras' pictures: one picture was looked at")
                    break
                self._view(began, "unknown", StreamCause.DECODE_ERROR, {}, str(error))
                return
        if judged is None:
            self._tell(f"no keyframe within {seconds:.0f} s: the picture was not looked at")
            return
        scores: dict[str, JsonValue] = dict(judged.scores)
        state = self._shows = judged.conditions.state
        said = f"picture {looked.width} x {looked.height}: {state}"
        self._to(
            str(self._subject),
            f"{said} {scores}; thresholds {bounds.digest()} {vars(judged.thresholds)}",
            f"{said}; thresholds {bounds.digest()}",
            *(f"  {line}" for line in look_lines(state, judged.scores, judged.thresholds)),
        )
        agreed = agreed_view(judged.matched, self._approved) if state == OK else None
        self._view(began, state, agreed, {**scores, "thresholds": bounds.digest()}, "")

    def _saw(
        self, began: Millis, state: str, cause: StreamCause | None, detail: str, basis: Basis = Basis.WATCHED
    ) -> None:
        self._observed(Kind.STREAM, began, state, cause, detail, {}, basis)

    def _view(self, began: Millis, state: str, cause: str | None, scores: dict[str, JsonValue], detail: str) -> None:
        self._observed(Kind.VIEW, began, state, cause, detail, scores)

    def _observed(
        self,
        kind: Kind,
        began: Millis,
        state: str,
        cause: str | None,
        detail: str,
        facts: dict[str, JsonValue],
        basis: Basis = Basis.WATCHED,
    ) -> None:
        now = to_millis(self._station.clock.now())
        self._sink(
            Observation(
                subject=self._subject,
                kind=kind,
                start=began,
                end=max(now, began + 1),
                state=state,
                cause=cause,
                basis=basis,
                expires=now + HOLDS_FOR,
                detail=detail[:500],
                facts=facts,
            )
        )

    def _since(self, monotonic: float) -> float:
        return self._station.clock.monotonic() - monotonic

    def _tell(self, line: str) -> None:
        self._to(str(self._subject), line)
