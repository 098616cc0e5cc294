"""A stream that runs as it ran before: byte for byte, and encoded anew; and streams that only seem to."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agents.vision.eye import Eye
from agents.vision.fingerprint import fingerprint
from agents.vision.loop import SLOTS, Loop
from agents.vision.measure import measure
from agents.vision.recurrence import KEPT_SECONDS, LEARNT_SECONDS, LIKELY_UNMOVED, OPEN_STEPS, STEPS, Recurrence
from agents.vision.repeat import Repeat
from agents.vision.thresholds import Thresholds
from support.views import HEIGHT, WIDTH, drawn_room, grainy, grey, looked_at

ROOM = looked_at(grainy(drawn_room(1), 3, 1))
SOUND, VIEW = measure(ROOM, None)[0], fingerprint(ROOM)
BLACK = measure(grey(np.full((HEIGHT, WIDTH), 17, np.uint8)), None)[0]

Sizes = list[tuple[int, bool]]
"""(bytes, keyframe) of frames."""


def lively(seconds: float, seed: int, *, fps: int = 15, gop: int = 30) -> Sizes:
    """Return a stream in which people move: bursts of a few seconds over noise, and a keyframe every two seconds."""
    rng = np.random.default_rng(seed)
    count = round(seconds * fps)
    bursts = np.repeat(rng.gamma(0.4, 1.0, count // fps // 3 + 1), 3 * fps)[:count]
    inter = 400 * (1 + 4 * bursts) * np.exp(rng.normal(0, 0.2, count))
    return [
        (round(18_000 + rng.normal(0, 300)) if n % gop == 0 else round(inter[n]), n % gop == 0) for n in range(count)
    ]


def quiet(seconds: float, seed: int, *, fps: int = 15, gop: int = 30) -> Sizes:
    """Return a stream of an empty room at constant quality: nearly every frame says that nothing changed."""
    rng = np.random.default_rng(seed)
    count = round(seconds * fps)
    tick = [90 if n % fps == 0 else 0 for n in range(count)]
    return [(9_000, True) if n % gop == 0 else (int(rng.integers(22, 29)) + tick[n], False) for n in range(count)]


def anew(sizes: Sizes, seed: int) -> Sizes:
    """Return the same video as a second encoder makes it: other keyframes, other sizes, the same rhythm."""
    rng = np.random.default_rng(seed)
    return [(round(0.6 * size * np.exp(rng.normal(0, 0.1))) if not key else round(12_000 + rng.normal(0, 200)), key) for size, key in sizes]  # fmt: skip


def frozen(seconds: float, seed: int, *, fps: int = 15, gop: int = 50) -> Sizes:
    """Return a frozen picture at a bit rate: the encoder's control swings, the same way for each group of pictures."""
    rng = np.random.default_rng(seed)
    swing = 900 * np.exp(np.cumsum(rng.normal(0, 0.25, gop)))
    return [(15_000, True) if n % gop == 0 else (round(swing[n % gop]), False) for n in range(round(seconds * fps))]


def named(
    *parts: tuple[Sizes, float],
    black: Sequence[int] = (),
    every: int = 10,
    fps: int = 15,
    changed: float = 0.01,
    codec: str = "h264",
    same_now: float | None = None,
) -> list[str]:
    """Return what is named of each look, `every` so many seconds, at streams one after the other, each with its `same_ratio`.

    `black` are the numbers of the parts whose picture is black, `changed` the share that changes from look to look, `same_now` what is the same in each look alone.
    """
    eye, found, number = Eye(Thresholds()), [], 0
    for part, (sizes, same) in enumerate(parts):
        picture = BLACK if part in black else SOUND
        for size, keyframe in sizes:
            eye.frame(1000 + number / fps, size, keyframe=keyframe)
            number += 1
            if number % (every * fps) == 0:
                measures = replace(picture, repeat=Repeat(same_ratio=same, changed_ratio=changed, same_now=same_now))
                found.append(eye.look(measures, VIEW, codec=codec).conditions.state)
    return found


