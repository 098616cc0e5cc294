"""A recorder's sessions: never more than the limit, first come first served, and nothing leaks."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.watch.budget import TRIAL, TRY_AGAIN_SECONDS, TRY_ON_SECONDS, Budget, Seat, share_of


@pytest.mark.parametrize(("served", "share"), [(0, 1), (1, 1), (2, 1), (3, 1), (4, 2), (6, 4), (8, 6), (16, 14)])
def test_two_sessions_are_kept_free_for_people_and_one_is_always_ours(served: int, share: int) -> None:
    assert share_of(served) == share


class Camera:
    """Somebody who wants a session, and does as told once it has one."""

    def __init__(self, budget: Budget, name: str = "") -> None:
        self.budget = budget
        self.name = name or f"camera {id(self)}"
        self.seat: Seat | None = None
        self._leave = asyncio.Event()
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with self.budget.session(self.name) as self.seat:
            await self._leave.wait()
        self.seat = None

    def leave(self) -> None:
        self._leave.set()

    @property
    def seated(self) -> bool:
        return self.seat is not None and not self.task.done()


async def settle() -> None:
    """Let every task go on as far as it can."""
    for _ in range(8):
        await asyncio.sleep(0)


async def end(cameras: list[Camera]) -> None:
    for camera in cameras:
        camera.task.cancel()
    await asyncio.gather(*(camera.task for camera in cameras), return_exceptions=True)


async def test_sessions_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    budget = Budget(4)
    cameras = [Camera(budget) for _ in range(7)]
    order = list(range(7))
    await settle()
    assert [camera.seated for camera in cameras] == [number < 2 for number in order]
    for number in range(2, 7):
        cameras[number - 2].leave()
        await settle()
        assert [camera.seated for camera in cameras] == [other in (number - 1, number) for other in order]
    await end(cameras)
    assert (budget.held, budget.waiting) == (0, 0)


async def test_a_newcomer_does_not_overtake_those_who_wait() -> None:
    budget = Budget(1)
    first, second = Camera(budget), Camera(budget)
    await settle()
    first.leave()
    late = Camera(budget)
    await settle()
    assert (second.seated, late.seated) == (True, False)
    await end([first, second, late])


async def test_a_refusal_teaches_what_was_served_less_two_for_people() -> None:
    budget = Budget(None)
    cameras = [Camera(budget) for _ in range(7)]
    await settle()
    seats = [camera.seat for camera in cameras]
    for seat in seats[:6]:
        assert seat is not None
        seat.playing()
    assert seats[6] is not None
    seats[6].refused()
    cameras[6].leave()
    await settle()
    assert (budget.limit, budget.learnt, budget.over) == (4, 6, True)
    for camera in cameras[:2]:
        camera.leave()
    await settle()
    assert (budget.held, budget.over) == (4, False)
    await end(cameras)


async def test_refusals_of_one_moment_teach_once() -> None:
    budget = Budget(None)
    cameras = [Camera(budget) for _ in range(16)]
    await settle()
    for camera in cameras[:6]:
        assert camera.seat is not None
        camera.seat.playing()
    for camera in cameras[6:]:
        assert camera.seat is not None
        camera.seat.refused()
        camera.leave()
    await settle()
    assert (budget.limit, budget.learnt) == (4, 6)
    await end(cameras)


async def test_refusals_that_come_before_the_first_frames_don_t_teach_too_little() -> None:
    """Sixteen streams are opened at once: the ten refusals are there before the six others play."""
    budget = Budget(None)
    cameras = [Camera(budget) for _ in range(16)]
    await settle()
    for camera in cameras[6:]:
        assert camera.seat is not None
        camera.seat.refused()
        camera.leave()
    await settle()
    for camera in cameras[:6]:
        assert camera.seat is not None
        camera.seat.playing()
    await settle()
    assert (budget.limit, budget.learnt) == (4, 6)
    await end(cameras)


async def test_nobody_is_seated_while_a_refusal_is_being_learnt_from() -> None:
    """Those who were refused would else be back before it is known how many are served."""
    budget = Budget(None)
    slow, refused = Camera(budget), Camera(budget)
    await settle()
    assert refused.seat is not None
    refused.seat.refused()
    refused.leave()
    late = Camera(budget)
    await settle()
    assert not late.seated
    slow.leave()  # it failed for a reason of its own: nothing is served
    await settle()
    assert (late.seated, budget.limit, budget.learnt) == (True, 1, None)
    await end([slow, refused, late])


async def refused(budget: Budget, name: str = "") -> None:
    """Let somebody come, be refused, and go away again."""
    camera = Camera(budget, name)
    await settle()
    assert camera.seat is not None
    camera.seat.refused()
    camera.leave()
    await settle()


async def plays(budget: Budget, name: str) -> Camera:
    """Let somebody come and be served."""
    camera = Camera(budget, name)
    await settle()
    assert camera.seat is not None
    camera.seat.playing()
    await settle()
    return camera


@pytest.mark.parametrize("other", ["first", "second"])
async def test_a_given_budget_is_lowered_by_two_refusals_in_a_row_but_never_raised(other: str) -> None:
    budget = Budget(4)
    one = await plays(budget, "one")
    await refused(budget, "first")
    assert budget.limit == 2, "one may have been a moment's"
    await refused(budget, other)
    assert budget.limit == 1
    one.leave()
    await end([one])


async def test_a_session_for_playback_keeps_nobody_waiting_for_what_a_refusal_teaches() -> None:
    budget = Budget(6)
    one, proof = await plays(budget, "one"), Camera(budget, "proof")
    await settle()
    assert proof.seat is not None
    proof.seat.aside()
    await refused(budget, "first")
    other = await plays(budget, "other")
    await end([one, proof, other])


@pytest.mark.parametrize(("given", "share", "broken"), [(None, None, 1), (10, 8, 1), (None, None, 3), (10, 8, 3)])
async def test_cameras_that_are_refused_for_their_own_sake_cost_the_others_nothing(
    given: int | None, share: int | None, broken: int
) -> None:
    """A recorder answers for channels without a picture as if it were full, and serves all others at any time."""
    budget = Budget(given)
    names = [f"c{number}" for number in range(8)]
    bad = set(names[2 : 2 + broken])
    cameras = {name: Camera(budget, name) for name in names}
    limits = []
    for _ in range(40):
        await settle()
        for name, camera in cameras.items():
            if camera.seat is not None and camera.seat.is_opening and name in bad:
                camera.seat.refused()
                camera.leave()
            elif camera.seat is not None and camera.seat.is_opening:
                camera.seat.playing()
            elif camera.seat is not None and (budget.over or budget.crowded):
                camera.seat.leaving()
                camera.leave()
        await settle()
        cameras |= {name: Camera(budget, name) for name, camera in cameras.items() if camera.task.done()}
        limits.append(budget.limit)
    assert set(limits[20:]) == {share}, limits
    assert budget.learnt is None
    await settle()
    assert [name for name, camera in cameras.items() if not camera.seated] == [], "all have a turn"
    await end(list(cameras.values()))


async def test_a_camera_that_is_served_again_is_believed_again() -> None:
    budget = Budget(8)
    others = [await plays(budget, name) for name in ("a", "b")]
    for name in ("c", "d"):
        await refused(budget, "bad")
        others.append(await plays(budget, name))
    await refused(budget, "bad")
    await refused(budget, "bad")
    assert budget.limit == 6, "twice the recorder served another in its place"
    (await plays(budget, "bad")).leave()
    await settle()
    await refused(budget, "bad")
    await refused(budget, "bad")
    assert budget.limit == 3
    await end(others)


async def test_who_was_refused_by_a_recorder_that_was_starting_is_believed_later() -> None:
    """It serves one fewer than there are cameras: what the last one is answered teaches, though it was refused before."""
    budget = Budget(None)
    for _ in range(3):
        await refused(budget, "last")
    others = [await plays(budget, f"c{number}") for number in range(7)]
    limits = [budget.limit]
    await refused(budget, "last")
    limits.append(budget.limit)
    assert (limits, budget.learnt) == ([None, 5], 7)
    await end(others)


async def test_a_refusal_while_nothing_is_served_says_little_of_the_recorder() -> None:
    """A recorder that starts refuses all: one camera asks at a time until something is served, then all again."""
    budget = Budget(None)
    cameras = [Camera(budget) for _ in range(3)]
    await settle()
    for camera in cameras:
        assert camera.seat is not None
        camera.seat.refused()
        camera.leave()
    await settle()
    again = [Camera(budget) for _ in range(3)]
    await settle()
    assert [camera.seated for camera in again] == [True, False, False]
    assert again[0].seat is not None
    again[0].seat.playing()
    await settle()
    assert all(camera.seated for camera in again)
    await end(again)


async def learnt_on_a_busy_day(cameras: int = 8) -> tuple[Budget, list[Camera]]:
    """Return a budget whose share is 2, as the recorder served four; the share's cameras play, the others wait."""
    budget = Budget(4, may_rise=True)
    made = [Camera(budget) for _ in range(cameras)]
    await settle()
    for camera in made[:2]:
        assert camera.seat is not None
        camera.seat.playing()
    return budget, made


