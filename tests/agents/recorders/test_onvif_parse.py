"""ONVIF's answers, from fixtures; and any bytes at all: a value or RecorderError, nothing else, in bounded memory."""

import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.recorders import onvif_parse as parse
from agents.recorders import xml
from agents.recorders.base import AlarmInput, Identity, RecorderError
from agents.recorders.onvif import _spans_held
from agents.recorders.onvif_soap import security_header
from monitor.model.span import Millis, Spans, parse_instant

ONVIF = Path(__file__).parents[2] / "fixtures" / "recorders" / "onvif"


def fixture(name: str) -> bytes:
    return (ONVIF / name).read_bytes()


PARSERS: dict[str, tuple[str, Callable[[xml.Node], object]]] = {
    "device_information.xml": ("GetDeviceInformation", parse.identity),
    "date_and_time.xml": ("GetSystemDateAndTime", parse.clock),
    "date_and_time_local.xml": ("GetSystemDateAndTime", parse.clock),
    "ntp.xml": ("GetNTP", parse.has_time_server),
    "services.xml": ("GetServices", parse.services),
    "capabilities.xml": ("GetCapabilities", parse.capabilities),
    "profiles.xml": ("GetProfiles", parse.profiles),
    "stream_uri.xml": ("GetStreamUri", parse.rtsp_place),
    "replay_uri.xml": ("GetReplayUri", parse.rtsp_place),
    "search_token.xml": ("FindRecordings", parse.search_token),
    "recordings.xml": ("GetRecordingSearchResults", parse.recordings),
    "events.xml": ("GetEventSearchResults", parse.changes),
    "recording_configuration.xml": ("GetRecordingConfiguration", parse.retention_days),
    "digital_inputs.xml": ("GetDigitalInputs", parse.digital_inputs),
}


def read(name: str, body: bytes | None = None) -> Any:
    operation, parser = PARSERS[name]
    return parser(parse.response(fixture(name) if body is None else body, operation))


def test_identity() -> None:
    assert read("device_information.xml") == Identity("NVR302-16S2", "NVR-B3801.30.8", "210235C4XX0000000000")


def test_the_clock_in_utc_or_by_its_zone() -> None:
    noon = datetime(2026, 11, 23, 4, 0, 30, tzinfo=UTC)
    assert read("date_and_time.xml") == parse.DeviceClock(noon, by_server=True)
    assert read("date_and_time_local.xml") == parse.DeviceClock(noon, by_server=False)
    nowhere = fixture("date_and_time_local.xml").replace(b"CST-8:00:00", b"somewhere")
    with pytest.raises(RecorderError, match="a time in no zone"):
        read("date_and_time_local.xml", nowhere)


def test_the_time_server() -> None:
    assert read("ntp.xml") is True
    assert parse.has_time_server(parse.response(fixture("ntp_none.xml"), "GetNTP")) is False


def test_of_a_services_address_the_path_is_taken_and_never_the_host() -> None:
    found = read("services.xml")
    assert found["http://www.onvif.org/ver10/search/wsdl"] == "/onvif/search?channel=0"
    assert read("capabilities.xml")["Search"] == "/onvif/search_service"
    for address in (b"http://10.0.0.8/a b", "http://10.0.0.8/ü".encode(), b"x" * 600, b"http://[10.0.0.8/x"):
        with pytest.raises(RecorderError):
            read("services.xml", fixture("services.xml").replace(b"http://10.0.0.8:8000/onvif/Media", address))


def test_profiles_by_source_and_size() -> None:
    assert read("profiles.xml") == (
        parse.Profile("media_profile1", "video_source1", 1920 * 1080),
        parse.Profile("media_profile2", "video_source1", 704 * 576),
        parse.Profile("media_profile3", "video_source2", 0),
    )


def test_of_a_streams_address_port_and_path_are_taken() -> None:
    assert read("stream_uri.xml") == parse.RtspPlace(554, "/unicast/c1/s0/live?onvif=1")
    assert read("replay_uri.xml") == parse.RtspPlace(None, "/onvif/replay/1")
    for uri in (b"http://10.0.0.8/x", b"rtsp://10.0.0.8:99999/x", b"rtsp://10.0.0.8/x&#10;y", b""):
        with pytest.raises(RecorderError):
            read("replay_uri.xml", fixture("replay_uri.xml").replace(b"rtsp://10.0.0.8/onvif/replay/1", uri))