def exact(sizes: Sizes, fps: int = 15) -> list[float]:
    """Return the seconds at which a loop was seen, looked for every ten seconds."""
    loop, found = Loop(), []
    for number, (size, _) in enumerate(sizes):
        loop.frame(1000 + number / fps, size)
        if number % (10 * fps) == 0 and loop.looping:
            found.append(number / fps)
    return found


def again(sizes: Sizes, fps: int = 15, *, moved: bool = True) -> list[float]:
    """Return the seconds at which a recurrence was seen, by looks in which something `moved`."""
    recurrence, found, came = Recurrence(), [], list[tuple[float, int, bool]]()
    for number, (size, keyframe) in enumerate(sizes):
        came.append((1000 + number / fps, size, keyframe))
        if number % (10 * fps) == 0:
            recurrence.frames(came)
            came.clear()
            recurrence.looked(moved=moved)
            if recurrence.looping:
                found.append(number / fps)
    return found


@pytest.mark.parametrize("same_now", [0.36, 0.89])
def test_a_copy_is_found_where_much_comes_again_by_chance(same_now: float) -> None:
    """As of still rooms behind a coarse MJPEG encoder: nearly frozen is not frozen, of which nothing is remembered."""
    live, part = lively(60, 1, gop=1), lively(60, 2, gop=1)
    found = named((live, 0.9), (part * 4, 0.9), codec="mjpeg", same_now=same_now)
    first = found.index("looped")
    assert first <= 6 + 6 + 3
    assert found[first:] == ["looped"] * len(found[first:])


@pytest.mark.parametrize(("fps", "gop"), [(15, 30), (25, 100), (1, 4)])
def test_a_copy_is_found_within_its_second_run(fps: int, gop: int) -> None:
    live, part = lively(300, 1, fps=fps, gop=gop), lively(64, 2, fps=fps, gop=gop)
    found = exact(live + part * 4, fps)
    assert found
    assert 300 + 64 < found[0] <= 300 + 2 * 64
    assert found[-1] >= 300 + 3 * 64


@pytest.mark.parametrize(
    ("rate", "visits", "seconds", "apart"),
    [
        pytest.param(25, 1, 2.5, 60.0, id="a connection that is lost at once"),
        pytest.param(25, 5, 2.5, 300.0, id="turns"),
        pytest.param(6, 1, 60.0, 0.0, id="a camera that is slow at night"),
        pytest.param(25, 1, 60.0, 200 * 86400.0, id="half a year"),
    ],
)
def test_a_loop_is_found_however_the_stream_began(rate: int, visits: int, seconds: float, apart: float) -> None:
    loop, at, part = Loop(), 1000.0, lively(60, 2, fps=25)
    for visit in range(visits):
        for size, _ in lively(seconds, 10 + visit, fps=rate):
            loop.frame(at, size)
            at += 1 / rate
        at += apart
    for size, _ in part * 2:
        loop.frame(at, size)
        at += 1 / 25
    assert loop.looping


def test_a_burst_hides_no_loop_of_later_days() -> None:
    """Whoever can play a recording can also send thousands of frames a second for a moment before."""
    loop, at = Loop(), 1000.0
    for size, _ in lively(30, 3, fps=2000):
        loop.frame(at, size)
        at += 1 / 2000
    assert loop._one_in >= 1000
    for size, _ in lively(3 * 3600, 4, fps=5):
        loop.frame(at, size)
        at += 1 / 5
    assert loop._one_in <= 8
    for size, _ in lively(120, 5, fps=5) * 2:
        loop.frame(at, size)
        at += 1 / 5
    assert loop.looping


def test_a_loop_that_is_known_stays_known_while_the_stream_is_slower_than_it_was() -> None:
    loop, at, part = Loop(), 1000.0, lively(90, 10, fps=5)
    for size, _ in lively(60, 6, fps=25):
        loop.frame(at, size)
        at += 1 / 25
    for number, (size, _) in enumerate(part * 30):
        loop.frame(at, size)
        at += 1 / 5
        if number >= 4 * len(part) and number % 50 == 0:
            assert loop.looping, number / len(part)


