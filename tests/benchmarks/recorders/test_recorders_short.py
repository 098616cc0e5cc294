"""A few recorders of each make, read and judged as the score does: the agent's figures are the auditor's."""

from pathlib import Path

import pytest

from benchmarks.recorders.run import judge
from support.recorder_rigs import RIGS, Rig


@pytest.mark.parametrize("seed", [1, 2, 5, 9])
@pytest.mark.parametrize("rig", RIGS, ids=lambda rig: rig.driver)
async def test_ledger_and_verdict_are_the_auditors(rig: Rig, seed: int, tmp_path: Path) -> None:
    judged = await judge(rig, seed, tmp_path)
    assert judged.wrong == ()
    assert judged.requests > 0
