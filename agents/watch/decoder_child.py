"""The process that decodes keyframes: it has limits, holds no secret, and may be killed at any time.

Talks on standard input and output: a 4-byte big-endian length, then a JSON header line and the keyframe's bytes; the
answer is a length and JSON. It keeps the last luma plane of each camera to compare the next one with.
"""

from __future__ import annotations

import json
import resource
import struct
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from agents.vision.measure import Plane

MEMORY_BYTES = 2 << 30
MAX_REQUEST = 32 << 20
MAX_PIXELS = 8192 * 8192 // 4
MAX_PLANES = 256


def main() -> None:
    """Answer requests until standard input closes."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    planes: dict[str, Plane] = {}
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    while (request := _read(stdin)) is not None:
        header, _, data = request.partition(b"\n")
        answer = json.dumps(_answer(json.loads(header), data, planes)).encode()
        stdout.write(struct.pack(">I", len(answer)) + answer)
        stdout.flush()


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(4)
    if len(head) < 4:
        return None
    (length,) = struct.unpack(">I", head)
    if length > MAX_REQUEST:
        return None
    body = stream.read(length)
    return body if len(body) == length else None


def _answer(header: dict[str, Any], data: bytes, planes: dict[str, Plane]) -> dict[str, Any]:
    from agents.vision.measure import measure

    camera = str(header["camera"])
    try:
        luma = decode_luma(str(header["codec"]), data)
    except (ValueError, MemoryError, OSError, EOFError) as error:  # FFmpeg's errors are of these
        return {"error": f"{type(error).__name__}: {error}"[:200]}
    if luma is None:
        return {"error": "no picture came out of the keyframe"}
    measures = measure(luma, planes.get(camera))
    if len(planes) >= MAX_PLANES and camera not in planes:
        planes.clear()
    planes[camera] = luma
    return {"width": int(luma.shape[1]), "height": int(luma.shape[0]), "measures": vars(measures)}


def decode_luma(codec: str, data: bytes) -> Plane | None:
    """Decode one keyframe (Annex B, parameter sets included) to its luma plane; None when nothing comes out.

    Raises ValueError (FFmpeg's errors are such, or are OSError) for what can't be decoded.
    """
    import av
    import numpy as np

    if not data:
        raise ValueError("an empty keyframe")
    if codec not in {"h264", "hevc"}:
        raise ValueError(f"codec {codec!r} is not decoded")
    context = av.CodecContext.create(codec, "r")
    if not isinstance(context, av.VideoCodecContext):
        raise TypeError("not a video codec")
    context.thread_count = 1
    for packet in (av.Packet(data), None):
        for frame in context.decode(packet):
            if frame.width * frame.height > MAX_PIXELS:
                raise ValueError(f"a picture of {frame.width} x {frame.height} is larger than any camera's")
            if frame.format.name not in {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "gray", "nv12"}:
                frame = frame.reformat(format="yuv420p")  # noqa: PLW2901  (the same picture in a form we can read)
            plane = frame.planes[0]
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
            return np.ascontiguousarray(rows[:, : plane.width])
    return None


if __name__ == "__main__":
    main()
