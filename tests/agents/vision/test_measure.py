"""Numbers of a picture: planes whose numbers are known, and keyframes of drawn and of real scenes."""

from __future__ import annotations

import numpy as np
import pytest

from agents.simulators.scenes import Scene
from agents.vision.eye import Eye
from agents.vision.fingerprint import fingerprint
from agents.vision.measure import Measures, measure
from agents.vision.picture import Picture, Plane
from agents.vision.thresholds import Thresholds
from agents.watch.decoder_child import decode
from support.pictures import draws, encoded, footage, keyframes_of

LIMITS = Thresholds()


def flat(value: int, height: int = 64, width: int = 96) -> Plane:
    return np.full((height, width), value, np.uint8)


def grey(luma: Plane) -> Picture:
    chroma = np.full((-(-luma.shape[0] // 2), -(-luma.shape[1] // 2)), 128, np.uint8)
    return Picture(luma, chroma, chroma)


def measured(luma: Plane, before: Plane | None = None) -> Measures:
    """Measure a colourless picture beside another one."""
    trace = None if before is None else measure(grey(before), None)[1]
    return measure(grey(luma), trace)[0]


def noisy(seed: int, middle: float = 120.0, spread: float = 4.0, height: int = 64, width: int = 96) -> Plane:
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(middle, spread, (height, width)), 16, 235).astype(np.uint8)


def test_a_flat_plane() -> None:
    found = measured(flat(100), flat(100))
    numbers = (found.levels.luma_mean, found.levels.luma_p95, found.drawn.flat_ratio, found.grain.noise)
    assert numbers == (100.0, 100.0, 1.0, 0.0)
    assert found.repeat.same_ratio is None, "a flat surface is the same in every picture: it tells nothing"


def test_95_percent_are_no_brighter() -> None:
    plane = flat(20)
    plane[:3] = 235  # 3 of 64 rows: an OSD
    assert measured(plane).levels.luma_p95 == 20
    plane[:4] = 235
    assert measured(plane).levels.luma_p95 == 235


def test_noise_is_that_of_the_usual_block_and_not_of_an_edge() -> None:
    plane = flat(100)
    plane[:, 48:] = 200
    assert measured(plane).grain.noise == 0.0
    assert measured(noisy(1)).grain.noise > 3.0


def test_noise_of_colour_is_that_of_the_noisier_plane_whatever_the_other_one_holds() -> None:
    """Both are measured in one go: neither may spill into the other."""
    luma, still = noisy(1), flat(128)
    loud = np.clip(np.random.default_rng(3).normal(128, 6, still.shape), 0, 255).astype(np.uint8)
    edges = np.kron(np.indices((8, 12)).sum(0) % 2, np.ones((8, 8), np.uint8)).astype(np.uint8) * 90 + 60
    alone = measure(Picture(luma, loud, loud), None)[0].grain.colour_grain
    assert alone > 3
    for other in (still, edges):
        for planes in ((loud, other), (other, loud)):
            assert measure(Picture(luma, *planes), None)[0].grain.colour_grain == alone
    assert measure(Picture(luma, still, still), None)[0].grain.colour_grain == 0


def test_the_same_picture_again_and_another_one() -> None:
    assert measured(noisy(1)).repeat.same_ratio is None
    assert measured(noisy(1), noisy(1, width=112)).repeat.same_ratio is None
    assert measured(noisy(1), noisy(1)).repeat.same_ratio == 1.0
    assert measured(noisy(1), noisy(2)).repeat.same_ratio == 0.0


def test_flat_parts_don_t_make_a_live_picture_the_same() -> None:
    """A dark room whose black is clipped: most of it is the same in each picture, and it lives."""
    one, other = flat(16, 160, 160), flat(16, 160, 160)
    one[48:80, :96], other[48:80, :96] = noisy(1, 60)[:32], noisy(2, 60)[:32]
    assert measured(other, one).repeat.same_ratio == 0.0


@pytest.mark.parametrize("shape", [(1, 1), (8, 200), (16, 16), (17, 33)])
def test_tiny_pictures_are_no_error(shape: tuple[int, int]) -> None:
    plane = np.zeros(shape, np.uint8)
    assert measured(plane, plane).levels.luma_mean == 0.0


def looked(keyframes: list[bytes]) -> list[str]:
    """Return the state of each look, as the watcher sees it."""
    eye, trace, states = Eye(LIMITS), None, []
    for keyframe in keyframes:
        picture = decode("h264", keyframe)
        assert picture is not None
        measures, trace = measure(picture, trace)
        states.append(eye.look(measures, fingerprint(picture)).conditions.state)
    return states


@pytest.mark.parametrize(
    ("width", "height", "seed", "every"),
    [
        (352, 288, "gate", 2.0),
        (352, 288, "play", 10.0),
        (352, 288, "nap", 10.0),
        (640, 360, "gate", 10.0),
        (640, 360, "play", 2.0),
        (704, 576, "nap", 10.0),
    ],
)
def test_drawn_scenes_through_a_real_encoder(width: int, height: int, seed: str, every: float) -> None:
    scene = Scene(seed, width=width, height=height, name="Camera 01")
    found = {
        name: looked(encoded(draw, width, height, looks=3, every=every))
        for name, draw in draws(scene).items()
    }  # fmt: skip
    assert found == {
        "room": ["ok"] * 3,
        "still": ["ok"] * 3,
        "dark": ["dark"] * 3,
        "black": ["black"] * 3,
        "signal_lost": ["signal_lost"] * 3,
        "frozen": ["ok", "frozen", "frozen"],
        "frozen_sensor": ["ok", "frozen", "frozen"],
    }


@pytest.mark.parametrize("name", ["hall", "classroom", "warehouse"])
def test_real_footage_is_never_faulty(name: str) -> None:
    keyframes = list(keyframes_of(footage(name)))
    assert keyframes
    assert set(looked(keyframes)) == {"ok"}
