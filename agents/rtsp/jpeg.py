"""JPEG in RTP (RFC 2435): which packets make a frame, and the headers that they leave out, put together again."""

from __future__ import annotations

import struct
from typing import Literal

from agents.rtsp.nal import BORING, MAX_KEYFRAME_BYTES

_HEADER = struct.Struct(">BBHBBBB")
"""Type-specific, fragment offset (24 bits), type, Q, width and height in units of eight pixels."""
_TABLE_BYTES = 64
_OWN_TABLES = 255
"""The Q whose tables hold for their own frame alone."""
_RESTART_TYPES = range(64, 128)
_SAMPLING = {0: 0x21, 1: 0x22}
"""Type to luma's sampling factors: 4:2:2 and 4:2:0. Others mean what a session agreed on, which nobody does."""

# ITU-T T.81 tables K.1 and K.2 in zigzag order, which RFC 2435 scales by Q.
_LUMA = bytes.fromhex(
    "100b0c0e0c0a100e0d0e1211101318281a181616183123251d283a333d3c3933"
    "383740485c4e404457453738506d51575f626768673e4d71797064785c656763"
)
_CHROMA = bytes.fromhex("1112121815182f1a1a2f634238426363") + bytes([99]) * 48

# ITU-T T.81 tables K.3 to K.6: class and number, how many codes of each length, what they stand for.
_HUFFMAN = (
    "0000010501010101010100000000000000000102030405060708090a0b",
    (
        "100002010303020403050504040000017d01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a"
        "161718191a25262728292a3435363738393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788"
        "898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9"
        "eaf1f2f3f4f5f6f7f8f9fa"
    ),
    "0100030101010101010101010000000000000102030405060708090a0b",
    (
        "1100020102040403040705040400010277000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a1624"
        "34e125f11718191a262728292a35363738393a434445464748494a535455565758595a636465666768696a737475767778797a8283848586"
        "8788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8"
        "e9eaf2f3f4f5f6f7f8f9fa"
    ),
)


class JpegPictures:
    """Frames of one stream: each is a keyframe, and is put together only when one is wanted."""

    codec: Literal["mjpeg"] = "mjpeg"
    single = bytes([BORING]) * 256
    fragments = single
    fragment_at = 0

    def __init__(self, size: tuple[int, int] | None) -> None:
        """Take the size that the description gives, for pictures too large for the packets' own fields."""
        self.wanted = False
        self.patient = True
        """Without a meaning here: a keyframe is never far."""
        self.all = False
        """Each frame is put together."""
        self.keyframe = True
        self.collecting = False
        self.size = size
        self._declared = size
        self._tables: dict[int, tuple[bytes, ...]] = {}
        """By Q, as some devices send their tables once."""
        self._frame: _Frame | None = None

    def begin(self, timestamp: int) -> None:  # noqa: ARG002  (NAL units need it)
        """Begin a frame."""
        self.keyframe = True
        self._frame = _Frame(self._tables, self._declared) if self.wanted or self.all else None
        self.collecting = self._frame is not None

    def look(self, data: bytes | bytearray, start: int, end: int, meaning: int) -> None:  # noqa: ARG002  (NAL units need it)
        """Take one payload of a frame that is wanted."""
        if self._frame is not None:
            self._frame.collect(data, start, end)
            self.size = self._frame.size or self.size

    def lost(self) -> None:
        """Something of the frame at hand is missing."""
        if self._frame is not None:
            self._frame.broken = True

    def end(self) -> tuple[bytes | None, bytes | None]:
        """Return the frame at hand as a JPEG file, when it is whole: where one is wanted, and where all are."""
        frame, self._frame = self._frame, None
        self.collecting = False
        whole = frame.jpeg() if frame is not None else None
        wanted = whole if self.wanted else None
        self.wanted = self.wanted and whole is None
        return wanted, whole if self.all else None


