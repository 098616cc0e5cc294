"""Half a day of a recorder of each make with one channel and with four: it is asked no more often than the README says."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.requests.__main__ import MOST
from benchmarks.requests.run import counted
from support.recorder_rigs import RIGS, Rig

HOURS = 12
LOOKS = {"hikvision": HOURS // 2, "dahua": HOURS // 4, "uniview": HOURS // 2, "onvif": HOURS // 4}
"""How often clock and disks of a single channel's recorder are asked for; with more channels once an hour."""


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("rig", RIGS, ids=lambda rig: rig.driver)
async def test_a_healthy_recorder_is_asked_seldom_but_asked(rig: Rig, channels: int, tmp_path: Path) -> None:
    found = await counted(rig, tmp_path, channels, HOURS, required_days=5)
    assert found.a_channel_and_hour(found.day.wire) <= MOST
    # News, and the far edge: each a question at the least.
    assert found.index.questions >= channels * (HOURS / 4 + 1)
    looks = LOOKS[rig.driver] if channels == 1 else HOURS
    assert looks <= found.look.questions <= 6 * looks
    # One challenge for each round of questions, and not one for each question.
    assert found.day.wire - found.day.questions <= HOURS + 1
    assert found.first_scan.wire <= 1.1 * found.first_scan.questions
