"""That F7's auditor knows what follows of a clock that was set, and sees where a product doesn't."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from benchmarks.torture import clocks
from benchmarks.torture.__main__ import quiet
from benchmarks.torture.auditor import Outbox
from benchmarks.torture.clocks_auditor import HOUR, Said, Story, line_of, outages_of
from benchmarks.torture.clocks_centre_auditor import CentreAudit
from monitor.model.chain import Precedes, precedes
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


def _always(*_: object) -> bool:
    return True


def _never(*_: object) -> int:
    return 0


def _by_number(_session: object) -> Precedes:
    return precedes


@pytest.mark.parametrize(
    ("name", "broken", "found", "seed"),
    [
        ("monitor.store.told.told_twice", _nothing_twice, "s up,", 3),
        ("monitor.model.report.MAX_BEHIND", HOUR // 2, "is marked back_dated", 3),
        # The centre's own clock is set.
        ("monitor.collector.intake.order_of_moments", _by_number, "is lost", 4),
        ("monitor.collector.jobs.told_until", _never, "is none: nothing so long was ever told", 1252),
        ("monitor.store.clocks.forget_disputes_after", _always, "says that the clocks disagree", 7),
        ("monitor.collector.clocks.DISAGREES", 10 * HOUR, "and doesn't know it", 7),
    ],
)
def test_a_product_that_takes_clocks_otherwise_is_found_out(
    monkeypatch: pytest.MonkeyPatch, name: str, broken: object, found: str, seed: int
) -> None:
    quiet()
    monkeypatch.setattr(name, broken)
    assert any(found in text for text in clocks.torture(1, seed))


def test_what_has_to_count_is_told_by_the_agents_or_else_by_the_centres_clock() -> None:
    """A word of a moment to come dates nothing; with enough agents, what a right clock says counts whatever the centre shows."""
    late, ahead = said(written=NOW - 2 * HOUR), said(("up", NOW + 2 * HOUR, NOW + 3 * HOUR))
    for others, at, wanted in ((0, NOW, (False, False)), (0, NOW - HOUR, (True, True)), (3, NOW, (True, True))):
        audit = CentreAudit("", Outbox(), others=others)
        audit._arrived[BOOT, 1] = at
        assert (audit.counts(late, at, None), audit.counts(ahead, at, None)) == wanted, (others, at)
