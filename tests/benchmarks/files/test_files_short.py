"""A small tree: what is known isn't looked into again, neither after a kill nor ever after."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.recorders.tree import KEEP_EVERY
from benchmarks.files.run import LAYOUTS, measure


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_killed_first_scan_goes_on_and_a_known_tree_is_only_walked(layout: str, tmp_path: Path) -> None:
    # Asserts spans, sizes, and that nothing is looked into again.
    found = measure(tmp_path, layout, cameras=2, days=12, rounds=1)
    a_day = found.files // 24
    assert found.killed_after - found.kept <= KEEP_EVERY + a_day
    assert found.looked_into == found.files - found.kept
    assert 0 < found.kept < found.files
