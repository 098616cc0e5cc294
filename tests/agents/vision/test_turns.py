"""Earlier pictures that are shown in turns: their noise comes again, which a live camera's never does, however its view changes back and forth."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count, repeat

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.vision.imprint import IMPRINT_BYTES, REGIONS, Imprint
from agents.vision.turns import ENDED, FORGOTTEN, KEPT_LOOKS, LEARNT_LOOKS, LEAST_EARLIER, SHOWN, Turns

SEEDS = st.integers(0, 2**32 - 1)
LIVE_LOOKS = LEAST_EARLIER + LEARNT_LOOKS
Scene = npt.NDArray[np.float64]


def scene(seed: int, flat: int = REGIONS // 2) -> Scene:
    """Return what a camera shows without its noise; of the regions so many are bare walls."""
    made = np.random.default_rng([1, seed])
    contrast = np.repeat(made.permutation([0.5] * flat + [16.0] * (REGIONS - flat)), IMPRINT_BYTES // REGIONS)
    return np.asarray(made.normal(0, 1, IMPRINT_BYTES) * contrast)


def picture(room: Scene, number: int, level: float = 6.0) -> Scene:
    """Return a picture of a room with the noise of that number."""
    return np.asarray(room + np.random.default_rng([2, number]).normal(0, level, IMPRINT_BYTES))


def coded(seen: Scene, number: int, level: float = 1.0) -> Imprint:
    """Return a picture's imprint as an encoder leaves it, each time a little otherwise."""
    left = seen + np.random.default_rng([3, number]).normal(0, level, IMPRINT_BYTES)
    return np.asarray(np.clip(np.rint(left), -127, 127), np.int8)


class Camera:
    """A camera that is looked at again and again, and what was told after each look."""

    def __init__(self) -> None:
        self.turns, self.kept = Turns(), list[Imprint]()
        self.told = list[bool]()

    def see(self, *looks: Imprint | None, sound: bool = True) -> list[bool]:
        for seen in looks:
            self.turns.look(seen, self.kept)
            if seen is not None:
                self.kept = [*self.kept, seen][-KEPT_LOOKS:]
            if sound and self.turns.alike is None:
                self.turns.learn()
            self.told.append(self.turns.alike is not None)
        return self.told[-len(looks) :]


def live(room: Scene, looks: int, first: int = 0) -> Iterator[Imprint]:
    return (coded(picture(room, first + number), first + number) for number in range(looks))


def in_turns(stills: list[Scene], looks: int, seed: int = 0, level: float = 1.0) -> Iterator[Imprint]:
    """Show pictures in random turns, none twice in a row."""
    made, shown = np.random.default_rng([4, seed]), 0
    for number in range(looks):
        shown = (shown + int(made.integers(1, len(stills)))) % len(stills)
        yield coded(stills[shown], 10_000 + number, level)


ROOM = scene(1)


@pytest.mark.parametrize("stills", range(2, 9))
def test_earlier_pictures_in_turns_are_told_soon_after_each_was_shown(stills: int) -> None:
    camera = Camera()
    assert not any(camera.see(*live(ROOM, 60)))
    told = camera.see(*in_turns([picture(ROOM, 500 + number) for number in range(stills)], 60))
    first = told.index(True)
    assert stills + SHOWN - 2 <= first <= 4 * stills + 8
    assert all(told[first:])
    assert camera.turns.alike is not None
    assert camera.turns.alike > 0.5


@given(SEEDS, st.integers(2, 8), st.floats(1, 2.5), st.integers(0, 12))
@settings(max_examples=30)
def test_whatever_is_shown_in_turns_is_told_and_its_end_too(seed: int, stills: int, level: float, flat: int) -> None:
    """The pictures may have been shown live before, and people may stand in a few regions of some."""
    camera, room = Camera(), scene(seed, flat)
    shown = [picture(room, seed + number) for number in range(stills)]
    for number, still in enumerate(shown):
        still[: 64 * (number % 4)] += 30
    assert not any(camera.see(*live(room, LIVE_LOOKS + 20, seed)))
    assert any(camera.see(*in_turns(shown, 100, seed, level)))
    assert not camera.see(*live(room, ENDED, seed + 1000))[-1]
    assert not any(camera.see(*live(room, 20, seed + 2000)))