def test_recordings_and_their_tracks() -> None:
    page = read("recordings.xml")
    assert page.completed
    first, second = page.results
    assert (first.token, first.source_id, first.name, first.address) == ("REC_1", "video_source1", "大门", "192.0.2.21")
    video = first.tracks[0]
    assert (video.token, video.is_video, video.end) == ("VIDEO001", True, parse_instant("2026-11-23T03:59:40.500Z"))
    assert [track.is_video for track in first.tracks] == [True, False, False]
    assert (second.earliest, second.tracks, second.address) == (None, (), "")


def test_changes_of_tracks_and_no_other_events() -> None:
    page = read("events.xml")
    assert not page.completed
    assert [(one.track, one.has_data, one.is_start) for one in page.results] == [
        ("VIDEO001", True, True), ("AUDIO001", False, True), ("VIDEO001", False, False), ("VIDEO001", True, False),
    ]  # fmt: skip
    assert page.results[2].at == parse_instant("2026-11-22T08:00:00.250Z")
    none = parse.changes(parse.response(fixture("events_none.xml"), "GetEventSearchResults"))
    assert none == parse.Page((), completed=True)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("events.xml", b'Value="false"', b'Value="perhaps"'),
        ("events.xml", b"08:30:00Z</tt:Time>", b"08:30:00</tt:Time>"),  # in which zone?
        ("events.xml", b"Searching", b"Resting"),
        ("events.xml", b"IsDataPresent", b"IsSomething"),
        ("recordings.xml", b"<tt:DataFrom>2026-08-20", b"<tt:DataFrom>2027-08-20"),
        ("recordings.xml", b"<tt:DataTo>2026-11-23T03:59:40.5Z</tt:DataTo>", b""),
        ("recordings.xml", b">REC_1<", b"><"),
        ("recordings.xml", b"ResultList", b"Results"),
        ("search_token.xml", b"SEARCH_1693911630", b"x" * 300),
        ("digital_inputs.xml", b'token="AlarmIn_2"', b""),
        ("search_token.xml", b"FindRecordingsResponse", b"FindEventsResponse"),
    ],
)
def test_a_surprise_is_unknown_and_never_a_part(name: str, old: bytes, new: bytes) -> None:
    assert old in fixture(name)
    with pytest.raises(RecorderError) as error:
        read(name, fixture(name).replace(old, new))
    assert error.value.cause == "recorder"


def test_expiry_in_days() -> None:
    assert read("recording_configuration.xml") == 30
    assert read("digital_inputs.xml") == (
        AlarmInput("AlarmIn_1", "AlarmIn_1", None, None),
        AlarmInput("AlarmIn_2", "AlarmIn_2", None, None),
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT0S", 0),
        ("P90D", 7_776_000),
        ("P1Y", 31_536_000),
        ("P3M", 7_776_000),
        ("P1DT1H1M1.5S", 90_061),
        ("PT36H", 129_600),
    ],
)
def test_durations(text: str, seconds: int) -> None:
    assert parse.duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "P", "PT", "90D", "P-1D", "P1H", "PT1D", "P1D x", "-P1D", "P9999999999D", "P٣D"])
def test_any_other_text_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        parse.duration_seconds(text)


def test_faults() -> None:
    refused, lacking, full, old = (
        parse.fault(fixture(f"fault_{name}.xml")) for name in ("not_authorized", "not_supported", "resource", "soap11")
    )
    assert refused is not None
    assert refused.refuses_login
    assert not refused.is_prohibited
    assert lacking is not None
    assert lacking.is_unsupported
    assert not lacking.refuses_login
    assert full is not None
    assert full.is_full
    assert old is not None
    assert old.refuses_login
    assert old.said == "Authority failure"
    assert parse.fault(fixture("events.xml")) is None
    assert parse.fault(b"<html>") is None


