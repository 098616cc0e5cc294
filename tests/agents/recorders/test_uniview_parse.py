"""LAPI answers, from fixtures; and any bytes at all: a value or RecorderError, nothing else, in bounded memory."""

import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.recorders import uniview_parse as parse
from agents.recorders.answers import count, json_object
from agents.recorders.base import Behind, Identity, RecorderError, TimeSync
from agents.recorders.schedule import DAY_MINUTES

MARK = "\ufffd"
UNIVIEW = Path(__file__).parents[2] / "fixtures" / "recorders" / "uniview"


def fixture(name: str) -> bytes:
    return (UNIVIEW / name).read_bytes()


def changed(name: str, **changes: Any) -> bytes:
    """Return a fixture with other values under Data; None removes one."""
    whole = json.loads(fixture(name))
    data = {**whole["Response"]["Data"], **changes}
    whole["Response"]["Data"] = {key: value for key, value in data.items() if value is not None}
    return json.dumps(whole).encode()


def test_identity() -> None:
    assert parse.identity(fixture("device_info.json")) == Identity(
        "NVR302-16S2", "NVR-B3801.30.8.220715", "210235C4XX0000000000"
    )


def test_channels_and_the_cameras_behind_them_without_empty_slots() -> None:
    found = {one.id: one for one in parse.channels(fixture("channel_details.json"))}
    assert {key: one.online for key, one in found.items()} == {"1": True, "2": False, "3": None, "5": False}
    assert found["1"].name == "大门"
    assert found["2"].behind == Behind("", "48:ea:63:00:00:02", "192.0.2.22", "DS-2CD2343G2-I")
    assert found["3"].behind == Behind(address="192.0.2.23"), "a MAC of all ones is none"
    assert found["5"].behind is None
    assert parse.channels(fixture("channel_details_none.json")) == ()
    assert parse.serials(fixture("camera_infos.json")) == {"1": "210235C3EC0000000001"}


def test_disks_map_their_states_and_empty_bays_are_none() -> None:
    found = {disk.id: disk for disk in parse.disks(fixture("containers.json"))}
    assert {name: disk.state for name, disk in found.items()} == {
        "hdd1": "ok", "hdd2": "ok", "hdd4": "failed", "hdd5": "failed", "hdd6": "degraded", "hdd7": "missing",
        "hdd8": "unknown", "nas1": "ok",
    }  # fmt: skip
    assert found["nas1"].kind == "network"
    assert found["nas1"].capacity_bytes == 1_907_729 * 2**20


def test_members_of_an_array_are_listed_by_their_state_alone() -> None:
    found = {
        disk.id: (disk.kind, disk.state, disk.capacity_bytes) for disk in parse.disks(fixture("containers_array.json"))
    }
    assert found == {
        "hdd1": ("disk", "ok", None), "hdd2": ("disk", "failed", None), "array1": ("array", "ok", 3_815_447 * 2**20),
    }  # fmt: skip


def test_the_clock_is_utc_whatever_its_zone_says() -> None:
    assert parse.clock(fixture("time_ntp.json")) == datetime(2026, 11, 23, 4, 0, 30, tzinfo=UTC)


def test_the_time_server() -> None:
    assert parse.time_sync(fixture("ntp.json")) == TimeSync(enabled=True, has_server=True)
    assert parse.time_sync(fixture("ntp_off.json")) == TimeSync(enabled=False, has_server=False)
    assert parse.time_sync(changed("ntp.json", IPAddress=None)) == TimeSync(enabled=True, has_server=None)


def test_the_days_recorded() -> None:
    assert parse.days_recorded(fixture("daily_status.json")) == {3, 4, 5}


def test_a_page_of_records() -> None:
    page = parse.records(fixture("records.json"))
    assert [(one.end - one.begin, one.locked) for one in page.records] == [(2530, False), (2531, True), (2539, False)]
    assert page.total is None
    assert parse.records(fixture("records_total.json")).total == 34
    assert parse.records(changed("records.json", Nums=9)).total == 9
    assert parse.records(fixture("records_none.json")) == parse.Page((), None)


