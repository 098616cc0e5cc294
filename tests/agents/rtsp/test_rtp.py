"""RTP to frames and keyframes: against a packetizer written here, real encoders' parameter sets, and arbitrary bytes."""

from __future__ import annotations

import struct
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.rtsp.message import Message
from agents.rtsp.nal import RULES, START_CODE, NalCodec, recovery_frames
from agents.rtsp.rtp import AccessUnits
from agents.rtsp.sdp import Codec
from agents.rtsp.sps import h264_size, h265_size
from agents.rtsp.wire import Parser
from support.cost import costing_less_than

CODECS: list[NalCodec] = ["h264", "h265"]
HEAD = {
    ("h264", "vps"): b"",
    ("h264", "sps"): b"\x67",
    ("h264", "pps"): b"\x68",
    ("h264", "key"): b"\x65",
    ("h264", "other"): b"\x41",
    ("h264", "sei"): b"\x06",
    ("h265", "vps"): b"\x40\x01",
    ("h265", "sps"): b"\x42\x01",
    ("h265", "pps"): b"\x44\x01",
    ("h265", "key"): b"\x26\x01",
    ("h265", "other"): b"\x02\x01",
    ("h265", "sei"): b"\x4e\x01",
}


def aggregate(codec: str, nals: list[bytes]) -> bytes:
    head = b"\x78" if codec == "h264" else b"\x60\x01"
    return head + b"".join(struct.pack(">H", len(nal)) + nal for nal in nals)


def fragments(codec: str, nal: bytes, size: int) -> list[bytes]:
    """Cut a NAL unit into FU packets of at most `size` payload bytes."""
    if codec == "h264":
        indicator, kind, body = bytes([nal[0] & 0xE0 | 28]), nal[0] & 0x1F, nal[1:]
    else:
        indicator, kind, body = bytes([nal[0] & 0x81 | 49 << 1, nal[1]]), nal[0] >> 1 & 0x3F, nal[2:]
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    flags = [0x80 * (n == 0) | 0x40 * (n == len(pieces) - 1) for n in range(len(pieces))]
    return [indicator + bytes([flag | kind]) + piece for flag, piece in zip(flags, pieces, strict=True)]


def packet(sequence: int, timestamp: int, payload: bytes, **more: int) -> bytes:
    """An RTP packet; `more` may have marker, padding (bytes), extension (words), sources, ssrc."""
    padding, extension, sources = more.get("padding", 0), more.get("extension", -1), more.get("sources", 0)
    first = 0x80 | (0x20 if padding else 0) | (0x10 if extension >= 0 else 0) | sources
    head = struct.pack(
        ">BBHII",
        first,
        96 | 0x80 * more.get("marker", 0),
        sequence & 0xFFFF,
        timestamp & 0xFFFFFFFF,
        more.get("ssrc", 1),
    )
    head += bytes(4 * sources)
    if extension >= 0:
        head += struct.pack(">HH", 0xBEDE, extension) + bytes(4 * extension)
    return head + payload + (bytes(padding - 1) + bytes([padding]) if padding else b"")


def feed(units: AccessUnits, data: bytes, at: float = 0.0) -> None:
    """Put the packet somewhere inside a larger buffer, as the connection does."""
    units.packet(bytearray(b"\xff" * 4 + data + b"\xff" * 7), 4, 4 + len(data), at)


Picture = tuple[NalCodec, list[bytes], list[bytes]]

