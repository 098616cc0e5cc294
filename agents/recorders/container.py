"""How long a recorded file plays, read from its container without decoding it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from agents.recorders.demuxer import Demuxer, Unfinished

MAX_BOXES = 200_000
"""A day of fragments of one second, and more."""

MAX_MOOV_BYTES = 64 * 1024 * 1024
_MP4_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".m4s", ".cmfv", ".3gp"})
_FRAGMENT_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class _Box:
    kind: bytes
    start: int
    body: int
    end: int


def duration_seconds(path: Path, demuxer: Demuxer) -> float:
    """Return how long the file plays, in seconds: an mp4 as read here, another (MPEG-TS, Matroska, AVI, FLV...) by `demuxer`.

    Raises Unfinished when the container does not say, OSError when the file cannot be read, and BrokenError when reading it
    cost too much.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[4:8] in {b"ftyp", b"styp", b"moov", b"moof"} or path.suffix.lower() in _MP4_SUFFIXES:
            try:
                return _mp4_duration(file)
            except (struct.error, ValueError, ZeroDivisionError, IndexError) as error:
                raise Unfinished(str(error)) from error
        return demuxer.seconds(file, path.suffix.lower())


def _mp4_duration(file: BinaryIO) -> float:
    """Return the longest of what moov and the fragments tell. Raises Unfinished without a moov."""
    size = file.seek(0, 2)
    scales: dict[int, int] = {}
    whole = 0.0
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    defaults: dict[int, int] = {}
    found = False
    for box in _boxes(file, 0, size):
        if box.kind == b"moov":
            found = True
            whole = _read_moov(_load(file, box, MAX_MOOV_BYTES), scales, defaults)
        elif box.kind == b"moof" and box.end <= size:
            _read_moof(_load(file, box, _FRAGMENT_BYTES), defaults, first, last)
    if not found:
        msg = "no moov"
        raise Unfinished(msg)
    ranges = [(first[track] / scales[track], last[track] / scales[track]) for track in last if scales.get(track)]
    # Where the fragments go on from the moov's own samples, these count too; else their times may begin anywhere.
    longest = max([whole, *(end if abs(begin - whole) < 1 else end - begin for begin, end in ranges)])
    if longest <= 0:
        msg = "a moov without a duration"
        raise Unfinished(msg)
    return longest


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[_Box]:
    """Walk the boxes of the file's top level; stops quietly at a torn one."""
    at = start
    for _ in range(MAX_BOXES):
        if at + 8 > end:
            return
        file.seek(at)
        head = file.read(16)
        length, kind = struct.unpack_from(">I4s", head)
        body = at + 8
        if length == 1 and len(head) == 16:
            length, body = struct.unpack(">Q", head[8:])[0], at + 16
        elif length == 0:
            length = end - at
        if length < body - at:
            return
        yield _Box(kind, at, body, at + length)
        at += length


def _load(file: BinaryIO, box: _Box, limit: int) -> bytes:
    length = box.end - box.body
    if length > limit:
        msg = f"a {box.kind.decode('latin-1')} box of {length} bytes"
        raise ValueError(msg)
    file.seek(box.body)
    data = file.read(length)
    if len(data) < length:
        msg = "a torn box"
        raise Unfinished(msg)
    return data


def _inner(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Walk the boxes inside a box's body."""
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if length == 0:
            length = len(data) - at
        if length < 8 or at + length > len(data):
            return
        yield kind, data[at + 8 : at + length]
        at += length


def _read_moov(moov: bytes, scales: dict[int, int], defaults: dict[int, int]) -> float:
    """Fill in each track's time scale and default sample duration; return the movie's own duration in seconds."""
    seconds = 0.0
    for kind, body in _inner(moov):
        if kind == b"mvhd":
            scale, duration = _scale_and_duration(body)
            seconds = duration / scale if scale else 0.0
        elif kind == b"trak":
            _read_trak(body, scales)
        elif kind == b"mvex":
            for inner, trex in _inner(body):
                if inner == b"trex":
                    track, _, duration = struct.unpack_from(">III", trex, 4)
                    defaults[track] = duration
    return seconds


def _scale_and_duration(body: bytes) -> tuple[int, int]:
    """Read the time scale and duration of an mvhd or mdhd box; a duration of all ones is unknown: 0."""
    scale, duration = struct.unpack_from(">IQ", body, 20) if body[0] == 1 else struct.unpack_from(">II", body, 12)
    unknown = 0xFFFFFFFFFFFFFFFF if body[0] == 1 else 0xFFFFFFFF
    return scale, 0 if duration == unknown else duration


def _read_trak(trak: bytes, scales: dict[int, int]) -> None:
    track = scale = 0
    for kind, body in _inner(trak):
        if kind == b"tkhd":
            track = struct.unpack_from(">I", body, 20 if body[0] == 1 else 12)[0]
        elif kind == b"mdia":
            for inner, mdhd in _inner(body):
                if inner == b"mdhd":
                    scale = _scale_and_duration(mdhd)[0]
    scales[track] = scale


def _read_moof(moof: bytes, defaults: dict[int, int], first: dict[int, int], last: dict[int, int]) -> None:
    """Move each track's first and last sample time by one fragment."""
    for kind, traf in _inner(moof):
        if kind != b"traf":
            continue
        track = begin = length = default = 0
        for inner, body in _inner(traf):
            if inner == b"tfhd":
                track, default = _track_and_default(body, defaults)
            elif inner == b"tfdt":
                begin = struct.unpack_from(">Q" if body[0] == 1 else ">I", body, 4)[0]
            elif inner == b"trun":
                length += _run_length(body, default)
        first[track] = min(begin, first.get(track, begin))
        last[track] = max(begin + length, last.get(track, 0))


def _track_and_default(body: bytes, defaults: dict[int, int]) -> tuple[int, int]:
    flags = int.from_bytes(body[1:4], "big")
    track = struct.unpack_from(">I", body, 4)[0]
    if not flags & 0x08:
        return track, defaults.get(track, 0)
    at = 8 + (8 if flags & 0x01 else 0) + (4 if flags & 0x02 else 0)
    return track, struct.unpack_from(">I", body, at)[0]


def _run_length(body: bytes, default: int) -> int:
    """Return the duration of all samples of a trun box."""
    flags = int.from_bytes(body[1:4], "big")
    count = struct.unpack_from(">I", body, 4)[0]
    if not flags & 0x100:
        return int(count * default)
    at = 8 + (4 if flags & 0x01 else 0) + (4 if flags & 0x04 else 0)
    step = 4 * sum(bool(flags & bit) for bit in (0x100, 0x200, 0x400, 0x800))
    if at + count * step > len(body):
        msg = "a torn trun"
        raise ValueError(msg)
    return sum(struct.unpack_from(">I", body, at + i * step)[0] for i in range(count))