@given(SEEDS, st.integers(1, 6), st.integers(1, 12), st.sampled_from([0, 8, REGIONS]), st.floats(1.5, 8), st.booleans())
@settings(max_examples=40)
def test_a_live_camera_is_live_however_its_view_changes_back_and_forth(
    seed: int, views: int, dwell: int, flat: int, level: float, tour: bool
) -> None:
    """Presets of a tour, a lamp, curtains, people who sit down where they sat: what is seen comes again, and its noise, more of it or less, doesn't."""
    made, camera = np.random.default_rng(seed), Camera()
    rooms = [scene(seed + number, flat) * made.uniform(0.3, 1.5) for number in range(views)]
    levels, gain, place = made.uniform(0.6, 1.4, views) * level, float(made.uniform(0.7, 1.4)), 0
    for number in range(200):
        if tour:
            place = number // dwell % views
        elif made.random() < 1 / dwell:
            place = int(made.integers(views))
        noise = levels[place] * (gain if number >= 100 else 1.0)
        camera.see(coded(picture(rooms[place], seed + number, noise), number))
    assert not any(camera.told)


def test_views_that_come_again_for_two_looks_each_are_live_though_they_leave_less_noise_than_is_usual() -> None:
    camera, views = Camera(), [scene(number, 0) for number in (5, 6)]
    camera.see(*live(scene(4, REGIONS), 40))
    for number in range(30):
        camera.see(*live(views[number % 2], 2, 1000 + 2 * number))
    assert not any(camera.told)


def test_a_view_that_was_there_once_and_comes_to_stay_is_live() -> None:
    camera, bare = Camera(), scene(4, REGIONS)
    camera.see(*live(bare, 40), *live(scene(5, 0), 1, 1000), *live(bare, 10, 2000), *live(scene(5, 0), 12, 3000))
    assert not any(camera.told)


