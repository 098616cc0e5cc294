"""JPEG in RTP: against a packetizer written here by RFC 2435, libjpeg's own files, and arbitrary bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.rtsp.jpeg import scaled_tables
from agents.rtsp.rtp import AccessUnits
from support.rtsp_device import rtp

Image = npt.NDArray[np.uint8]


def drawn(width: int, height: int) -> Image:
    """Return a colourful picture."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([x % 256, y % 256, (x + y) // 2 % 256], axis=2).astype(np.uint8)


@dataclass(frozen=True)
class Parts:
    """What RFC 2435 sends of a JPEG file."""

    width: int
    height: int
    kind: int
    tables: bytes
    restart: int
    scan: bytes


def file_of(
    image: Image, *, quality: int = 80, sampling: int = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420, restart: int = 0
) -> bytes:
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        sampling,
        cv2.IMWRITE_JPEG_RST_INTERVAL,
        restart,
    ]
    done, data = cv2.imencode(".jpg", image, options)
    assert done
    return bytes(data.tobytes())


def parts_of(file: bytes) -> Parts:
    """Take a JPEG file apart as a sender does."""
    at, tables, restart, kind, size = 2, b"", 0, 0, (0, 0)
    while file[at + 1] != 0xDA:
        marker, length = file[at + 1], int.from_bytes(file[at + 2 : at + 4], "big")
        body = file[at + 4 : at + 2 + length]
        if marker == 0xDB:
            tables += body[1:]
        elif marker == 0xDD:
            restart = int.from_bytes(body, "big")
        elif marker == 0xC0:
            size = int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big")
            kind = {0x21: 0, 0x22: 1}[body[7]]
        at += 2 + length
    at += 2 + int.from_bytes(file[at + 2 : at + 4], "big")
    return Parts(*size, kind, tables, restart, file[at:])


