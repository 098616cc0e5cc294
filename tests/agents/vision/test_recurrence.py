"""What is remembered of a stream's activity, held against a slow account of the same frames, and what makes it forget."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agents.vision.eye import Eye, Judged
from agents.vision.fingerprint import fingerprint
from agents.vision.loop import Frame
from agents.vision.measure import measure
from agents.vision.recurrence import (
    KEPT_SECONDS,
    LEARNT_SECONDS,
    LEAST_POWER,
    MOST_LIKELY,
    OPEN_STEPS,
    PLACES,
    STEPS,
    Recurrence,
    _convolved,
    recurring,
)
from agents.vision.thresholds import Thresholds
from support.views import drawn_room, grainy, looked_at

ROOM = looked_at(grainy(drawn_room(1), 3, 1))
SOUND, VIEW = measure(ROOM, None)[0], fingerprint(ROOM)

Sizes = list[int]

FPS = 10


def lively(seconds: float, seed: int, fps: int = FPS) -> Sizes:
    """Return the frames of a room with people about, none of them a keyframe: bursts of three seconds over noise."""
    rng = np.random.default_rng(seed)
    count = round(seconds * fps)
    bursts = np.repeat(rng.gamma(0.4, 1.0, count // fps // 3 + 1), 3 * fps)[:count]
    return [round(size) for size in 400 * (1 + 4 * bursts) * np.exp(rng.normal(0, 0.2, count))]


def anew(sizes: Sizes, seed: int) -> Sizes:
    """Return the same video as a second encoder makes it."""
    rng = np.random.default_rng(seed)
    return [round(0.6 * size * np.exp(rng.normal(0, 0.1))) for size in sizes]


class Camera:
    """A stream whose frames are taken note of, with a look each so many seconds of it."""

    def __init__(self, fps: int = FPS, every: float = 10) -> None:
        self.recurrence, self.at = Recurrence(), 1000.0
        self._fps, self._every = fps, round(every * fps)

    def plays(self, sizes: Sizes, shifts: float = 0.0) -> list[float]:
        """Send frames, whose times are wrong by `shifts`; return the seconds after which looks found a loop."""
        found, came = [], list[Frame]()
        for number, size in enumerate(sizes):
            came.append((self.at + shifts, size, False))
            self.at += 1 / self._fps
            if number % self._every == 0:
                self.recurrence.frames(came)
                came.clear()
                self.recurrence.looked()
                if self.recurrence.looping:
                    found.append(number / self._fps)
        self.recurrence.frames(came)
        return found

    def pauses(self, seconds: float) -> None:
        """Let time pass of which nothing is known."""
        self.at += seconds


def told(frames: list[Frame], steps: int) -> tuple[dict[int, tuple[float, float]], set[int]]:
    """Return by the definition what each step and half step has, and which seconds had a frame.

    A frame that lies more than a second behind the latest one counts for the latest step's first moment.
    """
    mean, times, mores = 0.0, list[float](), list[float]()
    first = latest = math.floor(frames[0][0] * steps)
    for number, (at, size, _) in enumerate(frames):
        value = math.log(16 + size)
        mean = value if number == 0 else mean
        mores.append(value - mean)
        mean += (value - mean) / min(number + 1, PLACES)
        step = math.floor(at * steps)
        latest = max(latest, step)
        times.append(at * steps if step >= max(first, latest - steps) else latest)
    moments, rows = np.array(times), dict[int, tuple[float, float]]()
    for step in range(first, latest):
        row = []
        for middle in (step, step - 0.5):
            near = np.flatnonzero(np.abs(moments - middle) < 1)
            weights = 1 - np.abs(moments[near] - middle)
            row.append(float(weights @ np.array(mores)[near] / weights.sum()) if weights.sum() >= 0.2 else math.nan)
        rows[step] = (row[0], row[1])
    return rows, {math.floor(time / steps) for time in times}


@given(
    st.lists(
        st.tuples(st.one_of(st.floats(-6.9, 0), st.floats(-0.9, 0), st.floats(0, 0.4), st.floats(0, 400)), st.integers(0, 90_000)),
        min_size=1, max_size=120,
    ),
    st.floats(0, 5000),
)  # fmt: skip
@example([(0.0, 10), (399.0, 20)] * 8, 3.9)
@example([(0.2, 900)] * 50, 0.0)
@settings(max_examples=60, deadline=None)
def test_each_step_has_what_the_frames_around_it_have_whatever_their_times(
    apart: list[tuple[float, int]], began: float
) -> None:
    """Frames in any order, in bursts and with holes: the ring holds what the definition says, and nothing of what lay there before."""
    latest, frames, recurrence = began, [(began, 300, False)], Recurrence()
    recurrence._latest[:] = 99.0  # of an earlier turn of the ring
    recurrence._had[:] = True
    for passed, size in apart:
        at = max(latest - 6.9, frames[-1][0] + passed)
        latest = max(latest, at)
        frames.append((at, size, False))
    recurrence.frames(frames)
    recurrence._put()
    rows, seconds = told(frames, STEPS)
    ring, last = LEARNT_SECONDS * STEPS, math.floor(latest * STEPS)
    for step, row in rows.items():
        if step >= last - ring:
            assert recurrence._latest[:, step % ring] == pytest.approx(row, abs=1e-4, nan_ok=True), step
    for second in range(math.floor(began), math.floor(latest)):
        if second > latest - KEPT_SECONDS:
            assert recurrence._had[second % KEPT_SECONDS] == (second in seconds), second


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.01, 0.04, 0.2, 1.0, 7.0, 120.0, 4000.0, 11_000.0, -3.0, -8.0, -9000.0]),
            st.integers(1, 600),
            st.sampled_from(["same", "noise", "huge", "none"]),
            st.booleans(),
        ),
        min_size=1, max_size=12,
    )
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_whatever_comes_is_answered_and_what_is_kept_stays_as_large(
    parts: list[tuple[float, int, str, bool]],
) -> None:
    rng, recurrence, at = np.random.default_rng(1), Recurrence(), 0.0
    for apart, count, how, keyframes in parts:
        kinds: dict[str, Sizes] = {
            "same": [500],
            "noise": list(rng.integers(1, 9000, 50)),
            "huge": [1 << 40],
            "none": [0],
        }
        made = kinds[how]
        at += apart
        came = list[Frame]()
        for number in range(count):
            came.append((at, int(made[number % len(made)]), keyframes and number % 7 == 0))
            at += min(abs(apart), 4.0)
            if number % 50 == 0:
                recurrence.frames(came)
                came.clear()
                recurrence.looked(moved=number % 100 == 0)
                assert recurrence.looping in {True, False}
                recurrence.stood(still=number % 350 == 0)
        recurrence.frames(came)
    assert recurrence._step is not None
    assert 0 <= recurrence._step - recurrence._base < recurrence._open.shape[2] == OPEN_STEPS
    assert len(recurrence._likely) <= MOST_LIKELY


@pytest.mark.parametrize(("count", "place"), [(400, 130), (2100, 700), (9000, 1920), (9000, 3840)])
@pytest.mark.parametrize("stood", [None, 120])
def test_the_most_alike_earlier_time_is_that_of_all(count: int, place: int, stood: int | None) -> None:
    """Held against each earlier time one by one, whichever block of the curve it begins in; none that hangs on still time."""
    rng, lag, windows = np.random.default_rng(count), 75, [40, 150]
    curve = rng.integers(-127, 128, count).astype(np.int8)
    again = curve[-150:].astype(np.float64) + rng.normal(0, 60, 150)
    curve[place:][:150] = np.clip(again, -127, 127)
    curve[20:70] = 0  # nothing moves, and all is alike by chance
    hangs = None if stood is None else np.arange(count) == stood
    tails = [curve, np.roll(curve, 1)]
    found = iter(recurring(curve, tails, windows, hangs, lag))
    past = curve[:-lag].astype(np.float64)
    for window in windows:
        for number, values in enumerate(tails):
            tail = values[-window:] - values[-window:].mean()
            before = np.lib.stride_tricks.sliding_window_view(past, window)
            power, own = (before * before).sum(1), float(tail @ tail)
            alike = np.where(power > LEAST_POWER * own, before @ tail / np.sqrt(np.maximum(power, 1) * own), 0)
            if stood is not None:
                alike[max(0, stood - window + 1) : stood + 1] = 0
            best = int(alike.argmax())
            item = next(found)
            assert item.alike == pytest.approx(alike[best], abs=1e-4)
            assert item.ago == count - number / 2 - window - best
            assert item.before == pytest.approx(past[best:][:window])
    assert next(found, None) is None


@pytest.mark.parametrize("count", [81, 145, 800, 6000])
def test_what_is_expected_is_taken_out_as_a_convolution_does(count: int) -> None:
    rng = np.random.default_rng(count)
    values, kernel = rng.normal(size=count).astype(np.float32), rng.normal(size=81).astype(np.float32)
    assert _convolved(values, kernel) == pytest.approx(np.convolve(values, kernel, "valid"), abs=1e-3)


def test_what_the_latest_minutes_have_is_told_as_of_all() -> None:
    """Of what was told before and stays nothing is made again: only the ends of both are the same."""
    camera = Camera(every=1000)
    camera.plays(lively(600, 2))
    recurrence = camera.recurrence
    second = int(camera.at) - 2
    _, between = recurrence._tell(second)
    expected = recurrence._learn(1000, second)
    assert expected is not None
    whole = [expected.levels(row, stood, STEPS) for row, stood in recurrence._rows(1000 * STEPS, second * STEPS)]
    recurrence._told = (second - 30) * STEPS
    _, again = recurrence._tell(second)
    least = 60 * STEPS
    for latest in (between, again):
        assert len(latest) >= least
        assert np.abs(latest[-least:].astype(int) - whole[1][-least:]).max() <= 1
    told = recurrence._curve[np.arange((second - 60) * STEPS, second * STEPS) % len(recurrence._curve)]
    assert np.abs(told.astype(int) - whole[0][-least:]).max() <= 1


def test_after_a_hole_of_which_nothing_is_left_no_look_is_that_of_a_loop() -> None:
    camera, part = Camera(every=4), lively(60, 4)
    assert camera.plays(lively(200, 1) + [size for run in range(4) for size in anew(part, run)])
    assert camera.recurrence._answer
    camera.pauses(KEPT_SECONDS + 60)
    assert camera.plays(lively(120, 2)) == []


@pytest.mark.parametrize("behind", [3.2, 4.5, 5.9])
def test_a_recording_that_sets_its_clock_back_wherever_it_begins_anew_is_found(behind: float) -> None:
    """Times are laid on ours within three seconds, before or behind."""
    camera, part, found = Camera(), lively(50, 4), []
    camera.plays(lively(200, 1))
    for run in range(6):
        made = anew(part, run)
        found += camera.plays(made[:-FPS])
        camera.plays(made[-FPS:], shifts=behind / 2)
        camera.recurrence.frame(camera.at - behind / 2, 500, keyframe=False)
    assert found


@pytest.mark.parametrize(("fps", "seconds"), [(5, 12), (5, 25), (15, 300)])
def test_seconds_of_which_nothing_is_known_take_no_memory_away(fps: int, seconds: int) -> None:
    """A line that fails for a moment, or the daily look at the main stream: no camera sends fewer frames for that."""
    camera, recorded = Camera(fps), lively(300, 4, fps)
    camera.plays(recorded + lively(300, 1, fps))
    camera.pauses(seconds)
    camera.plays(lively(100, 2, fps))
    found = camera.plays(anew(recorded, 3))
    assert found
    assert found[0] <= 120


def test_a_short_loop_that_runs_for_hours_is_followed_by_a_few_of_its_runs() -> None:
    camera, part = Camera(5, every=20), lively(20, 3, 5)
    found = camera.plays(lively(100, 1, 5) + [size for run in range(200) for size in anew(part, run)])
    assert len(camera.recurrence._likely) == MOST_LIKELY
    assert len(found) >= 150, "and stays known"


def looked(sizes: Sizes, asked: float) -> list[Judged]:
    """Return what an eye with its own `looped_alike` makes of a look each ten seconds."""
    eye, found = Eye(replace(Thresholds(), looped_alike=asked)), list[Judged]()
    for number, size in enumerate(sizes):
        eye.frame(number / FPS, size, keyframe=False)
        if number % (10 * FPS) == 0:
            found.append(eye.look(SOUND, VIEW))
    return found


def test_a_site_may_ask_for_more_before_a_camera_is_called_looped() -> None:
    """One that sees the same minute again and again, a screen that plays one: copies of the stream are told there alone."""
    part = lively(60, 4)
    played = lively(200, 1) + [size for run in range(5) for size in anew(part, run)]
    usual, never = (looked(played, asked) for asked in (0.3, 1.0))
    alike = [item.scores["alike"] for item in usual]
    assert alike == [item.scores["alike"] for item in never], "the measure is the same"
    known = [value for value in alike if value is not None]
    assert 0.5 < min(known) <= max(known) < 1
    assert [item.conditions.state for item in usual] == ["ok" if value is None else "looped" for value in alike]
    assert [item.scores["looped"] for item in usual] == [float(value is not None) for value in alike]
    assert {item.conditions.state for item in never} == {"ok"}
    copied = looked(played + part * 3, 1.0)
    assert copied[-1].conditions.state == "looped"
    assert (copied[-1].scores["copied"], copied[-1].scores["alike"]) == (1.0, None)


@pytest.mark.parametrize("fps", [2, 5, 8, 15])
def test_a_loop_behind_three_bidirectional_frames_in_a_row_is_found(fps: int) -> None:
    """One frame is shown, and four are sent, after three more: each belongs to the moment at which it is shown."""
    rng, recurrence, found = np.random.default_rng(9), Recurrence(), []
    part = [100 + size for size in lively(80.2, 6, fps)]
    shown = lively(200, 56, fps) + part * 5
    for sent in range((200 + 4 * 80) * fps):
        group, place = divmod(sent - 1, 4)
        at = 4 * group + (4 if place == 0 else place)
        size = shown[at] * np.exp(rng.normal(0, 0.1)) * (1 if place == 0 else 0.4)
        recurrence.frame(at / fps, round(size), keyframe=at % (40 * fps) == 0)
        if sent % (10 * fps) == 0:
            recurrence.looked()
            if recurrence.looping:
                found.append(sent / fps)
    assert found
    assert 200 + 80 < found[0] <= 200 + 80 + 120


@pytest.mark.parametrize("zero", [-9e17, 4.7e17, 1.8e18])
def test_times_of_which_a_second_is_lost_end(zero: float) -> None:
    recurrence = Recurrence()
    recurrence.frames([(zero + 200.0 * number, 1000, False) for number in range(10)])
    assert not recurrence.looping
