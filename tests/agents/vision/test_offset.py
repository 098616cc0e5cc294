"""Where a picture lies beside an earlier one, to a part of a pixel, by what is left of that at a thousand places."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.simulators.scenes import Scene
from agents.vision.film import MOST_OFF, FilmFrame, film_frame
from agents.vision.imprint import IMPRINT_BYTES, Imprint, imprint
from agents.vision.offset import DOWN, RIGHT, Offset, offset
from agents.vision.picture import Plane
from agents.vision.strips import strips
from support.views import drawn_room, looked_at

SPARE = 20
ROOM = looked_at(drawn_room(3, 704 + 2 * SPARE, 576 + 2 * SPARE)).luma


def seen(right: float, down: float, noise: int, scene: Plane = ROOM) -> Plane:
    """Return the strips of a picture in which a scene lies so far right and down, with the noise of that number."""
    height, width = scene.shape[0] - 2 * SPARE, scene.shape[1] - 2 * SPARE
    matrix = np.array([[1, 0, right - SPARE], [0, 1, down - SPARE]], np.float64)
    moved = cv2.warpAffine(scene, matrix, (width, height), flags=cv2.INTER_CUBIC)
    fine = np.random.default_rng(noise).normal(0, 1.5, moved.shape)
    return strips(np.clip(np.rint(moved + fine), 16, 235).astype(np.uint8))


def left(right: float, down: float, noise: int, scene: Plane = ROOM) -> Imprint:
    """Return the imprint of such a picture."""
    found = imprint(seen(right, down, noise, scene))
    assert found is not None
    return found


@settings(max_examples=30, deadline=None)
@given(st.floats(-4, 4), st.floats(-2, 2), st.floats(-4, 4), st.floats(-2, 2), st.integers(1, 1000))
def test_it_is_told_to_a_third_of_a_pixel_or_not_at_all(
    right: float, down: float, before: float, above: float, number: int
) -> None:
    """Right of the earlier one is where the same lies farther right."""
    found = offset(seen(right, down, number), left(before, above, number + 1))
    assert found is None or abs(found.right - (right - before)) < 0.35
    assert found is None or abs(found.down - (down - above)) < 0.35


def test_it_is_told_to_a_quarter_of_a_pixel_nearly_always() -> None:
    """Beside half a row hardly one in some hundred is not told, or less well."""
    chance = np.random.default_rng(1)
    near = 0
    for number in range(40):
        right, down, before, above = chance.uniform([-4, -2, -4, -2], [4, 2, 4, 2])
        found = offset(seen(right, down, number), left(before, above, number + 100))
        near += found is not None and max(abs(found.right - right + before), abs(found.down - down + above)) < 0.25
    assert near >= 39


@pytest.mark.parametrize("noise", range(5))
def test_the_same_picture_lies_where_it_lay(noise: int) -> None:
    found = offset(seen(0, 0, noise), left(0, 0, noise + 10))
    assert found is not None
    assert math.hypot(found.right, found.down) < 0.12
    assert found.alike > 0.8


def test_another_view_tells_nothing_nor_one_that_lies_farther_off() -> None:
    other = looked_at(drawn_room(4, 704 + 2 * SPARE, 576 + 2 * SPARE)).luma
    assert offset(seen(0, 0, 1, other), left(0, 0, 2)) is None
    assert offset(seen(RIGHT + 4, 0, 1), left(0, 0, 2)) is None
    assert offset(seen(0, DOWN + 4, 1), left(0, 0, 2)) is None


def bars(step: int, *, slanted: bool = False) -> Plane:
    down, across = np.mgrid[0 : ROOM.shape[0], 0 : ROOM.shape[1]]
    return np.asarray(120 + 60 * np.sin(2 * np.pi * (down + across * slanted) / step), np.uint8)


@pytest.mark.parametrize("slanted", [False, True])
def test_along_what_runs_through_the_picture_nothing_is_told(slanted: bool) -> None:
    """Boards are the same all along."""
    scene = bars(60, slanted=slanted)
    assert offset(seen(1, 1, 1, scene), left(0, 0, 2, scene)) is None


def test_of_a_fence_it_isn_t_told_which_bar_is_which() -> None:
    down, across = np.mgrid[0 : ROOM.shape[0], 0 : ROOM.shape[1]]
    fence = np.asarray(120 + 40 * np.sign(np.sin(2 * np.pi * across / 8)) + 20 * np.sin(down / 2), np.uint8)
    assert offset(seen(1, 0, 1, fence), left(0, 0, 2, fence)) is None


@pytest.mark.parametrize("shape", [(16, 704), (48, 48), (32, 32), (80, 352)])
def test_a_picture_of_any_size_is_told_of_or_not(shape: tuple[int, int]) -> None:
    made = np.random.default_rng(1).integers(16, 235, shape).astype(np.uint8)
    earlier = imprint(made)
    found = offset(made, np.zeros(IMPRINT_BYTES, np.int8) if earlier is None else earlier)
    assert found is None or math.hypot(found.right, found.down) < 0.05


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 20, 127]), st.sampled_from([(32, 32), (80, 352), (80, 704)]))
def test_whatever_is_seen_is_told_in_numbers_or_not_at_all(seed: int, most: int, shape: tuple[int, int]) -> None:
    made = np.random.default_rng(seed)
    shown = made.integers(128 - most, 129 + most, shape).astype(np.uint8)
    found = offset(shown, made.integers(-most, most + 1, IMPRINT_BYTES).astype(np.int8))
    assert found is None or all(map(math.isfinite, found))


def scene(seed: int) -> Plane:
    """Return a camera's room without noise, larger than its picture."""
    height = 576 + 2 * SPARE
    return np.asarray(Scene(seed, width=704 + 2 * SPARE, height=height, figures=0)._still(1000.0)[:height], np.uint8)


