"""Round the clock, by examples: who was down, since when, why, and what may not be said."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from monitor.evaluation.judge import judge
from monitor.model.calendar import Waiver
from monitor.model.inventory import Closure, Inventory
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.span import DAY, HOUR, MINUTE, SECOND, Basis, Millis, from_millis, isoformat
from monitor.model.verdict import Cause, Outcome, Verdict
from support.cost import costing_less_than
from support.packs import pack
from support.scene import (
    BOX,
    CAMERAS,
    GATE,
    INSTITUTION,
    INVENTORY,
    NAP1,
    NOON,
    NVR,
    OPEN_HALF_PAST_SEVEN,
    ROOM1,
    Judged,
    at,
    during,
    facts_of,
    healthy,
    index,
    without,
)  # fmt: skip

OFF, ON = NOON - 6 * HOUR, NOON - 4 * HOUR
"""When the agent was off, in most of these."""


def watched(subject: Any, kind: Kind, *stretches: tuple[Millis, Millis, str, str | None]) -> list[Observation]:
    return [during(subject, kind, start, end, state, cause) for start, end, state, cause in stretches]


def agent_was_off(holes: list[tuple[Millis, Millis]]) -> list[Observation]:
    """The agent ran, was off from OFF to ON, and ran again; the recorder's index has `holes` then."""
    seen = [item for item in healthy() if item.kind not in {Kind.AGENT, Kind.STREAM, Kind.REACH, Kind.RECORDINGS}]
    for subject, kind in [(BOX, Kind.AGENT), (NVR, Kind.REACH), *((camera, Kind.STREAM) for camera in CAMERAS)]:
        seen += watched(subject, kind, (NOON - 2 * DAY, OFF, "up", None), (ON, NOON, "up", None))
    edges = [NOON - 100 * DAY, *(edge for hole in holes for edge in hole), NOON - 20 * SECOND]
    spans = list(zip(edges[::2], edges[1::2], strict=True))
    return seen + [index(camera, spans) for camera in CAMERAS]


def episodes(verdict: Verdict) -> list[tuple[str, Millis, Millis | None]]:
    return [(item.state, item.began, item.ended) for item in verdict.episodes or ()]


def test_all_is_well() -> None:
    judged = Judged(healthy())
    assert {item.outcome for item in judged.verdicts} == {Outcome.MET}
    assert judged("uptime", GATE).measured["up_ratio"] == 1.0


@pytest.mark.parametrize(("driver", "asked"), [("hikvision", True), ("files", False), ("attested", False)])
def test_a_recorder_that_is_no_device_is_not_said_to_answer(driver: str, asked: bool) -> None:
    recorders = tuple(item.model_copy(update={"driver": driver}) for item in INVENTORY.recorders)
    said = Judged(healthy(), inventory=INVENTORY.model_copy(update={"recorders": recorders})).said("uptime")
    assert (str(NVR) in said) is asked
    assert len(said) == len(CAMERAS) + asked


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ("stalled", "No frames since {began}: stalled."),
        (
            "channel_offline",
            "No picture of the camera since {began}: the recorder lists the channel off line, and frames that still come are its placeholder.",
        ),
    ],
)
def test_what_is_said_of_a_camera_that_is_down_is_true_of_its_frames(cause: str, said: str) -> None:
    began = NOON - HOUR
    seen = [item for item in healthy() if item.kind is not Kind.STREAM or item.subject != GATE]
    seen += watched(GATE, Kind.STREAM, (NOON - 2 * DAY, began, "up", None), (began, NOON, "down", cause))
    assert Judged(seen)("uptime", GATE).reason == said.format(began=isoformat(began))


def test_time_the_agent_was_off_is_filled_from_the_index() -> None:
    verdict = Judged(agent_was_off([]))("uptime", GATE)
    assert (verdict.outcome, verdict.measured["up_ratio"], episodes(verdict)) == (Outcome.MET, 1.0, [])


def test_without_an_index_it_stays_unknown_and_counts_as_neither() -> None:
    verdict = Judged(without(agent_was_off([]), Kind.RECORDINGS))("uptime", GATE)
    assert (verdict.outcome, verdict.measured["down_seconds"]) == (Outcome.MET, 0)
    assert verdict.measured["up_seconds"] == (DAY - (ON - OFF)) // SECOND
    assert episodes(verdict) == []


