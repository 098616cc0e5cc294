"""RTP packets to frame events: by their headers alone, and with a keyframe's bytes only when one is wanted."""

from __future__ import annotations

import struct
from typing import NamedTuple

from agents.rtsp.jpeg import JpegPictures
from agents.rtsp.nal import BORING, FOREIGN, FRAGMENT, NalPictures
from agents.rtsp.sdp import Codec
from monitor.model.span import Millis

_HEADER = struct.Struct(">BBHII")
_INTERLEAVED = struct.Struct(">HHBBHQ")
"""The frame of RTSP (a dollar sign and the channel, then the length), and the same header with timestamp and sender as one number."""
_DOLLAR = 0x2400
_REPLAY = struct.Struct(">HHII")
_NTP_EPOCH_OFFSET = 2_208_988_800
"""Seconds from 1900 to 1970."""
_HALF = 1 << 31
_RESET_SECONDS = 2
"""A timestamp further back than this is a clock that was set anew; less is the order of B-frames."""

_ANSWER = b"RTSP/1.0 "
"""In a packet, this is an answer that the device wrote into the midst of it: as much of the packet's own bytes is missing."""

RTCP = range(200, 208)
"""The types of control packets. Payload types that look so with a marker are kept free for them (RFC 5761, 4)."""

Coded = bytes
"""A keyframe with its parameter sets as Annex B, a JPEG file, or (not patient) several frames as Annex B."""


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
    keyframe_data: Coded | None = None
    """A complete keyframe, where one was wanted."""
    coded: Coded | None = None
    """The whole frame, while all are collected; None where something of it is missing."""


Pictures = NalPictures | JpegPictures
"""What a codec's packets say of its pictures: what is to be looked into, and what is put together."""


