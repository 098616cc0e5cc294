"""The benchmark's short form: one event of every state and a stretch of a clean day, through the real command.

A guard against a figure that falls, not the figure: that comes from the whole list.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.view import lists
from benchmarks.view.plan import STATES, clean_day, tampered_clip
from benchmarks.view.run import diagnose
from benchmarks.view.score import Score, add
from benchmarks.view.stream import write_clip
from benchmarks.view.truth import alarms_from

SECONDS = 900.0
"""The morning of a clean day."""
LOOPED = "looped"
LOOKS_AT_MOST = 3.0
"""From an event's start to its name; 0.0 to 2.6 on 2026-11-30, of a loop (which must first be played to its end) 7.6."""
LOOP_LOOKS_AT_MOST = 9.0


@pytest.mark.long
@pytest.mark.timeout(300)
def test_every_state_is_told_from_every_other_and_from_daily_life(tmp_path: Path) -> None:
    listed = lists.load("tune")  # a test that must be green at each commit would tune on what it asks
    small = tuple(scene for scene in listed.scenes if scene.width == 352 and "/" not in scene.base)
    clips = [
        clip for clip in lists.clips(replace(listed, scenes=small, rounds=1, clean_days=0)) if LOOPED not in clip.states
    ]
    clips += [tampered_clip("loop", small[0], 3, [LOOPED]), clean_day("clean", small[1], 4, seconds=SECONDS)]
    score = Score()
    for clip in clips:
        path = tmp_path / f"{clip.id}.mp4"
        truth = write_clip(clip, path)
        add(score, truth, alarms_from(diagnose(path)))
    wrong = {pair: count for pair, count in score.confusion.items() if pair[0] != pair[1]}
    false = {name: tally.false for name, tally in score.states.items() if tally.false}
    assert sum(tally.events for tally in score.states.values()) >= len(STATES) - 3, "below the floor"
    assert not wrong
    assert not false
    assert not score.clean_alarms
    latest = {name: max(tally.delays) for name, tally in score.states.items() if tally.delays}
    assert latest.pop(LOOPED) <= LOOP_LOOKS_AT_MOST
    assert max(latest.values()) <= LOOKS_AT_MOST, latest
