"""Contradictions: what a recorder says beside what was seen, and what an index is worth that lists what doesn't play."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import ANY

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.evaluation.contradictions import SHORTEST, Contradiction, contradictions
from monitor.model.calendar import local_date
from monitor.model.ledger import fold
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.proof import KEPT, read_proof
from monitor.model.regulation import Regulation
from monitor.model.span import DAY, HOUR, MINUTE, Basis, Millis, isoformat
from support.packs import pack
from support.scene import (
    GATE,
    INSTITUTION,
    INVENTORY,
    MIDNIGHT,
    NOON,
    NVR,
    ROOM1,
    Judged,
    at,
    during,
    facts_of,
    healthy,
    index,
    without,
)  # fmt: skip

NIGHT = NOON - 9 * HOUR
"""Three in the morning."""


def proof(
    when: Millis,
    state: str = "played",
    cause: str | None = None,
    *,
    far: bool = True,
    camera: Subject = GATE,
    **facts: Any,
) -> Observation:
    """Return one proof of the minute 90 days back, or of a day ago."""
    said = {
        "which": "far" if far else "newer",
        "minute_at": when - (90 * DAY if far else DAY),
        "view": "matches" if state == "played" else "unknown",
        "shows": None,
        **facts,
    }
    return at(camera, Kind.PROOF, said, when, state=state, cause=cause, holds=3 * DAY)


def failed(when: Millis) -> list[Observation]:
    """Return a night on which the far minute failed, and the newer one played."""
    return [proof(when, "failed", "not_found"), proof(when + MINUTE, far=False)]


def found(seen: list[Observation], as_of: Millis = NOON, apart: Millis | None = None) -> list[Contradiction]:
    retention = {} if apart is None else {"proof_failures_apart": f"{apart // 1000}s"}
    return list(contradictions(facts_of(seen, as_of), pack(retention=retention).requirements))


def kinds(seen: list[Observation], as_of: Millis = NOON) -> list[str]:
    return [item.kind for item in found(seen, as_of)]


# Proof by decoding.


def test_a_minute_that_was_played_is_the_newest_figure_and_evidence_of_retention() -> None:
    seen = [*healthy(), proof(NIGHT - DAY), proof(NIGHT)]
    verdict = Judged(seen)("retention", GATE)
    assert (verdict.outcome, verdict.state) == ("met", "ok")
    assert verdict.measured["proof"] == {
        "proved_at": isoformat(NIGHT),
        "minute_at": isoformat(NIGHT - 90 * DAY),
        "result": "played",
        "cause": None,
        "view": "matches",
        "shows": None,
    }
    assert [item.kind for item in verdict.evidence] == ["recording_spans", "proof"]
    assert Judged(seen)("retention", ROOM1).measured["proof"] is None


def test_one_failure_is_no_contradiction_nor_are_two_of_one_day() -> None:
    assert kinds([*healthy(), *failed(NIGHT)]) == []
    assert kinds([*healthy(), *failed(NIGHT), *failed(NIGHT + 2 * HOUR)]) == []


def test_two_failures_on_different_days_with_a_newer_minute_that_plays_are_one() -> None:
    seen = [*healthy(), *failed(NIGHT - DAY), *failed(NIGHT)]
    (contradiction,) = found(seen)
    assert (contradiction.kind, contradiction.subject) == ("unplayable", GATE)
    assert (contradiction.start, contradiction.end) == (NIGHT - DAY, None)
    assert contradiction.figures["minutes"] == [isoformat(NIGHT - n * DAY) for n in (91, 90)]
    judged = Judged(seen)
    verdict = judged("retention", GATE)
    assert (verdict.outcome, verdict.state, verdict.cause) == ("undetermined", "unknown", "contradiction")
    assert verdict.measured["contradictions"] == [contradiction.to_json()]
    assert verdict.measured["held_days"] == 99, "what the index says is still shown"
    assert {item.digest for item in contradiction.evidence} <= {item.digest for item in verdict.evidence}
    assert judged("retention", ROOM1).outcome == "met"


def test_without_a_newer_minute_that_plays_our_own_way_may_be_what_fails() -> None:
    seen = [*healthy(), proof(NIGHT - DAY, "failed", "stalled"), proof(NIGHT, "failed", "stalled")]
    assert kinds(seen) == []
    seen += [proof(night + MINUTE, "failed", "stalled", far=False) for night in (NIGHT - DAY, NIGHT)]
    assert kinds(seen) == []


def test_what_was_not_proved_neither_confirms_nor_ends_it() -> None:
    busy = [proof(NIGHT - n * DAY, "not_proved", "recorder_full") for n in range(5)]
    assert kinds([*healthy(), *busy]) == []
    seen = [*healthy(), *failed(NIGHT - 3 * DAY), *failed(NIGHT - 2 * DAY), proof(NIGHT, "not_proved", "recorder_full")]
    assert kinds(seen) == ["unplayable"]


def test_a_far_minute_that_plays_ends_it_and_old_failures_are_forgotten() -> None:
    seen = [*healthy(), *failed(NIGHT - 2 * DAY), *failed(NIGHT - DAY), proof(NIGHT)]
    assert kinds(seen) == []
    assert kinds([*healthy(), *failed(NIGHT - KEPT - DAY), *failed(NIGHT)]) == []


def test_a_pack_may_say_how_far_apart_failures_must_be() -> None:
    seen = [*healthy(), *failed(NIGHT), *failed(NIGHT + 20 * MINUTE)]
    assert found(seen) == []
    assert [item.kind for item in found(seen, apart=20 * MINUTE)] == ["unplayable"]
    quick = pack(retention={"required_days": 90, "proof_failures_apart": "20m"})
    assert Judged(seen, regulation=quick)("retention", GATE).state == "unknown"


def test_an_index_that_lists_too_little_stays_breached() -> None:
    short = [*without(healthy(), Kind.RECORDINGS, GATE), index(GATE, [(NOON - 30 * DAY, NOON)])]
    verdict = Judged([*short, *failed(NIGHT - DAY), *failed(NIGHT)])("retention", GATE)
    assert (verdict.outcome, verdict.state) == ("breached", "short")
    assert len(verdict.measured["contradictions"]) == 1  # type: ignore[arg-type]


def test_what_stays_contradicted_is_unmeasured_in_the_end() -> None:
    seen = [*healthy(), *failed(NIGHT - DAY), *failed(NIGHT)]
    verdict = Judged(seen, undetermined_since={("retention", GATE): NOON - 4 * DAY})("measurability", GATE)
    assert (verdict.outcome, verdict.state, verdict.cause) == ("breached", "unmeasured", "contradiction")


def test_a_channel_that_records_another_camera_is_named() -> None:
    seen = [*healthy(), *(proof(NIGHT - n * DAY, view="other", shows="room1") for n in (1, 0))]
    (contradiction,) = found(seen)
    assert (contradiction.kind, contradiction.figures) == ("wrong_camera", {"camera": "room1"})
    verdict = Judged(seen)("retention", GATE)
    assert (verdict.outcome, verdict.state) == ("undetermined", "unknown")
    assert "the view of another camera" in verdict.reason


def test_another_view_that_is_nobody_s_is_a_fact_and_no_doubt_of_the_footage() -> None:
    seen = [*healthy(), *(proof(NIGHT - n * DAY, view="other") for n in (1, 0))]
    assert kinds(seen) == ["other_view"]
    assert Judged(seen)("retention", GATE).outcome == "met"
    assert kinds([*healthy(), proof(NIGHT, view="other")]) == [], "one look is none"
    assert kinds([*seen, proof(NIGHT + HOUR)]) == [], "the approved view ends it"
    assert kinds([*seen, proof(NIGHT + HOUR, view="unknown")]) == ["other_view"]


json_values = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)


@given(
    st.sampled_from(["played", "failed", "not_proved", "odd"]),
    st.dictionaries(st.sampled_from(["which", "minute_at", "view", "shows", "x"]), json_values),
)
def test_any_facts_are_a_proof_or_none(state: str, facts: dict[str, Any]) -> None:
    read_proof(at(GATE, Kind.PROOF, facts, state=state))
    Judged([*healthy(), at(GATE, Kind.PROOF, facts, state=state)])


nights = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from(["played", "failed", "not_proved"]), st.booleans()), max_size=12
)


@given(nights)
def test_doubt_needs_two_failures_on_two_days_since_the_last_minute_that_played(
    told: list[tuple[int, str, bool]],
) -> None:
    """Held to a slow reading of the words."""
    seen = [proof(NIGHT - day * DAY + number * MINUTE, state, far=far) for number, (day, state, far) in enumerate(told)]
    ordered = sorted((item for item in seen if item.start >= NOON - KEPT), key=lambda item: item.sort_key())
    failures: list[Observation] = []
    for item in ordered:
        if item.facts["which"] == "far" and item.state == "failed":
            failures.append(item)
        elif item.facts["which"] == "far" and item.state == "played":
            failures = []
    days = {(item.start + 8 * HOUR) // DAY for item in failures}
    newest = max((int(str(item.facts["minute_at"])) for item in failures), default=0)
    plays = any(
        item.state == "played" and int(str(item.facts["minute_at"])) > newest and item.start >= failures[0].start
        for item in ordered
        if failures
    )
    assert ("unplayable" in kinds([*healthy(), *seen])) == (len(days) >= 2 and plays)


# What was seen, and what the index lists.


def test_footage_of_a_black_or_frozen_picture_is_one() -> None:
    black = during(GATE, Kind.VIEW, NOON - 5 * HOUR, NOON - 4 * HOUR, "black")
    seen = [*without(healthy(), Kind.VIEW, GATE), during(GATE, Kind.VIEW, NOON - 4 * HOUR, NOON, "ok"), black]
    (contradiction,) = found(seen)
    assert contradiction.kind == "recorded_without_picture"
    assert (contradiction.start, contradiction.end) == (NOON - 5 * HOUR, NOON - 4 * HOUR)
    assert contradiction.figures["seconds"] == 3600
    assert Judged(seen)("view", GATE).measured["contradictions"] == [contradiction.to_json()]
    hole = [(NOON - 100 * DAY, NOON - 5 * HOUR), (NOON - 4 * HOUR, NOON)]
    assert kinds([*without(seen, Kind.RECORDINGS, GATE), index(GATE, hole)]) == [], "it recorded nothing then"


def test_it_lasts_while_the_picture_is_gone() -> None:
    seen = [*without(healthy(), Kind.VIEW, GATE), during(GATE, Kind.VIEW, NOON - 5 * HOUR, NOON, "frozen")]
    (contradiction,) = found(seen)
    assert (contradiction.kind, contradiction.end) == ("recorded_without_picture", None)


@pytest.mark.parametrize(
    ("minutes", "basis", "is_one"),
    [(30, Basis.WATCHED, True), (9, Basis.WATCHED, False), (30, Basis.RECORDER_SAYS, True), (30, Basis.INDEX, False)],
)
def test_footage_of_a_stream_that_was_down_is_one(minutes: int, basis: Basis, *, is_one: bool) -> None:
    down = during(
        GATE, Kind.STREAM, NOON - 5 * HOUR, NOON - 5 * HOUR + minutes * MINUTE, "down", "stalled", basis=basis
    )
    up = [
        during(GATE, Kind.STREAM, NOON - 2 * DAY, NOON - 5 * HOUR, "up"),
        during(GATE, Kind.STREAM, NOON - 5 * HOUR + minutes * MINUTE, NOON, "up"),
    ]
    seen = [*without(healthy(), Kind.STREAM, GATE), *up, down]
    assert kinds(seen) == (["recorded_while_down"] if is_one else [])
    if is_one:
        assert "contradictions" in Judged(seen)("uptime", GATE).measured


@pytest.mark.parametrize(
    ("minutes", "basis", "is_one"),
    [(30, Basis.WATCHED, True), (9, Basis.WATCHED, False), (30, Basis.RECORDER_SAYS, False)],
)
def test_an_outage_that_is_taken_back_afterwards_stays_to_be_seen(minutes: int, basis: Basis, *, is_one: bool) -> None:
    """Whoever has the agent's key may say of yesterday that the stream was up after all: that counts, and is shown."""
    end = NOON - 5 * HOUR + minutes * MINUTE
    down = during(GATE, Kind.STREAM, NOON - 5 * HOUR, end, "down", "stalled", basis=basis)
    seen = [*healthy(), down]
    assert kinds(seen) == (["stream_told_otherwise"] if is_one else [])
    verdict = Judged(seen)("uptime", GATE)
    assert verdict.state == "up"
    assert ("contradictions" in verdict.measured) == is_one