@pytest.mark.parametrize(
    ("name", "value", "locked"),
    [
        ("LockStatus", 1, True), ("IsLocked", True, True), ("Lock", "1", True), ("LockStatus", 0, False),
        ("lock", "0", False), ("BlockID", 7, False), ("Clock", 1, False),
    ],
)  # fmt: skip
def test_any_word_for_a_lock_locks_a_record(name: str, value: Any, locked: bool) -> None:
    page = parse.records(changed("records.json", RecordInfos=[{"Begin": 1, "End": 2, name: value}]))
    assert [one.locked for one in page.records] == [locked]


@pytest.mark.parametrize(
    "body",
    [
        changed("records.json", RecordInfos=None),  # three are counted, none is listed
        changed("records.json", RecordInfos=[{"Begin": 5, "End": 4}]),
        changed("records.json", RecordInfos=[{"Begin": 5}]),
        changed("records.json", RecordInfos=[{"Begin": "yesterday", "End": 5}]),
        changed("records.json", RecordInfos={}),
        changed("records.json", Nums=-1),
        fixture("error_not_authorized.json"),
        fixture("error_common.json"),
    ],
)
def test_a_surprise_in_a_page_is_unknown_and_never_a_part(body: bytes) -> None:
    with pytest.raises(RecorderError) as error:
        parse.records(body)
    assert error.value.cause == "recorder"


def test_a_schedule_by_day_on_motion_and_with_holes() -> None:
    mode = parse.schedule(fixture("schedule.json"))
    assert mode is not None
    assert mode.name == "mixed"
    assert mode.holes == (
        *((day * DAY_MINUTES, day * DAY_MINUTES + 420) for day in range(5)),
        (5 * DAY_MINUTES, 7 * DAY_MINUTES),
    )
    off = parse.schedule(fixture("schedule_off.json"))
    assert off is not None
    assert off.name == "none"


@pytest.mark.parametrize(
    "plan",
    [
        None,
        {"Days": []},
        {"Days": [{"ID": day, "TimeSectionInfos": []} for day in range(7)]},  # which day does 0 mean?
        {
            "Days": [
                {"ID": day, "TimeSectionInfos": [{"Begin": "00:00:00", "End": "24:00:00", "ArmingType": 7}]}
                for day in range(1, 8)
            ]
        },
    ],
)
def test_a_schedule_in_words_that_are_not_known_is_left_out(plan: Any) -> None:
    assert parse.schedule(changed("schedule.json", WeekPlan=plan)) is None


def test_playback_keeps_the_path_and_never_the_host() -> None:
    assert parse.playback_path(fixture("record_url.json")) == "/c1/b1795276800/e1795276810/replay/"
    for url in ("http://192.0.2.1/x", "rtsp://192.0.2.1", "", "rtsp://192.0.2.1/a b", "rtsp://192.0.2.1/a\r\nX: y", 7):
        with pytest.raises(RecorderError):
            parse.playback_path(changed("record_url.json", URL=url))


def test_refusals_say_their_word() -> None:
    refused = parse.envelope(fixture("error_not_authorized.json"))
    assert (refused.code, refused.said) == (parse.NOT_AUTHORIZED, "Not Authorized")
    assert parse.envelope(b"<html>").code is None


PARSERS: dict[str, tuple[Callable[[bytes], object], str]] = {
    "identity": (parse.identity, "device_info.json"),
    "channels": (parse.channels, "channel_details.json"),
    "serials": (parse.serials, "camera_infos.json"),
    "disks": (parse.disks, "containers.json"),
    "clock": (parse.clock, "time_ntp.json"),
    "time_sync": (parse.time_sync, "ntp.json"),
    "days_recorded": (parse.days_recorded, "daily_status.json"),
    "records": (parse.records, "records.json"),
    "schedule": (parse.schedule, "schedule.json"),
    "playback_path": (parse.playback_path, "record_url.json"),
}
HOSTILE = [
    b"[" * 100_000,
    b'{"Response":' * 50_000,
    b'{"Response":{"ResponseCode":0,"Data":' + b"9" * 5000 + b"}}",
    b'{"Response":{"ResponseCode":0,"Data":{"Nums":NaN}}}',
    b'{"Response":[]}',
    b"null",
    b"\xff\xfe{\x00}\x00",
]


