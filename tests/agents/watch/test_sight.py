"""Since when a view is known: what nobody saw is nobody's, whatever was seen before and after it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from agents.rtsp.errors import StreamError
from agents.rtsp.stream import StreamInfo
from agents.vision.diagnose import Conditions
from agents.vision.eye import Judged
from agents.vision.fingerprint import fingerprint
from agents.vision.measure import measure
from agents.vision.picture import Picture
from agents.watch.budget import Budget, Seat
from agents.watch.camera import CameraWatch, Sight, Timings, Tools
from agents.watch.decoder import Decoder, DecoderKilledError, Looked, Size
from agents.watch.failure import Around
from agents.watch.gauge import Gauge
from monitor.model.clock import ManualClock
from monitor.model.observation import Kind, Observation, StreamCause
from monitor.model.span import HOUR, SECOND, Basis, Millis, to_millis
from support.views import drawn_room, grainy, looked_at

START = datetime(2026, 11, 23, 4, tzinfo=UTC)
T0 = to_millis(START)


def looked(picture: Picture) -> Looked:
    height, width = picture.luma.shape
    return Looked(width, height, measure(picture, None)[0], fingerprint(picture))


ROOM = looked(looked_at(grainy(drawn_room(1, 352, 288), 3.0)))
CAPPED = looked(
    Picture(np.full((288, 352), 16, np.uint8), np.full((144, 176), 128, np.uint8), np.full((144, 176), 128, np.uint8))
)
LOST = looked(
    Picture(np.full((288, 352), 60, np.uint8), np.full((144, 176), 200, np.uint8), np.full((144, 176), 100, np.uint8))
)


class Shown(Decoder):
    """A decoder that shows what the test wants; meanwhile anything may happen."""

    def __init__(self) -> None:
        super().__init__()
        self.picture = ROOM
        self.meanwhile: Callable[[], Any] = lambda: None

    async def look(self, camera: str, codec: str, keyframe: bytes, announced: Size = (None, None)) -> Looked:
        self.meanwhile()
        return self.picture


class Frames:
    """All that a look asks of a stream."""

    info = StreamInfo("h264", 352, 288, 90_000, None, None)


class Listed:
    """A recorder's word on the channel, which the test changes: None where it can't be asked."""

    def __init__(self, *, online: bool | None) -> None:
        self.online, self.asked = online, 0

    async def offline(self, within: float | None) -> bool:
        self.asked += within is None
        return self.online is False


class Watched:
    """One camera whose looks and failures are the test's."""

    def __init__(self, listed: Listed | None = None) -> None:
        self.clock, self.decoder, self.seen = ManualClock(START), Shown(), list[Observation]()

        async def never() -> Any:
            raise AssertionError

        async def around(cause: StreamCause, since: float) -> Around:
            return Around()

        tools = Tools(self.decoder, self.clock, self.seen.append, Timings())
        sight = Sight(offline=listed.offline) if listed else None
        self.watch = CameraWatch("gate", never, around, Budget(None), tools, sight=sight)

    def frames(self) -> None:
        """Let frames come now."""
        self.watch._shared_at = now = self.clock.monotonic()
        self.watch._seen(now, now)

    async def look(self, times: int = 1, *, frames: bool = False) -> None:
        """Look so many times, ten seconds after one another."""
        for _ in range(times):
            self.clock.advance(10)
            if frames:
                self.frames()
            await self.watch._look(Frames(), b"keyframe")  # type: ignore[arg-type]

    async def fail(self) -> None:
        error = StreamError(StreamCause.STALLED, "media", "no frame")
        await self.watch._failed(error, 0.0, Seat(Budget(None), "gate"))

    def streams(self) -> list[tuple[str, str | None, Millis, Millis]]:
        """Return the stream's spans, in seconds after the start."""
        self.watch.flush(to_millis(self.clock.now()))
        mine = [item for item in self.seen if item.kind is Kind.STREAM]
        return [
            (item.state, item.cause, (item.start - T0) // SECOND, (item.end - T0) // SECOND)
            for item in sorted(mine, key=lambda item: item.start)
        ]

    def views(self) -> list[tuple[str, Millis, Millis]]:
        """Return the view's spans, in seconds after the start."""
        self.watch.flush(to_millis(self.clock.now()))
        mine = [item for item in self.seen if item.kind is Kind.VIEW]
        return [(item.state, (item.start - T0) // SECOND, (item.end - T0) // SECOND) for item in mine]


@pytest.mark.parametrize(("picture", "state"), [(ROOM, "ok"), (CAPPED, "black")])
async def test_what_was_seen_before_and_after_an_outage_is_not_said_of_it(picture: Looked, state: str) -> None:
    camera = Watched()
    camera.decoder.picture = picture
    await camera.look(3)
    await camera.fail()
    camera.clock.advance(HOUR / SECOND)
    await camera.look(2)
    assert camera.views() == [(state, 10, 30), (state, 3640, 3650)]


async def test_a_picture_was_seen_when_it_was_sent_from_the_first_look_to_the_last() -> None:
    """Frames are read together: what a look shows was so some time before it, at either end of a stretch."""
    camera = Watched()
    gauge = camera.watch._gauge = Gauge(90_000)
    for picture in (ROOM, ROOM, ROOM, CAPPED, CAPPED, CAPPED):
        camera.decoder.picture = picture
        gauge.keyframe_sent_at = camera.clock.monotonic() + 10 - 0.75
        await camera.look()
    camera.watch.flush(to_millis(camera.clock.now()))
    seen = [(item.state, item.start - T0, item.end - T0) for item in camera.seen if item.kind is Kind.VIEW]
    assert seen == [("ok", 9250, 39_250), ("black", 39_250, 59_250)]


@pytest.mark.parametrize(
    ("ends", "gap", "began"),
    [
        pytest.param("fail", 3600, 3630, id="an outage"),
        pytest.param("leave", 290, 5, id="turns"),
        pytest.param("leave", 900, 930, id="a turn that comes late"),
    ],
)
async def test_a_recording_is_played_since_it_began_but_not_through_what_nobody_saw(
    ends: str, gap: int, began: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = Watched()
    watch, played_at = camera.watch, camera.clock.monotonic() + 5
    watch._seen(played_at, played_at)
    await camera.look(3)
    await camera.fail() if ends == "fail" else watch._leave()
    camera.clock.advance(gap)
    watch._shared_at = camera.clock.monotonic()
    watch._seen(watch._shared_at, watch._shared_at)
    judge = watch._eye.look

    def recorded(*seen: Any, **how: Any) -> Judged:
        looped = Conditions(("looped",), frozenset({"looped"}))
        return replace(judge(*seen, **how), conditions=looped, looped_since=played_at)

    monkeypatch.setattr(watch._eye, "look", recorded)
    await camera.look(2)
    found = [item for item in camera.seen if item.state == "looped"]
    assert [(item.start - T0) // SECOND for item in found] == [began]
    assert {item.basis for item in found} == {Basis.SAMPLED if ends == "leave" else Basis.WATCHED}


@pytest.mark.parametrize("known_at", [0, 1, 2, 5])
async def test_a_recording_that_is_known_by_its_pictures_is_told_once_since_it_began_when_its_frames_say_that(
    known_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = Watched()
    watch, played_at = camera.watch, camera.clock.monotonic() + 15
    watch._seen(played_at, played_at)
    await camera.look(3)
    judge, looks = watch._eye.look, itertools.count()

    def recorded(*seen: Any, **how: Any) -> Judged:
        looped = Conditions(("looped",), frozenset({"looped"}))
        known = played_at if next(looks) >= known_at else None
        return replace(judge(*seen, **how), conditions=looped, looped_since=known)

    monkeypatch.setattr(watch._eye, "look", recorded)
    await camera.look(8)
    assert watch.view.state == "looped"
    watch.view.flush(watch._looked_until)
    found = [item for item in camera.seen if item.state == "looped"]
    earlier = [item for item in found if (item.start - T0) // SECOND == 15]
    assert len(earlier) == 1
    assert earlier[0].end == min(item.start for item in found if item is not earlier[0]), "up to where it was known"


async def test_a_turn_that_comes_late_leaves_the_time_before_it_unknown() -> None:
    camera = Watched()
    await camera.look(3)
    for gap in (290, 1790):
        camera.watch._leave()
        camera.clock.advance(gap)
        await camera.look(2)
    assert camera.views()[-2:] == [("ok", 30, 340), ("ok", 2140, 2150)]
    bases = [item.basis for item in camera.seen if item.kind is Kind.VIEW]
    assert (bases[0], set(bases[1:])) == (Basis.WATCHED, {Basis.SAMPLED})


async def test_whose_every_other_picture_kills_the_decoder_is_not_called_good() -> None:
    """What a decoder knew of the look before dies with it: a picture that is frozen is the first one each time."""
    camera = Watched()

    def kills() -> None:
        raise DecoderKilledError("the decoder took too long or died on this keyframe")

    await camera.look(2)
    for _ in range(5):
        camera.decoder.meanwhile = kills
        await camera.look()
        camera.decoder.meanwhile = lambda: None
        await camera.look()
    spans = camera.views()
    assert spans[0] == ("ok", 10, 40)
    good = sum(end - start for state, start, end in spans[1:] if state == "ok")
    assert [state for state, *_ in spans].count("unknown") == 4
    assert good == 0, "a single good look between two such is no span"
    assert camera.watch._rhythm.wait(confirming=False) == 10.0
    camera.decoder.meanwhile = kills
    await camera.look()
    assert camera.watch._rhythm.wait(confirming=False) == 60 * 2**5


@pytest.mark.parametrize("step", [-HOUR, HOUR])
async def test_a_clock_that_is_set_while_a_picture_is_decoded_dates_no_look(step: Millis) -> None:
    camera = Watched()
    await camera.look(3)

    def set_clock() -> None:
        camera.clock.step(step / SECOND)
        camera.watch.flush(to_millis(camera.clock.now()))
        camera.clock.advance(2)

    camera.decoder.meanwhile = set_clock
    await camera.look()
    await camera.fail()
    assert camera.views() == [("ok", 10, 30)], "the look began at the moment at which the clock was set"
    camera.decoder.meanwhile = lambda: None
    await camera.look(2)
    later = step // SECOND + 40 + 2
    assert camera.views()[1:] == [("ok", later + 10, later + 20)]


async def test_a_session_that_is_held_again_is_watched_again() -> None:
    camera = Watched()
    watch, clock = camera.watch, camera.clock
    watch._leave()
    watch._shared_at = clock.monotonic()
    for _ in range(40):
        clock.advance(10)
        watch._seen(clock.monotonic() - 1, clock.monotonic())
    watch.flush(to_millis(clock.now()))
    spans = [(item.basis, (item.end - item.start) // SECOND) for item in camera.seen if item.state == "up"]
    assert spans == [(Basis.SAMPLED, 300), (Basis.WATCHED, 91)]
    assert camera.seen[-1].expires - camera.seen[-1].end == Timings().holds_for * SECOND


# --- the recorder's placeholder --------------------------------------------------------------------------------------

OFF = "channel_offline"


@pytest.mark.parametrize("online", [True, None])
async def test_a_placeholder_of_a_channel_that_is_not_listed_off_line_leaves_the_stream_up(online: bool | None) -> None:
    listed = Listed(online=online)
    camera = Watched(listed)
    await camera.look(3, frames=True)
    camera.decoder.picture = LOST
    await camera.look(5, frames=True)
    assert camera.streams() == [("up", None, 10, 80)]
    assert camera.watch.view.state == "signal_lost"
    assert listed.asked == 1, "once, when it was confirmed"


async def test_a_placeholder_of_a_channel_off_line_is_down_since_the_first_look_that_showed_it() -> None:
    listed = Listed(online=False)
    camera = Watched(listed)
    await camera.look(3, frames=True)
    assert listed.asked == 0
    camera.decoder.picture = LOST
    await camera.look(5, frames=True)
    assert camera.streams() == [("up", None, 10, 40), ("down", OFF, 40, 80)]
    assert (listed.asked, camera.watch.stands) == (1, "down")
    camera.decoder.picture = ROOM
    await camera.look(3, frames=True)
    assert camera.streams()[1:] == [("down", OFF, 40, 80), ("down", OFF, 80, 90), ("up", None, 90, 110)]
    camera.decoder.picture = LOST
    await camera.look(2, frames=True)
    assert (listed.asked, camera.streams()[-1]) == (2, ("down", OFF, 120, 130))


async def test_what_a_recorder_says_later_counts_too_as_it_lists_a_camera_for_a_while_that_has_gone() -> None:
    listed = Listed(online=True)
    camera = Watched(listed)
    await camera.look(3, frames=True)
    camera.decoder.picture = LOST
    await camera.look(3, frames=True)
    listed.online = False
    await camera.look(1, frames=True)
    assert camera.streams() == [("up", None, 10, 40), ("down", OFF, 40, 70)]
    assert listed.asked == 1


async def test_a_new_connection_ends_no_outage_behind_a_placeholder() -> None:
    camera = Watched(Listed(online=False))
    camera.frames()
    camera.decoder.picture = LOST
    await camera.look(3, frames=True)
    assert camera.streams() == [("down", OFF, 0, 30)], "nothing was seen of the camera since the agent's start"
    await camera.fail()
    camera.clock.advance(5)
    camera.frames()
    await camera.look(1, frames=True)
    camera.watch._leave()
    camera.clock.advance(100)
    assert camera.watch.stands == "down"
    await camera.look(2, frames=True)
    assert {state for state, *_ in camera.streams()} == {"down"}
    assert camera.streams()[-1][3] == 165