class _Frame:
    """One frame's payloads as they arrive."""

    def __init__(self, tables: dict[int, tuple[bytes, ...]], declared: tuple[int, int] | None) -> None:
        self._tables = tables
        self._declared = declared
        self._head = b""
        self._data = bytearray()
        self._second_field = False
        self.size: tuple[int, int] | None = None
        self.broken = False

    def collect(self, data: bytes | bytearray, start: int, end: int) -> None:
        """Take one RTP payload, data[start:end]."""
        if self.broken or self._second_field:
            return
        body = start + _HEADER.size
        if body > end:
            self.broken = True
            return
        _, high, low, kind, quality, width, height = _HEADER.unpack_from(data, start)
        offset = high << 16 | low
        if offset == 0 and self._data:
            self._second_field = True  # interlaced: both fields carry one timestamp, and one of them is picture enough
            return
        restart = 0
        if kind in _RESTART_TYPES:
            restart = int.from_bytes(data[body : body + 2], "big")
            body += 4
        if offset == 0:
            tables = self._tables.get(quality)
            if quality >= 128:
                tables, body = self._read_tables(data, body, end, quality)
            self._begin(kind, tables or scaled_tables(quality), restart, (8 * width, 8 * height))
        if not self._head or body > end or offset != len(self._data) or offset + end - body > MAX_KEYFRAME_BYTES:
            self.broken = True
            return
        self._data += data[body:end]

    def _read_tables(
        self, data: bytes | bytearray, at: int, end: int, quality: int
    ) -> tuple[tuple[bytes, ...] | None, int]:
        """Return the quantization tables before the data, or those of earlier, and where the data begins."""
        wide, length = (data[at + 1], data[at + 2] << 8 | data[at + 3]) if at + 4 <= end else (0, 0)
        following = at + 4 + length
        if length == 0 or following > end:
            return self._tables.get(quality), following
        tables: list[bytes] = []
        position = at + 4
        while position < following and len(tables) < 2:
            size = _TABLE_BYTES << (wide >> len(tables) & 1)
            tables.append(bytes(data[position : position + size]))
            position += size
        if position > following:
            return None, following
        if quality != _OWN_TABLES:
            self._tables[quality] = tuple(tables)
        return tuple(tables), following

    def _begin(self, kind: int, tables: tuple[bytes, ...] | None, restart: int, size: tuple[int, int]) -> None:
        """Make the header of a frame whose first packet says this; none when it can't be made."""
        if not all(size):
            size = self._declared or (0, 0)  # larger than eight bits can tell: the description says it
        sampling = _SAMPLING.get(kind & 0x3F) if kind < 128 else None
        if tables is None or sampling is None or not all(size):
            return
        self.size = size
        self._head = header(size, tables, sampling, restart)

    def jpeg(self) -> bytes | None:
        """Return the frame as a JPEG file; None when something is missing."""
        if self.broken or not self._data:
            return None
        return self._head + bytes(self._data) + (b"" if self._data.endswith(b"\xff\xd9") else b"\xff\xd9")


def scaled_tables(quality: int) -> tuple[bytes, bytes] | None:
    """Return the tables for luma and chroma that Q stands for, in zigzag order; None when it isn't 1..99."""
    if not 0 < quality < 100:
        return None
    factor = 5000 // quality if quality < 50 else 200 - 2 * quality
    luma, chroma = (bytes(min(max((v * factor + 50) // 100, 1), 255) for v in table) for table in (_LUMA, _CHROMA))
    return luma, chroma


def header(size: tuple[int, int], tables: tuple[bytes, ...], sampling: int, restart: int) -> bytes:
    """Return what comes before a baseline JPEG's data: tables, the picture's size in pixels, three components."""
    width, height = size
    parts = [b"\xff\xd8"]
    for number, table in enumerate(tables):
        parts.append(_segment(0xDB, bytes([(len(table) > _TABLE_BYTES) << 4 | number]) + table))
    if restart:
        parts.append(_segment(0xDD, struct.pack(">H", restart)))
    chroma = min(1, len(tables) - 1)
    components = bytes([1, sampling, 0, 2, 0x11, chroma, 3, 0x11, chroma])
    parts.append(_segment(0xC0, struct.pack(">BHHB", 8, height, width, 3) + components))
    parts += [_segment(0xC4, bytes.fromhex(table)) for table in _HUFFMAN]
    parts.append(_segment(0xDA, bytes([3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0])))
    return b"".join(parts)


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
