"""ISAPI answers, from fixtures; and any bytes at all: a value or RecorderError, nothing else."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.recorders import hikvision_parse as parse
from agents.recorders.base import AlarmInput, Behind, Identity, NotOffered, RecorderError, RecordingMode
from agents.recorders.schedule import DAY_MINUTES, WEEK_MINUTES

FIXTURES = Path(__file__).parents[2] / "fixtures" / "recorders"
HIKVISION = FIXTURES / "hikvision"
SHANGHAI = ZoneInfo("Asia/Shanghai")


def fixture(name: str) -> bytes:
    return (HIKVISION / name).read_bytes()


def test_device_info() -> None:
    nvr = parse.device_info(fixture("device_info_nvr.xml"))
    serial = "DS-7616NI-K21620000000CCRRE00000000WCVU"
    assert nvr.identity == Identity("DS-7616NI-K2", "V4.31.102 build 210101", serial)
    assert nvr.device_type == "NVR"
    assert parse.device_info(fixture("device_info_dvr.xml")).identity == Identity("iDS-7208HQHI-M1/S", "V4.30.210", "")


def test_channels_are_the_children_whatever_size_says() -> None:
    channels = parse.proxy_channels(fixture("proxy_channels.xml"))
    assert [(one.id, one.name, one.online) for one in channels] == [
        ("1", "大门", None),
        ("2", "Room 1 & 2", None),
        ("9", "", None),
    ]
    assert parse.proxy_channels(fixture("proxy_channels_none.xml")) == ()


def test_the_camera_behind_a_channel() -> None:
    gate = parse.proxy_channels(fixture("proxy_channels.xml"))[0].behind
    assert gate == Behind("DS-2CD2343G2-I00000000AAWRF00000001", "", "192.0.2.21", "DS-2CD2343G2-I")
    assert gate.identity == gate.serial
    assert [one.behind for one in parse.analog_channels(fixture("analog_channels.xml"))] == [None, None]


def test_what_the_channels_are_set_to_record() -> None:
    """Enable says true of all; a schedule with words that aren't known is no schedule at all."""
    night = 22 * 60
    assert parse.recording_modes(fixture("record_tracks.xml")) == {
        "1": RecordingMode("continuous"),
        "2": RecordingMode("mixed", ((night, DAY_MINUTES),)),
        "3": RecordingMode("none", ((0, WEEK_MINUTES),)),
        "4": RecordingMode("motion"),
    }


def test_the_time_server() -> None:
    assert parse.set_by_server(fixture("time_china.xml")) is True
    assert parse.set_by_server(b"<Time><timeMode>manual</timeMode></Time>") is False
    assert parse.set_by_server(b"<Time/>") is None
    assert parse.has_time_server(fixture("ntp_servers.xml"))
    assert not parse.has_time_server(b"<NTPServerList><NTPServer><id>1</id><hostName/></NTPServer></NTPServerList>")


def test_alarm_inputs_with_what_is_known_of_them() -> None:
    assert parse.alarm_inputs(fixture("io_inputs.xml")) == (
        AlarmInput("1", "红外", True, None),
        AlarmInput("2", "", None, None),
    )
    assert parse.active_inputs(fixture("io_status.xml")) == {"1": False, "2": True}


def test_of_which_of_its_own_faults_it_tells_and_whether_by_mail() -> None:
    """A fault that is only recorded is told to nobody; motion is no fault of the recorder."""
    assert parse.armed_faults(fixture("event_triggers.xml")) == ("diskerror",)
    assert parse.mails(fixture("mailing.xml")) is True
    for cut in (b"mail.example.com", b"director@example.com"):
        assert parse.mails(fixture("mailing.xml").replace(cut, b"")) is False


def test_how_the_disks_are_shared_out() -> None:
    assert parse.storage_mode(fixture("storage.xml")) == "quota"
    assert parse.storage_mode(fixture("storage.xml").replace(b">quota<", b">group<")) == "group"
    with pytest.raises(NotOffered):
        parse.storage_mode(fixture("hdd_list.xml"))


def test_channel_states_that_are_not_said_are_unknown() -> None:
    assert parse.proxy_status(fixture("proxy_status.xml")) == {"1": True, "2": False, "9": None}


def test_analog_inputs() -> None:
    assert [one.id for one in parse.analog_channels(fixture("analog_channels.xml"))] == ["1", "2"]


def test_disks_map_their_states_and_ghosts_are_none() -> None:
    found = {disk.id: disk for disk in parse.disks(fixture("storage.xml"))}
    assert {name: disk.state for name, disk in found.items()} == {
        "hdd1": "ok", "hdd2": "ok", "hdd4": "failed", "hdd5": "failed", "hdd6": "failed", "hdd7": "missing",
        "hdd8": "degraded", "hdd9": "read_only", "hdd10": "unknown", "nas1": "missing",
    }  # fmt: skip
    assert found["hdd5"].raw_state == "smartFailed"


def test_capacity_counts_mib_and_an_unknown_one_is_not_zero() -> None:
    found = {disk.id: disk.capacity_bytes for disk in parse.disks(fixture("storage.xml"))}
    assert found["hdd1"] == 7_630_885 * 2**20
    assert found["nas1"] is None


def test_the_list_of_disks_alone_is_understood() -> None:
    assert [disk.state for disk in parse.disks(fixture("hdd_list.xml"))] == ["ok"]