def test_a_picture_at_fault_that_is_taken_back_stays_to_be_seen() -> None:
    black = during(GATE, Kind.VIEW, NOON - 5 * HOUR, NOON - 4 * HOUR, "black")
    assert "view_told_otherwise" in kinds([*healthy(), black])
    looped = during(GATE, Kind.VIEW, NOON - 5 * HOUR, NOON - 4 * HOUR, "looped")
    assert "view_told_otherwise" not in kinds([*healthy(), looped]), "it is known in hindsight alone, and believed"


def test_a_dark_room_a_short_blip_and_an_old_story_are_none() -> None:
    base = without(healthy(), Kind.VIEW, GATE)
    assert kinds([*base, during(GATE, Kind.VIEW, NOON - 5 * HOUR, NOON, "dark")]) == []
    assert kinds([*base, during(GATE, Kind.VIEW, NOON - HOUR, NOON - HOUR + SHORTEST - 1, "black")]) == []
    old = NOON - KEPT - 2 * DAY
    assert kinds([*base, during(GATE, Kind.VIEW, old, old + HOUR, "black")]) == []


# Exchanged devices.


def identity(subject: Subject, exchanged_at: Any = None, when: Millis = NOON, **more: Any) -> Observation:
    """Return what the agent says of a device, beside what it remembers of the one that was there."""
    facts = {"serial_digest": "sha256:1", "first_seen_at": isoformat(NOON - 60 * DAY), "exchanged_at": exchanged_at}
    return at(subject, Kind.IDENTITY, {**facts, **more}, when)


