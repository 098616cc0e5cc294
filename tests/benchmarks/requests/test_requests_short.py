"""Half a day of a small recorder of each make: it is asked no more often than the README says."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.requests.__main__ import MOST
from benchmarks.requests.run import counted
from support.recorder_rigs import RIGS, Rig


@pytest.mark.parametrize(
    "rig", [rig for rig in RIGS if rig.driver in {"hikvision", "dahua"}], ids=lambda rig: rig.driver
)
async def test_a_healthy_recorder_is_asked_seldom(rig: Rig, tmp_path: Path) -> None:
    found = await counted(rig, tmp_path, channels=2, hours=6)
    index = found.index.questions / found.channels / 6
    assert 0.3 < index <= MOST / 2
    assert found.look.questions <= 6 * 8
    # One challenge for each round of questions, and not one for each question.
    assert found.day.wire <= 1.5 * found.day.questions
    assert found.first_scan.wire <= 1.1 * found.first_scan.questions
