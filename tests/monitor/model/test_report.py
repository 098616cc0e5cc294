"""Reports: what goes out comes back, and anything else is a ValueError and nothing worse."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.model.observation import Kind, Observation
from monitor.model.report import Report
from support.scene import GATE, NOON, NVR, at, during, healthy

BOOT = "0123456789abcdef" * 2
SENT = Report(
    schema_="cradlewatch.report/1",
    institution="wj-0001",
    agent="box",
    boot=BOOT,
    sequence=1,
    written_at=datetime(2026, 11, 23, 4, tzinfo=UTC),
    monotonic_seconds=12.5,
    version="0.1.0",
    observations=tuple(healthy()),
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=10,
)


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [here]
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found += paths(item, (*here, key))
    return found


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


PLAIN: Any = json.loads(SENT.model_copy(update={"observations": SENT.observations[:9]}).to_bytes())
PATHS = paths(PLAIN)


def test_a_report_comes_back_as_it_went() -> None:
    payload = SENT.to_bytes()
    again = Report.from_bytes(payload)
    assert again == SENT
    assert again.to_bytes() == payload
    assert again.key == ("wj-0001", "box", BOOT, 1)
    assert [item.digest for item in again.observations] == [item.digest for item in SENT.observations]


@given(st.sampled_from(PATHS), json_values)
@example(("observations", 0, "facts", "institution"), math.inf)
def test_any_value_in_any_place_is_a_report_or_a_value_error(path: tuple[Any, ...], new: Any) -> None:
    try:
        report = Report.from_bytes(json.dumps(changed(PLAIN, path, new)).encode())
    except ValueError:
        return
    again = Report.from_bytes(report.to_bytes())
    assert again == report
    assert [item.digest for item in again.observations] == [item.digest for item in report.observations]
    json.dumps(json.loads(report.to_bytes()), allow_nan=False)


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_no_report(payload: bytes) -> None:
    with pytest.raises(ValueError):
        Report.from_bytes(payload)


@given(st.integers(0, len(SENT.to_bytes())), st.binary(max_size=3), st.integers(0, 3))
def test_a_damaged_report_is_a_report_or_a_value_error(place: int, piece: bytes, lost: int) -> None:
    payload = SENT.to_bytes()
    try:
        Report.from_bytes(payload[:place] + piece + payload[place + lost :])
    except ValueError:
        return


def test_deep_nesting_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        Report.from_bytes(b'{"a":' * 100_000)
    with pytest.raises(ValueError):
        Report.from_bytes(b"[" * 100_000)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"start": 2**60, "end": 2**60}, id="beyond any calendar"),
        pytest.param({"start": -1, "end": -1}, id="before 1970"),
        pytest.param({"expires": 10**40}, id="expires beyond any calendar"),
        pytest.param({"end": NOON + 1}, id="an instant with a length"),
        pytest.param({"facts": {"x": float("nan")}}, id="not a number"),
        pytest.param({"facts": {"x": [{"y": float("inf")}]}}, id="infinity"),
        pytest.param({"color": "red"}, id="a key that nobody knows"),
    ],
)
def test_what_no_observation_can_say(wrong: dict[str, Any]) -> None:
    good = at(NVR, Kind.CLOCK, {"offset_seconds": 1}).model_dump()
    with pytest.raises(ValueError):
        Observation.model_validate({**good, **wrong})
    with pytest.raises(ValueError):
        Observation.model_validate_json(json.dumps({**good, **wrong}, default=str))


def test_a_span_ends_after_it_starts() -> None:
    with pytest.raises(ValueError, match="end must not be before start"):
        during(GATE, Kind.STREAM, NOON, NOON - 1, "up")