@pytest.mark.parametrize(
    ("subject", "kind", "where"), [(NVR, "recorder_exchanged", "storage_health"), (GATE, "camera_exchanged", "view")]
)
def test_another_device_where_one_was_known_is_an_exchange(subject: Subject, kind: str, where: str) -> None:
    assert kinds([*healthy(), identity(subject)]) == []
    seen = [*healthy(), identity(subject, isoformat(NOON - 6 * DAY))]
    (contradiction,) = found(seen)
    assert contradiction.kind == kind
    assert (contradiction.start, contradiction.end) == (NOON - 6 * DAY, None)
    assert Judged(seen)(where, subject).measured["contradictions"] == [contradiction.to_json()]
    assert Judged(seen)(where, subject).outcome == "met", "a fact, no verdict"


@pytest.mark.parametrize("odd", [5, "soon", "2026-11-23", isoformat(NOON - KEPT - DAY), isoformat(NOON + DAY), ["x"]])
def test_an_old_exchange_is_no_news_and_nonsense_none(odd: Any) -> None:
    assert kinds([*healthy(), identity(NVR, odd)]) == []
    gone = at(NVR, Kind.IDENTITY, {"exchanged_at": isoformat(NOON - DAY)}, state="unknown", cause="timeout")
    assert kinds([*healthy(), gone]) == []


