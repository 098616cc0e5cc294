"""Live H.264: pictures in, NAL units out, by libx264 at the settings of a cheap sub-stream."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
import av.codec.context

from agents.simulators.scenes import Picture

CLOCK_RATE: Final = 90_000
"""Ticks a second of RTP video timestamps."""

_IDR: Final = 5


@dataclass(frozen=True)
class AccessUnit:
    """One coded picture: its NAL units without start codes, and whether a decoder can start here."""

    nals: tuple[bytes, ...]
    keyframe: bool


class Encoder:
    """One libx264 context: baseline, no B-frames, a single thread, a keyframe every `gop_seconds`."""

    def __init__(self, width: int, height: int, fps: int, *, gop_seconds: float = 2.0) -> None:
        """Open the encoder. Raises `av.error.FFmpegError` where the wheel has no libx264."""
        context = av.CodecContext.create("libx264", "w")
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base, context.framerate = Fraction(1, CLOCK_RATE), Fraction(fps)
        context.gop_size, context.max_b_frames, context.thread_count = max(1, round(gop_seconds * fps)), 0, 1
        context.flags |= av.codec.context.Flags.global_header
        context.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "profile": "baseline",
            "qp": "28",  # constant, so that a frozen picture stays the same bit for bit and a live one keeps its noise
            "x264-params": "scenecut=0",
        }
        context.open()
        self._context = context
        self.parameter_sets = split_annex_b(bytes(context.extradata or b""), kinds={7, 8})

    def encode(self, picture: Picture, ticks: int) -> list[AccessUnit]:
        """Encode an I420 picture shown at `ticks` of the 90 kHz clock."""
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts, frame.time_base = ticks, Fraction(1, CLOCK_RATE)
        return [_access_unit(bytes(packet)) for packet in self._context.encode(frame)]


def _access_unit(data: bytes) -> AccessUnit:
    nals = split_annex_b(data, kinds={1, _IDR})
    return AccessUnit(nals, any(nal[0] & 0x1F == _IDR for nal in nals))


def split_annex_b(data: bytes, *, kinds: set[int]) -> tuple[bytes, ...]:
    """Return the NAL units of these `kinds` from a byte stream with start codes."""
    # A start code of four bytes leaves one zero at the end of the unit before it; a NAL unit never ends in zero.
    nals = [part.rstrip(b"\0") for part in data.split(b"\0\0\1")[1:]]
    return tuple(nal for nal in nals if nal and nal[0] & 0x1F in kinds)


@functools.cache
def parameter_sets(width: int, height: int, fps: int, gop_seconds: float) -> tuple[bytes, ...]:
    """Return the SPS and PPS that `Encoder` gives for these settings, for an SDP before anything plays."""
    return Encoder(width, height, fps, gop_seconds=gop_seconds).parameter_sets