def test_agent_off_and_the_same_hole_in_the_footage_is_the_sites_power() -> None:
    judged = Judged(agent_was_off([(OFF - 5 * SECOND, ON + 40 * SECOND)]))
    recorder = judged("uptime", NVR)
    assert [(item.state, item.cause) for item in recorder.episodes or ()] == [("site_power", "site_power")]
    for camera in CAMERAS:
        (episode,) = judged("uptime", camera).episodes or ()
        assert (episode.state, episode.because_of) == ("site_power", Cause("uptime", NVR))
        assert abs(episode.began - OFF) <= 5 * SECOND


@pytest.mark.parametrize("window_ends", [ON - 3 * MINUTE - 900, ON - 3 * MINUTE, ON - 900])
def test_the_first_reading_after_the_sites_power_is_back_tells_its_hole_as_the_later_ones_do(
    window_ends: Millis,
) -> None:
    # What is newer than three minutes isn't called a hole: this one's end isn't known yet, and a recorder's whole
    # seconds may put it more than three minutes before the agent's return.
    seen = [item for item in agent_was_off([]) if item.kind is not Kind.RECORDINGS]
    facts = {"window": [NOON - 100 * DAY, window_ends], "spans": [[NOON - 100 * DAY, OFF - 5 * SECOND]], "locked": []}
    seen += [at(camera, Kind.RECORDINGS, facts, ON + 400) for camera in CAMERAS]
    judged = Judged(seen)
    (episode,) = judged("uptime", GATE).episodes or ()
    assert (episode.state, episode.cause, episode.because_of) == ("site_power", "site_power", Cause("uptime", NVR))


def test_a_hole_of_another_extent_is_the_cameras_own() -> None:
    judged = Judged(agent_was_off([(OFF + HOUR, ON - 20 * MINUTE)]))
    assert episodes(judged("uptime", NVR)) == []
    (episode,) = judged("uptime", GATE).episodes or ()
    assert (episode.state, episode.cause, episode.because_of) == ("down", "no_footage", None)
    assert (episode.began, episode.ended) == (OFF + HOUR, ON - 20 * MINUTE)


def recorder_gone(back: bool, holes: list[tuple[Millis, Millis]] = []) -> Judged:  # noqa: B006
    """The recorder does not answer from OFF on, until ON or still; the site's line is whole."""
    until = ON if back else NOON
    seen = [item for item in healthy() if item.kind not in {Kind.STREAM, Kind.REACH, Kind.RECORDINGS}]
    seen += watched(NVR, Kind.REACH, (NOON - 2 * DAY, OFF, "up", None), (OFF, until, "down", "timeout"))
    for camera in CAMERAS:
        seen += watched(
            camera, Kind.STREAM, (NOON - 2 * DAY, OFF, "up", None), (OFF, until, "unknown", "recorder_unreachable")
        )
    read_at = NOON if back else OFF - MINUTE
    edges = [NOON - 100 * DAY, *(edge for hole in holes for edge in hole), read_at - 20 * SECOND]
    seen += [index(camera, zip(edges[::2], edges[1::2], strict=True), read_at) for camera in CAMERAS]
    if back:
        seen += watched(NVR, Kind.REACH, (ON, NOON, "up", None))
        seen += [during(camera, Kind.STREAM, ON, NOON, "up") for camera in CAMERAS]
    return Judged(seen)


def test_a_recorder_that_does_not_answer_is_one_case_and_its_cameras_are_unknown() -> None:
    judged = recorder_gone(back=False)
    recorder = judged("uptime", NVR)
    assert (recorder.outcome, recorder.state, recorder.began) == (Outcome.BREACHED, "unreachable", OFF)
    assert episodes(recorder) == [("unreachable", OFF, None)]
    for camera in CAMERAS:
        verdict = judged("uptime", camera)
        assert (verdict.outcome, verdict.state) == (Outcome.UNDETERMINED, "unknown")
        assert verdict.because_of == Cause("uptime", NVR)
        assert episodes(verdict) == []


def test_on_its_return_footage_says_that_our_line_failed() -> None:
    judged = recorder_gone(back=True)
    assert episodes(judged("uptime", NVR)) == [("unreachable", OFF, ON)]
    for camera in CAMERAS:
        verdict = judged("uptime", camera)
        assert (verdict.outcome, verdict.measured["down_seconds"], episodes(verdict)) == (Outcome.MET, 0, [])


