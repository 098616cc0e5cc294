"""RTP packets to frame events: by their headers alone, and with a keyframe's bytes only when one is wanted."""

from __future__ import annotations

import struct
from typing import NamedTuple

from agents.rtsp.nal import BORING, FRAGMENT, RULES, KeyframeAssembly, ParameterSets, aggregated
from agents.rtsp.sdp import Codec

_HEADER = struct.Struct(">BBHII")
_HALF = 1 << 31
_RESET_SECONDS = 2
"""A timestamp further back than this is a clock that was set anew; less is the order of B-frames."""

Annexb = bytes


class FrameEvent(NamedTuple):
    """One access unit, known once the next one begins."""

    received_at: float
    """Monotonic seconds at which its last packet was read."""
    rtp_timestamp: int
    bytes: int
    """Payload bytes."""
    keyframe: bool
    lost: int
    """Packets missing since the event before, by their sequence numbers."""
    keyframe_data: Annexb | None = None
    """A complete keyframe with its parameter sets as Annex B, where one was wanted."""


class AccessUnits:
    """Groups packets by timestamp.

    A new timestamp ends an access unit, not the marker bit: some cameras set the marker on every packet, others never,
    and a timestamp that never moves then yields no frames, as it should.
    """

    def __init__(self, codec: Codec, clock_rate: int, parameter_sets: tuple[bytes, ...]) -> None:
        """Begin with the description's parameter sets."""
        self._rules = RULES[codec]
        self._single = self._rules.single_table()
        self._fragments = self._rules.fragment_table()
        self._fragment_at = self._rules.header_bytes
        self._reset_ticks = clock_rate * _RESET_SECONDS
        self.sets = ParameterSets(self._rules, parameter_sets)
        self.events: list[FrameEvent] = []
        """Complete access units; the reader takes them away."""
        self.packets = 0
        self.malformed = 0
        self.moved = 0
        """How often the timestamp moved on; a stream is alive while this grows."""
        self.wanted = False
        """The next complete keyframe's bytes are to be delivered."""
        self._assembly: KeyframeAssembly | None = None
        self._ssrc = -1
        self._next_sequence = -1
        self._timestamp = -1
        self._newest = -1
        self._at = 0.0
        self._bytes = 0
        self._keyframe = False
        self._marker = False
        self._lost = 0

    def packet(self, data: bytes | bytearray, start: int, end: int, at: float) -> None:
        """Take the RTP packet data[start:end], read at the monotonic second `at`."""
        payload = start + 12
        if payload >= end:
            self.malformed += 1
            return
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data, start)
        if first != 0x80:
            payload, end = _payload_bounds(first, data, start, end)
            if payload >= end:
                self.malformed += 1
                return
        self.packets += 1
        if sequence != self._next_sequence or ssrc != self._ssrc:
            self._discontinuity(sequence, ssrc)
        self._next_sequence = (sequence + 1) & 0xFFFF
        if timestamp != self._timestamp:
            self._begin(timestamp)
        self._at = at
        self._bytes += end - payload
        self._marker = second >= 0x80
        meaning = self._single[data[payload]]
        if meaning == FRAGMENT:
            header = payload + self._fragment_at
            meaning = self._fragments[data[header]] if header < end else BORING
        if meaning != BORING or self._assembly is not None:
            self._look(data, payload, end, meaning)

    def finish(self) -> None:
        """Give out the last access unit if its end was seen: nothing follows."""
        if self._marker:
            self._flush()
        self._timestamp = -1

    def _discontinuity(self, sequence: int, ssrc: int) -> None:
        missing = (sequence - self._next_sequence) & 0xFFFF
        # A jump back is a sender that began anew: how much is missing can't be known.
        if self._next_sequence >= 0 and ssrc == self._ssrc and missing < 0x8000:
            self._lost += missing
        if ssrc != self._ssrc:
            self._ssrc = ssrc
            self._newest = -1
        if self._assembly is not None:
            self._assembly.broken = True

    def _begin(self, timestamp: int) -> None:
        """End the access unit at hand and begin one with this timestamp."""
        self._flush()
        self._timestamp = timestamp
        ahead = (timestamp - self._newest) & 0xFFFFFFFF
        set_anew = ahead >= _HALF and 2 * _HALF - ahead > self._reset_ticks
        if self._newest < 0 or 0 < ahead < _HALF or set_anew:
            self._newest = timestamp
            self.moved += 1

    def _flush(self) -> None:
        if self._timestamp >= 0:
            data = self._assembly.annex_b() if self._assembly is not None else None
            if data is not None:
                self.wanted = False
            self.events.append(FrameEvent(self._at, self._timestamp, self._bytes, self._keyframe, self._lost, data))
            self._lost = 0
        self._assembly = None
        self._bytes = 0
        self._keyframe = False

    def _look(self, data: bytes | bytearray, start: int, end: int, meaning: int) -> None:
        """Look into a payload that is part of a keyframe or may begin one."""
        rules = self._rules
        if meaning != BORING:
            kind = rules.kind(data[start])
            if kind == rules.aggregate:
                self._look_inside(data, start, end)
            elif kind in rules.parameter_sets:
                self.sets.add(bytes(data[start:end]), self._timestamp)
            else:
                slice_at = start + rules.header_bytes + (kind == rules.fragment)
                self._slice(slice_at < end and data[slice_at] >= 0x80)
        if self._assembly is not None:
            self._assembly.collect(data, start, end)

    def _look_inside(self, data: bytes | bytearray, start: int, end: int) -> None:
        rules = self._rules
        for nal in aggregated(rules, data, start, end):
            if rules.kind(nal[0]) in rules.keyframes:
                self._slice(len(nal) > rules.header_bytes and nal[rules.header_bytes] >= 0x80)
            else:
                self.sets.add(nal, self._timestamp)

    def _slice(self, is_first: bool) -> None:
        """Note a keyframe's slice; collect from its first one on (its first bit says so in both codecs)."""
        self._keyframe = True
        if self.wanted and is_first and self._assembly is None:
            self._assembly = KeyframeAssembly(self._rules, self.sets, self._timestamp)


def _payload_bounds(first: int, data: bytes | bytearray, start: int, end: int) -> tuple[int, int]:
    """Return where the payload lies behind contributing sources and extension, before padding; empty if malformed."""
    if first >> 6 != 2:
        return end, end
    payload = start + 12 + 4 * (first & 0x0F)
    if first & 0x10:
        if payload + 4 > end:
            return end, end
        payload += 4 + 4 * ((data[payload + 2] << 8) | data[payload + 3])
    if first & 0x20 and payload < end:
        padding = data[end - 1]
        return (payload, end - padding) if padding else (end, end)
    return payload, end
