"""Laws of every judgement: order and copies change nothing, junk breaks nothing, and without evidence nothing is met."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.evaluation.judge import JUDGES
from monitor.model.ledger import fold
from monitor.model.observation import SPAN_KINDS, Kind, Observation, Source, Subject
from monitor.model.span import DAY, HOUR, MINUTE, Basis
from monitor.model.verdict import Outcome
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
    ROOM1,
    Judged,
    at,
    facts_of,
    healthy,
)

SUBJECTS = (INSTITUTION, NVR, BOX, *CAMERAS, Subject(kind="zone", id="gate"), Subject(kind="camera", id="stranger"))
SET_TO = (
    at(NVR, Kind.ALARM_INPUTS, {"inputs": [{"id": "1", "armed": True, "active": False}], "disarmed": []}),
    at(NVR, Kind.TIME_SYNC, {"enabled": True, "has_server": True}),
    at(NVR, Kind.STORAGE_MODE, {"mode": "quota"}),
    at(NVR, Kind.FAULT_NOTICES, {"armed": ["diskerror"], "mail": True}),
    at(GATE, Kind.RECORDING_MODE, {"mode": "continuous", "holes": []}),
    at(GATE, Kind.EXPIRY, {"days": None}),
    at(GATE, Kind.IDENTITY, {"exchanged_at": None}),
)
"""What the recorder of a healthy site is set to do: it explains, and alone makes nothing met but an armed alarm."""
HEALTHY = [*healthy(), *SET_TO]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
times = st.integers(NOON - 3 * DAY, NOON + HOUR)
spans = st.lists(st.tuples(times, times).map(list), max_size=4)
readings = st.fixed_dictionaries({"window": st.tuples(times, times).map(list), "spans": spans, "locked": spans})
clocks = st.fixed_dictionaries({"offset_seconds": st.integers(-4000, 4000) | st.floats(-1e300, 1e300) | st.none()})
disks = st.fixed_dictionaries(
    {
        "disks": st.lists(
            st.fixed_dictionaries(
                {"id": json_values, "state": st.sampled_from(["ok", "failed", "?", None])},
                optional={"capacity_bytes": json_values},
            ),
            max_size=2,
        )
    }
)
set_to = st.fixed_dictionaries(
    {},
    optional={
        "inputs": st.lists(st.fixed_dictionaries({"id": json_values, "armed": json_values}), max_size=2) | json_values,
        "disarmed": json_values,
        "mode": st.sampled_from(["continuous", "motion", "none", "quota", 3]),
        "holes": json_values,
        "days": st.integers(-1, 200) | json_values,
        "exchanged_at": st.sampled_from(["2026-11-20T00:00:00Z", "then", None]),
        "first_day": st.sampled_from(["2026-11-20", "2026-13-01", None]),
        "last_day": st.sampled_from(["2026-11-21", "9999-12-31", 5]),
        "seconds": json_values,
        "gone": json_values,
    },
)
tests = st.fixed_dictionaries({"what": st.sampled_from(["alarm_test", "coverage_walk"]), "by": st.just("x")})
states = st.sampled_from(["up", "down", "unknown", "ok", "black", "read", "fault", "declared", "odd"])
causes = st.sampled_from([None, "stalled", "recorder_full", "recorder_unreachable", "unauthorized"])


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """Anything an agent may say, sense or nonsense."""
    kind = draw(st.sampled_from([kind for kind in Kind if kind is not Kind.INVENTORY]))
    start = draw(times)
    end = start + (draw(st.integers(0, 2 * DAY)) if kind in SPAN_KINDS else 0)
    facts: dict[str, Any] = draw(
        st.dictionaries(st.text(max_size=5), json_values, max_size=2) | readings | clocks | disks | set_to | tests
    )
    return Observation(
        subject=draw(st.sampled_from(SUBJECTS)), kind=kind, start=start, end=end, state=draw(states),
        cause=draw(causes), basis=draw(st.sampled_from([None, *Basis])), source=draw(st.sampled_from(Source)),
        expires=end + draw(st.integers(0, DAY)), facts=facts,
    )  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(observations(), max_size=25), st.randoms(use_true_random=False))
def test_order_and_copies_change_nothing_and_junk_breaks_nothing(seen: list[Observation], random: Any) -> None:
    mixed = [*seen, *random.choices(seen, k=len(seen))] if seen else []
    random.shuffle(mixed)
    assert facts_of(mixed) == facts_of(seen)
    one, two = Judged(seen, last_reports={"box": NOON - DAY}), Judged(mixed, last_reports={"box": NOON - DAY})
    assert json.dumps([item.to_json() for item in one.verdicts]) == json.dumps(
        [item.to_json() for item in two.verdicts]
    )
    assert [item.episodes for item in one.verdicts] == [item.episodes for item in two.verdicts]
    json.dumps([item.to_json("zh") for item in one.verdicts], allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(observations(), max_size=15), times)
def test_what_was_seen_later_changes_no_earlier_judgement(seen: list[Observation], as_of: int) -> None:
    before = [item for item in seen if item.start <= as_of]
    assert fold(seen, as_of, inventory=INVENTORY) == fold(before, as_of, inventory=INVENTORY)


def test_without_an_inventory_nothing_can_be_judged() -> None:
    assert fold([], NOON) is None
    declared = [item for item in HEALTHY if item.kind is Kind.INVENTORY]
    newer = declared[0].model_copy(update={"start": NOON, "end": NOON, "facts": {"from": "a later version"}})
    facts = fold([*declared, newer], NOON)
    assert facts is not None
    assert facts.inventory == INVENTORY


Needs = Callable[[Subject], list[set[tuple[Kind, Subject]]]]
"""What a verdict on a subject stands on: of each set, at least one."""


def _seen(subject: Subject) -> set[tuple[Kind, Subject]]:
    """A camera's frames, or what the index says of time that nobody watched."""
    return {(Kind.STREAM, subject), (Kind.RECORDINGS, subject)}