@dataclass(frozen=True)
class Taken:
    """How a picture is taken: out of focus by so many pixels, with so much of its contrast, so much noise, and coded as JPEG so well (0: not at all)."""

    focus: float = 0.0
    contrast: float = 1.0
    noise: float = 0.5
    quality: int = 0

    def of(self, room: Plane, right: float, down: float, number: int) -> Plane:
        """Return the strips of the picture of a room that lies so far right and down."""
        matrix = np.array([[1, 0, right - SPARE], [0, 1, down - SPARE]], np.float64)
        shown = cv2.warpAffine(room, matrix, (704, 576), flags=cv2.INTER_CUBIC).astype(np.float32)
        if self.focus:
            shown = np.asarray(cv2.GaussianBlur(shown, (0, 0), self.focus), np.float32)
        made = 128 + self.contrast * (shown - 128) + np.random.default_rng(number).normal(0, self.noise, shown.shape)
        luma = np.clip(np.rint(made), 16, 235).astype(np.uint8)
        if self.quality:
            _, coded = cv2.imencode(".jpg", luma, [cv2.IMWRITE_JPEG_QUALITY, self.quality])
            luma = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)
        return strips(luma)


def beside(seed: int, then: Taken, now: Taken, right: float, down: float) -> Offset | None:
    """Return where a camera's picture is said to lie beside an earlier one."""
    earlier = imprint(then.of(scene(seed), 0, 0, 1))
    assert earlier is not None
    return offset(now.of(scene(seed), right, down, 2), earlier)


@pytest.mark.parametrize(
    ("seed", "then", "now", "right", "down"),
    [
        pytest.param(
            4, Taken(noise=1.5), Taken(contrast=0.25, noise=1.5), -1.0, 1.0, id="now in a quarter of the light"
        ),
        pytest.param(9, Taken(noise=1.5), Taken(contrast=0.25, noise=1.5), 0.5, -1.0, id="so another room"),
        pytest.param(9, Taken(contrast=0.25), Taken(), -2.0, 0.0, id="then in a quarter of the light"),
        pytest.param(25, Taken(focus=0.8, contrast=0.4), Taken(contrast=0.6), 0.0, 1.0, id="then not quite in focus"),
    ],
)
def test_another_light_leaves_it_to_be_told(seed: int, then: Taken, now: Taken, right: float, down: float) -> None:
    """Noise, or contrast that is another one, makes it less sure, and it is right: these fail where half the error, or twice the contrast, is asked for."""
    found = beside(seed, then, now, right, down)
    assert found is not None
    assert math.hypot(found.right - right, found.down - down) < 0.25


@pytest.mark.parametrize(
    ("seed", "then", "now", "right", "down"),
    [
        pytest.param(22, Taken(focus=1.6), Taken(focus=2.0, contrast=0.6), -1.0, 0.0, id="eight pixels elsewhere"),
        pytest.param(35, Taken(focus=0.8, noise=1.0), Taken(focus=0.8, noise=1.0), 0.0, -1.0, id="so another room"),
        pytest.param(8, Taken(), Taken(contrast=0.6), 0.5, 0.5, id="so a third one"),
        pytest.param(25, Taken(2.0, 0.25, 0.5, 20), Taken(2.0, 1.0, 0.5, 5), -1.0, 0.0, id="coded to blocks"),
        pytest.param(
            4, Taken(1.2, 0.25, 2.5, 20), Taken(2.0, 1.0, 2.5, 5), -1.0, 0.0, id="so another room, coded to blocks"
        ),
    ],
)
def test_what_would_be_told_wrongly_is_not_told(seed: int, then: Taken, now: Taken, right: float, down: float) -> None:
    """It would lie a pixel to ten from where it does, where twice the error, or half the contrast, is enough: a live tour would be a recording, or the other way round."""
    assert beside(seed, then, now, right, down) is None


@pytest.mark.parametrize("thing", [(slice(40, 60), slice(100, 108)), (slice(40, 72), slice(100, 101))])
def test_of_a_bare_wall_with_one_thing_on_it_nothing_is_told(thing: tuple[slice, slice]) -> None:
    """Its slopes are those of one direction alone: least squares have no answer, and it is no error to ask."""
    wall = np.full((160, 704), 120, np.uint8)
    wall[thing] = 60
    earlier = imprint(wall)
    assert earlier is not None
    assert offset(wall, earlier) is None


def test_a_frame_of_a_film_leaves_its_imprint_and_where_it_lies() -> None:
    frame = film_frame(seen(0, 0, 1), left(2, 0, 2))
    assert frame is not None
    assert frame.imprint.tobytes() == left(0, 0, 1).tobytes()
    assert frame.offset is not None
    assert not frame.meets
    assert film_frame(np.zeros((8, 8), np.uint8), left(0, 0, 1)) is None


def test_a_frame_meets_the_earlier_look_where_it_lies_or_where_nothing_tells() -> None:
    nothing: npt.NDArray[np.int8] = np.zeros(IMPRINT_BYTES, np.int8)
    assert FilmFrame(nothing, None).meets
    assert FilmFrame(nothing, Offset(0.3, -0.3, 0.9)).meets
    assert not FilmFrame(nothing, Offset(MOST_OFF, MOST_OFF, 0.9)).meets
