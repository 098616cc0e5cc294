"""A recording that is played as live, encoded anew, beside a live room in which the same happens again and again."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from agents.diagnose import diagnose
from agents.vision.thresholds import Thresholds

WIDTH, HEIGHT, FPS, GOP_SECONDS = 352, 288, 5, 2
LEVEL = 0.7
Scene = Callable[[int], npt.NDArray[np.float32]]


@cache
def structured(seed: int, height: int, width: int) -> npt.NDArray[np.float32]:
    """Return something to look at, coarse and fine; it is drawn once, so a scene changes a copy."""
    made, seen = np.random.default_rng(seed), np.full((height, width), 120, np.float32)
    for size, level in ((4, 6), (16, 14), (64, 26)):
        coarse = made.normal(0, 1, (height // size + 2, width // size + 2)).astype(np.float32)
        seen += level * np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
    return np.clip(seen, 30, 220)


ROOM = structured(1, HEIGHT, WIDTH)


def noise(number: int) -> npt.NDArray[np.float32]:
    """Return the sensor's noise of a frame: drawn by OpenCV, five times as quick as by numpy, and ten thousand times."""
    fine = np.empty((HEIGHT, WIDTH), np.float32)
    cv2.setRNGSeed(int(np.random.default_rng([7, number]).integers(1 << 31)))
    cv2.randn(fine, np.zeros(1), np.full(1, 1.4 * LEVEL))
    return np.asarray(cv2.GaussianBlur(fine, (0, 0), 0.7), np.float32)


def with_a_film(number: int) -> npt.NDArray[np.float32]:
    """A screen in the room plays a film of 41.4 s again and again; every frame has noise of its own."""
    seen, at = ROOM.copy(), number / FPS % 41.4
    part = structured(100 + int(at / 2.95), 96, 300)
    seen[60:156, 200:300] = part[:, int(at * 20) % 200 :][:, :100]
    return seen + noise(number)


@cache
def walk(seed: int) -> npt.NDArray[np.float64]:
    """Return where somebody is who takes steps this way and that, by the frame."""
    return np.random.default_rng(seed).normal(0, 1, 40_000).cumsum()


def with_somebody(number: int) -> npt.NDArray[np.float32]:
    """Somebody walks about, stops, and goes on."""
    seen, steps, rests = ROOM.copy(), walk(3), walk(4)
    moved = int(
        np.maximum.accumulate(np.where(rests[: number + 1] > rests[: number + 1].mean(), np.arange(number + 1), 0))[-1]
    )
    left = int(160 + 60 * np.sin(steps[moved] / 4)) % (WIDTH - 40)
    seen[120:240, left : left + 36] = 70 + 40 * np.sin(np.arange(36) / 3)
    return seen + noise(number)


WIDE = structured(2, HEIGHT, 4 * WIDTH)
PRESETS = (40, 420, 860, 1040)
DWELL = (11.2, 9.0, 12.4, 10.0)


def on_a_tour(number: int) -> npt.NDArray[np.float32]:
    """The camera turns from preset to preset within a second, and misses each by a pixel or so."""
    at, stop = number / FPS, 0
    while at >= DWELL[stop % 4] + 1:
        at, stop = at - DWELL[stop % 4] - 1, stop + 1
    share = max(0.0, at - DWELL[stop % 4])
    left, top = (1 - share) * preset(stop) + share * preset(stop + 1)
    seen = cv2.warpAffine(WIDE, np.array([[1, 0, -left], [0, 1, -top]]), (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(seen, np.float32) + noise(number)


def preset(stop: int) -> npt.NDArray[np.float64]:
    """Return where the camera looks at a stop."""
    missed: npt.NDArray[np.float64] = np.random.default_rng([5, stop]).uniform(-1, 1, 2)
    return np.array([PRESETS[stop % 4], 0]) + missed


def again(scene: Scene, first: int, last: int, begins: int) -> Scene:
    """Play a scene's frames from the first to the last again and again from some frame on."""
    return lambda number: scene(number if number < begins else first + (number - begins) % (last - first))


def looped(first: int, last: int, begins: int) -> Scene:
    """Play the frames from the first to the last again and again from some frame on, and what is live before."""

    def shown(number: int) -> npt.NDArray[np.float32]:
        return with_somebody(number if number < begins else first + (number - begins) % (last - first))

    return shown


def shown_in_turns(stills: int, begins: int) -> Scene:
    """Nobody is in the room; from some frame on earlier frames are shown in turns, none twice in a row, each for as long as it pleases somebody."""
    made = np.random.default_rng(8)
    chosen = [int(number) for number in made.integers(0, begins, stills)]
    until, shows, plan = begins, 0, dict[int, int]()
    while until < begins + 1000 * FPS:
        shows = (shows + int(made.integers(1, stills))) % stills
        lasts = int(made.integers(7 * FPS, 12 * FPS))
        plan |= dict.fromkeys(range(until, until + lasts), chosen[shows])
        until += lasts
    return lambda number: ROOM + noise(plan.get(number, number))


def encoded(path: Path, scene: Scene, seconds: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        gop = str(GOP_SECONDS * FPS)
        stream.options = {"preset": "veryfast", "tune": "zerolatency", "g": gop, "sc_threshold": "0", "crf": "27"}
        grey = np.full((HEIGHT // 2, WIDTH), 128, np.uint8)
        for number in range(seconds * FPS):
            luma = np.clip(scene(number), 16, 235).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.vstack([luma, grey]), format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def looped_alarms(path: Path) -> list[float]:
    return [item.raised_at_seconds for item in diagnose(path, 10.0, Thresholds()).alarms if item.state == "looped"]


@pytest.mark.timeout(120)
def test_a_live_room_with_a_film_that_plays_again_is_live(tmp_path: Path) -> None:
    assert looped_alarms(encoded(tmp_path / "film.mp4", with_a_film, 500)) == []


@pytest.mark.timeout(120)
def test_a_recording_of_any_length_is_known_within_two_rounds(tmp_path: Path) -> None:
    """47.6 s: neither a whole number of groups of pictures, nor of looks."""
    begins = 150 * FPS
    (raised, *_) = looped_alarms(encoded(tmp_path / "loop.mp4", looped(50 * FPS, 488, begins), 330))
    assert 150 < raised <= 150 + 2 * 47.6 + 30


@pytest.mark.timeout(120)
def test_a_live_camera_on_a_tour_of_presets_is_live(tmp_path: Path) -> None:
    assert looped_alarms(encoded(tmp_path / "tour.mp4", on_a_tour, 430)) == []


@pytest.mark.timeout(120)
def test_a_recording_of_a_tour_of_presets_is_known(tmp_path: Path) -> None:
    """68.2 s of it: no whole number of tours."""
    begins = 250 * FPS
    scene = again(on_a_tour, 170 * FPS, 170 * FPS + 341, begins)
    (raised, *_) = looped_alarms(encoded(tmp_path / "loop.mp4", scene, 360))
    assert raised > 250


@pytest.mark.timeout(120)
def test_still_pictures_that_are_shown_in_turns_are_a_recording(tmp_path: Path) -> None:
    """No rhythm comes again, and none of them stands for as long as a frozen picture would."""
    (raised, *more) = looped_alarms(encoded(tmp_path / "turns.mp4", shown_in_turns(3, 220 * FPS), 420))
    assert 220 + 60 < raised <= 220 + 160
    assert not more