def test_a_look_that_is_the_same_as_the_one_just_before_counts_neither_for_nor_against() -> None:
    camera, stills = Camera(), [picture(ROOM, number) for number in (501, 502, 503)]
    order = [0, 1, 2, *(number // 2 % 3 for number in range(12))]
    told = camera.see(*live(ROOM, 40), *(coded(stills[place], 900 + number) for number, place in enumerate(order)))
    assert not any(told[:45])
    assert told[-1]


@pytest.mark.parametrize("rooms", [1, 2])
def test_one_picture_that_stands_is_not_shown_in_turns(rooms: int) -> None:
    """It is frozen; so is one that takes over from another that stood."""
    camera = Camera()
    camera.see(*live(ROOM, 60))
    for number in range(rooms):
        still = picture(ROOM, 700 + number)
        assert not any(camera.see(*(coded(still, look) for look in range(40)), sound=False))


@given(SEEDS, st.floats(0.3, 1.5), st.floats(2, 5))
@settings(max_examples=30)
def test_one_picture_that_stands_is_not_shown_in_turns_however_unlike_its_looks_are_coded(
    seed: int, least: float, most: float
) -> None:
    """An encoder spends more on some keyframes than on others: a look is nearer to an earlier one than to the one just before. Nor does it count when it is live again."""
    camera, made = Camera(), np.random.default_rng([5, seed])
    camera.see(*live(ROOM, 60, seed))
    still = picture(ROOM, seed + 700)
    looks = (coded(still, number, float(made.uniform(least, most))) for number in range(60))
    assert not any(camera.see(*looks, sound=False))
    assert not any(camera.see(*live(ROOM, 20, seed + 1000)))


def test_a_picture_that_comes_again_once_in_a_while_shows_nothing() -> None:
    """Chance, or a single look at the same keyframe."""
    camera = Camera()
    looks = list(live(ROOM, 200))
    for number in range(40, 200, 3):
        looks[number] = looks[number - 30]
    assert not any(camera.see(*looks))


def test_the_same_keyframe_looked_at_twice_each_time_shows_nothing() -> None:
    camera = Camera()
    assert not any(camera.see(*chain.from_iterable(zip(*(live(ROOM, 60) for _ in range(2)), strict=True))))


def test_what_a_long_group_of_pictures_leaves_as_it_was_is_no_earlier_picture() -> None:
    """Looks at frames between keyframes: an encoder copies most of the picture from the frame before, and codes little anew."""
    camera, made = Camera(), np.random.default_rng(5)
    for number in range(200):
        if number % 12 == 0:
            seen = picture(ROOM, number)
        anew = made.random(IMPRINT_BYTES) < 0.1
        seen = np.where(anew, picture(ROOM, 5000 + number), seen)
        camera.see(coded(seen, number, 0.1))
    assert not any(camera.told)


def test_without_noise_nothing_is_told() -> None:
    camera = Camera()
    bare = coded(np.zeros(IMPRINT_BYTES), 0, 0.0)
    assert not any(camera.see(*live(ROOM, 60), *repeat(bare, 10), *live(ROOM, 3, 90), *repeat(bare, 60), None))


def test_a_bare_cover_that_comes_and_goes_is_no_earlier_picture() -> None:
    """What lies on the lens leaves less noise than the room usually has, and a new one each time."""
    camera = Camera()
    camera.see(*live(ROOM, 60))
    numbers = count(3000)
    for _ in range(20):
        camera.see(*(coded(picture(scene(2, REGIONS), next(numbers), 2.0), 1, 0.0) for _ in range(3)), sound=False)
        camera.see(*live(ROOM, 3, next(numbers)))
    assert not any(camera.told)


@pytest.mark.parametrize("after", [None, coded(np.zeros(IMPRINT_BYTES), 0, 0.0)])
def test_what_can_not_be_told_any_more_is_not_told_for_ever(after: Imprint | None) -> None:
    """The light was put out, or the stream has become too small."""
    camera = Camera()
    camera.see(*live(ROOM, 40))
    assert camera.see(*in_turns([picture(ROOM, number) for number in (1, 2, 3)], 30))[-1]
    assert camera.see(*repeat(after, FORGOTTEN - 1))[-1]
    assert not any(camera.see(*repeat(after, 20)))


def test_a_new_picture_now_and_then_does_not_end_it() -> None:
    camera, stills = Camera(), [picture(ROOM, number) for number in (1, 2, 3)]
    camera.see(*live(ROOM, 40), *in_turns(stills, 30))
    for number in range(20):
        assert all(camera.see(*live(ROOM, ENDED - 1, 900 + 10 * number), *in_turns(stills, 4, number)))


@pytest.mark.parametrize("sound", [True, False])
def test_only_what_is_sound_is_usual(sound: bool) -> None:
    """Of a picture that stands all looks are near: learnt from, nothing would be nearer than usual."""
    camera = Camera()
    camera.see(*live(ROOM, 40), *(coded(picture(ROOM, 77), number) for number in range(100)), sound=sound)
    camera.see(*live(ROOM, 10, 300))
    assert any(camera.see(*in_turns([picture(ROOM, number) for number in (1, 2, 3)], 30))) != sound


@given(st.lists(st.binary(min_size=IMPRINT_BYTES, max_size=IMPRINT_BYTES), max_size=3), st.data())
def test_whatever_imprints_hold_it_is_told_by_a_share_or_not_at_all(seen: list[bytes], data: st.DataObject) -> None:
    camera = Camera()
    for _ in range(60):
        look = np.frombuffer(
            data.draw(st.sampled_from([b"\x80" * IMPRINT_BYTES, bytes(IMPRINT_BYTES), *seen])), np.int8
        )
        camera.see(look)
        assert camera.turns.alike is None or 0 <= camera.turns.alike <= 1