def test_a_camera_that_is_not_the_declared_one_shows_for_as_long_as_it_is_there() -> None:
    seen = [*healthy(), identity(GATE, isoformat(NOON - 50 * DAY), declared=False)]
    (contradiction,) = found(seen)
    assert (contradiction.kind, contradiction.start, contradiction.end) == ("camera_exchanged", NOON - 50 * DAY, None)
    assert contradiction.figures == {"declared": True}
    assert kinds([*healthy(), identity(GATE, declared=True)]) == []


def test_a_pack_without_the_requirement_shows_it_with_another_of_the_same_subject() -> None:
    black = during(GATE, Kind.VIEW, NOON - 5 * HOUR, NOON, "black")
    seen = [*without(healthy(), Kind.VIEW, GATE), black]
    judged = Judged(seen, regulation=pack(view=None))
    assert "contradictions" in judged("retention", GATE).measured
    assert "contradictions" not in judged("uptime", GATE).measured


# Declared cameras that are one.


def twin(cameras: Any, when: Millis = NOON, state: str = "same", **more: Any) -> Observation:
    return at(GATE, Kind.TWIN, {"cameras": cameras, "by": "view", "since_at": NOON - HOUR, **more}, when, state=state)


def test_cameras_that_show_the_same_picture_are_a_fact_of_each_as_long_as_it_is_seen() -> None:
    seen = [*healthy(), twin(["room1"])]
    (contradiction,) = found(seen)
    assert (contradiction.kind, contradiction.figures) == ("same_picture", {"camera": "room1"})
    assert (contradiction.start, contradiction.end) == (NOON - HOUR, None)
    verdict = Judged(seen)("view", GATE)
    assert verdict.measured["contradictions"] == [contradiction.to_json()]
    assert verdict.outcome == "met", "a fact, no verdict"
    assert kinds([*seen, twin([], NOON + 1, "own")]) == ["same_picture"], "not known at noon"
    assert kinds([*healthy(), twin(["room1"], NOON - MINUTE), twin([], state="own")]) == []


