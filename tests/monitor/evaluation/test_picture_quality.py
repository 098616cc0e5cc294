"""What is recorded against what a text asks for: size by its sides, rate within the measurement's tolerance."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from monitor.model.inventory import Camera
from monitor.model.observation import Kind, StreamCause
from monitor.model.span import DAY
from monitor.model.verdict import Cause, Outcome
from support.packs import pack
from support.scene import GATE, INVENTORY, MAIN_STREAM, NOON, Judged, at, during, healthy, without


def seen(*, state: str = "read", cause: str | None = None, when: int = NOON, **facts: Any) -> Judged:
    others = without(healthy(), Kind.MAIN_STREAM, GATE)
    return Judged([*others, at(GATE, Kind.MAIN_STREAM, {**MAIN_STREAM, **facts}, when, state=state, cause=cause)])


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({}, "ok"),
        ({"width": 1280, "height": 720, "frame_rate": 15}, "ok"),
        ({"width": 720, "height": 1280}, "ok"),
        ({"frame_rate": 13.6}, "ok"),
        ({"frame_rate": 13.4}, "below"),
        ({"width": 1279, "height": 720}, "below"),
        ({"width": 1280, "height": 719}, "below"),
        ({"width": 704, "height": 576, "frame_rate": None}, "below"),
        ({"width": None}, "unknown"),
        ({"frame_rate": None}, "unknown"),
        ({"frame_rate": True}, "unknown"),
        ({"height": -720}, "unknown"),
        ({"height": "720"}, "unknown"),
    ],
)
def test_each_number_that_is_asked_for_is_held_against_what_was_seen(facts: dict[str, Any], state: str) -> None:
    verdict = seen(**facts)("picture_quality", GATE)
    outcome = {"ok": Outcome.MET, "below": Outcome.BREACHED, "unknown": Outcome.UNDETERMINED}[state]
    assert (verdict.outcome, verdict.state) == (outcome, state)
    assert verdict.measured["minimum_width"] == 1280


def test_what_is_not_asked_for_is_not_held_against_a_camera() -> None:
    regulation = pack(picture_quality={"minimum_width": None, "minimum_height": None})
    others = without(healthy(), Kind.MAIN_STREAM, GATE)
    small = at(GATE, Kind.MAIN_STREAM, {"width": 352, "height": 288, "frame_rate": 25})
    assert Judged([*others, small], regulation=regulation)("picture_quality", GATE).state == "ok"


def test_a_requirement_that_asks_for_nothing_is_an_error() -> None:
    with pytest.raises(ValidationError, match="asks for nothing"):
        pack(picture_quality={"minimum_width": None, "minimum_height": None, "minimum_frame_rate": None})


def test_no_look_an_old_look_and_a_refused_one_are_unknown() -> None:
    never = Judged(without(healthy(), Kind.MAIN_STREAM, GATE))("picture_quality", GATE)
    assert (never.state, never.evidence, never.cause) == ("unknown", (), None)
    assert seen(when=NOON - 2 * DAY)("picture_quality", GATE).state == "unknown"
    refused = seen(state="unknown", cause="not_permitted")("picture_quality", GATE)
    assert (refused.state, refused.cause) == ("unknown", "not_permitted")


def test_a_camera_that_is_down_explains_it_and_one_without_a_stream_says_so() -> None:
    others = without(without(healthy(), Kind.MAIN_STREAM, GATE), Kind.STREAM, GATE)
    down = Judged([*others, during(GATE, Kind.STREAM, NOON - DAY, NOON, "down", "timeout")])
    assert down("picture_quality", GATE).because_of == Cause("uptime", GATE)
    cameras = tuple(Camera(**{**dict(item), "has_stream": item.id != "gate"}) for item in INVENTORY.cameras)
    inventory = INVENTORY.model_copy(update={"cameras": cameras})
    alone = Judged(without(healthy(), Kind.MAIN_STREAM, GATE), inventory=inventory)
    assert alone("picture_quality", GATE).cause == StreamCause.NO_STREAM
