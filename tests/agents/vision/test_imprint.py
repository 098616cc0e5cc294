"""A sensor's noise, from which a recording is known: it is new in each picture, whatever else stays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.vision.imprint import (
    IMPRINT_BYTES,
    LEAST_OWN,
    PLACES,
    REGIONS,
    ROUNDED,
    SAME_REGIONS,
    Imprint,
    alike,
    apart,
    fine,
    from_bytes,
    imprint,
    like,
    places,
)
from agents.vision.picture import Plane
from agents.vision.strips import strips
from support.views import drawn_room, looked_at

ROOM = looked_at(drawn_room(3, 352, 288)).luma.astype(np.float64)
LIVE = 0.2
"""One of a hundred live pictures has as much."""


def seen(scene: npt.NDArray[np.float64], noise: int, level: float = 2.0) -> Imprint:
    """Return the imprint of a scene with the noise of that number, which is smooth, as an encoder leaves it."""
    fine = np.random.default_rng(noise).normal(0, 1, scene.shape)
    smooth = (fine + np.roll(fine, 1, 0) + np.roll(fine, 1, 1)) / 3**0.5
    found = imprint(strips(plane(scene + level * smooth)))
    assert found is not None
    return found


def plane(scene: npt.NDArray[np.float64]) -> Plane:
    return np.clip(np.rint(scene), 16, 235).astype(np.uint8)


def usual(first: int, scene: npt.NDArray[np.float64] = ROOM, level: float = 2.0) -> list[Imprint]:
    return [seen(scene, first + number, level) for number in range(4)]


def test_the_same_noise_again_is_known_though_it_was_coded_anew() -> None:
    recorded = seen(ROOM, 1)
    again = imprint(strips(plane(ROOM + np.random.default_rng(5).normal(0, 1.0, ROOM.shape) + noise_of(1))))
    assert again is not None
    told = alike(again, usual(10), recorded, usual(20))
    assert told is not None
    assert told > 0.5


def noise_of(number: int, level: float = 2.0) -> npt.NDArray[np.float64]:
    fine = np.random.default_rng(number).normal(0, 1, ROOM.shape)
    smooth: npt.NDArray[np.float64] = level * (fine + np.roll(fine, 1, 0) + np.roll(fine, 1, 1)) / 3**0.5
    return smooth


@pytest.mark.parametrize("first", range(0, 100, 20))
def test_another_picture_of_the_same_room_has_other_noise(first: int) -> None:
    told = alike(seen(ROOM, first), usual(first + 1), seen(ROOM, first + 7), usual(first + 10))
    assert told is not None
    assert abs(told) < LIVE


def test_a_lamp_that_is_on_in_both_is_no_noise() -> None:
    lit = 16 + (ROOM - 16) * np.linspace(1.0, 1.6, ROOM.shape[1])
    told = alike(seen(lit, 1), usual(10), seen(lit, 2), usual(20))
    assert told is not None
    assert told < LIVE


def test_who_stands_in_both_in_a_part_of_the_room_is_no_noise() -> None:
    there = ROOM.copy()
    there[60:200, 40:130] = 40 + 60 * (np.indices((140, 90)).sum(0) % 7 > 3)
    told = alike(seen(there, 1), usual(10), seen(there, 2), usual(20))
    assert told is not None
    assert told < LIVE


def test_without_noise_and_with_too_little_that_is_usual_nothing_is_told() -> None:
    clean = usual(10, level=0.0)
    assert alike(seen(ROOM, 1, level=0.0), clean, seen(ROOM, 1, level=0.0), clean) is None
    assert alike(seen(ROOM, 1), usual(10)[:1], seen(ROOM, 1), usual(20)) is None
    assert alike(seen(ROOM, 1), usual(10), seen(ROOM, 1), []) is None


def test_of_pictures_of_another_view_nothing_is_usual() -> None:
    """A camera that has turned: what one view shows beside another is no noise, though it comes again."""
    other = looked_at(drawn_room(9, 352, 288)).luma.astype(np.float64)
    mixed = [*usual(10)[:2], *usual(12, other)[:2]]
    told = alike(seen(ROOM, 1), mixed, seen(ROOM, 2), [*usual(20)[:2], *usual(22, other)[:2]])
    assert told is not None
    assert told < LIVE
    assert alike(seen(ROOM, 1), usual(12, other), seen(ROOM, 2), [seen(ROOM, 3), *usual(22, other)[:3]]) is None


def test_two_pictures_of_a_view_are_alike_and_those_of_two_are_not() -> None:
    other = looked_at(drawn_room(9, 352, 288)).luma.astype(np.float64)
    same, another = like(seen(ROOM, 1), seen(ROOM, 2), seen(other, 3))
    assert same > 0.5
    assert abs(another) < 0.3


def test_the_same_picture_is_near_and_another_of_the_room_is_far_as_noise_from_noise() -> None:
    wall = np.full_like(ROOM, 120)
    told = apart(seen(wall, 1), [seen(wall, 1), seen(wall, 2), seen(ROOM, 1), seen(wall + 30, 1)])
    assert told is not None
    same, other, elsewhere, lit = told
    assert same < 0.2
    assert 1.25 < other < 1.6
    assert elsewhere > other
    assert lit < 0.2


def test_who_stands_in_a_quarter_of_the_view_makes_no_other_picture_of_it_and_who_hides_a_third_does() -> None:
    wall = np.full_like(ROOM, 120)
    (height, width), hatched = wall.shape, 40.0 * (np.indices(wall.shape).sum(0) % 7 > 3)
    some, more = wall + noise_of(1), wall + noise_of(1)
    some[:, : width // 4] += hatched[:, : width // 4]
    more[: height * 2 // 3, : width // 2] += hatched[: height * 2 // 3, : width // 2]
    recorded = seen(wall, 1)
    found = [imprint(strips(plane(scene))) for scene in (some, more)]
    told = apart(recorded, [item for item in found if item is not None])
    assert told is not None
    assert told[0] < 0.2
    assert told[1] > 1


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 20, 128]), st.sampled_from([0, 1, 2, 63, 64, 65, 130]))
def test_how_far_pictures_are_is_reckoned_place_by_place(seed: int, most: int, others: int) -> None:
    """As anybody would by the docstring, up to the most that a byte holds."""
    made = np.random.default_rng(seed)
    one, *rest = made.integers(-most, most, (others + 1, IMPRINT_BYTES)).astype(np.int8)
    told = apart(one, rest)
    own = np.abs(one.astype(int)).reshape(REGIONS, PLACES).mean(1)
    if not others or sorted(own)[REGIONS - SAME_REGIONS] < LEAST_OWN:
        assert told is None
        return
    assert told is not None
    for other, found in zip(rest, told, strict=True):
        off = np.minimum(np.abs(one.astype(int) - other), 127).reshape(REGIONS, PLACES).mean(1)
        assert found == pytest.approx(sorted((off + ROUNDED) / (own + ROUNDED))[SAME_REGIONS - 1], rel=1e-5)


def test_of_a_picture_without_anything_in_it_nothing_is_said() -> None:
    wall = np.full_like(ROOM, 120)
    assert apart(seen(wall, 1, level=0.0), [seen(wall, 1, level=0.0)]) is None
    assert apart(seen(wall, 1), []) is None


@pytest.mark.parametrize("by", [3, 8])
def test_of_a_recording_that_is_cropped_nothing_is_told(by: int) -> None:
    """Its places don't meet: that their noise is another says nothing."""
    cropped = np.roll(ROOM, (by, by), (0, 1))
    assert alike(seen(cropped, 1), usual(10, cropped), seen(ROOM, 1), usual(20)) is None


