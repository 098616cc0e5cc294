"""Coded pictures to planes by FFmpeg's libraries: the same for a live keyframe and for a recorded file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.limited import LIMITS, MAX_PIXELS
from agents.vision.picture import Picture, Plane

if TYPE_CHECKING:
    import av

DECODED = frozenset({"h264", "hevc", "mjpeg"})
"""What cameras send."""

FILED = DECODED | {"mpeg4", "msmpeg4", "mpeg1video", "mpeg2video", "vp8", "vp9", "libdav1d", "ffv1"}
"""What recordings are kept in beside it, by the names of FFmpeg's decoders (AV1 is libdav1d)."""

_FULL_RANGE = 2
"""AVCOL_RANGE_JPEG."""

_PLANAR = frozenset({"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "gray"})
_BY_NAME_FULL = frozenset({"yuvj420p", "yuvj422p", "yuvj444p", "gray"})


def decoder(codec: str, extradata: bytes | None = None, *, size: tuple[int, int] | None = None) -> av.VideoCodecContext:
    """Return a decoder of one thread for a codec as FFmpeg names it. Raises ValueError for one that isn't decoded.

    `size` (width, height) is what a recording's container says: then the codecs of recordings are decoded, too, some of
    which don't say it themselves.
    """
    import av

    if codec not in (DECODED if size is None else FILED):
        raise ValueError(f"codec {codec!r} is not decoded")
    context = av.CodecContext.create(codec, "r")
    if not isinstance(context, av.VideoCodecContext):
        raise TypeError(f"{codec} is not a video codec here")
    context.thread_count = 1
    context.options = dict(LIMITS)
    if size is not None:
        context.width, context.height = size
    if extradata:
        context.extradata = extradata
    return context


def codec_of(stream: av.VideoStream) -> str:
    """Return a recorded stream's codec as FFmpeg names its decoder; a word that is none's where FFmpeg has none for it."""
    return getattr(stream.codec_context, "name", "unknown")  # of an unknown tag there is no context at all


def picture_of(frame: av.VideoFrame) -> Picture:
    """Copy a decoded frame's planes, on the video scale. Raises ValueError for a picture larger than any camera's."""
    if frame.width * frame.height > MAX_PIXELS:
        raise ValueError(f"a picture of {frame.width} x {frame.height} is larger than any camera's")
    if frame.format.name not in _PLANAR:
        frame = frame.reformat(format="yuv420p")
    full = frame.color_range == _FULL_RANGE or frame.format.name in _BY_NAME_FULL
    planes = [_plane(frame, number) for number in range(len(frame.planes))]
    if full:
        planes = [_video_range(plane, chroma=number > 0) for number, plane in enumerate(planes)]
    return Picture(planes[0], *planes[1:3]) if len(planes) > 1 else Picture(planes[0], *_colourless(planes[0]))


def _plane(frame: av.VideoFrame, number: int) -> Plane:
    import numpy as np

    plane = frame.planes[number]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return np.ascontiguousarray(rows[:, : plane.width])


def _video_range(plane: Plane, *, chroma: bool) -> Plane:
    """Bring 0..255 to 16..235 (luma) or 16..240 (chroma), as BT.601 and BT.709 have it."""
    import numpy as np

    low, high = 16.0, 240.0 if chroma else 235.0
    scaled = np.round(low + np.arange(256) * (high - low) / 255).astype(np.uint8)
    return scaled[plane]


def _colourless(luma: Plane) -> tuple[Plane, Plane]:
    import numpy as np

    plane = np.full((max(1, luma.shape[0] // 2), max(1, luma.shape[1] // 2)), 128, np.uint8)
    return plane, plane