@given(st.integers(0, 99), st.lists(st.integers(1, 90), min_size=1, max_size=40))
@settings(max_examples=4)
def test_frames_taken_in_batches_tell_what_they_tell_one_by_one(seed: int, batches: list[int]) -> None:
    part = lively(30, seed)
    made = [(1000 + number / 15, size, keyframe) for number, (size, keyframe) in enumerate(part * 2)]
    single, batched = (Loop(), Recurrence()), (Loop(), Recurrence())
    begin = 0
    for count in [*batches, len(made)]:
        taken = made[begin : begin + count]
        begin += count
        for at, size, keyframe in taken:
            single[0].frame(at, size)
            single[1].frame(at, size, keyframe=keyframe)
        for one in batched:
            one.frames(taken)
        assert [one.looping for one in batched] == [one.looping for one in single]
        assert (batched[0].since, batched[0].latest) == (single[0].since, single[0].latest)
    assert batched[0].latest


@pytest.mark.parametrize(("fps", "gop"), [(15, 30), (5, 10)])
def test_a_loop_is_known_later_to_have_begun_when_it_did(fps: int, gop: int) -> None:
    live, part, loop = lively(120, 7, fps=fps, gop=gop), lively(32, 8, fps=fps, gop=gop), Loop()
    told = []
    for number, (size, _) in enumerate(part + live + part * 3):  # from far back first, then by its own length
        loop.frame(1000 + number / fps, size)
        assert loop.looping or loop.since is None
        if loop.since is not None:
            told.append((number / fps, loop.since))
    assert told[0][0] > 32 + 120 + 9, "known later"
    assert {since for _, since in told} == {told[0][1]}, "and always the same"
    assert told[0][1] == pytest.approx(1000 + 120 + 32, abs=4)


def test_a_copy_of_an_earlier_hour_is_found() -> None:
    live = lively(1800, 3)
    found = exact(live + lively(60, 4) + live[15 * 600 : 15 * 700])
    assert found
    assert found[0] <= 1860 + 60


def test_the_end_of_a_loop_is_seen() -> None:
    part = lively(60, 5)
    found = exact(part * 4 + lively(120, 6))
    assert 60 < found[0] <= 120
    assert found[-1] <= 240 + 30


@pytest.mark.parametrize("fps", [5, 8, 15])
@pytest.mark.parametrize(("missed", "shifted"), [(2, 0.0), (10, 0.0), (0, 3.2)])
def test_a_loop_that_is_known_outlives_missed_seconds_and_a_senders_clock_that_jumps(
    fps: int, missed: int, shifted: float
) -> None:
    part, after, loop, found = lively(16, 8, fps=fps, gop=2 * fps), lively(30, 9, fps=fps, gop=2 * fps), Loop(), []
    cut = 16 * 3 + 5
    for number, (size, _) in enumerate(part * 8 + after):
        at = number / fps
        if not cut <= at < cut + missed:
            loop.frame(1000 + at + (shifted if at >= cut else 0.0), size)
        if number % (2 * fps) == 0:
            found.append((at, loop.looping, loop.since))
    assert all(looping for at, looping, _ in found if cut - 6 <= at < 16 * 8)
    assert len({since for at, _, since in found if cut - 6 <= at < 16 * 8}) == 1, (
        "and so does what is known of its beginning"
    )
    assert next(since for _, looping, since in found if looping) == pytest.approx(1000 + 16, abs=4)
    assert not any(looping or since is not None for at, looping, since in found if at >= 16 * 8 + 24)


@pytest.mark.parametrize("seed", range(4))
def test_live_streams_are_no_loops(seed: int) -> None:
    for sizes in (lively(1200, seed), quiet(1200, seed)):
        assert exact(sizes) == []
        assert again(sizes) == []


