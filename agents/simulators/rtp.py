"""RTP for H.264: access units into interleaved packets (RFC 6184, RFC 2326 10.12), sender reports, and the SDP."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

PAYLOAD_TYPE: Final = 96
_MAX_PAYLOAD: Final = 1400
_FU_A, _STAP_A = 28, 24
_NTP_EPOCH_OFFSET: Final = 2_208_988_800


def payloads(nals: Sequence[bytes], limit: int = _MAX_PAYLOAD) -> list[bytes]:
    """Cut NAL units into RTP payloads of at most `limit` bytes: whole where they fit, else FU-A fragments."""
    cut: list[bytes] = []
    for nal in nals:
        cut.extend([nal] if len(nal) <= limit else _fragments(nal, limit))
    return cut


def _fragments(nal: bytes, limit: int) -> list[bytes]:
    indicator, kind, body, step = nal[0] & 0xE0 | _FU_A, nal[0] & 0x1F, nal[1:], limit - 2
    starts = range(0, len(body), step)
    parts: list[bytes] = []
    for start in starts:
        flags = (0x80 if start == 0 else 0) | (0x40 if start + step >= len(body) else 0)
        parts.append(bytes((indicator, flags | kind)) + body[start : start + step])
    return parts


def aggregate(nals: Sequence[bytes]) -> bytes:
    """Put small NAL units, such as SPS and PPS, into one STAP-A payload."""
    reference = max(nal[0] & 0x60 for nal in nals)
    return bytes((reference | _STAP_A,)) + b"".join(struct.pack(">H", len(nal)) + nal for nal in nals)


@dataclass
class RtpSender:
    """The numbering of one RTP stream within one session."""

    ssrc: int
    sequence: int
    first_timestamp: int
    _origin_ticks: int | None = None
    _packets: int = field(default=0)
    _octets: int = field(default=0)

    def packets(self, parts: Sequence[bytes], ticks: int, extension: bytes = b"") -> list[bytes]:
        """Return RTP packets for one access unit shown at `ticks`; the first unit carries `first_timestamp`.

        `extension` is a whole header extension (RFC 3550 5.3.1), carried by every packet.
        """
        timestamp, first = self._timestamp(ticks), 0x90 if extension else 0x80
        result = []
        for number, part in enumerate(parts):
            marker = 0x80 if number == len(parts) - 1 else 0
            head = struct.pack(">BBHII", first, marker | PAYLOAD_TYPE, self.sequence, timestamp, self.ssrc)
            result.append(head + extension + part)
            self.sequence = self.sequence + 1 & 0xFFFF
            self._packets += 1
            self._octets += len(part)
        return result

    def report(self, ticks: int, now: float) -> bytes:
        """Return an RTCP sender report that ties `ticks` to the epoch second `now`."""
        seconds = int(now)
        return struct.pack(
            ">BBHIIIIII", 0x80, 200, 6, self.ssrc, seconds + _NTP_EPOCH_OFFSET & 0xFFFFFFFF,
            int((now - seconds) * 2**32), self._timestamp(ticks), self._packets & 0xFFFFFFFF, self._octets & 0xFFFFFFFF,
        )  # fmt: skip

    def _timestamp(self, ticks: int) -> int:
        if self._origin_ticks is None:
            self._origin_ticks = ticks
        return self.first_timestamp + ticks - self._origin_ticks & 0xFFFFFFFF


def interleaved(channel: int, packet: bytes) -> bytes:
    """Frame a packet for the RTSP connection."""
    return struct.pack(">cBH", b"$", channel, len(packet)) + packet


def describe(
    host: str,
    control: str,
    parameter_sets: Sequence[bytes],
    *,
    fps: int,
    in_sdp: bool = True,
    time_range: str = "npt=now-",
) -> str:
    """Return the SDP of one H.264 stream; `in_sdp` false leaves the parameter sets to the stream itself."""
    sps = parameter_sets[0]
    sprop = ",".join(base64.b64encode(nal).decode() for nal in parameter_sets)
    fmtp = f"packetization-mode=1;profile-level-id={sps[1:4].hex().upper()}"
    lines = [
        "v=0",
        f"o=- 1 1 IN IP4 {host}",
        "s=Media Presentation",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        f"a=range:{time_range}",
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
        f"a=rtpmap:{PAYLOAD_TYPE} H264/90000",
        f"a=fmtp:{PAYLOAD_TYPE} {fmtp}" + (f";sprop-parameter-sets={sprop}" if in_sdp else ""),
        f"a=framerate:{fps}",
        f"a=control:{control}",
    ]
    return "\r\n".join(lines) + "\r\n"