def test_on_its_return_missing_footage_says_down_and_back_dates_it() -> None:
    judged = recorder_gone(back=True, holes=[(OFF + MINUTE, ON - MINUTE)])
    for camera in CAMERAS:
        (episode,) = judged("uptime", camera).episodes or ()
        assert (episode.state, episode.began, episode.ended) == ("down", OFF + MINUTE, ON - MINUTE)
        assert episode.because_of == Cause("uptime", NVR)


def blip(length: Millis, starts: Millis = NOON - 3 * HOUR) -> list[Observation]:
    return [
        *without(healthy(), Kind.STREAM, GATE),
        *watched(
            GATE, Kind.STREAM,
            (NOON - 2 * DAY, starts, "up", None),
            (starts, starts + length, "down", "stalled"),
            (starts + length, NOON, "up", None),
        ),
    ]  # fmt: skip


def test_a_blip_is_logged_and_is_no_episode() -> None:
    verdict = Judged(blip(20 * SECOND))("uptime", GATE)
    assert (verdict.outcome, episodes(verdict)) == (Outcome.MET, [])
    assert verdict.measured["outages"] == [
        {"start_at": "2026-11-23T01:00:00Z", "end_at": "2026-11-23T01:00:20Z", "cause": "stalled"}
    ]


@pytest.mark.parametrize(
    ("starts", "length", "found"),
    [
        pytest.param(NOON - 3 * HOUR, 2 * MINUTE, True, id="two minutes in hours"),
        pytest.param(NOON - 3 * HOUR, 50 * SECOND, False, id="under a minute in hours"),
        pytest.param(NOON - 10 * HOUR, 2 * MINUTE, False, id="two minutes at night"),
        pytest.param(NOON - 10 * HOUR, 11 * MINUTE, True, id="eleven minutes at night"),
        pytest.param(NOON - 4 * HOUR - 35 * MINUTE, 5 * MINUTE + 30 * SECOND, False, id="half a minute after opening"),
        pytest.param(NOON - DAY, 2 * MINUTE, False, id="two minutes on a Sunday"),
    ],
)
def test_how_long_is_too_long_depends_on_the_hours(starts: Millis, length: Millis, found: bool) -> None:
    inventory = INVENTORY.model_copy(update={"hours": OPEN_HALF_PAST_SEVEN})
    verdict = Judged(blip(length, starts), inventory=inventory)("uptime", GATE)
    assert bool(verdict.episodes) == found


def test_planned_maintenance_is_not_held_against_the_camera() -> None:
    starts = NOON - 3 * HOUR
    waiver = Waiver(
        subject=GATE, requirement="uptime", by="an officer", reason="rewiring",
        start_at=from_millis(starts), end_at=from_millis(starts + HOUR),
    )  # fmt: skip
    verdict = Judged(blip(HOUR, starts), waivers=[waiver])("uptime", GATE)
    assert (verdict.outcome, episodes(verdict)) == (Outcome.MET, [])


def _recorder_off(since: Millis) -> list[Observation]:
    """The recorder is switched off, and its cameras with it, while the gateway answers."""
    seen = [item for item in healthy() if item.kind not in {Kind.STREAM, Kind.REACH, Kind.RECORDINGS}]
    seen += watched(NVR, Kind.REACH, (NOON - 2 * DAY, since, "up", None), (since, NOON, "down", "timeout"))
    for camera in CAMERAS:
        seen += watched(
            camera, Kind.STREAM,
            (NOON - 2 * DAY, since, "up", None), (since, NOON, "unknown", "recorder_unreachable"),
        )  # fmt: skip
        seen.append(index(camera, [(NOON - 100 * DAY, since)], since))
    return seen


def _closed(days: int) -> Inventory:
    """Closed since yesterday, for so many days."""
    first = from_millis(NOON).date() - timedelta(days=1)
    closure = Closure.model_validate({"from": first, "to": first + timedelta(days=days - 1), "reason": "春节"})
    return INVENTORY.model_copy(update={"closures": (closure,)})


