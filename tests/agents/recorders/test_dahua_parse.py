"""Answers of Dahua's CGI, from fixtures; and any bytes at all: a value or RecorderError, nothing else."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.recorders import dahua_parse as parse
from agents.recorders.base import AlarmInput, Behind, Channel, Disk, Identity, RecorderError, RecordingMode, TimeSync
from agents.recorders.schedule import DAY_MINUTES, WEEK_MINUTES

DAHUA = Path(__file__).parents[2] / "fixtures" / "recorders" / "dahua"
SHANGHAI = ZoneInfo("Asia/Shanghai")
NEW_YORK = ZoneInfo("America/New_York")


def fixture(name: str) -> bytes:
    return (DAHUA / name).read_bytes()


def test_identity_where_the_type_is_a_number_and_where_it_is_a_name() -> None:
    version = fixture("software_version.txt")
    firmware = "5.001.0000000.1.R,build:2026-03-31"
    assert parse.identity(fixture("system_info.txt"), version) == Identity(
        "DH-NVR5232-4KS3/I", firmware, "0A00000PAZ00000"
    )
    assert parse.identity(fixture("system_info_named.txt"), version).model == "DHI-XVR5108HS"


def channels(**changes: Any) -> tuple[Channel, ...]:
    told: dict[str, Any] = {
        "named": parse.titles(fixture("channel_title.txt")),
        "slots": parse.remotes(fixture("remote_device.txt")),
        "online": parse.camera_states(fixture("get_camera_state.json")),
        "analog": False,
    }
    return parse.channels(**{**told, **changes})


def test_channels_are_the_slots_in_use_counted_from_one() -> None:
    assert channels() == (
        Channel("1", "大门", True, Behind("0C00000PAZ00001", "02:00:00:00:00:01", "192.0.2.21", "DH-IPC-HDW2431T")),
        Channel("2", "Room 1=2", False, Behind("", "", "192.0.2.22", "DS-2CD1143G0-I")),
    )


def test_a_recorder_with_inputs_of_its_own_has_the_names_without_a_slot_too() -> None:
    assert [one.id for one in channels(analog=True)] == ["1", "2", "4"]


def test_without_the_table_of_devices_every_name_is_a_channel() -> None:
    assert [(one.id, one.online, one.behind) for one in channels(slots=None)] == [
        ("1", True, None),
        ("2", False, None),
        ("3", None, None),
        ("4", None, None),
    ]


def test_lost_pictures_and_none() -> None:
    assert parse.video_losses(fixture("video_loss.txt")) == {1, 7}
    assert parse.video_losses(fixture("video_loss_none.txt")) == frozenset()
    with pytest.raises(RecorderError):
        parse.video_losses(fixture("error_bad_request.txt"))


def test_disks_in_both_forms() -> None:
    assert parse.disks(fixture("storage_info.txt")) == (
        Disk("/dev/sda", "ok", 2 * 495_636_709_376, "Success"),
        Disk("/dev/sdb", "failed", None, "Success"),
        Disk("/dev/sdc", "read_only", 2_000_398_934_016, "Success"),
        Disk("/dev/md0", "degraded", 8_000_000_000_000, "Recovering", "array"),
        Disk("/dev/sdd", "unknown", None, "Sulking"),
    )
    assert parse.disks(fixture("storage_list.txt")) == (Disk("disk0", "ok", 1_000_204_886_016, "Success"),)


def test_what_the_channels_are_set_to_record() -> None:
    """Manual and stopped ones whatever their schedule says; holidays are no day of the week."""
    modes = parse.recording_modes(fixture("record_mode.txt"), fixture("record.txt"))
    assert modes == {
        "1": RecordingMode("continuous"),
        "2": RecordingMode("continuous"),
        "3": RecordingMode("none", ((0, WEEK_MINUTES),)),
        "4": RecordingMode("mixed"),
        "5": RecordingMode("motion"),
    }


def test_the_makers_week_begins_on_sunday() -> None:
    sunday = b"table.Record[0].TimeSection[0][0]=1 00:00:00-24:00:00\r\n"
    modes = parse.recording_modes(b"table.RecordMode[0].Mode=0\r\n", sunday)
    assert modes["1"].holes == ((0, 6 * DAY_MINUTES),)


def test_the_time_server_and_how_long_files_are_kept() -> None:
    assert parse.time_sync(fixture("ntp.txt")) == TimeSync(enabled=True, has_server=True)
    assert parse.hold_days(fixture("storage_global.txt")) == 30
    for never in (b"0", b"-1"):
        assert parse.hold_days(b"table.StorageGlobal.FileHoldTime=" + never) is None


def test_alarm_inputs() -> None:
    active = parse.input_states(fixture("alarm_in_state.txt"))
    assert parse.alarm_inputs(fixture("alarm.txt"), active) == (
        AlarmInput("1", "红外", armed=True, active=False),
        AlarmInput("2", "", armed=False, active=True),
    )


def test_the_zone_that_the_recorder_is_set_to() -> None:
    ntp = fixture("ntp.txt")
    summer = parse.configured_zone(ntp, fixture("locales_summer.txt"))
    assert summer is not None
    for instant in (
        datetime(2026, 7, 1, 12, tzinfo=UTC),
        datetime(2026, 11, 1, 5, 30, tzinfo=UTC),
        datetime(2026, 3, 8, 7, tzinfo=UTC),
    ):
        assert instant.astimezone(summer).replace(tzinfo=None) == instant.astimezone(NEW_YORK).replace(tzinfo=None)
    assert parse.configured_zone(ntp, fixture("locales_off.txt")) == timezone(timedelta(hours=-5))
    assert parse.configured_zone(ntp, fixture("locales_by_date.txt")) is None
    assert parse.configured_zone(b"table.NTP.TimeZone=99\r\n", fixture("locales_off.txt")) is None


@pytest.mark.parametrize(
    ("wall", "configured", "chosen"),
    [
        (datetime(2026, 11, 23, 12), UTC, "institution"),  # set right by hand, in the wrong zone
        (datetime(2026, 11, 23, 4), UTC, "configured"),
        (datetime(2026, 11, 23, 12), timezone(timedelta(hours=8)), "configured"),
        (datetime(2026, 11, 23, 13, 7), timezone(timedelta(hours=8)), "configured"),  # a wrong clock
        (datetime(2026, 11, 23, 12), None, "institution"),
    ],
)
def test_the_zone_in_which_the_clock_is_nearest_holds(wall: datetime, configured: Any, chosen: str) -> None:
    zone = parse.zone_of(wall, datetime(2026, 11, 23, 4, tzinfo=UTC), configured, SHANGHAI)
    assert zone is (configured if chosen == "configured" else SHANGHAI)


def test_files_of_the_main_stream_with_their_locks() -> None:
    page = parse.found_files(fixture("files_page.txt"), 2)
    assert page.files == 4
    assert [(one.start.time().isoformat(), one.locked) for one in page.segments] == [
        ("12:00:00", False),
        ("12:30:00", False),  # marked for people to find, which keeps nothing from being overwritten
        ("13:00:00", True),
    ]
    assert parse.found_files(fixture("files_none.txt"), 2).files == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((b"found=4", b"found=3"), "4 files where 3"),
        ((b"found=4", b"found=5"), "4 files where 5"),
        ((b"items[1].Channel=2", b"items[1].Channel=3"), "channel '3' where 2 was asked for"),
        ((b"items[0].EndTime=2026-11-22 12:30:00\r\n", b""), "no EndTime"),
        ((b"2026-11-22 12:30:00", b"2026-11-22"), "is no time"),
    ],
)
def test_a_page_that_contradicts_itself_is_an_error(change: tuple[bytes, bytes], words: str) -> None:
    body = fixture("files_page.txt")
    assert change[0] in body
    with pytest.raises(RecorderError, match=words):
        parse.found_files(body.replace(*change), 2)


def test_a_handle_is_a_word() -> None:
    assert parse.handle(fixture("finder.txt")) == "3039757640"
    for body in (b"result=1&action=destroy", b"result=", b"OK\r\n", b"result=" + b"9" * 33):
        with pytest.raises(RecorderError):
            parse.handle(body)


def test_refusals_in_the_makers_words() -> None:
    assert parse.locked_seconds(fixture("error_locked.txt")) == 1800
    assert parse.locked_seconds(fixture("error_authority.txt")) is None
    assert parse.says_error(fixture("error_bad_request.txt"))
    assert not parse.says_error(fixture("finder.txt"))
    assert parse.says_no_handle(b"result=0\r\n")
    assert not parse.says_no_handle(fixture("finder.txt"))


PARSERS: list[Callable[[bytes], Any]] = [
    lambda body: parse.identity(body, body),
    parse.titles,
    parse.remotes,
    parse.camera_states,
    parse.video_losses,
    parse.disks,
    parse.wall_clock,
    parse.time_sync,
    lambda body: parse.configured_zone(body, body),
    lambda body: parse.recording_modes(body, body),
    parse.hold_days,
    lambda body: parse.alarm_inputs(body, 1),
    parse.input_states,
    parse.handle,
    lambda body: parse.instants(parse.found_files(body, 2).segments, SHANGHAI),
    parse.locked_seconds,
    parse.says_error,
]
FIXTURES = sorted(path.name for path in DAHUA.iterdir())


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """Draw a real answer with some of its bytes cut, exchanged or repeated."""
    body = bytearray(fixture(draw(st.sampled_from(FIXTURES))))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        length = draw(st.integers(0, 40))
        body[start : start + length] = draw(st.binary(max_size=20) | st.just(bytes(body[start : start + 2 * length])))
    return bytes(body)


@pytest.mark.parametrize("read", PARSERS)
@given(body=st.binary(max_size=300) | spoilt())
def test_any_bytes_are_a_value_or_a_recorder_error(read: Callable[[bytes], Any], body: bytes) -> None:
    with suppress(RecorderError):
        read(body)
