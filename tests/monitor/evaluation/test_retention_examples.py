"""The worked examples of the definition of ninety days, at noon in Shanghai."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from monitor.evaluation.basis import Judgement
from monitor.evaluation.retention import judge_retention
from monitor.model.inventory import Camera, Institution, Inventory, Recorder, Room, Zone
from monitor.model.ledger import fold
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.span import DAY, HOUR, Millis, to_millis
from monitor.model.verdict import Outcome, Verdict
from support.packs import pack

NOON = to_millis(datetime(2026, 11, 23, 4, tzinfo=UTC))
MIDNIGHT = NOON - 12 * HOUR
TODAY = date(2026, 11, 23)


def days_ago(days: float) -> Millis:
    """The local midnight that began the day so many days ago."""
    return int(MIDNIGHT - days * DAY)


def verdict_of(spans: list[tuple[Millis, Millis]], commissioned: date | None = None) -> Verdict:
    camera = Camera(id="gate", zones=("gate",), recorder="nvr", channel="1", commissioned=commissioned)
    inventory = Inventory(
        institution=Institution(id="wj-0001"),
        zones=(Zone(id="gate", room=Room.ENTRANCE),),
        cameras=(camera,),
        recorders=(Recorder(id="nvr", driver="hikvision"),),
    )
    facts: dict[str, Any] = {"window": [NOON - 400 * DAY, NOON], "spans": [list(s) for s in spans], "locked": []}
    reading = Observation(
        subject=Subject(kind="camera", id="gate"),
        kind=Kind.RECORDINGS,
        start=NOON,
        end=NOON,
        state="read",
        expires=NOON + DAY,
        facts=facts,
    )
    folded = fold([reading], NOON, inventory=inventory)
    assert folded is not None
    regulation = pack()
    assert regulation.requirements.retention is not None
    (verdict,) = judge_retention(Judgement(folded, regulation), regulation.requirements.retention)
    return verdict


@pytest.mark.parametrize(
    ("spans", "state", "held", "contiguous", "compliant_in"),
    [
        pytest.param([(days_ago(35), NOON)], "short", 35, 35, 55, id="35 full days"),
        pytest.param([(days_ago(100), days_ago(50)), (days_ago(47), NOON)], "gap", 100, 47, 43, id="three days lost"),
        pytest.param(
            [(days_ago(100), days_ago(20) + 3 * HOUR), (days_ago(20) + 4 * HOUR, NOON)],
            "gap", 100, 19, 71, id="one hour lost",
        ),
        pytest.param([(NOON - 90 * DAY, NOON)], "ok", 90, 90, None, id="exactly 90 x 24 h"),
        pytest.param(
            [(days_ago(90) + HOUR, days_ago(90) + HOUR + 60_000), (days_ago(82), NOON)],
            "short", 82, 82, 8, id="82 days and one clip",
        ),
        pytest.param([(days_ago(100), NOON - 100_000)], "ok", 100, 100, None, id="newest footage lags"),
        pytest.param([], "short", 0, 0, 90, id="nothing at all"),
    ],
)  # fmt: skip
def test_worked_examples(
    spans: list[tuple[Millis, Millis]], state: str, held: int, contiguous: int, compliant_in: int | None
) -> None:
    verdict = verdict_of(spans)
    expected = None if compliant_in is None else (TODAY + timedelta(days=compliant_in)).isoformat()
    measured = verdict.measured
    figures = (verdict.state, measured["held_days"], measured["contiguous_days"], measured["compliant_from"])
    assert figures == (state, held, contiguous, expected)


def test_a_gap_began_when_the_footage_stops_and_each_gap_says_when_it_ages_out() -> None:
    verdict = verdict_of([(days_ago(100), days_ago(50)), (days_ago(47), NOON)])
    assert verdict.began == days_ago(50)
    assert verdict.measured["missing_days"] == ["2026-10-04", "2026-10-05", "2026-10-06"]
    assert verdict.measured["gaps"] == [
        {"start_at": "2026-10-03T16:00:00Z", "end_at": "2026-10-06T16:00:00Z", "ages_out_on": "2027-01-05"}
    ]


def test_a_new_camera_with_its_whole_history_matures_and_needs_a_forecast() -> None:
    verdict = verdict_of([(days_ago(20) + 9 * HOUR, NOON)], commissioned=TODAY - timedelta(days=20))
    assert (verdict.outcome, verdict.state) == (Outcome.UNDETERMINED, "maturing")


def test_a_new_camera_that_lost_its_first_days_is_short() -> None:
    verdict = verdict_of([(days_ago(10), NOON)], commissioned=TODAY - timedelta(days=20))
    assert (verdict.outcome, verdict.state) == (Outcome.BREACHED, "short")


def test_a_hole_in_a_new_cameras_history_is_a_gap() -> None:
    spans = [(days_ago(20), days_ago(12)), (days_ago(10), NOON)]
    verdict = verdict_of(spans, commissioned=TODAY - timedelta(days=20))
    assert (verdict.outcome, verdict.state) == (Outcome.BREACHED, "gap")