def _waived(subject: Subject, requirement: str | None = None) -> Waiver:
    return Waiver(
        subject=subject, requirement=requirement, by="an officer", reason="works",
        start_at=from_millis(NOON - DAY), end_at=from_millis(NOON + DAY),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("inventory", "waivers"),
    [
        (_closed(5), []),
        (INVENTORY, [_waived(NVR)]),
        (INVENTORY, [_waived(NVR, "uptime")]),
        (INVENTORY, [_waived(INSTITUTION)]),
    ],
)
def test_a_recorder_that_is_off_while_nothing_is_owed_is_no_case(inventory: Inventory, waivers: list[Waiver]) -> None:
    off = NOON - 6 * HOUR
    judged = Judged(_recorder_off(off), inventory=inventory, waivers=waivers)
    verdict = judged("uptime", NVR)
    assert (verdict.outcome, verdict.state, episodes(verdict)) == (Outcome.UNDETERMINED, "unknown", [])
    assert verdict.measured["not_owed_since"] == isoformat(off)
    for camera in CAMERAS:
        assert judged("uptime", camera).because_of == Cause("uptime", NVR)
        assert not judged("uptime", camera).episodes
    assert not [item for item in judged.verdicts if item.outcome is Outcome.BREACHED]


def test_an_outage_from_before_a_closed_day_stays_a_case_on_it() -> None:
    off = NOON - 40 * HOUR
    longer = pack(uptime={"window": "7d"})
    verdict = Judged(_recorder_off(off), inventory=_closed(5), regulation=longer)("uptime", NVR)
    assert (verdict.outcome, verdict.state, episodes(verdict)) == (
        Outcome.BREACHED, "unreachable", [("unreachable", off, None)],
    )  # fmt: skip


def test_a_waiver_of_a_recorder_speaks_of_its_cameras() -> None:
    off = NOON - 6 * HOUR
    seen = [
        *without(healthy(), Kind.STREAM, GATE),
        *watched(GATE, Kind.STREAM, (NOON - 2 * DAY, off, "up", None), (off, NOON, "down", "stalled")),
    ]
    for waivers, expected in (([], Outcome.BREACHED), ([_waived(NVR, "uptime")], Outcome.UNDETERMINED)):
        verdict = Judged(seen, waivers=waivers)("uptime", GATE)
        assert (verdict.outcome, bool(episodes(verdict))) == (expected, expected is Outcome.BREACHED)


def test_an_outage_longer_than_the_window_keeps_its_beginning() -> None:
    began = NOON - 3 * DAY
    seen = [
        *without(healthy(since=NOON - 5 * DAY), Kind.STREAM, GATE),
        *watched(GATE, Kind.STREAM, (NOON - 5 * DAY, began, "up", None), (began, NOON, "down", "refused")),
    ]
    verdict = Judged(seen)("uptime", GATE)
    assert (verdict.outcome, verdict.began, episodes(verdict)) == (Outcome.BREACHED, began, [("down", began, None)])
    assert verdict.measured["down_seconds"] == DAY // SECOND


def test_a_hole_older_than_the_window_keeps_its_beginning() -> None:
    """A camera that only its index tells of."""
    cameras = tuple(item.model_copy(update={"has_stream": False}) for item in INVENTORY.cameras)
    seen = [item for item in healthy(since=NOON - 5 * DAY) if item.kind not in {Kind.STREAM, Kind.RECORDINGS}]
    seen += [index(camera, [(NOON - 100 * DAY, NOON - 3 * DAY)]) for camera in CAMERAS]
    verdict = Judged(seen, inventory=INVENTORY.model_copy(update={"cameras": cameras}))("uptime", GATE)
    assert (verdict.outcome, verdict.state, verdict.began) == (Outcome.BREACHED, "down", NOON - 3 * DAY)


def test_the_ratio_counts_only_when_it_is_certain() -> None:
    """Down for an hour of the two that are known: of the day, that may still be 95 percent up."""
    seen = [
        *without(without(healthy(), Kind.STREAM, GATE), Kind.RECORDINGS, GATE),
        *watched(GATE, Kind.STREAM, (NOON - 2 * HOUR, NOON - HOUR, "down", "stalled"), (NOON - HOUR, NOON, "up", None)),
    ]
    lenient = pack(uptime={"longest_outage_in_hours": "1d", "longest_outage_out_of_hours": "1d"})
    verdict = Judged(seen, regulation=lenient)("uptime", GATE)
    assert (verdict.outcome, verdict.measured["up_ratio"]) == (Outcome.MET, 0.5)
    long = [
        *without(without(healthy(), Kind.STREAM, GATE), Kind.RECORDINGS, GATE),
        *watched(GATE, Kind.STREAM, (NOON - 4 * HOUR, NOON - HOUR, "down", "stalled"), (NOON - HOUR, NOON, "up", None)),
    ]
    verdict = Judged(long, regulation=lenient)("uptime", GATE)
    assert (verdict.outcome, verdict.state) == (Outcome.BREACHED, "down")
    assert "at most 87.50%" in verdict.reason