def test_the_login_of_the_profiles_own_example() -> None:
    """The example of ONVIF's application programmer's guide: nonce, time, password and their digest."""
    import base64

    nonce = base64.b64decode("LKqI6G/AikKCQrN0zqZFlg==")
    header = security_header("user & co", "userpassword", nonce, datetime(2010, 9, 16, 7, 50, 45, tzinfo=UTC))
    assert ">tuOSpGlFlIXsozq4HFNeeGeFLEI=<" in header
    assert ">LKqI6G/AikKCQrN0zqZFlg==<" in header
    assert ">2010-09-16T07:50:45Z<" in header
    assert "user &amp; co" in header
    assert "userpassword" not in header


BOMB = b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><l>&b;</l>'
HOSTILE = [
    BOMB,
    b"<a>" * 100_000,
    b"<Envelope><Body>" + b"<x/>" * 900_000 + b"</Body></Envelope>",
    b"<Envelope><Body/></Envelope>",
    b"<Envelope/>",
    b"",
    b"\xff\xfe<\x00",
    b"x" * 5_000_000,
]


def told(name: str, body: bytes) -> str:
    try:
        read(name, body)
    except RecorderError as error:
        return error.detail
    return "An answer."


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data())
def test_cut_changed_or_foreign_bytes_raise_recorder_error_only(name: str, data: Any) -> None:
    body = bytearray(fixture(name))
    how = data.draw(st.sampled_from(["cut", "flip", "splice", "garbage"]))
    if how == "cut":
        del body[data.draw(st.integers(0, len(body))) :]
    elif how == "flip":
        for _ in range(data.draw(st.integers(1, 8))):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    elif how == "splice":
        texts = [
            b"",
            b"-1",
            b"9" * 30,
            b"\xe5\xa4\xa7",
            b"2026-02-30T25:61:00Z",
            b"9999-12-31T23:59:59-14:00",
            b"\xc2\xb2",
            b"P1Y" * 9,
        ]
        found = bytes(body).split(b">")
        spot = data.draw(st.integers(0, len(found) - 1))
        found[spot] = data.draw(st.sampled_from(texts)) + b"<" + found[spot].partition(b"<")[2]
        body = bytearray(b">".join(found))
    else:
        body = bytearray(data.draw(st.binary(max_size=200)))
    assert told(name, bytes(body)).endswith(".")
    parse.fault(bytes(body))


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_xml_is_refused_in_bounded_memory(number: int) -> None:
    body = HOSTILE[number]
    tracemalloc.start()
    try:
        assert told("events.xml", body).startswith("The recorder's answer could not be read")
        assert parse.fault(body) is None
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 150_000_000


# When a track holds data.

WINDOW = (1_000_000, 2_000_000)
EDGES = st.lists(st.integers(0, 3_000_000), unique=True, max_size=12).map(sorted)


def changes_of(held: Spans, window: tuple[Millis, Millis], *, start_state: bool) -> list[parse.Change]:
    """Return what a recorder would list of a window: the state at its start, and each change in it."""
    edges = sorted((at, has) for low, high in held.tuples() for at, has in ((low, True), (high, False)))
    inside = [parse.Change("R", "V", at, has, is_start=False) for at, has in edges if window[0] < at <= window[1]]
    present = any(low <= window[0] < high for low, high in held.tuples())
    first = [parse.Change("R", "V", window[0], present, is_start=True)] if start_state else []
    return first + inside


@given(EDGES, st.booleans())
def test_changes_give_back_what_was_held(edges: list[int], start_state: bool) -> None:
    held = Spans.of(list(zip(edges[::2], edges[1::2], strict=False)))
    changes = changes_of(held, WINDOW, start_state=start_state)
    if not changes:
        with pytest.raises(RecorderError, match="unknown"):
            _spans_held(changes, WINDOW)
        return
    assert Spans.of(_spans_held(changes, WINDOW)) == held.clip(*WINDOW)


def test_a_state_that_is_told_twice_changes_nothing() -> None:
    twice = [
        parse.Change("R", "V", at, has, is_start=False)
        for at, has in ((1_000_000, True), (1_200_000, True), (1_500_000, False), (1_600_000, False))
    ]
    assert _spans_held(twice, WINDOW) == [(1_000_000, 1_200_000), (1_200_000, 1_500_000)]