def _zone(zone: Subject) -> list[set[tuple[Kind, Subject]]]:
    camera = Subject(kind="camera", id=zone.id)
    return [_seen(camera), {(Kind.VIEW, camera)}, {(Kind.ATTESTATION, zone)}]


NEEDED: dict[str, Needs] = {
    "uptime": lambda subject: [{(Kind.REACH, subject)} if subject == NVR else _seen(subject)],
    "view": lambda subject: [{(Kind.VIEW, subject)}],
    "picture_quality": lambda subject: [{(Kind.MAIN_STREAM, subject)}],
    "zone_coverage": _zone,
    "retention": lambda subject: [{(Kind.RECORDINGS, subject)}],
    "recording_completeness": lambda subject: [{(Kind.RECORDINGS, subject)}],
    "undeclared_channel": lambda subject: [{(Kind.CHANNELS, subject)}],
    "recorder_clock": lambda subject: [{(Kind.CLOCK, subject)}],
    "storage_health": lambda subject: [{(Kind.DISKS, subject)}],
    "alarm_system": lambda subject: [{(Kind.ATTESTATION, subject), (Kind.ALARM_INPUTS, NVR)}],
}
"""By kind of requirement. `forbidden_zone` stands on declarations, `measurability` on the other verdicts."""


def test_every_kind_of_requirement_says_what_it_needs() -> None:
    assert set(NEEDED) | {"forbidden_zone", "measurability", "agent_silence"} == set(JUDGES)


def expired(item: Observation) -> Observation:
    """The same, seen so long ago that it holds no more."""
    back = 60 * DAY
    return item.model_copy(
        update={"start": item.start - back, "end": item.end - back, "expires": item.end - back + MINUTE}
    )


def refused(item: Observation) -> Observation:
    """The question was asked, and answered by nothing."""
    return item.model_copy(update={"state": "unknown", "cause": "timeout", "facts": {}})


def garbled(item: Observation) -> Observation:
    """The answer makes no sense."""
    odd = {
        "window": "x",
        "width": "wide",
        "height": -1,
        "frame_rate": True,
        "spans": 7,
        "offset_seconds": "soon",
        "disks": [1],
        "channels": {},
        "inputs": [7, {"armed": True}],
        "mode": ["continuous"],
        "days": -1,
        "what": 5,
    }
    return item.model_copy(update={"state": "odd", "facts": odd})


SPOIL: list[Callable[[Observation], Observation | None]] = [lambda item: None, expired, refused, garbled]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_nothing_is_met_when_its_evidence_is_missing(data: st.DataObject) -> None:
    groups = sorted({(item.kind.value, str(item.subject)) for item in HEALTHY if item.kind is not Kind.INVENTORY})
    fates = {group: data.draw(st.sampled_from([None, None, *SPOIL]), label=str(group)) for group in groups}
    seen: list[Observation] = []
    lost: set[tuple[Kind, Subject]] = set()
    for item in HEALTHY:
        fate = fates.get((item.kind.value, str(item.subject)))
        if fate is not None:
            lost.add((item.kind, item.subject))
        kept = item if fate is None else fate(item)
        seen += [] if kept is None else [kept]
    for verdict in Judged(seen).verdicts:
        needs = NEEDED[verdict.requirement.kind](verdict.subject) if verdict.requirement.kind in NEEDED else []
        if any(alternatives <= lost for alternatives in needs):
            assert verdict.outcome is not Outcome.MET, (verdict.key, verdict.reason)
        if needs and not any(alternatives & lost for alternatives in needs):
            assert verdict.outcome is Outcome.MET, (verdict.key, verdict.reason)


@pytest.mark.parametrize("kind", sorted(NEEDED))
def test_with_nothing_seen_at_all_nothing_is_met(kind: str) -> None:
    said = Judged([]).said(kind)
    assert said
    assert "met" not in {outcome for outcome, _ in said.values()}


def test_an_inventory_of_its_own_is_the_evidence_of_what_is_declared() -> None:
    judged = Judged(HEALTHY)
    assert {str(item.subject) for item in judged.verdicts if item.requirement.kind == "forbidden_zone"} == {
        str(GATE), str(ROOM1), str(NAP1),
    }  # fmt: skip
    regulation = pack(**{kind: None for kind in JUDGES if kind != "view"})
    assert {item.requirement.kind for item in Judged(HEALTHY, regulation=regulation).verdicts} == {"view"}