def newcomers(cameras: list[Camera]) -> list[Seat]:
    return [camera.seat for camera in cameras if camera.seat is not None and camera.seat.is_opening]


async def test_a_share_grows_by_one_after_a_day_when_two_more_are_served_beside_it() -> None:
    budget, cameras = await learnt_on_a_busy_day()
    budget.try_more(0.0)
    budget.try_more(TRY_AGAIN_SECONDS - 1)
    await settle()
    assert budget.held == 2, "not on the same day"
    budget.try_more(TRY_AGAIN_SECONDS)
    await settle()
    assert (budget.held, budget.over) == (2 + TRIAL, False)
    for seat in newcomers(cameras):
        seat.playing()
    assert (budget.limit, budget.learnt, budget.over) == (3, 5, True), "those who were let in to try leave again"
    playing = [camera for camera in cameras if camera.seated]
    for camera in playing[:2]:
        camera.leave()
    await settle()
    assert (budget.held, budget.over) == (3, False)
    budget.try_more(TRY_AGAIN_SECONDS + TRY_ON_SECONDS)
    await settle()
    assert budget.held == 3 + TRIAL, "it is tried again soon"
    await end(cameras)


async def test_a_trial_that_is_refused_leaves_the_share_as_it_is_for_another_day() -> None:
    budget, cameras = await learnt_on_a_busy_day()
    budget.try_more(0.0)
    budget.try_more(TRY_AGAIN_SECONDS)
    await settle()
    first, *others = newcomers(cameras)
    first.playing()
    for seat in others:
        seat.refused()
    for camera in cameras:
        if camera.seat in others:
            camera.leave()
    await settle()
    assert budget.limit == 2
    assert budget.over
    budget.try_more(TRY_AGAIN_SECONDS + TRY_ON_SECONDS)
    await settle()
    assert budget.held <= 3
    await end(cameras)


