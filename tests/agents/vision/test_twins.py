"""Two declared cameras that are one."""

from __future__ import annotations

import numpy as np

from agents.simulators.scenes import Scene
from agents.vision.fingerprint import fingerprint
from agents.vision.loop import Loop
from agents.vision.twins import same_stream, same_view
from agents.watch.decoder_child import decode
from support.pictures import draws, encoded


def fed(sizes: list[int], start: float = 0.0) -> Loop:
    loop = Loop()
    for number, size in enumerate(sizes):
        loop.frame(start + number / 15, size)
    return loop


def sizes(seed: int, seconds: float = 60) -> list[int]:
    rng = np.random.default_rng(seed)
    return [int(size) for size in 400 * np.exp(rng.normal(0, 0.5, round(15 * seconds)))]


def test_one_stream_behind_two_cameras() -> None:
    stream = sizes(1)
    assert same_stream(fed(stream), fed(stream, start=500.0))
    assert same_stream(fed(stream), fed(stream[: -15 * 2])), "one runs two seconds ahead"
    assert not same_stream(fed(stream), fed(sizes(2)))
    assert not same_stream(fed([]), fed([]))
    assert not same_stream(fed([23] * 900), fed([23] * 900)), "two pictures without any change tell nothing"


def test_one_view_behind_two_cameras() -> None:
    scenes = {name: Scene(name, width=352, height=288, name="Camera 01", figures=0) for name in ("gate", "play")}
    rooms = {name: draws(scene)["room"] for name, scene in scenes.items()}
    views = {}
    for name, draw in rooms.items():
        pictures = [decode("h264", keyframe) for keyframe in encoded(draw, 352, 288, looks=2)]
        views[name] = [fingerprint(picture) for picture in pictures if picture is not None]
    assert same_view(*views["gate"])
    assert same_view(*views["play"])
    assert not same_view(views["gate"][0], views["play"][0])