class AccessUnits:
    """Groups packets by timestamp.

    A new timestamp ends an access unit, not the marker bit: some cameras set the marker on every packet, others never,
    and a timestamp that never moves then yields no frames, as it should.
    """

    def __init__(
        self,
        codec: Codec,
        clock_rate: int,
        parameter_sets: tuple[bytes, ...] = (),
        size: tuple[int, int] | None = None,
    ) -> None:
        """Begin with what the description says: parameter sets (H.264, H.265), or a size (MJPEG)."""
        self._reset_ticks = clock_rate * _RESET_SECONDS
        self.events: list[FrameEvent] = []
        """Complete access units; the reader takes them away."""
        self.packets = 0
        self.malformed = 0
        self.moved = 0
        """How often the timestamp moved on; a stream is alive while this grows."""
        self.dated = False
        """Whether packets are looked at for the time at which a recorded picture was taken."""
        self.taken_at: Millis | None = None
        self._ssrc = -1
        self._next_sequence = -1
        self._timestamp = -1
        self._newest = -1
        self._at = 0.0
        self._bytes = 0
        self._marker = False
        self._lost = 0
        self._install(JpegPictures(size) if codec == "mjpeg" else NalPictures(codec, parameter_sets))

    @property
    def codec(self) -> Codec:
        """The codec of the stream: the description's, until the stream shows another."""
        return self._pictures.codec

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height in pixels, None while unknown."""
        return self._pictures.size

    @property
    def newest(self) -> int:
        """The RTP timestamp that is furthest ahead, -1 before the first one."""
        return self._newest

    @property
    def wanted(self) -> bool:
        """Whether the next complete keyframe's bytes are to be delivered."""
        return self._pictures.wanted

    def want(self, wanted: bool = True, *, patient: bool = True) -> None:
        """Deliver the next complete keyframe; not `patient`: or frames that show a whole picture once decoded."""
        pictures = self._pictures
        pictures.wanted, pictures.patient = wanted, patient
        self._single = pictures.single

    def collect_all(self, collecting: bool) -> None:
        """From the next access unit on, put each together, or only keyframes that are wanted."""
        self._pictures.all = collecting

    def packet(self, data: bytes | bytearray, start: int, end: int, at: float) -> None:
        """Take the RTP packet data[start:end], read at the monotonic second `at`."""
        payload = start + 12
        if payload > end:
            self.malformed += 1
            return
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data, start)
        if first != 0x80:
            if self.dated and first & 0x10:
                self.taken_at = replay_time(data, start + 12 + 4 * (first & 0x0F), end) or self.taken_at
            payload, end = _payload_bounds(first, data, start, end)
        if payload >= end:
            self.malformed += 1
            if first >> 6 == 2 and sequence == self._next_sequence and ssrc == self._ssrc:
                self._next_sequence = (sequence + 1) & 0xFFFF  # padding or an extension alone: nothing is missing
            return
        if sequence != self._next_sequence or ssrc != self._ssrc:
            if second in RTCP:  # its length and its sender stand where a packet has its number and its timestamp
                return
            self._discontinuity(sequence, ssrc)
        self.packets += 1
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
        if meaning != BORING or self._pictures.collecting:
            self._look(data, payload, end, meaning)

    def plain(self, data: bytes | bytearray, start: int, end: int, channel: int, at: float) -> int:
        """Take the interleaved packets in data[start:end] from the first one on for as long as each is the next one of `channel`, with a plain header.

        Return where the first other one begins, or one that isn't whole, or that `packet` has to look into.
        """
        whole = -1 if self._pictures.collecting else end - 20
        """Up to here a packet may begin: both headers, and as many bytes of its payload as are looked at."""
        single, fragments, fragment_at = self._single, self._fragments, self._fragment_at
        unpack = _INTERLEAVED.unpack_from
        marked, sequence, second = _DOLLAR | channel, self._next_sequence, 0
        whose = self._timestamp << 32 | self._ssrc
        count = size = 0
        while start <= whole:
            mark, length, first, kind, number, stamp = unpack(data, start)
            following = start + 4 + length
            if mark != marked or first != 0x80 or number != sequence or following > end or length < 16:
                break
            meaning = single[data[start + 16]]
            if meaning == FRAGMENT:
                meaning = fragments[data[start + 16 + fragment_at]]
            if meaning != BORING:
                break
            if stamp != whose:
                if stamp & 0xFFFFFFFF != self._ssrc:
                    break
                if count:
                    self._bytes, self._at = self._bytes + size, at
                size, whose = 0, stamp
                self._begin(stamp >> 32)
                if self._pictures.collecting:
                    break
            second = kind
            count += 1
            size += length - 12
            sequence = sequence + 1 & 0xFFFF
            start = following
        if count:
            self.packets += count
            self._next_sequence, self._at, self._marker = sequence, at, second >= 0x80
            self._bytes += size
        return start

    def finish(self) -> None:
        """Give out the last access unit if its end was seen: nothing follows."""
        if self._marker:
            self._flush()
        self._timestamp = -1

    def _install(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._single = pictures.single
        self._fragments = pictures.fragments
        self._fragment_at = pictures.fragment_at

    def _discontinuity(self, sequence: int, ssrc: int) -> None:
        missing = (sequence - self._next_sequence) & 0xFFFF
        # A jump back is a sender that began anew: how much is missing can't be known.
        if self._next_sequence >= 0 and ssrc == self._ssrc and missing < 0x8000:
            self._lost += missing
        if ssrc != self._ssrc:
            self._ssrc = ssrc
            self._newest = -1
        self._pictures.lost()

    def _begin(self, timestamp: int) -> None:
        """End the access unit at hand and begin one with this timestamp."""
        self._flush()
        self._timestamp = timestamp
        self._pictures.begin(timestamp)
        if self._newest < 0:  # a sender's first one: two senders in turns, each of which stands still, don't move
            self._newest = timestamp
            self.moved += not self.moved
            return
        ahead = (timestamp - self._newest) & 0xFFFFFFFF
        if 0 < ahead < _HALF or _HALF <= ahead < 2 * _HALF - self._reset_ticks:
            self._newest = timestamp
            self.moved += 1

    def _flush(self) -> None:
        if self._timestamp >= 0:
            pictures = self._pictures
            wanted, coded = pictures.end() if pictures.collecting else (None, None)
            told = self._at, self._timestamp, self._bytes, pictures.keyframe, self._lost, wanted, coded
            self.events.append(tuple.__new__(FrameEvent, told))  # as its constructor does, in half of the time
            self._lost = 0
        self._bytes = 0

    def _look(self, data: bytes | bytearray, start: int, end: int, meaning: int) -> None:
        pictures = self._pictures
        if meaning == FOREIGN and isinstance(pictures, NalPictures):
            other = pictures.other(bytes(data[start:end]))
            if other is not None:
                other.begin(self._timestamp)
                self._install(other)
            return
        pictures.look(data, start, end, meaning)
        if data.find(_ANSWER, start, end) >= 0:
            pictures.lost()


def replay_time(data: bytes | bytearray, start: int, end: int) -> Millis | None:
    """Return the time in ONVIF's replay header extension at data[start:end]; None for any other extension.

    0xABAC, a length of at least three words, an NTP timestamp (ONVIF Streaming Specification 6.3.1).
    """
    if start + 16 > end:
        return None
    kind, words, seconds, fraction = _REPLAY.unpack_from(data, start)
    if kind != 0xABAC or words < 3 or seconds < _NTP_EPOCH_OFFSET:
        return None
    return int(seconds - _NTP_EPOCH_OFFSET) * 1000 + int(fraction * 1000 >> 32)


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
