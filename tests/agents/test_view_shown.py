"""A view drawn in a terminal: blocks where it has them, ASCII where not, no wider than it is."""

from __future__ import annotations

import pytest

from agents.baseline_cli import print_views
from agents.sketch import sketch
from agents.taking import Compared, Taken
from agents.view_shown import view_lines
from agents.views import ApprovedView
from agents.vision.fingerprint import fingerprint
from monitor.model.view import Sketch
from support.views import drawn_room, looked_at

ROOM = Sketch(rows=("....", "..A.", "a...", "....", "....", "...."))


@pytest.mark.parametrize(
    ("encoding", "drawn"),
    [("utf-8", ["  █", "░", ""]), ("latin-1", ["  #", ".", ""]), ("cp437", ["  █", "░", ""]), (None, ["  #", ".", ""])],
)
def test_two_rows_are_a_line_and_the_clearer_edge_counts(encoding: str | None, drawn: list[str]) -> None:
    assert list(view_lines(ROOM, 80, encoding)) == drawn


def test_a_narrow_terminal_has_a_coarser_drawing() -> None:
    assert list(view_lines(ROOM, 2, "ascii")) == [".#", ""]


def test_the_new_view_stands_above_the_approved_one(capsys: pytest.CaptureFixture[str]) -> None:
    new, old = (fingerprint(looked_at(drawn_room(seed))) for seed in (1, 2))
    held = Compared(ApprovedView("day", "sha256:0", "李园长", old, confirmed=False), 0.2)
    print_views([Taken("yard", "it can't be looked at"), Taken("gate", looks=6, fingerprint=new, compared=(held,))])
    lines = capsys.readouterr().out.splitlines()
    titles = [line for line in lines if line.startswith("gate")]
    assert titles == [f"gate, {name} (day): where edges run" for name in ("the new view", "the view in force")]
    drawn = [len(line) for line in lines]
    assert max(drawn) <= 80
    assert "yard" not in "".join(lines), "of what could not be taken nothing is drawn"
    assert len(lines) >= 2 * len(list(view_lines(sketch(new), 80, "utf-8")))
