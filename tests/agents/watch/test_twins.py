"""Two declared cameras that are one: found by their frames or their views, told hourly, and no longer once they differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agents.simulators.camera import Camera, Format
from agents.simulators.rtsp import RtspServer
from agents.vision.eye import Eye
from agents.vision.fingerprint import fingerprint
from agents.vision.measure import measure
from agents.vision.thresholds import Thresholds
from agents.watch.twins import CONFIRM, HOLDS_FOR, TELL_EVERY, Twins
from monitor.model.observation import Kind, Observation
from monitor.model.span import MINUTE
from support.site import write_site
from support.views import Image, drawn_room, grainy, looked_at, overlaid
from support.watching import watching


class Shown:
    """A camera that shows what the test says."""

    def __init__(self, image: Image, *, frames: int = 0) -> None:
        """`frames` is the seed of its frames' sizes."""
        self.showing: Eye | None = Eye(Thresholds())
        sizes = np.exp(np.random.default_rng(frames).normal(6, 0.5, 1200))
        self.showing.frames([(number / 15, int(size), False) for number, size in enumerate(sizes)])
        self.looks(image)

    def looks(self, image: Image) -> None:
        picture = looked_at(image)
        assert self.showing is not None
        self.showing.look(measure(picture, None)[0], fingerprint(picture))


ROOM, OTHER = drawn_room(1, 352, 288), drawn_room(2, 352, 288)
WALL = np.full_like(ROOM, 150)


class Site:
    """Cameras that are compared every minute, and what was told of them."""

    def __init__(self, **cameras: Shown) -> None:
        self.cameras, self.seen, self.now = cameras, list[Observation](), 1_000_000 * MINUTE
        self.twins = Twins(cameras, self.seen.append)

    def rounds(self, count: int) -> list[tuple[str, str, tuple[str, ...]]]:
        """Let so many minutes pass; return what was told in them: of whom, the state, which others."""
        before = len(self.seen)
        for _ in range(count):
            self.now += MINUTE
            self.twins.round(self.now)
        return [(item.subject.id, item.state, others(item)) for item in self.seen[before:]]


def others(item: Observation) -> tuple[str, ...]:
    told = item.facts.get("cameras", [])
    assert isinstance(told, list)
    return tuple(map(str, told))


@pytest.mark.parametrize("by", ["stream", "view"])
def test_one_picture_behind_two_cameras_is_found_by_frames_or_by_the_view(by: str) -> None:
    same = {"a": Shown(grainy(ROOM, 3, 1), frames=1), "b": Shown(grainy(ROOM, 3, 2), frames=1 if by == "stream" else 2)}
    site = Site(**same, c=Shown(grainy(OTHER, 3), frames=3))
    assert site.rounds(CONFIRM) == [], "the third of them compared another camera with both"
    assert site.rounds(1) == [("a", "same", ("b",)), ("b", "same", ("a",))]
    assert {item.facts["by"] for item in site.seen} == {by}
    assert {item.facts["since_at"] for item in site.seen} == {1_000_001 * MINUTE}, "since the first that found it"


def test_it_is_told_hourly_and_ends_when_they_differ_or_can_t_be_seen() -> None:
    site = Site(a=Shown(ROOM, frames=1), b=Shown(ROOM, frames=2))
    assert len(site.rounds(10)) == 2
    assert len(site.rounds(TELL_EVERY // MINUTE)) == 2
    site.cameras["b"].looks(OTHER)
    assert site.rounds(CONFIRM) == [("a", "own", ()), ("b", "own", ())]
    site.cameras["b"].looks(ROOM)
    assert site.rounds(CONFIRM) == [("a", "same", ("b",)), ("b", "same", ("a",))]
    site.cameras["b"].showing = None
    told = site.rounds(HOLDS_FOR // MINUTE + 1)
    assert told[-2:] == [("a", "unknown", ()), ("b", "unknown", ())]


def test_two_bare_walls_under_the_same_clock_are_two() -> None:
    text = "2026-11-29 10:00:00 Camera 01"
    site = Site(**{name: Shown(grainy(overlaid(WALL, text), 3, seed), frames=seed) for seed, name in enumerate("abcd")})
    assert site.rounds(20) == []


def test_people_before_one_of_the_looks_don_t_end_it() -> None:
    site = Site(a=Shown(ROOM, frames=1), b=Shown(ROOM, frames=2))
    site.rounds(10)
    site.cameras["b"].looks(OTHER)
    assert site.rounds(CONFIRM - 1) == []
    site.cameras["b"].looks(ROOM)
    assert site.rounds(10) == []


@pytest.mark.timeout(120)
async def test_one_stream_declared_twice_is_seen_over_real_sockets(tmp_path: Path) -> None:
    server = RtspServer()
    for name in ("one", "other"):
        server.publish(name, Camera(name, name="Camera 01").add_stream(Format(gop_seconds=0.4, fps=10)))
    async with server:
        cameras = [{"id": "a", "zones": ["gate"], "stream": server.url("one")}]
        cameras += [
            {"id": name, "zones": ["room"], "stream": server.url(url)} for name, url in (("b", "one"), ("c", "other"))
        ]
        async with watching(write_site(tmp_path, cameras)) as site:
            twins, told = Twins(site.watches, site.seen.append), dict[str, str]()

            def compared() -> bool:
                twins.round(site.now())
                told.update({item.subject.id: item.state for item in site.seen if item.kind is Kind.TWIN})
                return told == {"a": "same", "b": "same"}

            await site.until(lambda: all(watch.showing for watch in site.watches.values()))
            await site.until(compared)
    assert others(next(item for item in site.seen if item.kind is Kind.TWIN)) == ("b",)
