"""That F7's auditor knows what follows of a clock that was set, and sees where a product doesn't."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from benchmarks.torture import clocks
from benchmarks.torture.__main__ import quiet
from benchmarks.torture.clocks_auditor import HOUR, Said, Story, line_of, outages_of
from monitor.model.observation import Observation
from monitor.model.span import Spans

NOW = 1_795_406_400_000
BOOT = "a" * 32


def said(*reach: tuple[str, int, int], steps: tuple[tuple[int, int], ...] = (), written: int = NOW) -> Said:
    return Said(BOOT, 1, written, NOW, reach, steps)


def test_a_box_tells_up_to_where_its_clock_was_set_and_from_there() -> None:
    story = Story(NOW, 0, "up")
    story.look(NOW + 5000, 5000)
    story.look(NOW + 11_500, 10_000)  # drifts
    story.turn(NOW + 11_500, "down")
    story.look(NOW - 60_000, 15_000)
    assert story.told(NOW - 60_000) == (
        (("up", NOW, NOW + 11_500), ("down", NOW + 11_500, NOW + 16_500)),
        ((NOW - 60_000, NOW + 16_500),),
    )
    story.look(NOW - 55_000, 20_000)
    assert story.told(NOW - 55_000) == ((("down", NOW - 60_000, NOW - 55_000),), ())


def test_a_report_counts_while_its_times_can_be() -> None:
    assert said(("up", NOW, NOW + 5000)).counts(NOW)
    assert said(("up", NOW - 90 * HOUR, NOW)).counts(NOW), "a backlog"
    assert said(written=NOW - HOUR).counts(NOW)
    assert not said(written=NOW - HOUR - 1).counts(NOW)
    assert said(written=NOW + HOUR).counts(NOW)
    assert not said(("up", NOW, NOW + HOUR + 1)).counts(NOW)
    assert not said(steps=((10, NOW),)).counts(NOW)


def test_what_was_seen_up_and_down_in_time_told_twice_nobody_knows() -> None:
    up, down, blind = ("up", 0, 60), ("down", 30, 50), ("unknown", 40, 80)
    assert line_of([said(up, down, blind)], 100) == [("up", 0, 60), ("unknown", 60, 80)]
    assert line_of([said(up, down, steps=((35, 60),))], 100) == [("up", 0, 35), ("unknown", 35, 50), ("up", 50, 60)]
    assert line_of([said(up, down)], 20) == [("up", 0, 20)]
    assert outages_of([("down", 0, 10), ("unknown", 10, 20), ("down", 20, 30), ("up", 30, 40), ("down", 50, 60)]) == [
        (0, 30, 20),
        (50, None, 10),
    ]


def _nothing_twice(_observations: Iterable[Observation]) -> Spans:
    return Spans.empty()


@pytest.mark.parametrize(
    ("name", "broken", "found"),
    [
        ("monitor.model.ledger.told_twice", _nothing_twice, "s up,"),
        ("monitor.model.report.MAX_BEHIND", HOUR // 2, "is marked back_dated"),
    ],
)
def test_a_product_that_takes_clocks_otherwise_is_found_out(
    monkeypatch: pytest.MonkeyPatch, name: str, broken: object, found: str
) -> None:
    quiet()
    monkeypatch.setattr(name, broken)
    assert any(found in text for text in clocks.torture(1, 3))
