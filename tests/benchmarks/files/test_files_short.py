"""A small tree: what is known isn't looked into again, neither after a kill nor ever after."""

from __future__ import annotations

from pathlib import Path

from agents.recorders.tree import KEEP_EVERY
from benchmarks.files.run import measure


def test_a_killed_first_scan_goes_on_and_a_known_tree_is_only_walked(tmp_path: Path) -> None:
    found = measure(
        tmp_path, cameras=2, days=12, rounds=1
    )  # asserts spans, sizes, and that nothing is looked into again
    a_day = found.files // 24
    assert found.killed_after - found.kept <= KEEP_EVERY + a_day
    assert found.looked_into == found.files - found.kept
    assert 0 < found.kept < found.files