def told(parser: Callable[[bytes], object], body: bytes) -> str:
    try:
        parser(body)
    except RecorderError as error:
        return error.detail
    return "An answer."


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text(max_size=12),
    st.lists(st.integers(-5, 50), max_size=3), st.dictionaries(st.sampled_from(["ID", "Begin", "Days"]), st.integers(), max_size=2),
)  # fmt: skip


@st.composite
def broken(draw: st.DrawFn, body: bytes) -> bytes:
    """Return a body cut, with bytes changed, or with one of its values exchanged."""
    how = draw(st.sampled_from(["cut", "flip", "exchange", "garbage", "hostile"]))
    if how == "cut":
        return body[: draw(st.integers(0, len(body)))]
    if how == "flip":
        array = bytearray(body)
        for _ in range(draw(st.integers(1, 8))):
            array[draw(st.integers(0, len(array) - 1))] = draw(st.integers(0, 255))
        return bytes(array)
    if how == "exchange":
        whole = json.loads(body)
        spots = list(places(whole))
        holder, key = draw(st.sampled_from(spots))
        holder[key] = draw(VALUES)
        return json.dumps(whole).encode()
    return draw(st.binary(max_size=200)) if how == "garbage" else draw(st.sampled_from(HOSTILE))


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) below a JSON value."""
    if not isinstance(value, dict | list):
        return []
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    return [spot for key in keys for spot in [(value, key), *places(value[key])]]


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data())
def test_cut_changed_or_foreign_bytes_raise_recorder_error_only(name: str, data: Any) -> None:
    parser, sample = PARSERS[name]
    body = data.draw(broken(fixture(sample)))
    assert told(parser, body).endswith(".")
    parse.envelope(body)


@pytest.mark.parametrize("body", [*HOSTILE, b"[" + b"[]," * 1_000_000 + b"0]", b'{"a":"' + b"x" * 4_000_000 + b'"}'])
def test_hostile_json_is_refused_in_bounded_memory(body: bytes) -> None:
    tracemalloc.start()
    try:
        for parser, _ in PARSERS.values():
            assert told(parser, body).startswith("The recorder's answer could not be read")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(body) + 20_000_000


@given(st.text(st.characters(), max_size=20), st.sampled_from(["\ud83d", "\ude00", ""]), st.text(max_size=5))
def test_half_a_character_is_marked_and_all_others_stay(before: str, half: str, after: str) -> None:
    told_text = json_object(json.dumps({"name": f"{before}\\{half}x{after}"}).encode())["name"]
    assert told_text == f"{before}\\{half and MARK}x{after}"


def test_a_name_with_half_a_character_can_be_stored() -> None:
    whole = json.loads(fixture("channel_details.json"))
    whole["Response"]["Data"]["DetailInfos"][0]["Name"] = "gate \ud800"
    assert parse.channels(json.dumps(whole).encode())[0].name == f"gate {MARK}"


def test_json_is_padded_at_most() -> None:
    assert json_object(b"\xef\xbb\xbf{}\r\n\x00\x00") == {}
    with pytest.raises(ValueError, match="no object"):
        json_object(b"[]")


@given(st.one_of(VALUES, st.text(alphabet="0123456789٣²", max_size=20)))
def test_a_count_is_a_whole_number_within_bounds(value: Any) -> None:
    try:
        assert 0 <= count(value, most=1000) <= 1000
    except ValueError:
        assert not (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1000)