def test_a_picture_without_any_change_is_no_loop() -> None:
    frozen = [(9_000, True), *[(23, False)] * 29] * 300
    assert exact(frozen) == []
    assert again(frozen) == []


@pytest.mark.parametrize(("seconds", "gop", "seed"), [(60, 50, 0), (120, 145, 2), (240, 50, 1)])
def test_a_frozen_camera_that_comes_back_is_no_loop(seconds: int, gop: int, seed: int) -> None:
    """Twice: what was remembered of the first time is no earlier time of the second."""
    looks = named(
        (lively(200, seed), 0.0), (frozen(seconds, seed, gop=gop), 0.3), (lively(200, seed + 50), 0.0),
        (frozen(seconds, seed, gop=gop), 0.3), (lively(200, seed + 90), 0.0),
    )  # fmt: skip
    assert (
        looks == ["ok"] * 20 + ["frozen"] * (seconds // 10) + ["ok"] * 20 + ["frozen"] * (seconds // 10) + ["ok"] * 20
    )


@pytest.mark.parametrize("rest", [0, 1, 2, 3])
def test_a_black_camera_that_comes_back_is_no_loop(rest: int) -> None:
    """What an encoder makes of nothing comes again and again; what is seen soon after it is live, whenever it is looked at."""
    nothing = (lively(12, rest) * 14)[: (152 + rest) * 15]  # one stretch, over and over
    looks = named((lively(200, 10), 0.0), (nothing, 0.0), (lively(100, 20), 0.0), black=[1], every=4)
    assert looks.count("black") == 38
    assert "looped" not in looks


def test_a_loop_after_frozen_time_is_found() -> None:
    part = lively(60, 2)
    looped = [frame for run in range(5) for frame in anew(part, 20 + run)]
    looks = named((lively(200, 1), 0.0), (frozen(120, 3), 0.3), (looped, 0.0))
    assert "looped" not in looks[:32]
    assert "looped" in looks[32 + 6 : 32 + 20]
    looks = named((lively(200, 1), 0.0), (frozen(120, 3), 0.3), (part * 4, 0.0))
    assert "looped" in looks[32 + 6 : 32 + 12]


def test_a_few_frames_in_turns_are_no_recording_of_long_ago() -> None:
    """One of their tokens is of those that are kept for months: that it comes again tells of nothing that is long past."""
    turn, loop = lively(10, 56, gop=150), Loop()
    for number, (size, _) in enumerate(turn * 8 + lively(30, 1)):
        loop.frame(number / 15, size)
    assert len(loop._archived) >= 5, "the case is at hand"
    assert not loop.looping


@pytest.mark.parametrize("seed", range(3))
def test_a_day_s_recording_that_is_three_months_old_is_known_and_its_end_soon_after(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sixteenth of the slots, and tokens archived thirty-two times as often: as much is overwritten in as many tokens' time."""
    monkeypatch.setattr("agents.vision.loop.SLOTS", SLOTS // 16)
    monkeypatch.setattr("agents.vision.loop.ARCHIVED_SHARE", 1 / 16)
    loop, at = Loop(), 1000.0
    day, since, live = lively(2700, seed), lively(15_200, seed + 10), lively(1500, seed + 20)
    token = 16 / 1.875
    """Seconds for each archived one."""
    known: dict[str, list[float]] = {"before": [], "played": [], "after": []}
    for name, part in (("", day), ("before", since), ("played", day), ("after", live)):
        for number, (size, _) in enumerate(part):
            loop.frame(at, size)
            at += 1 / 15
            if name and number % 75 == 0 and loop.looping:
                known[name].append(number / 15 / token)
    assert known["before"] == []
    assert known["played"][0] < 200
    first, gap = known["played"][0], 75 / 15 / token
    assert len(known["played"]) > 0.8 * (2700 / token - first) / gap, "it goes on, though most was overwritten"
    assert max(known["after"], default=0.0) < 60


def test_a_recording_of_lately_is_over_when_three_of_its_tokens_have_not_come() -> None:
    loop = Loop()
    loop._archived.extend((5000.0 + token / 100, token) for token in range(16))
    assert loop.looping
    assert loop._old is not None
    loop._old.take(None)
    loop._old.take(None)
    assert loop.looping, "packets may have been lost"
    loop._old.take(None)
    loop._archived.extend((None, token) for token in range(100, 103))
    assert not loop.looping


@pytest.mark.parametrize(
    "lags",
    [
        pytest.param([5000.0] * 3 + [None] * 13, id="three"),
        pytest.param([5000.0] * 4 + [900.0, 70.0] + [None] * 10, id="two of six at other distances"),
        pytest.param([30.0] * 16, id="what the latest tokens tell"),
        pytest.param([100.0 + 2 * number for number in range(16)], id="each at another distance"),
    ],
)
def test_what_comes_again_by_chance_is_no_recording_of_long_ago(lags: list[float | None]) -> None:
    for order in range(16):
        loop = Loop()
        loop._archived.extend((lag, number) for number, lag in enumerate(lags[order:] + lags[:order]))
        assert not loop.looping


@pytest.mark.parametrize("stepped", [0.0, -9e8, 40.0])
def test_a_recording_from_before_a_restart_is_known_whatever_the_clock_was_set_to_meanwhile(
    stepped: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.vision.loop.ARCHIVED_SHARE", 1 / 16)
    before, after, day, live = Loop(), Loop(), lively(300, 1), lively(300, 2)
    before.frames([(5000 + number / 15, size, key) for number, (size, key) in enumerate(day + live)])
    assert after.recall(before.kept(1_800_000_000.0), 1_800_003_600.0 + stepped)
    after.frames([(70 + number / 15, size, key) for number, (size, key) in enumerate(lively(60, 3) + day)])
    assert after.looping
    assert after.since is None, "so long ago it is not told to the second"
    again, none = Loop(), Loop()
    assert again.recall(after.kept(1_800_010_000.0), 1_800_010_100.0)
    again.frames([(9 + number / 15, size, key) for number, (size, key) in enumerate(lively(60, 4) + live)])
    assert again.looping, "over a second restart"
    none.frames([(9 + number / 15, size, key) for number, (size, key) in enumerate(lively(60, 4) + live)])
    assert not none.looping


def test_a_loop_after_a_restart_is_told_since_it_began() -> None:
    before, after, part = Loop(), Loop(), lively(40, 2)
    before.frames([(5000 + number / 15, size, key) for number, (size, key) in enumerate(lively(300, 1))])
    assert after.recall(before.kept(1e9), 1e9 + 60)
    after.frames([(70 + number / 15, size, key) for number, (size, key) in enumerate(part * 2)])
    assert after.looping
    assert after.since == pytest.approx(70 + 40, abs=4)


KEPT = Loop().kept(1e9)


@given(st.integers(0, len(KEPT) - 1), st.integers(1, 255), st.sampled_from(["changed", "cut", "longer", "other"]))
@settings(max_examples=60)
def test_what_was_kept_and_is_damaged_is_nothing(place: int, change: int, how: str) -> None:
    made = bytearray(KEPT)
    made[place] ^= change
    data = {"changed": bytes(made), "cut": KEPT[:place], "longer": KEPT + b"x", "other": bytes([change]) * place}[how]
    loop = Loop()
    assert not loop.recall(data, 1e9)
    assert loop._base == 0.0
    assert Loop().recall(KEPT, 1e9)


def test_one_token_that_comes_again_and_again_is_no_recording() -> None:
    loop = Loop()
    loop._archived.extend((5000.0, number % 3) for number in range(16))
    assert not loop.looping


@pytest.mark.parametrize("values", [2, 3, 5, 8])
def test_a_still_room_of_which_windows_come_again_by_chance_is_no_recording(
    values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.vision.loop.ARCHIVED_SHARE", 1 / 16)
    rng, loop = np.random.default_rng(values), Loop()
    for minute in range(300):
        sizes = 20 + rng.geometric(1 - 1 / values, 900)
        sizes[::30] = 9_000 + rng.integers(0, values, 30)
        loop.frames([(minute * 60 + number / 15, int(size), False) for number, size in enumerate(sizes)])
        assert not loop.looping


def test_the_rhythm_of_an_encoder_is_no_loop() -> None:
    """A rate control that swings with each group of pictures, every eight seconds."""
    rng = np.random.default_rng(7)
    sizes = [
        (15_000, True) if n % 120 == 0 else (round((600 + 5 * (n % 120)) * np.exp(rng.normal(0, 0.05))), False)
        for n in range(15 * 900)
    ]
    assert exact(sizes) == []
    assert again(sizes) == []


@pytest.mark.parametrize(("period", "seed"), [(45, 1), (60, 2), (120, 3)])
def test_a_loop_that_was_encoded_anew_is_found(period: int, seed: int) -> None:
    part = lively(period, seed)
    sizes = lively(200, seed + 50) + [frame for run in range(5) for frame in anew(part, 10 * seed + run)]
    found = again(sizes)
    assert found
    assert found[0] <= 200 + period + 120
    assert exact(sizes) == []


@pytest.mark.parametrize("seed", [3, 4])
def test_an_empty_room_whose_encoder_takes_turns_with_a_few_quantizers_is_no_loop(seed: int) -> None:
    """A picture a second: each group of pictures has one of three sizes, and a minute of that comes again by chance within the hour."""
    rng, recurrence = np.random.default_rng(seed), Recurrence()
    shape, groups = (13.0, 1.0, 1.25, 0.9), rng.choice([900, 1008, 1170], 900, p=[0.7, 0.2, 0.1])
    for second in range(3600):
        size = groups[second // 4] * shape[second % 4] * np.exp(rng.normal(0, 0.01))
        recurrence.frame(second, round(size), keyframe=second % 4 == 0)
        if second % 10 == 0:
            recurrence.looked(moved=False)
            assert not recurrence.looping


def test_people_who_wander_are_no_loop() -> None:
    """Play the frame sizes of a simulated camera (`c5`, one figure, five pictures a second): of thirty such hours the minutes most like others."""
    sizes = [int(size) for size in (Path(__file__).parent / "drawn_people.txt").read_text(encoding="ascii").split()]
    recurrence = Recurrence()
    for number, size in enumerate(sizes):
        recurrence.frame(number / 5, size, keyframe=number % 10 == 0)
        if number % 50 == 0:
            recurrence.looked()
            assert not recurrence.looping, f"after {number / 5} s"


@pytest.mark.parametrize("steps", [1, STEPS])
def test_a_room_in_which_nothing_moved_has_bounds_of_its_own(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIKELY_UNMOVED, steps, {})
    fps = {1: 2, STEPS: 15}[steps]
    part, before = lively(120, 6, fps=fps, gop=2 * fps), lively(200, 56, fps=fps, gop=2 * fps)
    sizes = before + [frame for run in range(4) for frame in anew(part, run)]
    assert again(sizes, fps, moved=True)
    assert not again(sizes, fps, moved=False)


def still(seconds: float, seed: int, *, fps: int, gop: int) -> Sizes:
    """Return a stream in which nobody moves: each frame as large as its grain, which is new in each."""
    rng = np.random.default_rng(seed)
    grain = 300 * np.exp(rng.normal(0, 0.15, round(seconds * fps)))
    return [(15_000, True) if n % gop == 0 else (round(size), False) for n, size in enumerate(grain)]


@pytest.mark.parametrize("fps", [5, 15])
def test_a_loop_of_a_room_in_which_nobody_moves_is_known_by_the_noise_of_each_frame(fps: int) -> None:
    """Encoded anew each frame is larger or smaller by as much as its grain; of a second's mean little is left beside the encoder's own."""
    part = still(50.2, 3, fps=fps, gop=4 * fps)
    sizes = still(200, 53, fps=fps, gop=4 * fps) + [frame for run in range(4) for frame in anew(part, run)]
    found = again(sizes, fps)
    assert found
    assert 200 + 50 < found[0] <= 200 + 50 + 110


def test_what_was_once_like_an_earlier_time_and_goes_on_otherwise_is_no_loop() -> None:
    """Of thousands of earlier times one is like the latest by chance: here it is made so."""
    part, recurrence, likely = lively(34, 4, fps=10), Recurrence(), 0
    sizes = lively(150, 54, fps=10) + part + lively(100, 55, fps=10) + anew(part, 1) + lively(60, 56, fps=10)
    for number, (size, keyframe) in enumerate(sizes):
        recurrence.frame(number / 10, size, keyframe=keyframe)
        if number % 10 == 0:
            assert not recurrence.looping, number / 10
            likely += bool(recurrence._likely)
    assert likely, "the case is at hand"


def test_a_camera_that_sends_fewer_frames_from_now_on_is_told_by_seconds_and_its_loops_are_found() -> None:
    recurrence, at, found = Recurrence(), 0.0, dict[int, list[float]]()
    for fps in (10, 2, 10):
        part = lively(70, fps, fps=fps, gop=2 * fps)
        sizes = lively(300, 50 + fps, fps=fps, gop=2 * fps) + [item for run in range(4) for item in anew(part, run)]
        began, found[fps] = at, []
        for size, keyframe in sizes:
            recurrence.frame(at, size, keyframe=keyframe)
            at += 1 / fps
            if recurrence.looping and at > began + 100:  # until then it may be the loop before
                found[fps].append(at - began)
        assert recurrence._steps == (STEPS if fps == 10 else 1)
        assert found[fps], f"at {fps} a second"
        assert found[fps][0] > 300 + 70


def test_a_loop_is_found_after_a_time_in_which_nobody_asked() -> None:
    """Its decoder was away, say, for longer than is learnt from."""
    part, recurrence, found = lively(60, 4, fps=10), Recurrence(), []
    sizes = lively(2 * LEARNT_SECONDS, 54, fps=10) + [frame for run in range(5) for frame in anew(part, run)]
    for number, (size, keyframe) in enumerate(sizes):
        recurrence.frame(number / 10, size, keyframe=keyframe)
        if (number < 3000 or number > 20 * LEARNT_SECONDS) and number % 100 == 0 and recurrence.looping:
            found.append(number / 10 - 2 * LEARNT_SECONDS)
    assert found
    assert 60 < found[0] <= 60 + 120


@pytest.mark.parametrize("keyed", [True, False])
def test_a_loop_of_a_stream_that_is_all_keyframes_or_has_none_is_found(keyed: bool) -> None:
    part, before = ([frame for frame in lively(*of, fps=10) if not frame[1]] for of in ((60, 4), (200, 54)))
    sizes = before + [frame for run in range(4) for frame in anew(part, run)]
    found = again([(size, keyed) for size, _ in sizes], 10)
    assert found
    assert found[0] <= 200 + 60 + 120


@pytest.mark.parametrize("seed", range(4))
def test_one_thing_that_happens_again_is_no_loop(seed: int) -> None:
    """A door that opens and falls shut each five minutes, in a room in which else nothing comes again."""
    rng = np.random.default_rng(seed)
    opened = np.exp(rng.normal(0, 1.2, 12))
    sizes = []
    for number in range(5 * 3600):
        since = number // 5 % 300
        size = 900 * np.exp(rng.normal(0, 0.05)) * (opened[since] if since < len(opened) else 1)
        sizes.append((15_000, True) if number % 20 == 0 else (round(size), False))
    assert again(sizes, 5) == []


@pytest.mark.parametrize("rate", [9.7, 10.3])
def test_a_loop_that_is_no_whole_number_of_seconds_long_is_found(rate: float) -> None:
    part = lively(50, 4, fps=10)
    sizes = lively(150, 54, fps=10) + [frame for run in range(4) for frame in anew(part, run)]
    recurrence, found = Recurrence(), []
    for number, (size, keyframe) in enumerate(sizes):
        recurrence.frame(number / rate, size, keyframe=keyframe)
        if number % 100 == 0 and recurrence.looping:
            found.append(number / 10)
    assert found
    assert found[0] <= 150 + 50 + 120


def test_frames_that_are_sent_before_those_that_are_shown_before_them_hide_no_loop() -> None:
    """With bidirectional frames every other one is shown before the one that was sent before it."""
    part = lively(50, 4, fps=10)
    sizes = lively(150, 54, fps=10) + [frame for run in range(4) for frame in anew(part, run)]
    recurrence, found = Recurrence(), []
    for number, (size, keyframe) in enumerate(sizes):
        recurrence.frame((number - (-1) ** number) / 10, size, keyframe=keyframe)
        if number % 100 == 0 and recurrence.looping:
            found.append(number / 10)
    assert found
    assert found[0] <= 150 + 50 + 100


def test_memory_is_bounded() -> None:
    loop, recurrence = Loop(), Recurrence()
    rng = np.random.default_rng(8)
    frames = [(n * 0.5, int(size), n % 10 == 0) for n, size in enumerate(rng.integers(20, 30_000, 60_000))]
    for first in range(0, len(frames), 100):
        loop.frames(frames[first : first + 100])
        recurrence.frames(frames[first : first + 100])
    tables = (loop._latest, loop._archive)
    assert sum(table.tags.nbytes + table.ticks.nbytes for table in tables) == 16 * SLOTS <= 1 << 18
    kept = (recurrence._curve, recurrence._latest, recurrence._had, recurrence._stood, recurrence._unmoved)
    assert sum(item.nbytes for item in kept) == KEPT_SECONDS * (STEPS + 3) + LEARNT_SECONDS * STEPS * 8 <= 136_000
    assert recurrence._open.nbytes == 32 * OPEN_STEPS <= 8192


def test_ninety_days_take_no_more_memory_than_one() -> None:
    """Of each six hours a minute or so, at rates that change, with visits, bursts and clocks that jump."""
    loop, recurrence, rng, at = Loop(), Recurrence(), np.random.default_rng(9), 1000.0
    after_a_day = 0
    for hour in range(0, 90 * 24, 6):
        rate = int(rng.choice((1, 5, 15, 25)))
        sizes = rng.integers(20, 30_000, 300) if hour % 7 else np.tile(rng.integers(20, 3000, 75), 4)
        frames = [(at + n / rate, int(size), n % (2 * rate) == 0) for n, size in enumerate(sizes)]
        loop.frames(frames)
        recurrence.frames(frames)
        assert isinstance(loop.looping, bool)
        at += 6 * 3600.0 if hour % 50 else float(rng.normal(0, 1e6))
        after_a_day = after_a_day or (len(pickle.dumps((loop, recurrence))) if hour == 24 else 0)
    assert len(pickle.dumps((loop, recurrence))) <= after_a_day + 1000
    assert loop._one_in <= 32


FRAMES = st.lists(st.tuples(st.floats(-1e9, 1e9), st.integers(0, 1 << 30), st.booleans()), max_size=60)


@settings(deadline=None)
@given(FRAMES)
@example([(1.75, 0, False), (0.3125, 0, False), (-2.8125, 5, False), (0.0, 0, False)])
def test_whatever_frames_come_nothing_breaks(frames: list[tuple[float, int, bool]]) -> None:
    loop, recurrence = Loop(), Recurrence()
    for at, size, keyframe in frames:
        loop.frame(at, size)
        recurrence.frame(at, size, keyframe=keyframe)
        assert not recurrence.looping or len(frames) > 1
    assert not loop.looping
