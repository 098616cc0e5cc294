"""What SQLite reads of a database and its log, by their file formats alone, and in which ways that may come out.

Two states of a disk of which it reads the same are one state to whoever opens them. So what a point leaves open can be counted out
where the states that differ in their bytes can't: see `ways`. Source of all rules: sqlite.org/fileformat2.html, section 4.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

HEADER_BYTES = 100
"""Of a database: read as they lie there, whatever its log has."""
LOG_HEADER_BYTES, FRAME_HEADER_BYTES, PAGE_BYTES = 32, 24, 4096
FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES
HEADER = -1
"""The log's header, where a number tells of a frame."""
MAGIC, VERSION = 0x377F0682, 3007000
MOST_WAYS = 1 << 14
"""Of one part of a log: so many choices may be tried."""

Sums = tuple[int, int]
Tag = TypeVar("Tag")


@dataclass(frozen=True)
class Piece:
    """Bytes that may be there instead of what lies at that place."""

    offset: int
    data: bytes


@dataclass(frozen=True)
class Log:
    """What a log's front says: up to the first frame that isn't whole."""

    frames: int
    """So many are whole."""
    size: int
    """Pages of the database as of the last commit among them; 0: there is none."""
    pages: Mapping[int, bytes]
    """Those that the commits have, by number."""


@dataclass(frozen=True)
class Reading:
    """All that SQLite can tell of a database and its log."""

    header: bytes
    frames: int
    digest: bytes
    """Of the pages, each where it is read from, one after the other."""


def reading(database: bytes, log: bytes) -> Reading:
    """Return what is read of these files; an empty log is like none."""
    found = read_log(log)
    content = content_of(database, found)
    return Reading(database[:HEADER_BYTES], found.frames if database else 0, hashlib.sha256(content).digest())


def content_of(database: bytes, log: Log) -> bytes:
    """Return the pages that are read of these files, one after the other. Of a database without a page the log isn't read."""
    if not database or not log.size:
        return database
    pages = (
        log.pages.get(number, database[(number - 1) * PAGE_BYTES : number * PAGE_BYTES].ljust(PAGE_BYTES, b"\0"))
        for number in range(1, log.size + 1)
    )
    return b"".join(pages)


def read_log(log: bytes) -> Log:
    """Return what a log's front says."""
    header = log[:LOG_HEADER_BYTES]
    sums = _begins(header)
    frames, size = 0, 0
    pages: dict[int, bytes] = {}
    uncommitted: dict[int, bytes] = {}
    while sums is not None:
        at = LOG_HEADER_BYTES + frames * FRAME_BYTES
        frame = log[at : at + FRAME_BYTES]
        sums = _goes_on(frame, header, sums)
        if sums is None:
            break
        frames += 1
        number, size_then = struct.unpack(">II", frame[:8])
        uncommitted[number] = frame[FRAME_HEADER_BYTES:]
        if size_then:
            size = size_then
            pages |= uncommitted
            uncommitted = {}
    return Log(frames, size, pages)


def ways(log: bytes, places: Sequence[Sequence[tuple[Tag, Piece]]]) -> Iterator[tuple[Tag, ...]]:
    """Give which of these pieces may be there, one way for each front that the log can have: all that is read of it.

    At each place lies what lay there, or one of its pieces. From the front on, part by part (the log's header, a frame), all choices are
    tried: what holds goes on, and one of those that don't is where the log ends, whatever comes after it.
    Raises ValueError for a piece that is of two parts, and for a part with too many choices.
    """
    parts: dict[int, list[Sequence[tuple[Tag, Piece]]]] = {}
    for options in places:
        (part,) = {_part(piece) for _, piece in options}
        parts.setdefault(part, []).append(options)
    for chosen, header in _choices(log, 0, LOG_HEADER_BYTES, parts.get(HEADER, [])):
        sums = _begins(header)
        if sums is None:
            yield chosen
        else:
            yield from _ways_on(log, parts, 0, header, sums, chosen)


