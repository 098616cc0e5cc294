"""The process that decodes keyframes: it has limits, holds no secret, and may be killed at any time.

Talks on standard input and output: a 4-byte big-endian length, then a JSON header line and the keyframe's bytes; the
answer is a length, a JSON line (what went wrong, if anything did), and what is told of the look as `answer` writes it. A film is several frames one after the other, and the imprint of an
earlier look: asked for are the imprints of the last ones, and where they lie beside that look. It keeps a sample of each camera's last picture to compare the next one with.
"""

from __future__ import annotations

import gc
import json
import struct
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, BinaryIO

from agents.limited import MAX_FILM_PIXELS, stay_small

if TYPE_CHECKING:
    from agents.vision.measure import Trace
    from agents.vision.picture import Picture

MAX_REQUEST = 32 << 20
MAX_TRACES = 256


def main() -> None:
    """Answer requests until standard input closes."""
    stay_small()
    _stay_alone()
    traces: dict[str, Trace] = {}
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    settled = False
    while (request := _read(stdin)) is not None:
        header, _, data = request.partition(b"\n")
        told, found = _answer(json.loads(header), data, traces)
        line = json.dumps(told).encode() + b"\n"
        stdout.write(b"".join((struct.pack(">I", len(line) + len(found)), line, found)))
        stdout.flush()
        if not settled:
            gc.freeze()  # the libraries are loaded, and stay: to look through them for garbage cost a thirtieth of a look
            settled = True


def _stay_alone() -> None:
    """Keep to one thread: for pictures of this size more only take turns with the machine's other work."""
    import cv2

    cv2.setNumThreads(1)


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(4)
    if len(head) < 4:
        return None
    (length,) = struct.unpack(">I", head)
    if length > MAX_REQUEST:
        return None
    body = stream.read(length)
    return body if len(body) == length else None


def _answer(header: dict[str, Any], data: bytes, traces: dict[str, Trace]) -> tuple[dict[str, Any], bytes]:
    """Return what goes wrong with a keyframe, and what is said of it (`answer`); or what is said of a film, and its imprints."""
    from agents.vision.fingerprint import fingerprint
    from agents.vision.measure import measure
    from agents.watch.answer import written

    if "path" in header:
        return _filmed(str(header["path"]), float(header["offset_seconds"]), int(header["most"])), b""
    if "film" in header:
        return _film(str(header["codec"]), data, [int(item) for item in header["film"]], int(header["last"]))
    camera = str(header["camera"])
    try:
        picture = decode(str(header["codec"]), data)
    except (ValueError, MemoryError, OSError, EOFError) as error:  # FFmpeg's errors are of these
        return {"error": f"{type(error).__name__}: {error}"[:200]}, b""
    if picture is None:
        return {"error": "no picture came out of the keyframe"}, b""
    measures, trace = measure(picture, traces.get(camera))
    if len(traces) >= MAX_TRACES and camera not in traces:
        traces.clear()
    traces[camera] = trace
    height, width = picture.luma.shape
    return {}, written((width, height), measures, fingerprint(picture), trace.imprint)


def _film(codec: str, data: bytes, sizes: list[int], last: int) -> tuple[dict[str, Any], bytes]:
    """Decode frames of so many bytes each, the first one a keyframe; return what the `last` ones that are shown leave beside the look whose imprint follows them."""
    from agents.vision.film import film_frame
    from agents.vision.imprint import from_bytes
    from agents.vision.strips import strips

    try:
        earlier = from_bytes(data[sum(sizes) :])
        found = [film_frame(strips(picture.luma), earlier) for picture in shown(codec, data, sizes, last)]
    except (ValueError, MemoryError, OSError, EOFError) as error:  # FFmpeg's errors are of these
        return {"error": f"{type(error).__name__}: {error}"[:200]}, b""
    told = [item for item in found if item is not None]
    return {"offsets": [item.offset for item in told]}, b"".join(item.imprint.tobytes() for item in told)


def _filmed(path: str, offset_seconds: float, most: int) -> dict[str, Any]:
    """Return what is said of a recorded file's keyframes, their views with it: there are few of them."""
    from agents.vision.fingerprint import fingerprint
    from agents.vision.measure import measure
    from agents.watch.filmed import keyframes_at

    try:
        codec, found = keyframes_at(path, offset_seconds, most)
    except (ValueError, MemoryError, OSError, EOFError) as error:  # FFmpeg's errors are of these
        return {"error": f"{type(error).__name__}: {error}"[:200]}
    looks = [
        {
            "width": int(picture.luma.shape[1]),
            "height": int(picture.luma.shape[0]),
            "measures": measure(picture, None)[0].numbers(),
            "view": fingerprint(picture).to_json(),
        }
        for _, picture in found
    ]
    return {"codec": codec, "first_seconds": found[0][0] if found else offset_seconds, "looks": looks}


def decode(codec: str, data: bytes) -> Picture | None:
    """Decode coded pictures (Annex B with parameter sets, or one JPEG) and return the last; None when nothing comes out.

    Several pictures in a row are decoded one after the other, as where a camera sends no keyframes. Raises ValueError
    (FFmpeg's errors are such, or are OSError) for what can't be decoded.
    """
    import av

    from agents.watch.decoding import decoder, picture_of

    if not data:
        raise ValueError("an empty keyframe")
    context = decoder(codec)
    packets = [av.Packet(data)] if codec == "mjpeg" else [*context.parse(data), *context.parse(None)]
    last: av.VideoFrame | None = None
    for packet in (*packets, None):
        for frame in context.decode(packet):
            last = frame
    return None if last is None else picture_of(last)


def shown(codec: str, data: bytes, sizes: list[int], last: int) -> list[Picture]:
    """Decode frames one after the other, and return the `last` ones that are shown. Raises ValueError where any is missing, or they are too large."""
    import av

    from agents.watch.decoding import decoder, picture_of

    context, frames, count, pixels, start = decoder(codec), deque[av.VideoFrame](maxlen=max(1, last)), 0, 0, 0
    for size in (*sizes, None):
        packet = None if size is None else av.Packet(data[start : start + size])
        start += size or 0
        for frame in context.decode(packet):
            frames.append(frame)
            count += 1
            pixels += frame.width * frame.height
            if pixels > MAX_FILM_PIXELS:  # they grew on the way: smaller ones were announced
                raise ValueError(f"{count} frames have more than {MAX_FILM_PIXELS} pixels")
    if count != len(sizes):
        raise ValueError(f"{count} of {len(sizes)} frames were decoded")
    return [picture_of(frame) for frame in frames]


if __name__ == "__main__":
    main()
