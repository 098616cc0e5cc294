"""Ranges and dated pictures of recorded footage, by examples and by anything at all."""

from __future__ import annotations

import struct
from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.rtsp.errors import StreamError
from agents.rtsp.ranges import ClockRange, clock_range
from agents.rtsp.rtp import AccessUnits, replay_time
from agents.rtsp.sdp import parse_description
from agents.scan.playing import NEAR, ranged
from monitor.model.span import HOUR, MINUTE, SECOND, from_millis, parse_instant

AT = parse_instant("2026-11-23T12:00:00Z")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("clock=20261123T120000Z-20261123T120010Z", ClockRange(AT, AT + 10 * SECOND)),
        ("clock=20261123T120000Z-", ClockRange(AT, None)),
        (" Clock = 20261123t120000.25z - ;time=20261123T120000Z", ClockRange(AT + 250, None)),
        ("npt=0-", None),
        ("npt=now-", None),
        ("", None),
        (None, None),
        ("clock=-", None),
        ("clock=20261123T120010Z-20261123T120000Z", None),
        ("clock=20261341T120000Z-", None),
        ("clock=2026-11-23T12:00:00Z-", None),
        ("clock=" + "1" * 300, None),
    ],
)
def test_a_clock_range_is_read_and_nothing_else(text: str | None, found: ClockRange | None) -> None:
    assert clock_range(text) == found


@given(st.text() | st.from_regex(r"clock=[0-9]{8}T[0-9]{6}(\.[0-9]{1,9})?Z-([0-9]{8}T[0-9]{6}Z)?", fullmatch=True))
def test_any_text_is_a_range_or_none(text: str) -> None:
    found = clock_range(text)
    assert found is None or found.end is None or found.start <= found.end
    ranged(found, AT, timezone(timedelta(hours=8)))


@given(st.integers(0, 2**40), st.integers(0, 3600), st.integers(-14 * 4, 14 * 4))
def test_a_recorder_that_writes_its_wall_clock_or_utc_is_plausible(at: int, length: int, quarters: int) -> None:
    zone = timezone(timedelta(minutes=15 * quarters))
    asked = at // SECOND * SECOND
    for start in (asked, asked + quarters * 15 * MINUTE):
        if start < 0:
            continue
        texts = [f"{from_millis(moment):%Y%m%dT%H%M%S}Z" for moment in (start, start + length * SECOND)]
        assert ranged(clock_range(f"clock={texts[0]}-{texts[1]}"), asked, zone) == "plausible"


def test_another_time_is_unknown_and_no_accusation() -> None:
    told = ClockRange(AT + NEAR + 1, AT + HOUR)
    assert ranged(told, AT, UTC) == "unknown"
    assert ranged(None, AT, UTC) == "unknown"
    assert ranged(ClockRange(AT - HOUR, None), AT, UTC) == "unknown", "an open range begins where it says"


def packet(extension: bytes = b"", sources: int = 0) -> bytes:
    first = 0x80 | (0x10 if extension else 0) | sources
    return struct.pack(">BBHII", first, 96, 1, 1000, 7) + bytes(4 * sources) + extension + b"\x65data"


def replay_extension(seconds: float, words: int = 3) -> bytes:
    body = struct.pack(">IIBBH", int(seconds) + 2_208_988_800, int(seconds % 1 * 2**32), 0xA0, 1, 0)
    return struct.pack(">HH", 0xABAC, words) + body + bytes(4 * (words - 3))


@pytest.mark.parametrize(("words", "sources"), [(3, 0), (5, 2)])
def test_onvif_dates_each_picture(words: int, sources: int) -> None:
    units = AccessUnits("h264", 90000)
    data = packet(replay_extension(AT / 1000 + 0.5, words), sources)
    units.packet(data, 0, len(data), 0.0)
    assert units.taken_at is None, "a live stream isn't looked at for it"
    units.dated = True
    units.packet(data, 0, len(data), 0.0)
    assert units.taken_at == AT + 500


@given(st.binary(max_size=64), st.integers(0, 70), st.integers(0, 70))
def test_any_extension_is_a_time_or_none(data: bytes, start: int, end: int) -> None:
    found = replay_time(data, start, min(end, len(data)))
    assert found is None or found >= 0
    units = AccessUnits("h264", 90000)
    units.dated = True
    whole = struct.pack(">BBHII", 0x90, 96, 1, 1000, 7) + data
    units.packet(whole, 0, len(whole), 0.0)


@given(st.text(max_size=80))
def test_a_description_s_range_is_kept_as_it_stands(text: str) -> None:
    line = " ".join(text.split())
    body = f"v=0\r\na=range:{line}\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n".encode("utf-8", "replace")
    try:
        video = parse_description(body, "rtsp://host/", "rtsp://host/")
    except StreamError:
        return
    clock_range(video.time_range)
    assert "\n" not in (video.time_range or "")
