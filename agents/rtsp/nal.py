"""NAL units in RTP: which bytes begin a picture that stands alone, and how its units are put together again.

H.264 by RFC 6184 (single unit, STAP-A, FU-A), H.265 by RFC 7798 (single unit, AP, FU).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from agents.rtsp import sps
from agents.rtsp.bits import BitReader, without_emulation

NalCodec = Literal["h264", "h265"]

BORING, FRAGMENT, INTERESTING, FOREIGN = 0, 1, 2, 3
START_CODE = b"\x00\x00\x00\x01"
_SEPARATOR = b"\x00\x00\x01"
"""No unit holds these bytes: where they are, another one begins."""
_MOST_PARTS = 64
_RECOVERY_POINT = 6
"""SEI payload type (ITU-T H.264 D.1.8)."""
MAX_KEYFRAME_BYTES = 8 * 1024 * 1024
MAX_SETS = 16
MAX_UNITS = 4096
"""Slices of a picture; no level of either codec has so many."""
MAX_RUN_FRAMES = 300
"""Frames that a decoder may need after a recovery point; more is no point to begin at."""


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
    sei: int | None
    """Where a recovery point is announced; None where decoders make nothing of it."""
    foreign: frozenset[int]
    """First bytes that no unit of this codec has, and the other codec's sequence parameter set does."""

    def kind(self, first_byte: int) -> int:
        """Return the NAL unit type in a unit's first byte."""
        return (first_byte >> self.type_shift) & self.type_mask

    def single_table(self) -> bytes:
        """Return what each first byte of a payload means."""
        return bytes(FOREIGN if byte in self.foreign else self._meaning(self.kind(byte)) for byte in range(256))

    def table_with_sei(self) -> bytes:
        """Return the same where recovery points are looked for."""
        plain = self.single_table()
        return bytes(INTERESTING if self.kind(byte) == self.sei else plain[byte] for byte in range(256))

    def fragment_table(self) -> bytes:
        """Return what each fragment header means: interesting where it starts anything but an inter picture's slice."""
        kinds = {*self.keyframes, *range(self.pictures.stop, self.type_mask)}
        return bytes(INTERESTING if byte & 0x80 and (byte & self.type_mask) in kinds else BORING for byte in range(256))

    def parted(self, nal: bytes) -> list[bytes]:
        """Return the units in what came as one.

        Some cameras (V380, "macro-video rtsp server") send parameter sets and the keyframe's slice as one unit, with
        start codes between them as in a file. A unit that begins as a slice is not looked through: a decoder does that.
        """
        if _SEPARATOR not in nal or self.kind(nal[0]) in self.pictures:
            return [nal]
        parts = (part.rstrip(b"\x00") for part in nal.split(_SEPARATOR, _MOST_PARTS))
        return [part for part in parts if part]

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
    sei=6,
    foreign=frozenset({0x42}),  # in H.264 a data partition, which no camera sends
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
    sei=None,
    foreign=frozenset({0x27, 0x47, 0x67}),  # in H.265 a layer above 31, or a reserved type
)
RULES: dict[NalCodec, NalRules] = {"h264": H264, "h265": H265}
_TABLES = {
    codec: (rules.single_table(), rules.table_with_sei(), rules.fragment_table()) for codec, rules in RULES.items()
}
"""Made once: a device that changes its codec with each packet would else have them made as often."""
OTHER: dict[NalCodec, NalCodec] = {"h264": "h265", "h265": "h264"}


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
        self._unmeasured: list[bytes] = []
        """Sets that came since the size was last asked for: to take them apart is dear, and a device may send thousands."""
        self._size: tuple[int, int] | None = None
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
        if kind == self._rules.sps:
            self._unmeasured = known

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height in pixels; of several sets in force, the largest."""
        if self._unmeasured:
            sizes = filter(None, map(self._measured, self._unmeasured))
            self._size = max(sizes, key=lambda size: size[0] * size[1], default=None)
            self._unmeasured = []
        return self._size

    def _measured(self, nal: bytes) -> tuple[int, int] | None:
        try:
            return self._rules.size(nal)
        except ValueError:
            return None

    def units(self) -> list[bytes] | None:
        """Return the sets in a decoder's order; None while a kind is missing."""
        if not all(self._sets.values()):
            return None
        return [nal for kind in self._rules.parameter_sets for nal in self._sets[kind]]


