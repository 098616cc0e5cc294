"""Cameras that are joined in mid-stream: one by intra refresh, and one that begins with its next keyframe, however far away."""

from __future__ import annotations

import functools
import itertools
from fractions import Fraction

import av
import numpy as np

from support.rtsp_device import TICKS, Device, interleaved, plain_frame, rtp
from support.views import drawn_room

_FILM_FRAMES = 240


@functools.cache
def _film() -> list[list[bytes]]:
    """Encode a room with a sensor's noise by intra refresh: a recovery point each second. Return each frame's units."""
    context = av.CodecContext.create("libx264", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt, context.time_base = 352, 288, "yuv420p", Fraction(1, 15)
    refresh = "intra-refresh=1:keyint=15:min-keyint=15:slices=1:scenecut=0"
    context.options = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": refresh}
    room, rng = drawn_room(7, 352, 288), np.random.default_rng(7)
    coded: list[bytes] = []
    for number in range(_FILM_FRAMES):
        noisy = np.clip(room + rng.normal(0, 2, room.shape), 0, 255).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(noisy, format="bgr24").reformat(format="yuv420p")
        frame.pts = number
        coded += [bytes(part) for part in context.encode(frame)]
    coded += [bytes(part) for part in context.encode(None)]
    return [[unit for unit in data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if unit] for data in coded]


def refreshing() -> Device:
    """Return a camera that had its only keyframe before anybody came."""
    film, sequence = _film(), itertools.count()
    sets = [unit for unit in film[0] if unit[0] & 31 in {7, 8}]

    def packets(number: int) -> list[bytes]:
        units = [*(sets if number == 0 else []), *film[1 + number % (len(film) - 1)]]
        at = (number + 1) * TICKS
        return [interleaved(0, rtp(next(sequence), at, unit, marker=unit is units[-1])) for unit in units]

    return Device(packets=packets, interval=1 / 15)


def begins_late(seconds: float, interval: float = 0.05) -> Device:
    """Return a camera that answers PLAY at once and sends its first frame so long afterwards."""
    quiet = round(seconds / interval)
    return Device(packets=lambda n: [] if n < quiet else plain_frame(n - quiet), interval=interval)