def payloads(parts: Parts, quality: int, *, mtu: int = 1000, in_band: bool = True) -> list[bytes]:
    """Return the RTP payloads of a frame."""
    kind = parts.kind + 64 * (parts.restart > 0)
    sent: list[bytes] = []
    for offset in range(0, len(parts.scan), mtu):
        large = max(parts.width, parts.height) > 2040
        size = (0, 0) if large else (parts.width // 8, parts.height // 8)
        payload = struct.pack(">BBHBBBB", 0, offset >> 16, offset & 0xFFFF, kind, quality, *size)
        if parts.restart:
            payload += struct.pack(">HH", parts.restart, 0xFFFF)
        if quality >= 128 and offset == 0:
            tables = parts.tables if in_band else b""
            payload += struct.pack(">BBH", 0, 0, len(tables)) + tables
        sent.append(payload + parts.scan[offset : offset + mtu])
    return sent


def frame(units: AccessUnits, number: int, sent: list[bytes], leave_out: int = -1) -> bytes | None:
    """Feed one frame, and the beginning of the next; return the file that came out."""
    for index, payload in enumerate([*sent, b"\0" * 9]):
        if index != leave_out:
            packet = rtp(number * 1000 + index, 3000 * (number + (index == len(sent))), payload)
            units.packet(bytearray(packet), 0, len(packet), 0.0)
    (event,) = units.events
    units.events.clear()
    units.finish()
    assert event.keyframe
    return event.keyframe_data


def same_picture(one: bytes, other: bytes) -> bool:
    first, second = (cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in (one, other))
    assert first is not None
    assert second is not None
    return np.array_equal(first, second)


@pytest.mark.parametrize("size", [(704, 576), (320, 240), (1920, 1080)])
@pytest.mark.parametrize("sampling", [cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422])
@pytest.mark.parametrize("restart", [0, 8])
def test_a_frame_comes_out_as_the_picture_that_went_in(size: tuple[int, int], sampling: int, restart: int) -> None:
    file = file_of(drawn(*size), sampling=sampling, restart=restart)
    units = AccessUnits("mjpeg", 90000)
    units.want()
    shown = frame(units, 0, payloads(parts_of(file), 255))
    assert shown is not None
    assert same_picture(shown, file)
    assert units.size == size
    assert not units.wanted


@pytest.mark.parametrize("quality", [1, 20, 49, 50, 75, 99])
def test_the_tables_that_q_stands_for_are_libjpeg_s(quality: int) -> None:
    parts = parts_of(file_of(drawn(64, 64), quality=quality))
    tables = scaled_tables(quality)
    assert tables is not None
    assert b"".join(tables) == parts.tables


def test_tables_that_were_sent_once_hold_until_others_come_but_not_those_of_255() -> None:
    one, other = (file_of(drawn(64, 64), quality=quality) for quality in (90, 30))
    units = AccessUnits("mjpeg", 90000)
    units.want()
    assert frame(units, 0, payloads(parts_of(one), 200, in_band=False)) is None, "none were sent yet"
    shown = frame(units, 1, payloads(parts_of(one), 200))
    units.want()
    again = frame(units, 2, payloads(parts_of(one), 200, in_band=False))
    assert shown == again
    units.want()
    changed = frame(units, 3, payloads(parts_of(other), 200))
    assert changed is not None
    assert same_picture(changed, other)
    units.want()
    assert frame(units, 4, payloads(parts_of(one), 255)) is not None
    units.want()
    assert frame(units, 5, payloads(parts_of(one), 255, in_band=False)) is None


def test_a_picture_too_large_for_the_packets_has_the_size_of_the_description() -> None:
    file = file_of(drawn(2560, 1440))
    described, silent = AccessUnits("mjpeg", 90000, size=(2560, 1440)), AccessUnits("mjpeg", 90000)
    for units in (described, silent):
        units.want()
    shown = frame(described, 0, payloads(parts_of(file), 255))
    assert shown is not None
    assert same_picture(shown, file)
    assert frame(silent, 0, payloads(parts_of(file), 255)) is None
    assert silent.size is None


def test_of_two_fields_in_one_frame_the_first_is_given_out() -> None:
    file = file_of(drawn(704, 288))
    units = AccessUnits("mjpeg", 90000)
    units.want()
    sent = payloads(parts_of(file), 255)
    shown = frame(units, 0, sent + sent)
    assert shown is not None
    assert same_picture(shown, file)


def test_frames_that_nobody_wants_are_counted_and_not_put_together() -> None:
    units = AccessUnits("mjpeg", 90000)
    sent = payloads(parts_of(file_of(drawn(320, 240))), 255)
    assert [frame(units, number, sent) for number in range(3)] == [None] * 3
    assert units.moved == 4


@given(st.data())
def test_a_frame_with_a_lost_packet_is_never_given_out(data: st.DataObject) -> None:
    sent = payloads(parts_of(FILE), 255, mtu=200)
    units = AccessUnits("mjpeg", 90000)
    units.want()
    assert frame(units, 0, sent, leave_out=data.draw(st.integers(0, len(sent) - 1))) is None
    assert units.wanted
    assert frame(units, 1, sent) is not None


FILE = file_of(drawn(128, 96))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.binary(max_size=300)), max_size=30))
def test_no_packets_break_the_depacketizer(items: list[tuple[int, int, bytes]]) -> None:
    units = AccessUnits("mjpeg", 90000)
    for sequence, timestamp, payload in items:
        units.want()
        packet = rtp(sequence, timestamp, payload)
        units.packet(bytearray(packet), 0, len(packet), 0.0)
    units.finish()


@given(st.integers(0, 400), st.integers(0, 11), st.integers(0, 255))
def test_a_changed_header_gives_another_file_or_none(position: int, byte: int, value: int) -> None:
    sent = payloads(replace(parts_of(FILE), restart=4), 255, mtu=200)
    index = position % len(sent)
    changed = bytearray(sent[index])
    changed[byte] = value
    sent[index] = bytes(changed)
    units = AccessUnits("mjpeg", 90000)
    units.want()
    shown = frame(units, 0, sent)
    assert shown is None or (shown.startswith(b"\xff\xd8") and shown.endswith(b"\xff\xd9"))
