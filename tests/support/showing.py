"""A camera that shows the picture it is given, until it is given another: all keyframes, each with noise of its own."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np

from support.rtsp_device import TICKS, Device, interleaved, rtp
from support.views import Image

_SPARE = 64
"""The noise of a frame is cut out of a larger field, anywhere within so many pixels."""


@dataclass
class Showing(Device):
    """A camera before which somebody may put another picture at any time."""

    interval: float = 0.1
    image: Image = field(default_factory=lambda: np.zeros((288, 352, 3), np.uint8))
    _frames: itertools.count[int] = field(default_factory=itertools.count)
    _sequence: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        """Set up the encoder and the sensor."""
        height, width = self.image.shape[:2]
        context = av.CodecContext.create("libx264", "w")
        assert isinstance(context, av.VideoCodecContext)
        context.height, context.width = height, width
        context.pix_fmt, context.time_base = "yuv420p", Fraction(1, 15)
        context.options = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "keyint=1:slices=1:qp=18"}
        self._encoder, self._rng = context, np.random.default_rng(7)
        self._noise = self._rng.normal(0, 3, (height + _SPARE, width + _SPARE, 1))
        self.packets = self._frame

    def show(self, image: Image) -> None:
        """Show this picture from the next frame on."""
        self.image = image

    def _frame(self, number: int) -> list[bytes]:
        (height, width), (down, right) = self.image.shape[:2], self._rng.integers(0, _SPARE, 2)
        noisy = np.clip(self.image + self._noise[down : down + height, right : right + width], 0, 255).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(noisy, format="bgr24").reformat(format="yuv420p")
        frame.pts = next(self._frames)
        data = b"".join(bytes(part) for part in self._encoder.encode(frame))
        units = [unit for unit in data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if unit]
        at = (number + 1) * TICKS
        return [interleaved(0, rtp(next(self._sequence), at, unit, marker=unit is units[-1])) for unit in units]


def showing(image: Image) -> Showing:
    """Return a camera that shows a picture."""
    return Showing(image=image)