@pytest.mark.parametrize(
    ("name", "instant"),
    [
        ("time_china.xml", datetime(2026, 11, 23, 4, 0, 30, tzinfo=UTC)),
        ("time_dst.xml", datetime(2026, 11, 23, 4, 0, 30, tzinfo=UTC)),
        ("time_naive.xml", datetime(2026, 11, 23, 4, 0, 30, tzinfo=UTC)),
    ],
)
def test_the_recorders_clock(name: str, instant: Any) -> None:
    assert parse.clock(fixture(name), SHANGHAI).instant == instant


def test_the_days_recorded() -> None:
    assert parse.days_recorded(fixture("daily_distribution.xml")) == {3, 4, 5}


def test_a_search_page() -> None:
    page = parse.search_page(fixture("search_page.xml"), "101")
    assert [segment.locked for segment in page.segments] == [False, False, True]
    assert page.segments[0].start == datetime(2026, 11, 22)
    assert page.segments[0].end == datetime(2026, 11, 22, 0, 42, 10)
    assert (page.matches, page.claimed, page.more) == (3, 3, True)


@pytest.mark.parametrize("name", ["search_empty_list.xml", "search_none.xml"])
def test_a_search_that_finds_nothing_is_an_answer(name: str) -> None:
    page = parse.search_page(fixture(name), "101")
    assert (page.segments, page.more) == ((), False)


def test_a_count_that_echoes_the_total_is_kept_apart_from_the_items() -> None:
    page = parse.search_page(fixture("search_earliest.xml"), "101")
    assert (page.matches, page.claimed) == (1, 276)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<trackID>101", b"<trackID>201"),
        (b"<lockStatus>unlock", b"<lockStatus>perhaps"),
        (b"<startTime>2026-11-22T00:00:00Z", b"<startTime>yesterday"),
        (b"<responseStatusStrg>MORE", b"<responseStatusStrg>FAIL"),
        (b"<numOfMatches>3", b"<numOfMatches>-3"),
        (b"CMSearchResult", b"Surprise"),
    ],
)
def test_a_surprise_in_a_search_is_unknown_and_never_a_part(old: Any, new: Any) -> None:
    with pytest.raises(RecorderError) as error:
        parse.search_page(fixture("search_page.xml").replace(old, new), "101")
    assert error.value.cause == "recorder"


def test_an_error_status_where_an_answer_was_expected_says_its_word() -> None:
    with pytest.raises(RecorderError, match="deviceError"):
        parse.search_page(fixture("error_device.xml"), "101")


def test_refusals() -> None:
    assert parse.refusal(fixture("error_low_privilege.xml")).code == "lowPrivilege"
    assert parse.refusal(fixture("user_check_locked.xml")).locked_seconds == 1740
    assert parse.refusal(b"<html>") == parse.Refusal("", None)


PARSERS: dict[str, tuple[Callable[[bytes], object], str]] = {
    "device_info": (parse.device_info, "device_info_nvr.xml"),
    "proxy_channels": (parse.proxy_channels, "proxy_channels.xml"),
    "proxy_status": (parse.proxy_status, "proxy_status.xml"),
    "analog_channels": (parse.analog_channels, "analog_channels.xml"),
    "disks": (parse.disks, "storage.xml"),
    "clock": (lambda body: parse.clock(body, SHANGHAI), "time_dst.xml"),
    "days_recorded": (parse.days_recorded, "daily_distribution.xml"),
    "search_page": (lambda body: parse.search_page(body, "101"), "search_page.xml"),
    "recording_modes": (parse.recording_modes, "record_tracks.xml"),
    "set_by_server": (parse.set_by_server, "time_china.xml"),
    "has_time_server": (parse.has_time_server, "ntp_servers.xml"),
    "alarm_inputs": (parse.alarm_inputs, "io_inputs.xml"),
    "armed_faults": (parse.armed_faults, "event_triggers.xml"),
    "mails": (parse.mails, "mailing.xml"),
    "storage_mode": (parse.storage_mode, "storage.xml"),
    "active_inputs": (parse.active_inputs, "io_status.xml"),
}
BOMB = b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><l>&b;</l>'


def told(parser: Callable[[bytes], object], body: bytes) -> str:
    try:
        parser(body)
    except RecorderError as error:
        return error.detail
    return "An answer."


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data())
def test_cut_changed_or_foreign_bytes_raise_recorder_error_only(name: str, data: Any) -> None:
    parser, sample = PARSERS[name]
    body = bytearray(fixture(sample))
    how = data.draw(st.sampled_from(["cut", "flip", "splice", "garbage", "bomb"]))
    if how == "cut":
        del body[data.draw(st.integers(0, len(body))) :]
    elif how == "flip":
        for _ in range(data.draw(st.integers(1, 8))):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    elif how == "splice":
        texts = [
            b"",
            b"-1",
            b"99999999999999999999",
            b"\xe5\xa4\xa7",
            b"2026-02-30T25:61:00Z",
            b"9999-12-31T23:59:59+14:59",
            b"\xc2\xb2",
        ]
        found = body.split(b">")
        spot = data.draw(st.integers(0, len(found) - 1))
        tail = found[spot].partition(b"<")[2]
        found[spot] = data.draw(st.sampled_from(texts)) + b"<" + tail
        body = bytearray(b">".join(found))
    elif how == "garbage":
        body = bytearray(data.draw(st.binary(max_size=200)))
    else:
        body = bytearray(BOMB)
    assert told(parser, bytes(body)).endswith(".")


@given(st.binary(max_size=200))
def test_a_refusal_never_raises(body: bytes) -> None:
    parse.refusal(body)