def _ways_on(
    log: bytes,
    parts: Mapping[int, Sequence[Sequence[tuple[Tag, Piece]]]],
    frame: int,
    header: bytes,
    sums: Sums,
    before: tuple[Tag, ...],
) -> Iterator[tuple[Tag, ...]]:
    """Give the ways from a frame on, behind a front that holds."""
    at = LOG_HEADER_BYTES + frame * FRAME_BYTES
    whole: dict[bytes, tuple[int, tuple[Tag, ...], Sums]] = {}
    torn: tuple[Tag, ...] | None = None
    every = list(_choices(log, at, FRAME_BYTES, parts.get(frame, [])))
    for (chosen, data), after in zip(every, _all_go_on([data for _, data in every], header, sums), strict=True):
        # What is short is torn; but where it ends in zeros it is as good as whole once later pieces make the file longer: the longest stands for all.
        if (after is None or len(data) < FRAME_BYTES) and torn is None:
            torn = chosen
        padded = data.ljust(FRAME_BYTES, b"\0")
        if after is not None and (padded not in whole or len(data) > whole[padded][0]):
            whole[padded] = len(data), chosen, after
    if torn is not None:
        yield (*before, *torn)
    for _, chosen, after in whole.values():
        yield from _ways_on(log, parts, frame + 1, header, after, (*before, *chosen))


def _part(piece: Piece) -> int:
    """Return which frame of its log a piece is of, or HEADER. Raises ValueError where it is of two."""
    first = (piece.offset - LOG_HEADER_BYTES) // FRAME_BYTES
    last = (piece.offset + len(piece.data) - 1 - LOG_HEADER_BYTES) // FRAME_BYTES
    if first != last:
        raise ValueError("a piece of two parts of the log is not understood")
    return first


def _choices(
    log: bytes, at: int, size: int, places: Sequence[Sequence[tuple[Tag, Piece]]]
) -> Iterator[tuple[tuple[Tag, ...], bytes]]:
    """Give every choice of these pieces, and the bytes from `at` on that there are with it: fewer than `size` at the file's end."""
    if math.prod(len(options) + 1 for options in places) > MOST_WAYS:
        raise ValueError("what is open of one part of the log is too much to be tried")
    for chosen in product(*((None, *options) for options in places)):
        data = bytearray(log[at : at + size])
        for tag_piece in chosen:
            if tag_piece is not None:
                begin = tag_piece[1].offset - at
                data.extend(bytes(max(0, begin - len(data))))
                data[begin : begin + len(tag_piece[1].data)] = tag_piece[1].data
        yield tuple(item[0] for item in chosen if item is not None), bytes(data)


def _is_big(header: bytes) -> bool:
    return bool(header[3] & 1)


def _begins(header: bytes) -> Sums | None:
    """Return the sums that a log's frames go on from; None: it is no log's header."""
    if len(header) < LOG_HEADER_BYTES:
        return None
    magic, version, page_bytes = struct.unpack(">III", header[:12])
    if magic & ~1 != MAGIC or version != VERSION or page_bytes != PAGE_BYTES:
        return None
    ((first, second),) = _sums([header[:24]], (0, 0), _is_big(header))
    return (first, second) if struct.pack(">II", first, second) == header[24:] else None


@lru_cache(maxsize=4096)
def _goes_on(frame: bytes, header: bytes, before: Sums) -> Sums | None:
    """Return the sums after a frame; None: it isn't whole, or isn't what follows."""
    return _all_go_on([frame], header, before)[0] if len(frame) == FRAME_BYTES else None


def _all_go_on(frames: Sequence[bytes], header: bytes, before: Sums) -> list[Sums | None]:
    """Return the same of each, where what is short ends in zeros."""
    padded = [frame.ljust(FRAME_BYTES, b"\0") for frame in frames]
    after = _sums([frame[:8] + frame[FRAME_HEADER_BYTES:] for frame in padded], before, _is_big(header))
    return [
        sums if frame[:4] != bytes(4) and frame[8:24] == header[16:24] + struct.pack(">II", *sums) else None
        for frame, sums in zip(padded, after, strict=True)
    ]


def _sums(rows: Sequence[bytes], before: Sums, big: bool) -> list[Sums]:
    """Return the sums of each of several rows of the same number of bytes, going on from those before: two running ones of 32 bits."""
    words: NDArray[np.uint32] = np.frombuffer(b"".join(rows), ">u4" if big else "<u4").astype(np.uint32)
    columns = np.ascontiguousarray(words.reshape(len(rows), -1).T)
    first, second = (np.full(len(rows), value, np.uint32) for value in before)
    for even, odd in zip(columns[::2], columns[1::2], strict=True):
        first += even + second
        second += odd + first
    return list(zip(first.tolist(), second.tolist(), strict=True))
