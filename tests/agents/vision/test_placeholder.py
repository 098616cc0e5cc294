"""A recorder's placeholder on a gradient is told from what lies on a lens, and from rooms at the lowest bit rates."""

from __future__ import annotations

import av
import av.filter
import cv2
import numpy as np
import pytest

from agents.vision.eye import Eye
from agents.vision.fingerprint import fingerprint
from agents.vision.measure import measure
from agents.vision.picture import Picture
from agents.vision.thresholds import Thresholds
from support.views import HEIGHT, WIDTH, Image, blurred, drawn_room, grainy, looked_at, overlaid

BLUES, GREYS = ((180, 60, 0), (60, 20, 0)), ((200, 200, 200), (40, 40, 40))
HALO = ((150, 150, 150), (30, 30, 30))


def gradient(colours: tuple[tuple[int, ...], tuple[int, ...]], degrees: float | None) -> Image:
    """Draw a gradient in a direction (0: to the right, 90: down), or from the middle outwards."""
    y, x = np.mgrid[0 : 1 : HEIGHT * 1j, 0 : 1 : WIDTH * 1j]
    angle = np.radians(degrees or 0)
    way = np.hypot(x - 0.5, y - 0.5) if degrees is None else np.cos(angle) * x + np.sin(angle) * y
    way = (way - way.min()) / np.ptp(way)
    first, last = np.array(colours[0]), np.array(colours[1])
    return np.asarray(first + (last - first) * way[..., None], np.uint8)


def written(image: Image, scale: float = 2.0) -> Image:
    found = image.copy()
    cv2.putText(found, "NO VIDEO", (180, 300), cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), 4, cv2.LINE_AA)
    return found


def named(picture: Picture, usual: Image) -> str:
    """Return what one look is called beside the approved view of a room."""
    eye = Eye(Thresholds(), (fingerprint(looked_at(usual)),))
    return eye.look(measure(picture, None)[0], fingerprint(picture)).conditions.state


@pytest.mark.parametrize("kilobits", [2000, 64])
@pytest.mark.parametrize(
    ("colours", "degrees"), [(BLUES, 90.0), (BLUES, None), (GREYS, 90.0), (GREYS, 0.0), (GREYS, 35.0), (HALO, None)]
)
def test_writing_on_a_gradient_is_no_cover(
    colours: tuple[tuple[int, ...], tuple[int, ...]], degrees: float | None, kilobits: int
) -> None:
    card = overlaid(written(gradient(colours, degrees)), "2026-11-29 12:00:00")
    assert named(looked_at(card, kilobits=kilobits), drawn_room(1)) == "signal_lost"


def test_small_writing_is_enough() -> None:
    card = written(gradient(GREYS, 90.0), scale=0.8)
    assert named(looked_at(card, kilobits=256), drawn_room(1)) == "signal_lost"


@pytest.mark.parametrize("kilobits", [512, 64, 24])
@pytest.mark.parametrize("degrees", [20.0, None])
def test_what_lies_on_the_lens_covers_it_however_smooth(degrees: float | None, kilobits: int) -> None:
    hand = gradient(((95, 120, 185), (60, 80, 120)), degrees)
    picture = looked_at(overlaid(grainy(hand, 1.5), "2026-11-29 12:00:00"), kilobits=kilobits)
    assert named(picture, drawn_room(1)) == "covered"


def test_what_lies_on_the_lens_of_a_camera_that_writes_into_the_view_covers_it() -> None:
    """Its sensor's noise goes through the encoder, and so does what is to be seen beside a sticker."""
    hand = grainy(gradient(((95, 120, 185), (60, 80, 120)), 20.0), 1.5)
    assert named(looked_at(written(hand), kilobits=512), drawn_room(1)) == "covered"
    room = drawn_room(1)
    room[60:540, 40:600] = gradient(((95, 120, 185), (60, 80, 120)), 20.0)[60:540, 40:600]
    soft = written(np.asarray(cv2.GaussianBlur(room, (0, 0), 6), np.uint8))
    edges = np.asarray(np.where(np.arange(WIDTH)[None, :, None] > 620, drawn_room(1), soft), np.uint8)
    assert named(looked_at(grainy(edges, 1.5), kilobits=64), drawn_room(1)) != "signal_lost"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kilobits", [64, 24])
def test_a_room_and_a_fog_at_the_lowest_bit_rates_are_no_placeholder(seed: int, kilobits: int) -> None:
    room = drawn_room(seed)
    for view in (room, blurred(room, 12)):
        picture = looked_at(overlaid(grainy(view, 1.5), "2026-11-29 12:00:00"), kilobits=kilobits)
        assert named(picture, room) != "signal_lost"


def test_stars_and_lamps_in_a_night_sky_are_no_placeholder() -> None:
    sky = gradient(((70, 45, 40), (25, 20, 20)), 90.0)
    rng = np.random.default_rng(4)
    for x, y in rng.integers(0, (WIDTH, HEIGHT), (60, 2)).tolist():
        cv2.circle(sky, (x, y), 1, (200, 200, 200), -1, cv2.LINE_AA)
    for x in (150, 420, 600):
        cv2.circle(sky, (x, 330), 9, (255, 255, 255), -1, cv2.LINE_AA)
    halos = np.asarray(cv2.addWeighted(sky, 1, cv2.GaussianBlur(sky, (0, 0), 12), 0.8, 0), np.uint8)
    for kilobits in (512, 64):
        assert named(looked_at(grainy(halos, 1.5), kilobits=kilobits), drawn_room(1)) != "signal_lost"


def pattern(name: str) -> Image:
    """Return FFmpeg's test pattern of this name."""
    graph = av.filter.Graph()
    source, sink = graph.add(name, f"size={WIDTH}x{HEIGHT}:rate=1"), graph.add("buffersink")
    source.link_to(sink)
    graph.configure()
    frame = graph.pull()
    assert isinstance(frame, av.VideoFrame)
    return np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


@pytest.mark.parametrize("kilobits", [2000, 256])
@pytest.mark.parametrize("name", ["smptebars", "smptehdbars", "pal75bars", "pal100bars", "testsrc", "testsrc2"])
def test_bars_are_a_placeholder(name: str, kilobits: int) -> None:
    card = overlaid(pattern(name), "2026-11-29 12:00:00")
    assert named(looked_at(card, kilobits=kilobits), drawn_room(1)) == "signal_lost"