class PictureAssembly:
    """The slices of one picture as they arrive; `broken` once something is missing."""

    def __init__(self, rules: NalRules, sets: ParameterSets, timestamp: int, *, with_sei: bool = False) -> None:
        """Collect the access unit with this RTP timestamp; `with_sei`: and what it says of recovery."""
        self._rules = rules
        self._sets = sets
        self._timestamp = timestamp
        self._kept = (*rules.pictures, rules.sei) if with_sei else rules.pictures
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
        if self._bytes > MAX_KEYFRAME_BYTES or len(self._units) > MAX_UNITS:
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
            for nal in rules.parted(bytes(data[start:end])):
                self._unit(nal)

    def _unit(self, nal: bytes) -> None:
        if self._rules.kind(nal[0]) in self._kept:
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
            whole, self._open = self._open, None
            if rules.kind(whole[0]) in rules.pictures:
                self._units.append(whole)
            else:
                for nal in rules.parted(bytes(whole)):
                    self._unit(nal)

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


def recovery_frames(nal: bytes) -> int | None:
    """Return how many frames after this H.264 SEI unit the picture is right again; None without a recovery point."""
    payload = without_emulation(nal[1:256])
    at = 0
    while at + 2 < len(payload):
        kind, at = _sei_number(payload, at)
        length, at = _sei_number(payload, at)
        if kind == _RECOVERY_POINT:
            try:
                return BitReader(payload[at : at + length]).unsigned()
            except ValueError:
                return None
        at += length
    return None


def _sei_number(payload: bytes, at: int) -> tuple[int, int]:
    """Read a number of a run of 255s and a rest; return it and where the next thing begins."""
    number = 0
    while at < len(payload) and payload[at] == 0xFF:
        number += 0xFF
        at += 1
    return number + (payload[at] if at < len(payload) else 0), at + 1


