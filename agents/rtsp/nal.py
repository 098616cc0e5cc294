"""NAL units in RTP: which bytes begin a keyframe, and how a keyframe's units are put together again.

H.264 by RFC 6184 (single unit, STAP-A, FU-A), H.265 by RFC 7798 (single unit, AP, FU).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agents.rtsp import sps

BORING, FRAGMENT, INTERESTING = 0, 1, 2
START_CODE = b"\x00\x00\x00\x01"
MAX_KEYFRAME_BYTES = 8 * 1024 * 1024
MAX_SETS = 16


@dataclass(frozen=True)
class NalRules:
    """What differs between the two codecs, as tables: one look-up tells what a packet's first byte means."""

    header_bytes: int
    type_shift: int
    type_mask: int
    aggregate: int
    fragment: int
    pictures: range
    keyframes: range
    parameter_sets: tuple[int, ...]
    """In the order in which a decoder wants them; the size is in the one named by `sps`."""
    sps: int
    size: Callable[[bytes], tuple[int, int]]

    def kind(self, first_byte: int) -> int:
        """Return the NAL unit type in a unit's first byte."""
        return (first_byte >> self.type_shift) & self.type_mask

    def single_table(self) -> bytes:
        """Return what each first byte of a payload means."""
        return bytes(self._meaning(self.kind(byte)) for byte in range(256))

    def fragment_table(self) -> bytes:
        """Return what each fragment header means: interesting where it starts a keyframe's slice."""
        return bytes(
            INTERESTING if byte & 0x80 and (byte & self.type_mask) in self.keyframes else BORING for byte in range(256)
        )

    def _meaning(self, kind: int) -> int:
        if kind == self.fragment:
            return FRAGMENT
        interesting = kind == self.aggregate or kind in self.keyframes or kind in self.parameter_sets
        return INTERESTING if interesting else BORING


H264 = NalRules(
    header_bytes=1,
    type_shift=0,
    type_mask=0x1F,
    aggregate=24,
    fragment=28,
    pictures=range(1, 6),
    keyframes=range(5, 6),
    parameter_sets=(7, 8),
    sps=7,
    size=sps.h264_size,
)
H265 = NalRules(
    header_bytes=2,
    type_shift=1,
    type_mask=0x3F,
    aggregate=48,
    fragment=49,
    pictures=range(32),
    keyframes=range(16, 24),
    parameter_sets=(32, 33, 34),
    sps=33,
    size=sps.h265_size,
)
RULES = {"h264": H264, "h265": H265}


def aggregated(rules: NalRules, data: bytes | bytearray, start: int, end: int) -> Iterator[bytes]:
    """Yield the units of an aggregation packet; stops at the first length that doesn't fit."""
    position = start + rules.header_bytes
    while position + 2 < end:
        length = (data[position] << 8) | data[position + 1]
        position += 2
        if not length or position + length > end:
            return
        yield bytes(data[position : position + length])
        position += length


class ParameterSets:
    """The parameter sets in force: from the description, then from the stream."""

    def __init__(self, rules: NalRules, described: tuple[bytes, ...]) -> None:
        """Begin with those of the description."""
        self._rules = rules
        self._sets: dict[int, list[bytes]] = {kind: [] for kind in rules.parameter_sets}
        self._stamps: dict[int, int | None] = {}
        self.size: tuple[int, int] | None = None
        for nal in described:
            self.add(nal, None)

    def add(self, nal: bytes, timestamp: int | None) -> None:
        """Take a unit if it is a parameter set; the first of its kind with a new RTP timestamp replaces the old ones."""
        kind = self._rules.kind(nal[0]) if nal else -1
        if kind not in self._sets or len(nal) > sps.MAX_SPS_BYTES:
            return
        known = self._sets[kind]
        if self._stamps.get(kind, -1) != timestamp:
            self._stamps[kind] = timestamp
            if known and nal == known[0]:
                del known[1:]
                return
            known.clear()
        if nal in known or len(known) >= MAX_SETS:
            return
        known.append(nal)
        if kind == self._rules.sps and len(known) == 1:
            self._measure(nal)

    def _measure(self, nal: bytes) -> None:
        try:
            self.size = self._rules.size(nal)
        except ValueError:
            self.size = None

    def units(self) -> list[bytes] | None:
        """Return the sets in a decoder's order; None while a kind is missing."""
        if not all(self._sets.values()):
            return None
        return [nal for kind in self._rules.parameter_sets for nal in self._sets[kind]]


class KeyframeAssembly:
    """The slices of one keyframe as they arrive; `broken` once something is missing."""

    def __init__(self, rules: NalRules, sets: ParameterSets, timestamp: int) -> None:
        """Collect the access unit with this RTP timestamp."""
        self._rules = rules
        self._sets = sets
        self._timestamp = timestamp
        self._units: list[bytes | bytearray] = []
        self._open: bytearray | None = None
        self._bytes = 0
        self.broken = False

    def collect(self, data: bytes | bytearray, start: int, end: int) -> None:
        """Take one RTP payload, data[start:end]."""
        rules = self._rules
        if self.broken or end - start <= rules.header_bytes:
            return
        self._bytes += end - start
        if self._bytes > MAX_KEYFRAME_BYTES:
            self.broken = True
            return
        kind = rules.kind(data[start])
        if kind == rules.fragment:
            self._fragment(data, start, end)
        elif self._open is not None:
            self.broken = True  # a fragmented unit's end never came
        elif kind == rules.aggregate:
            for nal in aggregated(rules, data, start, end):
                self._unit(nal)
        else:
            self._unit(bytes(data[start:end]))

    def _unit(self, nal: bytes) -> None:
        if self._rules.kind(nal[0]) in self._rules.pictures:
            self._units.append(nal)
        else:
            self._sets.add(nal, self._timestamp)

    def _fragment(self, data: bytes | bytearray, start: int, end: int) -> None:
        rules = self._rules
        at = start + rules.header_bytes
        flags = data[at]
        if flags & 0x80:
            if self._open is not None:
                self.broken = True
                return
            self._open = bytearray(_fragment_header(rules, data, start, flags))
        if self._open is None:
            self.broken = True
            return
        self._open += data[at + 1 : end]
        if flags & 0x40:
            if rules.kind(self._open[0]) in rules.pictures:
                self._units.append(self._open)
            self._open = None

    def annex_b(self) -> bytes | None:
        """Return parameter sets and slices as an Annex B byte stream; None when something is missing."""
        sets = self._sets.units()
        if self.broken or self._open is not None or not self._units or sets is None:
            return None
        return b"".join(part for unit in [*sets, *self._units] for part in (START_CODE, unit))


def _fragment_header(rules: NalRules, data: bytes | bytearray, start: int, flags: int) -> bytes:
    """Return the header that the fragmented unit had."""
    if rules.header_bytes == 1:
        return bytes([(data[start] & 0xE0) | (flags & 0x1F)])
    return bytes([(data[start] & 0x81) | ((flags & 0x3F) << 1), data[start + 1]])