body = st.binary(min_size=40, max_size=400).map(
    lambda data: data.replace(b"\x00\x00", b"\x00\x03").rstrip(b"\x00") or b"\x80"
)
"""No unit holds a start code, nor ends with a zero: encoders see to that."""


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    """A keyframe's NAL units, and RTP payloads that carry them in some allowed way."""
    codec: NalCodec = draw(st.sampled_from(CODECS))
    kinds = ["vps", "sps", "pps"][codec == "h264" :]
    sets = [HEAD[codec, kind] + draw(body) for kind in kinds]
    # The first slice's first bit is set (first_mb_in_slice 0, first_slice_segment_in_pic_flag 1).
    slices = [
        HEAD[codec, "key"] + (b"\x88" if n == 0 else b"\x18") + draw(body) for n in range(draw(st.integers(1, 4)))
    ]
    payloads: list[bytes] = []
    together = draw(st.booleans())
    if together:
        payloads.append(aggregate(codec, sets))
    else:
        payloads += sets
    if draw(st.booleans()):
        payloads.append(HEAD[codec, "sei"] + draw(body))
    for nal in slices:
        way = draw(st.sampled_from(["single", "aggregate", "fragments"]))
        if way == "single":
            payloads.append(nal)
        elif way == "aggregate":
            payloads.append(aggregate(codec, [nal]))
        else:
            payloads += fragments(codec, nal, draw(st.integers(1, len(nal) // 2)))
    return codec, sets + slices, payloads


@given(
    pictures(),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 5),
    st.integers(-1, 2),
    st.integers(0, 3),
)
def test_a_keyframe_comes_out_as_it_went_in(
    picture: Picture, sequence: int, timestamp: int, padding: int, extension: int, sources: int
) -> None:
    codec, nals, payloads = picture
    units = AccessUnits(codec, 90000, ())
    units.want()
    more = {"padding": padding, "extension": extension, "sources": sources}
    for number, payload in enumerate(payloads):
        feed(units, packet(sequence + number, timestamp, payload, **more), at=float(number))
    feed(units, packet(sequence + len(payloads), timestamp + 3000, HEAD[codec, "other"] + b"\x9a\x01\x02"))
    (event,) = units.events
    assert event.keyframe
    assert event.keyframe_data == b"".join(START_CODE + nal for nal in nals)
    assert event.bytes == sum(map(len, payloads))
    assert event.received_at == len(payloads) - 1
    assert (event.rtp_timestamp, event.lost, units.malformed, units.wanted) == (timestamp, 0, 0, False)


@given(pictures(), st.data())
def test_a_keyframe_with_a_lost_slice_is_never_given_out(picture: Picture, data: st.DataObject) -> None:
    codec, nals, payloads = picture
    missing = data.draw(st.integers(0, len(payloads) - 1))
    units = AccessUnits(codec, 90000, ())
    units.want()
    for number, payload in enumerate([*payloads, HEAD[codec, "other"] + b"\x9a\x01"]):
        if number != missing:
            feed(units, packet(number, 3000 * (number == len(payloads)), payload))
    given_out = [event.keyframe_data for event in units.events if event.keyframe_data is not None]
    whole = b"".join(START_CODE + nal for nal in nals)
    for keyframe in given_out:
        lost_unit = payloads[missing]
        # Only what is no slice may be missing: an SEI, or a parameter set that is then missing altogether.
        assert RULES[codec].kind(lost_unit[0]) not in RULES[codec].keyframes
        assert keyframe == whole


@pytest.mark.parametrize("way", ["fragments", "whole", "apart"])
@given(pictures(), st.integers(60, 400), st.sampled_from([START_CODE, START_CODE[1:]]))
def test_parameter_sets_and_a_picture_sent_as_one_unit_are_taken_apart(
    way: str, picture: Picture, size: int, between: bytes
) -> None:
    """Cheap cameras send what their encoder gives out, start codes and all, as the fragments of one unit."""
    codec, nals, _ = picture
    sets, slices = nals[: 2 + (codec == "h265")], nals[2 + (codec == "h265") :]
    units = AccessUnits(codec, 90000, ())
    if way == "apart":
        payloads = [between.join(sets), *slices]
    elif way == "whole":
        payloads = [between.join(nals)]
    else:
        payloads = fragments(codec, between.join([*sets, slices[0]]), max(size, sum(map(len, sets)) + 20)) + slices[1:]
    for picture_number in range(2):
        if picture_number == 1:
            units.want()  # the first one is noticed by its headers alone
        for number, payload in enumerate(payloads):
            feed(units, packet(len(payloads) * picture_number + number, 3000 * picture_number, payload))
    feed(units, packet(2 * len(payloads), 6000, HEAD[codec, "other"] + b"\x9a\x01\x02"))
    assert [event.keyframe for event in units.events] == [True, True]
    assert units.events[1].keyframe_data == b"".join(START_CODE + nal for nal in nals)


def test_header_reading_finds_keyframes_without_collecting_them() -> None:
    units = AccessUnits("h264", 90000, ())
    for number in range(30):
        nal = (b"\x65\x88" if number % 10 == 0 else b"\x41\x9a") + bytes(500)
        for index, payload in enumerate(fragments("h264", nal, 200)):
            feed(units, packet(number * 3 + index, number * 3000, payload))
    assert [n for n, event in enumerate(units.events) if event.keyframe] == [0, 10, 20]
    assert all(event.keyframe_data is None for event in units.events)
    assert units.moved == 30


@pytest.mark.parametrize(
    "nothing", [{}, {"padding": 16}, {"extension": 2}, {"padding": 4, "extension": 1, "sources": 2}]
)
def test_a_packet_without_payload_is_neither_a_frame_nor_a_loss(nothing: dict[str, int]) -> None:
    units = AccessUnits("h264", 90000, (b"\x67set", b"\x68set"))
    units.want()
    key = HEAD["h264", "key"] + b"\x88" + bytes(range(200))
    first, second = fragments("h264", key, 150)
    payloads = [(0, first), (0, b""), (0, second), (3000, b""), (3000, b"\x41\x9a\x01"), (6000, b"\x41\x9a\x02")]
    for number, (timestamp, payload) in enumerate(payloads):
        feed(units, packet(0xFFFE + number, timestamp, payload, **(nothing if not payload else {})))
    assert [(event.lost, event.keyframe_data is not None) for event in units.events] == [(0, True), (0, False)]
    assert (units.events[0].keyframe_data or b"").endswith(key)
    feed(units, packet(0xFFFE + len(payloads), 9000, b"", **nothing))
    assert (units.packets, units.moved) == (4, 3)  # nor does it move anything


def test_sequence_and_timestamp_wrap_around_without_loss() -> None:
    units = AccessUnits("h264", 90000, ())
    for number in range(20):
        feed(units, packet(65530 + number, 0xFFFFFFFF - 9000 + number * 3000, b"\x41\x9a\x00"))
    assert sum(event.lost for event in units.events) == 0
    assert units.moved == 20


def test_lost_packets_are_counted_once_and_a_new_sender_begins_anew() -> None:
    units = AccessUnits("h264", 90000, ())
    for number, (sequence, ssrc) in enumerate(
        [(5, 1), (6, 1), (10, 1), (11, 1), (900, 2), (901, 2), (3, 2), (4, 2), (5, 2)]
    ):
        feed(units, packet(sequence, number * 3000, b"\x41\x9a\x00", ssrc=ssrc))
    assert [event.lost for event in units.events] == [0, 3, 0, 0, 0, 0, 0, 0]


def test_a_camera_that_sets_its_clock_back_is_alive_and_reordered_frames_are_no_movement() -> None:
    units = AccessUnits("h264", 90000, ())
    for number, timestamp in enumerate([900000, 909000, 903000, 906000, 918000, 0, 3000]):
        feed(units, packet(number, timestamp, b"\x41\x9a\x00"))
    assert units.moved == 5


def test_a_late_join_gives_no_keyframe_without_its_first_slice() -> None:
    units = AccessUnits("h264", 90000, (b"\x67\x42\x00\x1e\x01", b"\x68\x01"))
    units.want()
    pieces = fragments("h264", b"\x65\x88" + bytes(500), 100)
    for number, payload in enumerate([*pieces[2:], b"\x65\x18" + bytes(50)]):
        feed(units, packet(number, 0, payload))
    feed(units, packet(99, 3000, b"\x41\x9a"))
    assert units.events[0].keyframe
    assert units.events[0].keyframe_data is None
    assert units.wanted


def test_a_keyframe_that_is_too_large_is_given_up() -> None:
    units = AccessUnits("h264", 90000, (b"\x67\x42\x00\x1e\x01", b"\x68\x01"))
    units.want()
    feed(units, packet(0, 0, b"\x7c\x85\x88" + bytes(60_000)))
    for number in range(1, 200):
        feed(units, packet(number, 0, b"\x7c\x05" + bytes(60_000)))
    feed(units, packet(200, 0, b"\x7c\x45" + bytes(60_000)))
    feed(units, packet(201, 3000, b"\x41\x9a"))
    assert units.events[0].keyframe_data is None


def test_changed_parameter_sets_replace_the_old_ones_and_the_size() -> None:
    small, large = encoded("libx264", (320, 240)), encoded("libx264", (640, 360))
    units = AccessUnits("h264", 90000, tuple(nal for nal in small if nal[0] & 31 in (7, 8)))
    assert units.size == (320, 240)
    units.want()
    sent = [nal for nal in large if nal[0] & 31 in (5, 7, 8)]
    for number, nal in enumerate(sent):
        feed(units, packet(number, 0, nal))
    feed(units, packet(len(sent), 3000, b"\x41\x9a"))
    assert units.size == (640, 360)
    data = units.events[0].keyframe_data
    assert data is not None
    assert all(nal in data for nal in large if nal[0] & 31 == 7)
    assert not any(nal in data for nal in small if nal[0] & 31 == 7)


def film(encoder: str, frames: int, options: dict[str, str]) -> list[list[bytes]]:
    """Encode a moving picture; return the NAL units of each frame."""
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt, context.time_base = 320, 240, "yuv420p", Fraction(1, 15)
    context.options = {"preset": "ultrafast", "tune": "zerolatency", **options}
    room = np.random.default_rng(1).integers(16, 230, (360, 320)).astype(np.uint8)
    coded: list[list[bytes]] = []
    for number in range(frames):
        frame = av.VideoFrame.from_ndarray(np.roll(room, 4 * number, axis=1), format="yuv420p")
        frame.pts = number
        coded += [units_of(bytes(part)) for part in context.encode(frame)]
    return coded + [units_of(bytes(part)) for part in context.encode(None)]


def units_of(data: bytes) -> list[bytes]:
    return [part for part in data.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01").split(b"\x00\x00\x01") if part]


REFRESH = {"x264-params": "intra-refresh=1:keyint=15:min-keyint=15"}
"""No keyframe after the first; a recovery point each second."""


def run_of(coded: list[list[bytes]], lose: int = -1) -> tuple[bytes | None, int]:
    """Feed a film from its second frame on; return the run that comes out, and with which frame."""
    units = AccessUnits("h264", 90000, tuple(nal for nal in coded[0] if nal[0] & 31 in (7, 8)))
    units.want(patient=False)
    sequence = 0
    for number, nals in enumerate(coded[1:], start=1):
        for nal in nals:
            for payload in fragments("h264", nal, 1000) if len(nal) > 1000 else [nal]:
                if sequence != lose:
                    feed(units, packet(sequence, 6000 * number, payload))
                sequence += 1
        for event in units.events:
            if event.keyframe_data is not None:
                assert not event.keyframe
                return event.keyframe_data, number - 1
        units.events.clear()
    return None, -1


def test_without_keyframes_a_run_from_a_recovery_point_shows_a_whole_picture() -> None:
    coded = film("libx264", 60, REFRESH)
    run, last = run_of(coded)
    assert run is not None
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    packets = [*decoder.parse(run), *decoder.parse(None)]
    shown = [frame for item in [*packets, None] for frame in decoder.decode(item)]
    assert not shown[-1].is_corrupt
    right = np.random.default_rng(1).integers(16, 230, (360, 320)).astype(np.uint8)[:240]
    error = shown[-1].to_ndarray(format="gray").astype(int) - np.roll(right, 4 * last, axis=1)
    assert np.abs(error).mean() < 25, "the picture of that moment, however coarse"


def test_a_run_with_a_hole_is_begun_anew() -> None:
    coded = film("libx264", 60, REFRESH)
    _, last = run_of(coded)
    before = sum(1 for nals in coded[1:20] for nal in nals for _ in range(-(-len(nal) // 1000)))
    run, later = run_of(coded, lose=before)
    assert run is not None
    assert later == last + 15


def test_patience_leaves_recovery_points_alone() -> None:
    units = AccessUnits("h264", 90000, (b"\x67\x42\x00\x1e\x01", b"\x68\x01"))
    units.want()
    for number in range(3):
        feed(units, packet(2 * number, 3000 * number, b"\x06\x06\x01\xc0\x80"))
        feed(units, packet(2 * number + 1, 3000 * number, b"\x41\x9a\x00"))
    assert all(event.keyframe_data is None for event in units.events)


@pytest.mark.parametrize(
    ("payload", "frames"),
    [
        (b"\x06\x06\x01\xc0\x80", 0),
        (b"\x06\x05\xff\x01" + bytes(256) + b"\x06\x02\x1f\x80", None),
        (b"\x06\x06\x02\x1f\x80", 14),
    ],
)
def test_what_a_recovery_point_says(payload: bytes, frames: int | None) -> None:
    assert recovery_frames(payload) == frames


@given(st.binary(max_size=60))
def test_no_supplement_breaks_the_reader(data: bytes) -> None:
    frames = recovery_frames(data)
    assert frames is None or frames >= 0


@pytest.mark.parametrize(("first", "second"), [("h264", "h265"), ("h265", "h264")])
def test_a_stream_that_changes_its_codec_is_followed(first: NalCodec, second: NalCodec) -> None:
    encoder = {"h264": ("libx264", {}), "h265": ("libx265", {"x265-params": "log-level=none"})}
    units = AccessUnits(first, 90000)
    sequence = 0
    for number, codec in enumerate([first, second, second, first]):
        units.want()
        name, options = encoder[codec]
        for nal in encoded(name, (320, 240), options):
            feed(units, packet(sequence, number * 3000, nal))
            units.want()
            sequence += 1
        assert units.codec == codec
    feed(units, packet(sequence, 5 * 3000, HEAD[first, "other"] + b"\x9a\x00"))
    whole = [event for event in units.events if event.keyframe_data is not None]
    assert len(whole) == 3, "H.265's first parameter set came before the change was known"
    assert units.size == (320, 240)


def test_of_several_parameter_sets_the_largest_tells_the_size() -> None:
    small, large = (next(n for n in encoded("libx264", size) if n[0] & 31 == 7) for size in ((320, 240), (640, 360)))
    for sets in ((small, large), (large, small)):
        assert AccessUnits("h264", 90000, sets).size == (640, 360)


def encoded(encoder: str, size: tuple[int, int], options: dict[str, str] | None = None) -> list[bytes]:
    """Encode one grey picture; return its NAL units."""
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, av.VideoCodecContext)
    width, height = size
    context.width, context.height, context.pix_fmt, context.time_base = width, height, "yuv420p", Fraction(1, 25)
    context.options = {"preset": "ultrafast", **(options or {})}
    frame = av.VideoFrame.from_ndarray(np.full((height * 3 // 2, width), 128, np.uint8), format="yuv420p")
    frame.pts = 0
    data = b"".join(bytes(part) for part in [*context.encode(frame), *context.encode(None)])
    return [part for part in data.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01").split(b"\x00\x00\x01") if part]


@pytest.mark.parametrize(
    "size", [(320, 240), (704, 576), (704, 396), (768, 432), (1920, 1080), (2560, 1440), (642, 364)]
)
@pytest.mark.parametrize(
    "options", [{}, {"profile": "high"}, {"x264-params": "interlaced=1"}, {"x264-params": "bluray-compat=1"}]
)
def test_the_size_in_an_h264_parameter_set(size: tuple[int, int], options: dict[str, str]) -> None:
    sps = next(nal for nal in encoded("libx264", size, options) if nal[0] & 31 == 7)
    assert h264_size(sps) == size


@pytest.mark.parametrize("size", [(320, 240), (704, 576), (704, 396), (1920, 1080), (642, 362)])
def test_the_size_in_an_h265_parameter_set(size: tuple[int, int]) -> None:
    nals = encoded("libx265", size, {"x265-params": "log-level=none"})
    assert h265_size(next(nal for nal in nals if nal[0] >> 1 & 63 == 33)) == size


def test_the_size_with_scaling_lists() -> None:
    nals = encoded("libx264", (1280, 720), {"x264-params": "cqm=jvt", "profile": "high"})
    assert h264_size(next(nal for nal in nals if nal[0] & 31 == 7)) == (1280, 720)


@given(st.binary(max_size=300))
def test_any_parameter_set_has_a_size_or_none(data: bytes) -> None:
    for read in (h264_size, h265_size):
        try:
            width, height = read(data)
        except ValueError:
            continue
        assert 0 < width <= 65535
        assert 0 < height <= 65535


payloads = st.one_of(
    st.binary(max_size=60),
    st.tuples(
        st.sampled_from([b"\x78", b"\x7c", b"\x65", b"\x67", b"\x60\x01", b"\x62\x01", b"\x26\x01"]),
        st.binary(max_size=40),
    ).map(b"".join),
)


@given(
    st.sampled_from(CODECS),
    st.lists(st.tuples(st.integers(0, 255), st.integers(0, 6), st.integers(0, 3), payloads), max_size=40),
)
def test_no_packets_break_the_depacketizer(codec: Codec, items: list[tuple[int, int, int, bytes]]) -> None:
    units = AccessUnits(codec, 90000, (b"", b"\x67", b"\x42"))
    for first, sequence, timestamp, payload in items:
        units.want()
        feed(units, bytes([first]) + packet(sequence, timestamp * 3000, payload)[1:])
    units.finish()
    for event in units.events:
        assert event.bytes > 0
        assert event.lost >= 0


class Reading:
    """Interleaved packets on their way to access units, as the connection hands them on: one by one, or `plain` ones together."""

    def __init__(self, codec: NalCodec, *, plain: bool) -> None:
        self.units = AccessUnits(codec, 90000, (HEAD[codec, "vps"], HEAD[codec, "sps"], HEAD[codec, "pps"]))
        self.together = 0
        self._plain = plain
        self._at = 0.0
        self._parser = Parser(self)

    def read(self, data: bytes, *, wants: bool, collects: bool) -> None:
        self.units.want(wants)
        self.units.collect_all(collects)
        self._at += 1
        self._parser.feed(data)

    def on_bytes(self) -> None:
        raise AssertionError

    def on_packet(self, channel: int, data: bytearray, start: int, end: int) -> None:
        if channel == 0:
            self.units.packet(data, start, end, self._at)

    def on_plain(self, data: bytearray, start: int, end: int) -> int:
        taken = self.units.plain(data, start, end, 0, self._at) if self._plain else start
        self.together += taken > start
        return taken

    def on_message(self, message: Message) -> None:
        raise AssertionError(message)

    def on_read(self) -> None:
        raise AssertionError

    def on_closed(self, error: Exception | None) -> None:
        raise AssertionError(error)

    def told(self) -> tuple[object, ...]:
        units = self.units
        return tuple(units.events), units.packets, units.malformed, units.moved, units.newest, units.size


def interleaved(channel: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0x24, channel, len(data)) + data


@st.composite
def streams(draw: st.DrawFn) -> tuple[NalCodec, list[tuple[bytes, bool, bool]]]:
    """Reads of a stream, most packets of which are plain, and whether a keyframe is wanted and all are collected then."""
    codec: NalCodec = draw(st.sampled_from(CODECS))
    other = HEAD[codec, "other"] + bytes(range(60))
    sequence, timestamp, ssrc, wire = draw(st.sampled_from([0, 0xFFF0])), draw(st.sampled_from([0, 0xFFFFC000])), 7, b""
    for _ in range(draw(st.integers(1, 25))):
        timestamp += draw(st.sampled_from([3000, 3000, 3000, 0, -3000]))
        nal = draw(st.sampled_from([other, other, other, HEAD[codec, "key"] + b"\x88" + bytes(range(1, 90))]))
        for payload in [nal] if draw(st.booleans()) else fragments(codec, nal, draw(st.sampled_from([2, 20, 60]))):
            odd = draw(st.integers(0, 40))
            ssrc += odd == 1
            sequence += 1 + (odd == 2)
            more = {"marker": draw(st.integers(0, 1)), "ssrc": ssrc, "padding": 3 * (odd == 3), "sources": odd == 4}
            data = packet(sequence, timestamp, payload[:1] if odd == 5 else payload, **more)
            wire += interleaved(2 if odd == 6 else 0, data)
            if odd == 7:
                wire += interleaved(0, bytes([0x80, 200]) + data[2:30])  # a control packet where media is
    cuts = sorted({0, len(wire), *draw(st.lists(st.integers(0, len(wire)), max_size=5))})
    return codec, [(wire[one:two], draw(st.booleans()), draw(st.booleans())) for one, two in pairwise(cuts)]


@given(streams())
def test_packets_that_are_taken_together_say_what_each_says_alone(
    stream: tuple[NalCodec, list[tuple[bytes, bool, bool]]],
) -> None:
    codec, reads = stream
    alone, together = (Reading(codec, plain=plain) for plain in (False, True))
    for data, wants, collects in reads:
        for reading in (alone, together):
            reading.read(data, wants=wants, collects=collects)
        assert together.told() == alone.told()
    for reading in (alone, together):
        reading.units.finish()
    assert together.told() == alone.told()


def test_most_of_a_stream_is_taken_together() -> None:
    reading = Reading("h264", plain=True)
    nal = HEAD["h264", "other"] + bytes(4000)
    payloads = [(frame, payload) for frame in range(15) for payload in fragments("h264", nal, 1386)]
    wire = [interleaved(0, packet(number, 6000 * frame, data)) for number, (frame, data) in enumerate(payloads)]
    reading.read(b"".join(wire), wants=False, collects=False)
    assert reading.together == 1, "all but the first packet, whose number nobody could know"
    assert (len(reading.units.events), reading.units.packets) == (14, 45)


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_no_bytes_break_the_rtp_reader(datagrams: list[bytes]) -> None:
    units = AccessUnits("h264", 90000, ())
    units.want()
    for data in datagrams:
        feed(units, data)


def test_parameter_sets_that_are_made_to_be_dear_are_taken_apart_seldom() -> None:
    """Sixteen of them in each picture: a device would hold up all others if each were read as it comes."""

    def code(number: int) -> str:
        return "0" * ((number + 1).bit_length() - 1) + f"{number + 1:b}"

    lists = "".join("1" + code(255) * (16 if number < 6 else 64) for number in range(12))
    text = code(0) + code(3) + "0" + code(0) + code(0) + "0" + "1" + lists
    text += "0" * (-len(text) % 8)
    dear = b"\x67\x64\x00\x28" + bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))
    units, sequence = AccessUnits("h264", 90000), 0
    with costing_less_than(1.0):
        for picture in range(20):
            for copy in range(16):
                sequence += 1
                packet = struct.pack(">BBHII", 0x80, 96, sequence, picture * 3600, 7) + dear + bytes([copy + 1])
                units.packet(packet, 0, len(packet), 0.0)
            assert units.size is None


def test_a_picture_of_countless_slices_is_not_put_together() -> None:
    units = AccessUnits("h264", 90000, (b"\x67\x42\x00\x28", b"\x68\xce"))
    units.want()
    crumbs = b"\x18" + b"\x00\x03\x65\x88\x80" * 1000
    for sequence in range(20):
        packet = struct.pack(">BBHII", 0x80, 96, sequence, 0, 7) + crumbs
        units.packet(packet, 0, len(packet), 0.0)
    packet = struct.pack(">BBHII", 0x80, 96, 20, 3600, 7) + b"\x41\x9a"
    units.packet(packet, 0, len(packet), 0.0)
    assert [event.keyframe for event in units.events] == [True]
    assert units.events[0].keyframe_data is None


def test_a_codec_that_changes_with_each_packet_costs_little() -> None:
    h264 = next(nal for nal in encoded("libx264", (320, 240), {"profile": "baseline"}) if nal[0] & 31 == 7)
    h265 = next(
        nal for nal in encoded("libx265", (320, 240), {"x265-params": "log-level=none"}) if nal[0] >> 1 & 63 == 33
    )
    units, codecs = AccessUnits("h264", 90000), set()
    with costing_less_than(0.25):
        for _ in range(2000):
            for nal in (h265, h264):
                packet = struct.pack(">BBHII", 0x80, 96, 0, 5, 7) + nal
                units.packet(packet, 0, len(packet), 0.0)
                codecs.add(units.codec)
    assert codecs == {"h264", "h265"}


def control(kind: int, sender: int, at: int, *, reports: int = 0, more: bytes = b"") -> bytes:
    """A compound of control packets: a sender's report (200) or another kind, as at the NTP second `at`."""
    body = struct.pack(">IIIII", at, 0, (90_000 * at) & 0xFFFFFFFF, 7, 700) + bytes(24 * reports)
    return struct.pack(">BBHI", 0x80 | reports, kind, (len(body) + 4) // 4, sender) + body + more


def test_control_packets_on_the_media_s_channel_disturb_no_frame() -> None:
    """Some devices ignore that two channels were agreed on, and send the reports between the packets of a picture."""
    sps, pps, key = b"\x67" + b"s" * 8, b"\x68" + b"p" * 4, b"\x65" + b"\x88" + b"k" * 3000

    def frames(units: AccessUnits, *, reports: bool) -> list[tuple[int, int, bool, int, bytes | None]]:
        units.want()
        sequence = 10
        for number in range(4):
            whole = [sps, pps, *fragments("h264", key, 1000)] if number % 2 == 0 else [b"\x41" + b"\x80" * 300]
            for part in whole:
                feed(units, packet(sequence, 3000 * number, part, marker=part is whole[-1]))
                sequence += 1
                if reports:
                    feed(units, control(200, sender=1, at=4_000_000_000 + sequence))
                    feed(units, control(200, sender=2, at=4_000_000_000 + sequence, reports=1))
                    feed(units, control(203, sender=1, at=5))
        units.finish()
        return [event[1:6] for event in units.events]

    plain = frames(AccessUnits("h264", 90_000), reports=False)
    assert any(event[-1] for event in plain)
    assert frames(AccessUnits("h264", 90_000), reports=True) == plain


def test_control_packets_alone_move_nothing() -> None:
    """A camera whose encoder hangs may go on with its reports: it has stalled."""
    units = AccessUnits("h264", 90_000)
    for number in range(3):
        feed(units, packet(number, 3000 * number, b"\x41" + b"\x80" * 50, marker=1))
    before = units.moved, units.newest, units.packets
    for number in range(20):
        for sender in (1, 2):  # of the picture and of the sound
            feed(units, control(200, sender, 4_000_000_000 + number, more=control(202, sender, 3)))
    assert (units.moved, units.newest, units.packets) == before


def test_while_all_is_collected_each_whole_frame_is_given_and_a_wanted_keyframe_too() -> None:
    units = AccessUnits("h264", 90_000)
    sps, pps, key, delta = b"\x67" + b"s" * 8, b"\x68" + b"p" * 4, b"\x65\x88" + b"k" * 3000, b"\x41\x80" + b"d" * 900
    sequence = 0

    def send(number: int, *, leave_out: bool = False) -> None:
        nonlocal sequence
        whole = [sps, pps, *fragments("h264", key, 1000)] if number % 3 == 0 else fragments("h264", delta, 500)
        for place, part in enumerate(whole):
            if not (leave_out and place == 1):
                feed(units, packet(sequence, 3000 * number, part, marker=part is whole[-1]))
            sequence += 1

    def sent(*numbers: int, leave_out: int = -1) -> list[tuple[bool, bool]]:
        for number in numbers:
            send(number, leave_out=number == leave_out)
        found = [(event.keyframe_data is not None, event.coded is not None) for event in units.events]
        units.events.clear()
        return found

    units.want()
    assert sent(0, 1, 2) == [(True, False), (False, False)]
    units.collect_all(True)
    assert sent(3, 4, 5, 6, leave_out=4) == [(False, False), (False, True), (False, False), (False, True)]
    units.want()
    send(7)
    assert units.events[0].coded is not None
    assert units.events[0].coded == units.events[0].keyframe_data
    assert key[2:] in units.events[0].coded
    units.events.clear()
    send(8)
    assert units.events[0].coded is not None
    assert units.events[0].coded.endswith(delta)
    units.events.clear()
    units.collect_all(False)
    assert sent(9, 10) == [(False, False), (False, False)]


@pytest.mark.parametrize("collecting", [False, True])
def test_a_keyframe_whose_first_slice_was_lost_is_given_to_nobody(collecting: bool) -> None:
    """It would be decoded with a grey upper half."""
    units = AccessUnits("h264", 90_000)
    sps, pps, delta = b"\x67" + b"s" * 8, b"\x68" + b"p" * 4, b"\x41\x80" + b"d" * 90
    slices = [b"\x65\x88" + b"k" * 900, b"\x65\x08" + b"k" * 900]
    frames: list[list[bytes | None]] = [[sps, pps, *slices], [delta], [None, slices[1]], [delta], [*slices], [delta]]
    units.collect_all(collecting)
    sequence = 0
    for number, frame in enumerate(frames):
        units.want()
        for part in frame:
            if part is not None:
                feed(units, packet(sequence, 3000 * number, part, marker=part is frame[-1]))
            sequence += 1
    found = [event.keyframe_data is not None for event in units.events]
    assert found == [True, False, False, False, True]
    assert [event.coded is not None for event in units.events][2] is False
