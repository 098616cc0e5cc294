"""Real packet loss: pictures through an encoder, a line that drops, and a decoder that conceals."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.codec.context import Flags, Flags2
from av.video.codeccontext import VideoCodecContext

from benchmarks.view.optics import Planar

_SLICES: Final = 12
_GROUP: Final = 6
_IDR, _SLICE = 5, 1


def nal_units(stream: bytes) -> Iterator[bytes]:
    """Split an Annex B byte stream into its units, without start codes."""
    for part in stream.split(b"\x00\x00\x01")[1:]:
        unit = part.rstrip(b"\x00")
        if unit:
            yield unit


def _unit_type(unit: bytes) -> int:
    return unit[0] & 0x1F


class Loss:
    """A camera's pictures after a bad line. `share` of each picture's slices is lost, or all keyframes."""

    def __init__(self, width: int, height: int, *, keyframes: bool, share: float, seed: int) -> None:
        """Open the encoder; the decoder knows nothing yet, as after a reconnect."""
        self._rng = np.random.default_rng([seed, 73])
        self._keyframes, self._share = keyframes, share
        self._first = float(self._rng.uniform(0, max(0.0, 1 - share)))
        self._encoder = av.CodecContext.create("libx264", "w")
        assert isinstance(self._encoder, VideoCodecContext)
        self._encoder.width, self._encoder.height, self._encoder.pix_fmt = width, height, "yuv420p"
        self._encoder.time_base = Fraction(1, 10)
        self._encoder.gop_size = _GROUP
        self._encoder.thread_count = 1
        self._encoder.options = {
            "preset": "superfast",
            "tune": "zerolatency",
            "crf": "30",
            "x264-params": f"slices={_SLICES}:scenecut=0:sliced-threads=0",
        }
        self._decoder = self._fresh()
        self._count = 0
        self._last: Planar | None = None

    @staticmethod
    def _fresh() -> VideoCodecContext:
        decoder = av.CodecContext.create("h264", "r")
        assert isinstance(decoder, VideoCodecContext)
        decoder.thread_count = 1
        decoder.flags |= Flags.output_corrupt
        decoder.flags2 |= Flags2.show_all
        return decoder

    def picture(self, picture: Planar) -> Planar:
        """Return what a viewer at the other end of the line sees."""
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = self._count
        self._count += 1
        for packet in self._encoder.encode(frame):
            arrived = b"".join(b"\x00\x00\x00\x01" + unit for unit in self._arriving(bytes(packet)))
            if packet.is_keyframe:
                self._decoder = self._fresh()
            if arrived:
                try:
                    for shown in self._decoder.decode(av.Packet(arrived)):
                        self._last = np.asarray(shown.to_ndarray(format="yuv420p"), np.uint8)
                except av.error.InvalidDataError:
                    continue
        return picture if self._last is None else self._last.copy()

    def _arriving(self, packet: bytes) -> list[bytes]:
        """Return the units that the line lets through."""
        units = list(nal_units(packet))
        slices = [unit for unit in units if _unit_type(unit) in {_IDR, _SLICE}]
        if self._keyframes:
            return [unit for unit in units if _unit_type(unit) != _IDR]
        first = self._first + float(self._rng.uniform(-0.04, 0.04))
        lost = {number for number in range(len(slices)) if first <= (number + 0.5) / len(slices) < first + self._share}
        return [unit for unit in units if unit not in slices or slices.index(unit) not in lost]


def damaged_share(seen: Planar, whole: Planar) -> float:
    """Return the share of luma that differs clearly from the undamaged picture."""
    luma = whole.shape[0] * 2 // 3
    difference = np.abs(seen[:luma:2, ::2].astype(np.int16) - whole[:luma:2, ::2])
    return float((difference > 12).mean())