async def test_a_trial_that_nobody_decides_ends_with_the_next_question() -> None:
    budget, cameras = await learnt_on_a_busy_day()
    budget.try_more(0.0)
    budget.try_more(TRY_AGAIN_SECONDS)
    await settle()
    before = budget.over
    budget.try_more(TRY_AGAIN_SECONDS + 1)
    assert (before, budget.over) == (False, True), "who was let in to try leaves again"
    await end(cameras)


async def test_a_trial_in_which_one_fails_for_its_own_sake_and_nobody_is_left_is_over_at_once() -> None:
    budget, cameras = await learnt_on_a_busy_day(2 + TRIAL)
    budget.try_more(0.0)
    budget.try_more(TRY_AGAIN_SECONDS)
    await settle()
    *served, _ = newcomers(cameras)
    for seat in served:
        seat.playing()
    assert budget.over is False
    cameras[-1].leave()
    await settle()
    assert (budget.limit, budget.over) == (2, True), "the sessions of those on site are given back"
    await end(cameras)


@pytest.mark.parametrize(("may_rise", "cameras"), [(False, 8), (True, 2 + TRIAL - 1)])
async def test_a_share_that_was_given_or_that_suffices_almost_is_not_tried(may_rise: bool, cameras: int) -> None:
    budget = Budget(4, may_rise=may_rise)
    made = [Camera(budget) for _ in range(cameras)]
    await settle()
    for at in (0.0, TRY_AGAIN_SECONDS, 2 * TRY_AGAIN_SECONDS):
        budget.try_more(at)
        await settle()
        assert budget.held == 2
    await end(made)


async def test_one_that_leaves_is_enough_for_one_that_waits() -> None:
    budget = Budget(4)
    cameras = [Camera(budget) for _ in range(3)]
    await settle()
    crowded = [budget.crowded]
    assert cameras[0].seat is not None
    cameras[0].seat.leaving()
    crowded.append(budget.crowded)
    assert crowded == [True, False]
    await end(cameras)


@given(
    max_streams=st.none() | st.integers(0, 10),
    steps=st.lists(
        st.tuples(st.sampled_from(["come", "leave", "cancel", "play", "refuse", "run", "try"]), st.integers(0, 30))
    ),
)
def test_the_limit_holds_and_nothing_leaks_whatever_happens(
    max_streams: int | None, steps: list[tuple[str, int]]
) -> None:
    asyncio.run(_whatever_happens(max_streams, steps))


async def _whatever_happens(max_streams: int | None, steps: list[tuple[str, int]]) -> None:
    budget = Budget(max_streams)
    cameras: list[Camera] = []
    for what, number in steps:
        before = {id(camera) for camera in cameras if camera.seated}
        if what == "come":
            cameras.append(Camera(budget))
        elif what == "run":
            await asyncio.sleep(0)
        elif what == "try":
            budget.try_more(number * TRY_AGAIN_SECONDS)
        elif cameras:
            camera = cameras[number % len(cameras)]
            if what == "leave":
                camera.leave()
            elif what == "cancel":
                camera.task.cancel()
            elif camera.seat is not None and camera.seated:
                camera.seat.playing() if what == "play" else camera.seat.refused()
        seated = [camera for camera in cameras if camera.seated]
        assert budget.held >= len(seated)
        came = [camera for camera in seated if id(camera) not in before]
        assert not (came and budget.over), "nobody is let in while too many are there"
        if max_streams is not None:
            assert budget.held <= share_of(max_streams)
    await settle()
    await end(cameras)
    assert (budget.held, budget.waiting) == (0, 0)
    last = Camera(budget)
    await settle()
    assert last.seated, "a session that was given back can be had again"
    await end([last])
    assert budget.held == 0