@pytest.mark.parametrize("shape", [(576, 704), (70, 50), (300, 333)])
def test_it_holds_what_a_frame_of_a_film_has_at_its_places(shape: tuple[int, int]) -> None:
    """A film's frames are held against it pixel by pixel, and both are reckoned in ways of their own."""
    sample = strips(np.random.default_rng(5).integers(0, 256, shape, np.uint8))
    found = imprint(sample)
    assert found is not None
    assert found.tolist() == np.clip(np.rint(fine(sample)[places(*sample.shape)]), -127, 127).tolist()


def test_a_picture_that_is_too_small_has_none() -> None:
    assert imprint(strips(np.zeros((24, 24), np.uint8))) is None
    assert imprint(strips(np.zeros((8, 8), np.uint8))) is None


@given(st.binary(max_size=2 * IMPRINT_BYTES))
def test_an_imprint_is_its_bytes_and_nothing_else_is(data: bytes) -> None:
    if len(data) == IMPRINT_BYTES:
        assert from_bytes(data).tobytes() == data
    else:
        with pytest.raises(ValueError, match=f"{len(data)} bytes"):
            from_bytes(data)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 20, 127]))
def test_whatever_imprints_hold_is_told_by_a_correlation_or_not_at_all(seed: int, most: int) -> None:
    made = np.random.default_rng(seed)
    one, other, *rest = (made.integers(-most, most + 1, IMPRINT_BYTES).astype(np.int8) for _ in range(6))
    told = alike(one, rest[:2], other, rest[2:])
    assert told is None or -1.001 <= told <= 1.001
