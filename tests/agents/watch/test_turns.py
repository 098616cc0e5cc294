"""Recorders that serve few sessions: sixteen cameras looked at in turns, and people on site keep theirs."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agents.rtsp.errors import StreamError
from agents.rtsp.rtp import FrameEvent
from agents.rtsp.stream import StreamInfo
from agents.simulators.seats import WhenFull
from agents.watch.budget import KEPT_FREE, TRIAL, TRY_AGAIN_SECONDS, Budget, Seat
from agents.watch.camera import CameraWatch, Timings, Tools
from agents.watch.decoder import Decoder
from agents.watch.failure import Around
from agents.watch.reach import Reached
from monitor.model.clock import ManualClock
from monitor.model.observation import StreamCause
from monitor.model.span import Basis, to_millis
from support.site import behind, nvr, recorder, write_site
from support.watching import PATIENT, QUICK, Watching, watching

pytestmark = pytest.mark.timeout(180)

CAMERAS = 16


def bases(site: Watching, camera: str) -> set[Basis | None]:
    """Return how it is known that a camera was up."""
    return {span.basis for span in site.spans(camera) if span.state == "up"}


async def in_turns(folder: Path, limit: int, when_full: WhenFull, given: int | None, rounds: int) -> None:
    async with recorder(CAMERAS, max_sessions=limit, when_full=when_full) as simulator:
        seats = simulator.rtsp.seats
        assert seats.people_come(2) == 2
        config = write_site(folder, behind(simulator), [nvr(simulator) | ({"max_streams": given} if given else {})])
        # A refusal by silence costs its deadline; the streams of this test answer sooner.
        deadlines = replace(PATIENT, answer=2.0 if when_full is WhenFull.SILENCE else PATIENT.answer)
        async with watching(config, QUICK, deadlines) as site:
            budget = site.station.budgets["nvr"]
            if given is None:
                await site.until(lambda: budget.limit is not None and not budget.over, within=90)
                assert budget.learnt == limit - 2
            assert budget.limit == max(1, limit - 2 - 2 if given is None else given - 2)
            refused = seats.refused_sessions
            before = Counter({name: watch.state.looks for name, watch in site.watches.items()})
            await site.until(
                lambda: all(watch.state.looks >= before[name] + rounds for name, watch in site.watches.items()),
                within=120,
            )
            # Those who were first watched without a break have left their sessions to others, and been back since.
            await site.until(lambda: all(Basis.SAMPLED in bases(site, name) for name in site.watches), within=120)
            assert seats.refused_sessions == refused, "once learnt, nobody is refused any more"
            if limit > 4:
                assert seats.people_come(1) == 1, "there is room for one more"
            spans = {name: site.spans(name) for name in site.watches}
    assert (seats.people_kicked, seats.people_refused) == (0, 0)
    assert seats.people >= 2
    for name, mine in spans.items():
        assert "down" not in {span.state for span in mine}, (name, mine)
        assert {span.cause for span in mine if span.state == "unknown"} <= {"recorder_full"}
    looks = [watch.state.looks - before[name] for name, watch in site.watches.items()]
    assert max(looks) <= 3 * min(looks) + 3, "each in its turn"


@pytest.mark.long
async def test_sixteen_cameras_in_turns_whatever_a_full_recorder_says(tmp_path: Path) -> None:
    for name in ("four", "eight", "internal", "unavailable", "silence", "given"):
        (tmp_path / name).mkdir()
    await asyncio.gather(
        in_turns(tmp_path / "four", 4, WhenFull.NOT_ENOUGH_BANDWIDTH, None, 1),
        in_turns(tmp_path / "eight", 8, WhenFull.NOT_ENOUGH_BANDWIDTH, None, 2),
        in_turns(tmp_path / "internal", 8, WhenFull.INTERNAL_ERROR, None, 2),
        in_turns(tmp_path / "unavailable", 4, WhenFull.SERVICE_UNAVAILABLE, None, 1),
        in_turns(tmp_path / "silence", 8, WhenFull.SILENCE, None, 2),
        in_turns(tmp_path / "given", 8, WhenFull.NOT_ENOUGH_BANDWIDTH, 6, 2),
    )


async def test_what_was_learnt_on_a_busy_day_grows_to_what_the_recorder_serves_less_two(tmp_path: Path) -> None:
    async with recorder(6, max_sessions=6) as simulator:
        seats = simulator.rtsp.seats
        assert seats.people_come(2) == 2
        async with watching(write_site(tmp_path, behind(simulator), [nvr(simulator)])) as site:
            budget = site.station.budgets["nvr"]
            await site.until(lambda: budget.limit == 2 and not budget.over)
            assert seats.people_go(2) == 2
            refused, asked_at = seats.refused_sessions, 0.0
            budget.try_more(0.0)
            for share in (3, 4):
                while budget.limit != share:  # a trial may find that a visit is just ending
                    await site.until(lambda: budget.waiting >= TRIAL and not budget.over)
                    asked_at += TRY_AGAIN_SECONDS
                    budget.try_more(asked_at)
                    with suppress(AssertionError):
                        await site.until(lambda: budget.limit == share, within=5.0)  # noqa: B023  (waited for at once)
            assert (budget.limit, budget.learnt, seats.refused_sessions) == (4, 6, refused)
            await site.until(lambda: seats.sessions <= 4)
            assert seats.people_come(2) == 2, "there is room for two on site again"
            assert {state for name in site.watches for state, _ in site.states(name)} <= {"up", "unknown"}


def test_between_two_visits_a_camera_stands_as_the_last_one_left_it() -> None:
    """Its metrics say so, too: else all but the few that are visited now would be unknown."""
    clock = ManualClock(datetime(2026, 11, 23, tzinfo=UTC))
    watch = CameraWatch("c0", never, never, Budget(3), Tools(Decoder(), clock, lambda _: None, Timings()))
    stood = [watch.stands]
    clock.advance(4.0)
    watch._seen(clock.monotonic() - 4.0, clock.monotonic())
    stood.append(watch.stands)
    watch._leave()
    for seconds in (440.0, 20.0):  # then its turn has not come for too long
        clock.advance(seconds)
        stood.append(watch.stands)
    assert stood == [None, "up", "up", None]


@pytest.mark.parametrize(
    ("cameras", "share", "looked", "seconds"),
    [
        (16, 1, True, 4.0), (16, 1, False, 12.0), (32, 1, False, 7.0), (64, 1, True, 3.5), (64, 1, False, 3.5),
        (64, 4, False, 12.0),
    ],
)  # fmt: skip
async def test_a_visit_is_short_enough_for_all_to_be_seen_within_five_minutes(
    cameras: int, share: int, *, looked: bool, seconds: float
) -> None:
    clock, budget = ManualClock(datetime(2026, 11, 23, tzinfo=UTC)), Budget(share + KEPT_FREE)

    async def visit(name: str) -> None:
        async with budget.session(name):
            await asyncio.get_running_loop().create_future()

    tasks = [asyncio.create_task(visit(f"c{number}")) for number in range(cameras)]
    while budget.held + budget.waiting < cameras:  # noqa: ASYNC110  (nothing tells)
        await asyncio.sleep(0)
    tools = Tools(Decoder(), clock, lambda _: None, Timings())
    watch = CameraWatch("c0", never, never, budget, tools)
    watch._seen_until = to_millis(clock.now())
    watch._looked_until = watch._seen_until if looked else 0
    lasted = 0.0
    while not watch._must_yield(0.0):
        clock.advance(0.5)
        lasted += 0.5
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert lasted == pytest.approx(seconds, abs=0.6)
    assert cameras / share * lasted < 300


@pytest.mark.parametrize(
    ("cameras", "channel", "begun", "state"),
    [
        pytest.param(64, True, [], "unknown", id="its next keyframe may be further away than its turn is long"),
        pytest.param(64, True, [0.5, 1.5, 3.0, 0.5], "unknown", id="it begins with its next keyframe"),
        pytest.param(64, True, [0.5, 0.5, 0.5], "down", id="it always began at once"),
        pytest.param(64, False, [], "down", id="the recorder says that it is gone"),
        pytest.param(4, True, [], "down", id="it was waited for as long as it may take"),
    ],
)
async def test_a_turn_too_short_for_a_keyframe_says_nothing_of_a_camera(
    cameras: int, channel: bool, begun: list[float], state: str
) -> None:
    clock, budget = ManualClock(datetime(2026, 11, 23, tzinfo=UTC)), Budget(1 + KEPT_FREE)

    async def others(name: str) -> None:
        async with budget.session(name):
            await asyncio.get_running_loop().create_future()

    async def around(*_: Any) -> Around:
        return Around(Reached("up", None, ""), channel_online=channel)

    watch = CameraWatch("c0", never, around, budget, Tools(Decoder(), clock, lambda _: None, Timings()))
    tasks = [asyncio.create_task(others(f"c{number}")) for number in range(cameras)]
    while budget.held + budget.waiting < cameras:  # noqa: ASYNC110  (nothing tells)
        await asyncio.sleep(0)
    for after in [*begun, None]:
        stream, seat = Begins(clock, after), Seat(budget, "c0")
        watch._wait_for_first(stream)  # type: ignore[arg-type]
        with suppress(StreamError):
            await watch._watch(stream, seat)  # type: ignore[arg-type]
        if seat.is_playing:
            watch._leave()
        else:
            await watch._failed(GONE, clock.monotonic(), seat)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (watch.stream.state, watch.stream.cause) == (state, "stalled" if channel else "channel_offline")


GONE = StreamError(StreamCause.STALLED, "media", "no frame since PLAY was answered")


class Begins:
    """A stream that begins so many seconds after PLAY was answered, and ends with its visit; None: it doesn't begin."""

    info = StreamInfo("h264", 352, 288, 90_000, None, None)

    def __init__(self, clock: ManualClock, after: float | None) -> None:
        self._clock, self._after, self._frames = clock, after, 0

    def wait_for_first(self, seconds: float) -> None:
        assert seconds <= 25.0

    async def next_keyframe(self, timeout: float) -> bytes | None:
        await asyncio.get_running_loop().create_future()
        return None

    async def batch(self) -> list[FrameEvent]:
        if self._after is None:
            raise GONE
        self._clock.advance(5.0 if self._frames else self._after)
        self._frames += 1
        return [FrameEvent(self._clock.monotonic(), 450_000 * self._frames, 900, False, 0)]


async def never(*_: Any) -> Any:
    raise AssertionError
