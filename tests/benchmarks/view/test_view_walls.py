"""Generator and measures share no code, and the two lists share no scene: else the score proves nothing."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.view import lists
from benchmarks.view.plan import STATES
from benchmarks.view.rooms import FAMILIES

HERE = Path(__file__).parent
OURS = ("agents", "monitor", "dashboards")


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_nothing_here_imports_the_product() -> None:
    files = sorted(HERE.glob("*.py"))
    assert len(files) > 15
    trespasses = {
        f"{path.name}: {name}" for path in files for name in imported(path) if name.split(".")[0] in (*OURS, "support")
    }
    assert not trespasses


def test_nothing_here_imports_by_name_at_run_time() -> None:
    for path in HERE.glob("*.py"):
        if not path.name.startswith("test_"):
            assert "importlib" not in imported(path)
            assert "__import__" not in path.read_text(encoding="utf-8")


def test_the_lists_share_no_base_and_no_seed() -> None:
    tune, score = (lists.load(name) for name in lists.NAMES)
    assert not {scene.base for scene in tune.scenes} & {scene.base for scene in score.scenes}
    assert not {scene.seed for scene in tune.scenes} & {scene.seed for scene in score.scenes}
    assert tune.seed != score.seed
    for scene in (*tune.scenes, *score.scenes):
        assert scene.base in FAMILIES or scene.base.startswith("footage/")


def test_the_scoring_list_is_large_enough_for_its_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """300 events of each state, not counting those below the floor, and thirty days: planned, also where footage isn't here."""
    monkeypatch.setattr(lists, "footage_present", lambda _: True)
    score = lists.load("score")
    planned = Counter(item.variant.state for clip in lists.clips(score) for item in clip.tampers if item.counts)
    assert min(planned[state] for state in STATES) >= 300
    assert score.clean_days >= 30


def test_a_seed_draws_the_kinds_of_places_anew() -> None:
    score, drawn = lists.load("score"), lists.load("score", 7)
    assert [replace(scene, seed=0) for scene in drawn.scenes] == [replace(scene, seed=0) for scene in score.scenes]
    assert not {scene.seed for scene in drawn.scenes} & {scene.seed for scene in score.scenes}
    assert (drawn.name, lists.load("score", 7)) == ("score~7", drawn)
    assert drawn.seed not in {score.seed, lists.load("score", 8).seed}