@pytest.mark.parametrize("odd", [None, -5, "room1", ["gate"], ["elsewhere"], [["room1"]]])
def test_a_twin_that_is_not_declared_or_nonsense_is_none(odd: Any) -> None:
    assert kinds([*healthy(), twin(odd)]) == []
    assert [item.start for item in found([*healthy(), twin(["room1"], since_at=odd)])] == [NOON]


# Days that are declared closed when they are past.


def declared(when: Millis, *days: str, **gate: Any) -> Observation:
    facts = INVENTORY.model_dump(mode="json", by_alias=True) | {"hours": {"open": "07:00", "close": "18:00"}}
    facts["cameras"][0] |= gate
    facts["closures"] = [{"from": day, "to": day} for day in days]
    return at(INSTITUTION, Kind.INVENTORY, facts, when, state="declared", holds=365 * DAY)


def closed(
    seen: list[Observation], asked: Regulation | None = None, as_of: Millis = NOON, **more: Any
) -> list[Contradiction]:
    facts = fold(seen, as_of, **more)
    assert facts is not None
    found = contradictions(facts, (asked or pack()).requirements)
    return [item for item in found if item.kind == "closed_afterwards"]


def test_a_gap_that_is_declared_closed_afterwards_stays_to_be_seen() -> None:
    """Nothing is owed of it by the declaration; without this nobody would know that there was anything."""
    day, hole = MIDNIGHT - 3 * DAY, (MIDNIGHT - 3 * DAY, MIDNIGHT - 2 * DAY)
    gap = index(GATE, [(NOON - 100 * DAY, hole[0]), (hole[1], NOON - 20_000)])
    before = [item for item in healthy(NOON - 10 * DAY) if item.kind not in {Kind.INVENTORY, Kind.RECORDINGS}]
    seen = [*before, gap, index(ROOM1, [(NOON - 100 * DAY, NOON - 20_000)])]
    name = local_date(day, INVENTORY.institution.zone_info).isoformat()
    late = [declared(NOON - 9 * DAY), declared(NOON - 8 * DAY), declared(NOON - HOUR, name)]
    (fact,) = closed([*seen, *late])
    assert (fact.subject, fact.start, fact.end, fact.figures["seconds"]) == (GATE, *hole, DAY // 1000)
    assert closed([*late, *seen, declared(NOON, name)]) == [replace(fact, evidence=ANY)], "and stays so"
    for unseen, why in [
        ([declared(NOON - 9 * DAY), declared(day - HOUR, name)], "declared before"),
        ([declared(NOON - HOUR, name)], "what the agent says first was so"),
        ([*late, declared(NOON - MINUTE)], "taken back: the gap is owed"),
        ([declared(NOON - 9 * DAY, name), declared(NOON - 5 * DAY), declared(NOON - HOUR, name)], "known before"),
    ]:
        assert closed([*seen, *unseen]) == [], why
    assert closed([*seen, *late], inventory=INVENTORY) == [], "an officer approved what counts"
    odd = late[-1].model_copy(update={"facts": {**late[-1].facts, "closures": [{"from": "then"}]}})
    assert closed([*seen, declared(NOON - 9 * DAY), odd]) == []
    down = during(GATE, Kind.STREAM, hole[0], hole[0] + HOUR, "down")
    full = index(GATE, [(NOON - 100 * DAY, NOON - 20_000)])
    (fact,) = closed([*without(before, Kind.STREAM, GATE), full, down, *late])
    assert fact.figures["seconds"] == HOUR // 1000


def declared_late(day: Millis, **camera: Any) -> list[Observation]:
    """A day is declared closed a day after it; of the gate's camera more is said."""
    name = local_date(day, INVENTORY.institution.zone_info).isoformat()
    return [declared(day - 2 * DAY, **camera), declared(day + 2 * DAY, name, **camera)]


def test_of_a_day_that_is_closed_afterwards_nothing_is_missing_that_nobody_had_asked_for() -> None:
    before = [item for item in healthy(NOON - 10 * DAY) if item.kind not in {Kind.INVENTORY, Kind.RECORDINGS}]
    day = MIDNIGHT - 3 * DAY
    hole = index(GATE, [(NOON - 100 * DAY, day), (day + DAY, NOON - 20_000)])
    assert len(closed([*before, hole, *declared_late(day)])) == 1

    old = MIDNIGHT - 95 * DAY
    kept = index(GATE, [(MIDNIGHT - 91 * DAY, NOON - 20_000)])
    assert closed([*before, kept, *declared_late(old)]) == [], "it was there for ninety days, and was deleted then"
    assert closed([*before, hole, *declared_late(day)], pack(retention=None)) == [], "no pack asks for recordings"

    new = index(GATE, [(day + DAY, NOON - 20_000)])
    came = local_date(day + DAY, INVENTORY.institution.zone_info).isoformat()
    assert closed([*before, new, *declared_late(day, commissioned=came)]) == [], "the camera came after that day"

    night = index(GATE, [(NOON - 100 * DAY, day), (day + 6 * HOUR, NOON - 20_000)])
    by_day = pack(retention={"due": {"default": "opening_hours"}})
    assert closed([*before, night, *declared_late(day)], by_day) == [], "nobody asks for nights"
    assert len(closed([*before, night, *declared_late(day)])) == 1

    minutes = range(day, day + DAY, 4 * MINUTE)
    files = [(start, start + 4 * MINUTE - 20_000) for start in minutes]
    parts = index(GATE, [(NOON - 100 * DAY, day), *files, (day + DAY, NOON - 20_000)])
    assert closed([*before, parts, *declared_late(day)]) == [], "the seams of files are no holes, as on other days"


def test_what_is_missing_of_a_day_that_is_closed_afterwards_is_counted_without_what_is_there() -> None:
    before = [item for item in healthy(NOON - 10 * DAY) if item.kind not in {Kind.INVENTORY, Kind.RECORDINGS}]
    day = MIDNIGHT - 3 * DAY
    files = [(start, start + 2 * MINUTE) for start in range(day, day + DAY, 4 * MINUTE)]
    half = index(GATE, [(NOON - 100 * DAY, day), *files, (day + DAY, NOON - 20_000)])
    (fact,) = closed([*before, half, *declared_late(day)])
    assert fact.figures["seconds"] == DAY // 2000
