"""The peers are run as they are meant to be: a score against a straw man is worth nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.view.peers import ffmpeg_alarms, ffmpeg_output, recipe_alarms, similarity
from benchmarks.view.plan import VARIANTS, Clip, Tamper
from benchmarks.view.stage import Scene
from benchmarks.view.stream import write_clip

NOTES = """\
frame:0    pts:0       pts_time:0
lavfi.blur=4.2
frame:1    pts:10000   pts_time:10
lavfi.black_start=10
lavfi.blur=9.0
frame:2    pts:20000   pts_time:20
lavfi.blur=9.5
lavfi.freezedetect.freeze_start=5
frame:3    pts:30000   pts_time:30
lavfi.freezedetect.freeze_duration=25
lavfi.freezedetect.freeze_end=30
lavfi.black_end=30
lavfi.blur=4.0
"""


def test_what_ffmpeg_notes_becomes_alarms() -> None:
    found = [(alarm.state, alarm.began, alarm.raised) for alarm in ffmpeg_alarms(NOTES)]
    assert found == [("black", 10.0, 10.0), ("frozen", 5.0, 20.0), ("blurred", 10.0, 20.0)]


def test_similarity_is_one_for_the_same_and_low_for_another() -> None:
    rng = np.random.default_rng(3)
    first, second = (rng.integers(16, 235, (90, 160)).astype(np.uint8) for _ in range(2))
    assert similarity(first, first) == pytest.approx(1.0, abs=1e-4)
    assert similarity(first, second) < 0.2
    assert similarity(first, np.clip(first + 2, 0, 255).astype(np.uint8)) > 0.95


def clip_of(*names: str) -> Clip:
    tampers = []
    for number, name in enumerate(names):
        variant = next(item for item in VARIANTS if item.name == name)
        start = 60.0 + 120 * number
        tampers.append(Tamper(variant, 5, start, start, start + 60, variant.severe[1]))
    scene = Scene("test", "playroom", 3, 352, 288)
    return Clip("test", scene, 11, 60.0 + 120 * len(names), 10.0, 1.0, "infrared", tampers=tuple(tampers))


@pytest.mark.needs("ffmpeg")
def test_each_peer_finds_what_it_is_made_for_and_nothing_on_a_still_room(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(clip_of("cap", "still", "elsewhere"), path)
    found = [alarm for alarm in ffmpeg_alarms(ffmpeg_output(path)) if alarm.state != "blurred"]
    assert [alarm.state for alarm in found] == ["black", "frozen", "frozen"], "what is black stands still, too"
    assert all(60 <= alarm.raised <= 130 for alarm in found[:2])
    assert 180 <= found[2].raised <= 250
    assert [alarm.state for alarm in recipe_alarms(path, 10.0)][:2] == ["black", "frozen"]
    quiet = tmp_path / "quiet.mp4"
    write_clip(replace(clip_of("cap"), tampers=()), quiet)
    assert [alarm for alarm in ffmpeg_alarms(ffmpeg_output(quiet)) if alarm.state != "blurred"] == []
