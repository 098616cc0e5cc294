"""Darkness by the clock of the house, views that are approved, and what an approval can't do."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.evaluation.cases import moves
from monitor.evaluation.view import AGAINST_APPROVED, CONDITIONS, judged_spans, lit_since, view_runs
from monitor.model.calendar import lit_time, nap_spans
from monitor.model.inventory import Closure, Inventory, Nap
from monitor.model.ledger import StateSpan, Timeline, with_approvals
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.span import DAY, HOUR, MINUTE, Spans, from_millis, to_millis
from monitor.model.verdict import Cause, Episode, Outcome
from monitor.model.view import Approval, view_id
from support.packs import pack
from support.scene import (
    GATE,
    INVENTORY,
    MIDNIGHT,
    NOON,
    OPEN_HALF_PAST_SEVEN,
    Judged,
    during,
    facts_of,
    healthy,
    without,
)

OPEN = MIDNIGHT + 7 * HOUR + 30 * MINUTE
CLOSE = MIDNIGHT + 18 * HOUR
NAP = Nap.model_validate({"from": "12:00", "to": "14:30"})
HOUSE = INVENTORY.model_copy(update={"hours": OPEN_HALF_PAST_SEVEN, "naps": (NAP,)})
ZONE = ZoneInfo("Asia/Shanghai")
OLD, NEW, NIGHT = "view:0000000000000001", "view:0000000000000002", "view:0000000000000003"


def looked(
    *stretches: tuple[int, int, str] | tuple[int, int, str, str], as_of: int, inventory: Inventory = HOUSE
) -> Judged:
    """Judge a gate that was seen so; the rest of the site is healthy."""
    views = [during(GATE, Kind.VIEW, *item) for item in stretches]
    return Judged([*without(healthy(until=as_of), Kind.VIEW, GATE), *views], as_of, inventory=inventory)


def view(judged: Judged, subject: Subject = GATE) -> tuple[str, str]:
    verdict = judged("view", subject)
    return verdict.outcome.value, verdict.state


def episodes(judged: Judged) -> list[tuple[str, int, int | None]]:
    return [(item.state, item.began, item.ended) for item in judged("view", GATE).episodes or ()]


def test_a_recording_played_as_live_began_when_it_did_though_its_looks_were_good_until_it_was_known() -> None:
    judged = looked(
        (NOON - 2 * HOUR, NOON - HOUR, "ok"), (NOON - HOUR - MINUTE, NOON - HOUR, "looped"), (NOON - HOUR, NOON, "looped"),
        as_of=NOON,
    )  # fmt: skip
    assert view(judged) == ("breached", "looped")
    assert episodes(judged) == [("looped", NOON - HOUR - MINUTE, None)]


def test_a_placeholder_for_a_channel_off_line_is_a_consequence_of_the_outage_and_no_case_of_its_own() -> None:
    lost = during(GATE, Kind.VIEW, NOON - HOUR, NOON, "signal_lost")
    rest = without(without(healthy(), Kind.VIEW, GATE), Kind.STREAM, GATE)
    up = during(GATE, Kind.STREAM, NOON - 3 * HOUR, NOON - HOUR, "up")
    out = during(GATE, Kind.STREAM, NOON - HOUR, NOON, "down", "channel_offline")
    verdict = Judged([*rest, lost, up, out])("view", GATE)
    cause = Cause("uptime", GATE)
    assert (verdict.outcome, verdict.state, verdict.because_of) == (Outcome.BREACHED, "signal_lost", cause)
    assert verdict.episodes == (Episode("signal_lost", NOON - HOUR, None, "signal_lost", cause),)
    assert moves(verdict, [], [], NOON) == []
    for stream in (
        [during(GATE, Kind.STREAM, NOON - 3 * HOUR, NOON, "up")],
        [up, during(GATE, Kind.STREAM, NOON - HOUR, NOON, "down", "stalled")],
        [up, during(GATE, Kind.STREAM, NOON - HOUR, NOON - 40 * MINUTE, "down", "channel_offline"),
         during(GATE, Kind.STREAM, NOON - 40 * MINUTE, NOON, "up")],
    ):  # fmt: skip
        own = Judged([*rest, lost, *stream])("view", GATE)
        assert (own.because_of, len(moves(own, [], [], NOON))) == (None, 1)


# --- darkness --------------------------------------------------------------------------------------------------------


def test_a_room_that_is_dark_at_night_is_met_and_the_figures_say_so() -> None:
    judged = looked((OPEN, CLOSE, "ok"), (CLOSE, CLOSE + 3 * HOUR, "dark"), as_of=CLOSE + 3 * HOUR)
    verdict = judged("view", GATE)
    assert (verdict.outcome, verdict.state, verdict.episodes) == (Outcome.MET, "ok", ())
    assert verdict.measured["usable_night_picture"] is False
    assert judged("zone_coverage", Subject(kind="zone", id="gate")).state == "ok"


def test_darkness_in_opening_hours_is_a_case_that_ends_at_closing_time_and_another_one_the_next_morning() -> None:
    morning = CLOSE + 13 * HOUR + 30 * MINUTE
    judged = looked((CLOSE - HOUR, morning + HOUR, "dark"), as_of=morning + HOUR)
    assert view(judged) == ("breached", "dark")
    assert judged("view", GATE).began == morning
    assert episodes(judged) == [("dark", CLOSE - HOUR, CLOSE), ("dark", morning, None)]


def test_a_case_of_darkness_ends_at_closing_time_although_nobody_looked_then() -> None:
    judged = looked((CLOSE - 2 * HOUR, CLOSE - HOUR, "dark"), as_of=CLOSE + HOUR)
    assert view(judged) == ("undetermined", "unknown")
    assert episodes(judged) == [("dark", CLOSE - 2 * HOUR, CLOSE)]


def test_a_dark_room_at_nap_time_is_no_fault_until_the_children_wake() -> None:
    nap, wakes = MIDNIGHT + 12 * HOUR, MIDNIGHT + 14 * HOUR + 30 * MINUTE
    assert view(looked((OPEN, nap, "ok"), (nap, wakes - MINUTE, "dark"), as_of=wakes - MINUTE)) == ("met", "ok")
    late = looked((OPEN, nap, "ok"), (nap, wakes + MINUTE, "dark"), as_of=wakes + MINUTE)
    assert view(late) == ("breached", "dark")
    assert episodes(late) == [("dark", wakes, None)]


def test_closed_days_are_dark_without_a_case_and_without_hours_only_the_middle_of_the_day_counts() -> None:
    today = from_millis(NOON).astimezone(ZONE).date()
    closed = HOUSE.model_copy(update={"closures": (Closure(start=today, to=today),), "naps": ()})
    assert view(looked((NOON - HOUR, NOON, "dark"), as_of=NOON, inventory=closed)) == ("met", "ok")
    for hours, expected in ((8, ("met", "ok")), (10, ("breached", "dark")), (17, ("met", "ok"))):
        now = MIDNIGHT + hours * HOUR
        assert view(looked((now - HOUR, now, "dark"), as_of=now, inventory=INVENTORY)) == expected


def test_a_lens_that_was_covered_before_the_lights_went_out_is_still_covered() -> None:
    """A dark picture shows neither that the hand is gone nor that it is there."""
    judged = looked((OPEN, CLOSE, "covered"), (CLOSE, CLOSE + HOUR, "dark"), as_of=CLOSE + HOUR)
    assert view(judged) == ("breached", "covered")
    assert episodes(judged) == [("covered", OPEN, None)]


@pytest.mark.parametrize("condition", [item for item in CONDITIONS if item != "dark"])
def test_every_other_condition_counts_at_night_too(condition: str) -> None:
    judged = looked((CLOSE + HOUR, CLOSE + 2 * HOUR, condition), as_of=CLOSE + 2 * HOUR)
    assert view(judged) == ("breached", condition)


looks = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from(["ok", "dark", "dark", "covered", "unknown", ""])),
    min_size=1,
    max_size=12,
)


def laid(parts: list[tuple[int, str]]) -> list[StateSpan]:
    """Lay stretches of so many quarters of an hour one after another; nobody looked during the nameless ones."""
    spans, now = [], MIDNIGHT
    for quarters, state in parts:
        end = now + quarters * 15 * MINUTE
        if state and end > now:
            spans.append(StateSpan(now, end, state))
        now = end
    return spans


@settings(max_examples=120, deadline=None)
@given(looks, st.integers(0, 20))
def test_darkness_is_a_case_exactly_while_it_was_seen_or_presumed_in_lit_hours(
    parts: list[tuple[int, str]], later: int
) -> None:
    spans = laid(parts)
    as_of = (spans[-1].end if spans else MIDNIGHT) + later * 15 * MINUTE
    facts = facts_of([], as_of, inventory=HOUSE)
    looks = Timeline(tuple(spans))
    judged = judged_spans(looks, lit_since(facts, [looks]), as_of)
    runs = [run for run in view_runs(judged, ()) if run.state == "dark"]
    lit = lit_time(HOUSE, MIDNIGHT, as_of + DAY)
    cases = Spans.of([(run.start, as_of + 1 if run.end is None else run.end) for run in runs])
    seen = Spans.of([(span.start, span.end) for span in spans if span.state == "dark"]).intersect(lit)
    assert seen.subtract(cases) == Spans.empty()
    assert cases.subtract(lit) == Spans.empty()
    bright = Spans.of([(span.start, span.end) for span in spans if span.state in {"ok", "covered"}])
    assert cases.intersect(bright) == Spans.empty()


def _that_day(day: datetime, hour: int) -> datetime:
    """Return the hour of that day; one that the clocks leave out is the next one."""
    told = day.replace(hour=hour, minute=0, second=0, microsecond=0)
    return told.astimezone(UTC).astimezone(day.tzinfo)


@example(start=2, end=0, day=109)
@example(start=0, end=2, day=109)
@given(st.integers(0, 23), st.integers(0, 23), st.integers(0, 200))
def test_nap_times_are_the_same_wall_clock_every_day(start: int, end: int, day: int) -> None:
    nap = Nap(start=time(start), to=time(end))
    base = NOON + day * DAY
    spans = nap_spans((nap,), ZoneInfo("America/New_York"), base, base + 3 * DAY)
    for a, b in spans.tuples():
        local = [from_millis(item).astimezone(ZoneInfo("America/New_York")) for item in (a, b)]
        assert local[0] == _that_day(local[0], start) or a == base
        assert local[1] == _that_day(local[1], end) or b == base + 3 * DAY
    assert spans.total() > 0


# --- approved views --------------------------------------------------------------------------------------------------


REQUIRING = pack(view={"approved_view_required": True})


def approving(seen: list[Observation], *approvals: Approval) -> Judged:
    return Judged(seen, regulation=REQUIRING, approvals={"gate": approvals})


def test_without_an_approved_view_nothing_is_said_to_be_in_order() -> None:
    judged = approving(healthy())
    assert view(judged) == ("undetermined", "no_baseline")
    zone = judged("zone_coverage", Subject(kind="zone", id="gate"))
    assert (zone.outcome.value, zone.state) == ("undetermined", "camera_present_only")
    assert zone.measured["unapproved"] == ["gate"]
    assert judged("measurability", GATE).measured["undetermined"] == []
    judged = approving(healthy(), Approval("day", OLD, NOON - DAY))
    assert view(judged) == ("met", "ok")
    assert judged("zone_coverage", Subject(kind="zone", id="gate")).state == "ok"
    assert judged("zone_coverage", Subject(kind="zone", id="room1")).state == "camera_present_only"


def test_a_fault_is_named_before_a_missing_approval_and_a_later_approval_counts_later() -> None:
    black = [*without(healthy(), Kind.VIEW, GATE), during(GATE, Kind.VIEW, NOON - HOUR, NOON, "black")]
    assert view(approving(black)) == ("breached", "black")
    assert view(approving(healthy(), Approval("day", OLD, NOON + 1))) == ("undetermined", "no_baseline")


def runs(
    spans: list[tuple[int, int, str, str | None]], *approvals: Approval, state: str = "moved"
) -> list[tuple[int, int | None]]:
    found = view_runs([StateSpan(*item) for item in spans], approvals)
    return [(run.start, run.end) for run in found if run.state == state]


FAULT = [(0, 10, "ok", OLD), (10, 20, "moved", None)]
FIRST = Approval("day", OLD, 0)


def test_a_new_approval_alone_ends_no_fault_that_was_seen_against_the_old_view() -> None:
    new = Approval("day", NEW, 15)
    assert runs([*FAULT, (20, 40, "ok", NEW)], FIRST, new) == [(10, None)]
    assert runs([*FAULT, (20, 40, "ok", None)], FIRST, new) == [(10, None)], "which view it agrees with is not said"


def test_a_fault_ends_when_the_old_view_is_seen_again_or_another_light_s_that_was_approved_before() -> None:
    new = Approval("day", NEW, 15)
    assert runs([*FAULT, (20, 30, "ok", NEW), (30, 40, "ok", OLD)], FIRST, new) == [(10, 30)]
    assert runs([*FAULT, (20, 40, "ok", NIGHT)], FIRST, Approval("infrared", NIGHT, 5)) == [(10, 20)]
    assert runs([*FAULT, (20, 40, "ok", OLD)]) == [(10, 20)], "seen before, whoever approved it"
    assert runs([*FAULT, (20, 40, "ok", None)], FIRST) == [(10, 20)], "no view was approved meanwhile"


def test_an_officer_s_word_ends_it_when_it_was_given_and_not_before() -> None:
    settled = Approval("day", NEW, 15, "王督察", settled_at=25)
    spans = [*FAULT, (20, 40, "ok", NEW)]
    assert runs(spans, FIRST, settled) == [(10, 25)]
    seen = [during(GATE, Kind.VIEW, NOON - HOUR, NOON, "moved")]
    facts = with_approvals(facts_of(seen), {"gate": [Approval("day", NEW, NOON - 10, "", NOON + 1)]})
    assert facts.approvals["gate"][0].settled_at is None


@pytest.mark.parametrize("other", [item for item in CONDITIONS if item != "moved"])
def test_another_fault_after_an_approval_ends_no_fault_that_was_seen_against_the_old_view(other: str) -> None:
    """Else twenty seconds of noise, or a turn and back, would close what an approval may not."""
    new = Approval("day", NEW, 15)
    spans = [*FAULT, (20, 30, "ok", NEW), (30, 32, other, None), (32, 40, "ok", NEW)]
    assert runs(spans, FIRST, new) == [(10, None)]
    assert runs(spans, FIRST, new, state=other) == [(30, 32)]
    assert runs([*spans, (40, 50, "ok", OLD)], FIRST, new) == [(10, 40)]
    assert runs(spans, FIRST, Approval("day", NEW, 15, "王督察", settled_at=36)) == [(10, 36)]
    assert runs([*spans, (40, 50, "moved", None), (50, 60, "ok", NEW)], FIRST, new) == [(10, None)], "it is one fault"


def test_a_view_approved_behind_another_fault_ends_nothing_either() -> None:
    spans = [*FAULT, (20, 30, "noisy", None)]
    good = [*spans, (30, 40, "ok", NEW)]
    assert runs(good[:-1], FIRST) == [(10, 20)]
    assert runs([*spans, (30, 40, "ok", OLD)], FIRST) == [(10, 20)], "no view was approved: the other fault ended it"
    new = Approval("day", NEW, 25)
    assert runs(spans, FIRST, new) == [(10, None)]
    assert runs(good, FIRST, new) == [(10, None)]
    assert runs([*spans, (30, 40, "ok", OLD)], FIRST, new) == [(10, 30)]
    passed = [*FAULT, (20, 30, "covered", None), (30, 40, "ok", NEW)]
    assert runs(passed, FIRST, new) == [(10, 20)], "what is covered before the approval is the case from then on"
    assert runs(passed, FIRST, new, state="covered") == [(20, None)]


@given(
    st.sampled_from(sorted(AGAINST_APPROVED)),
    st.lists(st.sampled_from(CONDITIONS), max_size=4),
    st.lists(st.sampled_from([*CONDITIONS, "ok", "ok", "agreed", "approved", "unlit", "unknown"]), max_size=12),
)
def test_no_sequence_of_other_faults_and_approvals_closes_a_fault_seen_against_the_approved_view(
    state: str, before: list[str], after: list[str]
) -> None:
    approvals = [FIRST]
    spans = [StateSpan(0, 10, "ok", OLD), StateSpan(10, 20, state)]
    for at, step in enumerate([*before, "approved", *after], 2):
        if step == "approved":
            approvals.append(Approval("day", f"view:{at:016x}", at * 10))
        else:
            cause = {"agreed": None, "ok": approvals[-1].view}.get(step)
            spans.append(StateSpan(at * 10, at * 10 + 10, "ok" if step == "agreed" else step, cause))
    began = max(item.start for item in spans if item.state in AGAINST_APPROVED and item.start < approvals[1].at)
    case = next(item.state for item in spans if item.start == began)
    found = view_runs(spans, approvals)
    going_on = [run for run in found if run.state == case and run.end is None]
    assert len(going_on) == 1
    assert going_on[0].start <= began
    end = spans[-1].end
    settled = view_runs([*spans, StateSpan(end, end + 10, "ok", OLD)], approvals)
    assert [run.state for run in settled if run.end is None] == ["ok"]


@pytest.mark.parametrize("state", [item for item in CONDITIONS if item not in AGAINST_APPROVED])
def test_a_fault_that_needs_no_comparison_ends_with_the_next_good_look(state: str) -> None:
    spans = [(0, 10, "ok", OLD), (10, 20, state, None), (20, 40, "ok", NEW)]
    assert runs(spans, FIRST, Approval("day", NEW, 15), state=state) == [(10, 20)]


def test_an_approved_view_is_known_by_its_content() -> None:
    assert view_id({"a": 1, "b": [0.25]}) == view_id({"b": [0.25], "a": 1})
    assert view_id({"a": 1}) != view_id({"a": 2})
    assert len(view_id({})) <= 40


def test_a_case_keeps_its_name_although_the_camera_agrees_with_a_view_approved_since() -> None:
    seen = [
        *without(healthy(), Kind.VIEW, GATE),
        during(GATE, Kind.VIEW, NOON - 5 * HOUR, NOON - 4 * HOUR, "ok", OLD),
        during(GATE, Kind.VIEW, NOON - 4 * HOUR, NOON - HOUR, "moved"),
        during(GATE, Kind.VIEW, NOON - HOUR, NOON, "ok", NEW),
    ]
    judged = approving(seen, Approval("day", OLD, NOON - DAY), Approval("day", NEW, NOON - 2 * HOUR))
    assert view(judged) == ("met", "ok")
    assert judged("view", GATE).episodes == (Episode("moved", NOON - 4 * HOUR, None, "moved"),)


def test_a_dark_room_at_night_hides_a_fault_that_goes_on_behind_another() -> None:
    seen = [
        during(GATE, Kind.VIEW, CLOSE - 5 * HOUR, CLOSE - 4 * HOUR, "ok", OLD),
        during(GATE, Kind.VIEW, CLOSE - 4 * HOUR, CLOSE - 2 * HOUR, "covered"),
        during(GATE, Kind.VIEW, CLOSE - 2 * HOUR, CLOSE - HOUR, "noisy"),
        during(GATE, Kind.VIEW, CLOSE - HOUR, CLOSE, "ok", NEW),
    ]
    approvals = Approval("day", OLD, CLOSE - DAY), Approval("day", NEW, CLOSE - 3 * HOUR)
    by_day = Judged(seen, as_of=CLOSE, inventory=HOUSE, approvals={"gate": approvals})
    assert view(by_day) == ("met", "ok")
    assert episodes(by_day) == [("covered", CLOSE - 4 * HOUR, None), ("noisy", CLOSE - 2 * HOUR, CLOSE - HOUR)]
    seen.append(during(GATE, Kind.VIEW, CLOSE, CLOSE + HOUR, "dark"))
    night = Judged(seen, as_of=CLOSE + HOUR, inventory=HOUSE, approvals={"gate": approvals})
    assert view(night) == ("breached", "covered")


def test_noon_is_in_lit_hours_only_without_a_nap() -> None:
    assert to_millis(datetime(2026, 11, 23, 4, tzinfo=UTC)) == NOON
    assert not lit_time(HOUSE, NOON, NOON + 1)
    assert lit_time(INVENTORY.model_copy(update={"hours": OPEN_HALF_PAST_SEVEN}), NOON, NOON + 1)
    assert lit_time(INVENTORY, NOON, NOON + 1)