class NalPictures:
    """Pictures of one H.264 or H.265 stream: keyframes are noticed, and put together when one is wanted.

    All of them are while `all` is set. Where keyframes don't come (intra refresh) and `patient` is turned off, a run of frames from a recovery point on
    is put together instead: what a decoder needs until its picture is right.
    """

    def __init__(self, codec: NalCodec, parameter_sets: tuple[bytes, ...]) -> None:
        """Begin with the description's parameter sets."""
        self.codec: NalCodec = codec
        self._rules = RULES[codec]
        self._plain, self._with_sei, self.fragments = _TABLES[codec]
        self.fragment_at = self._rules.header_bytes
        self.sets = ParameterSets(self._rules, parameter_sets)
        self.wanted = False
        """The next complete keyframe's bytes are to be delivered."""
        self.patient = True
        self.all = False
        """Each picture is put together, from the next one on; a run that is wanted goes before."""
        self.keyframe = False
        """The access unit at hand is a keyframe."""
        self.collecting = False
        self._assembly: PictureAssembly | None = None
        self._timestamp = -1
        self._run: list[bytes] = []
        self._run_bytes = 0
        self._run_left = 0
        """Frames that the run at hand still needs; 0 without one."""

    @property
    def single(self) -> bytes:
        """What each first byte of a payload means now."""
        return self._plain if self.patient else self._with_sei

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height by the parameter sets in force."""
        return self.sets.size

    def begin(self, timestamp: int) -> None:
        """Begin an access unit."""
        self._timestamp = timestamp
        self.keyframe = False
        if self._run_left or self.all:
            self._collect(with_sei=bool(self._run_left))

    def lost(self) -> None:
        """Something of the access unit at hand is missing."""
        if self._assembly is not None:
            self._assembly.broken = True

    def end(self) -> tuple[bytes | None, bytes | None]:
        """Return as Annex B, when it is whole, the keyframe at hand or the run that ends here, where one is wanted; and the picture, where all are."""
        if self._assembly is None:
            return None, None
        picture = self._assembly.annex_b()
        self._assembly = None
        self.collecting = False
        wanted: bytes | None = None
        if self._run_left and not self.keyframe:
            wanted = self._run_with(picture)
        elif self.keyframe and self.wanted and picture is not None:
            wanted, self._run_left = picture, 0
        self.wanted = self.wanted and wanted is None
        return wanted, picture if self.all else None

    def look(self, data: bytes | bytearray, start: int, end: int, meaning: int) -> None:
        """Look into a payload that is part of a picture that is wanted, or may begin one."""
        rules = self._rules
        if meaning != BORING:
            kind = rules.kind(data[start])
            if kind == rules.aggregate:
                for nal in aggregated(rules, data, start, end):
                    self._look_at_unit(nal)
            elif kind == rules.fragment:
                self._look_at_first(data, start, end)
            else:
                for nal in rules.parted(bytes(data[start:end])):
                    self._look_at_unit(nal)
        if self._assembly is not None:
            self._assembly.collect(data, start, end)

    def other(self, nal: bytes) -> NalPictures | None:
        """Return the pictures of the other codec when this unit is its parameter set: the device changed its codec."""
        codec = OTHER[self.codec]
        try:
            RULES[codec].size(nal)
        except ValueError:
            return None
        pictures = NalPictures(codec, (nal,))
        pictures.wanted, pictures.patient, pictures.all = self.wanted, self.patient, self.all
        return pictures

    def _look_at_first(self, data: bytes | bytearray, start: int, end: int) -> None:
        """Look at the first fragment of a unit."""
        rules = self._rules
        at = start + rules.header_bytes
        flags = data[at]
        if flags & rules.type_mask in rules.keyframes:
            self._slice(at + 1 < end and data[at + 1] >= 0x80)
            return
        *whole, last = rules.parted(_fragment_header(rules, data, start, flags) + data[at + 1 : end])
        for nal in whole:
            self._look_at_unit(nal)
        if flags & 0x40 or rules.kind(last[0]) in rules.keyframes:
            self._look_at_unit(last)

    def _look_at_unit(self, nal: bytes) -> None:
        rules = self._rules
        kind = rules.kind(nal[0])
        if kind in rules.keyframes:
            self._slice(len(nal) > rules.header_bytes and nal[rules.header_bytes] >= 0x80)
        elif kind in rules.parameter_sets:
            self.sets.add(nal, self._timestamp)
        elif kind == rules.sei and self.wanted and not self.patient and self._assembly is None:
            frames = recovery_frames(nal)
            if frames is not None and frames < MAX_RUN_FRAMES:
                self._run, self._run_bytes, self._run_left = [], 0, frames + 1
                self._collect(with_sei=True)

    def _slice(self, is_first: bool) -> None:
        """Note a keyframe's slice; collect from its first one on (its first bit says so in both codecs)."""
        begins, self.keyframe = not self.keyframe, True
        if self._assembly is None:
            if self.wanted and is_first:
                self._collect(with_sei=False)
        elif begins and not is_first:
            self._assembly.broken = True  # collected as one of all, and its beginning was lost

    def _collect(self, *, with_sei: bool) -> None:
        self._assembly = PictureAssembly(self._rules, self.sets, self._timestamp, with_sei=with_sei)
        self.collecting = True

    def _run_with(self, picture: bytes | None) -> bytes | None:
        """Add a picture to the run; return the whole run with its last one. A missing one ends the run."""
        self._run_bytes += len(picture or b"")
        if picture is None or self._run_bytes > MAX_KEYFRAME_BYTES:
            self._run, self._run_left = [], 0
            return None
        self._run.append(picture)
        self._run_left -= 1
        if self._run_left:
            return None
        whole, self._run = b"".join(self._run), []
        return whole
