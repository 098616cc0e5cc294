"""Keyframes for tests: drawn scenes of the simulators through a real encoder, and those of a recorded file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path

import av
import pytest
from av.bitstream import BitStreamFilterContext

from agents.simulators.encoder import CLOCK_RATE, Encoder
from agents.simulators.scenes import Picture, Scene

START = 1_700_000_000.0
Draw = Callable[[float], Picture]
"""The picture at an epoch second."""

FOOTAGE = Path(__file__).parents[3] / "shared" / "footage"


def footage(name: str) -> Path:
    """Return a file of real footage; skips the test where there is none: the project ships none."""
    path = FOOTAGE / f"{name}.mp4"
    if not path.exists():
        pytest.skip(f"no footage at {path.parent}: the project ships none")
    return path


def draws(scene: Scene) -> dict[str, Draw]:
    """Return how each state of a camera is drawn, by the fault's name."""
    held = scene.sensor(START)
    still = Scene("an empty room", width=scene.width, height=scene.height, name=scene.name, figures=0)
    return {
        "room": lambda at: scene.room(at, UTC),
        "still": lambda at: still.room(at, UTC),
        "dark": lambda at: scene.dark(at, UTC),
        "black": lambda at: scene.black(at, UTC),
        "signal_lost": lambda _: scene.placeholder(),
        "frozen": lambda _: scene.with_clock(held, START, UTC),
        "frozen_sensor": lambda at: scene.with_clock(held, at, UTC),
    }


def encoded(draw: Draw, width: int, height: int, *, looks: int = 2, every: float = 10.0) -> list[bytes]:
    """Return keyframes (Annex B) of a scene, one every so many seconds; a stream of its own for each picture between."""
    encoder = Encoder(width, height, 5, gop_seconds=2)
    sets = b"".join(b"\0\0\0\1" + nal for nal in encoder.parameter_sets)
    frames = []
    for number in range(10 * (looks - 1) + 1):
        at = START + number / 10 * every
        units = encoder.encode(draw(at), round(number * 0.2 * CLOCK_RATE))
        frames += [sets + b"".join(b"\0\0\0\1" + nal for nal in unit.nals) for unit in units if unit.keyframe]
    return frames


def keyframes_of(path: Path) -> Iterator[bytes]:
    """Yield the keyframes of a recorded file as Annex B."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        to_annex_b = BitStreamFilterContext("h264_mp4toannexb", stream)
        for packet in container.demux(stream):
            keyframe = packet.is_keyframe
            for part in to_annex_b.filter(packet) if packet.size else ():
                if keyframe:
                    yield bytes(part)