def test_too_little_known_is_no_verdict() -> None:
    seen = [
        *without(without(healthy(), Kind.STREAM, GATE), Kind.RECORDINGS, GATE),
        *watched(GATE, Kind.STREAM, (NOON - 10 * HOUR, NOON - 9 * HOUR, "up", None), (NOON - HOUR, NOON, "up", None)),
    ]
    verdict = Judged(seen, regulation=pack(uptime={"minimum_known_ratio": 0.5}))("uptime", GATE)
    assert (verdict.outcome, verdict.state) == (Outcome.UNDETERMINED, "unknown")


def test_a_recorder_that_is_full_is_unknown_and_never_down() -> None:
    seen = [*without(healthy(), Kind.STREAM, GATE), during(GATE, Kind.STREAM, ON, NOON, "unknown", "recorder_full")]
    verdict = Judged(seen)("uptime", GATE)
    assert (verdict.outcome, verdict.state, episodes(verdict)) == (Outcome.UNDETERMINED, "recorder_full", [])


def test_what_has_expired_is_unknown() -> None:
    verdict = Judged(healthy(until=NOON - 7 * HOUR), NOON)("uptime", GATE)
    assert (verdict.outcome, verdict.state) == (Outcome.UNDETERMINED, "unknown")


def test_watching_wins_over_sampling_and_frames_over_their_absence() -> None:
    seen = [
        *without(healthy(), Kind.STREAM, GATE),
        during(GATE, Kind.STREAM, ON, NOON, "up", basis=Basis.SAMPLED),
        during(GATE, Kind.STREAM, NOON - HOUR, NOON, "down", "stalled"),
        during(ROOM1, Kind.STREAM, NOON - HOUR, NOON, "down", "stalled"),
        during(NAP1, Kind.STREAM, NOON - HOUR, NOON, "unknown", "recorder_full"),
    ]
    judged = Judged(seen)
    assert [judged("uptime", camera).state for camera in CAMERAS] == ["down", "up", "up"]


def test_opening_hours_that_are_not_declared_leave_it_open() -> None:
    verdict = Judged(healthy(), regulation=pack(uptime={"due": {"default": "opening_hours"}}))("uptime", GATE)
    assert (verdict.outcome, verdict.state) == (Outcome.UNDETERMINED, "unknown")
    assert "write hours in site.yaml" in verdict.reason


def test_a_recorder_that_was_never_asked_is_unknown() -> None:
    verdict = Judged(without(healthy(), Kind.REACH))("uptime", NVR)
    assert (verdict.outcome, verdict.state) == (Outcome.UNDETERMINED, "unknown")


def test_a_watched_camera_of_which_nothing_is_heard_is_unknown_however_fresh_its_index() -> None:
    last = NOON - 5 * MINUTE
    seen = [
        *without(healthy(NOON - DAY, last), Kind.STREAM, GATE),
        during(GATE, Kind.STREAM, NOON - DAY, last, "up", holds=MINUTE),
    ]
    verdict = Judged(seen)("uptime", GATE)
    assert (verdict.outcome, verdict.state) == (Outcome.UNDETERMINED, "unknown")


def test_a_camera_that_flaps_for_a_month_costs_no_minutes() -> None:
    step, down = 6 * MINUTE, 40 * SECOND
    starts = range(NOON - 30 * DAY, NOON, step)
    long = NOON - 3 * DAY, NOON - 3 * DAY + 2 * HOUR
    flaps: list[tuple[Millis, Millis, str, str | None]] = []
    for began in starts:
        flaps += [(began, began + step - down, "up", None), (began + step - down, began + step, "down", "closed")]
    kept = [item for item in flaps if not long[0] <= item[0] < long[1]]
    seen = without(healthy(NOON - 30 * DAY), Kind.STREAM, GATE)
    seen += watched(GATE, Kind.STREAM, *kept, (*long, "down", "no_connection"), (NOON - SECOND, NOON, "up", None))
    facts, regulation = facts_of(seen), pack(uptime={"window": "30d", "grace": "5m", "minimum_ratio": 0.5})
    with costing_less_than(4):  # the whole month looked through for each outage takes a minute
        verdicts = {item.key: item for item in judge(facts, regulation)}
    assert episodes(verdicts["uptime", GATE]) == [("down", long[0] - down, long[1])]
