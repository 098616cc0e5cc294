"""Keyframes of a recorded file from an instant on, decoded: in the decoder's process, which may die of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agents.limited import LIMITS, ONE_FILE_ALONE
from agents.watch.decoding import DECODED, codec_of, decoder, picture_of

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from agents.vision.picture import Picture

MOST_PACKETS = 20_000
"""Of a file without any further keyframe: ten minutes of packets, and then it is given up."""
RUN_PACKETS, RUN_BYTES = 300, 32 << 20
"""Where no packet calls itself a keyframe, so many are decoded in a row: with intra refresh a picture comes of them."""

BACK_SECONDS = 15.0
"""Keyframes are 10 s apart at most, or nearly."""

Shown = list[tuple[float, "Picture"]]
"""(seconds after the file's first frame, picture)."""


def keyframes_at(path: str, offset_seconds: float, most: int) -> tuple[str, Shown]:
    """Return the codec, and up to `most` pictures: the first is the keyframe before the offset where there is one.

    Raises ValueError, OSError or EOFError for a file that can't be read, for a codec that isn't decoded, and where no
    picture comes of what is in it.
    """
    import av

    with av.open(path, metadata_errors="replace", timeout=4.0, options={**LIMITS, **ONE_FILE_ALONE}) as container:
        if not container.streams.video:
            raise ValueError("the file holds no video")
        stream = container.streams.video[0]
        base, codec = stream.time_base, codec_of(stream)
        if codec not in DECODED or base is None:
            raise ValueError(f"codec {codec!r} is not decoded")
        first = stream.start_time or 0
        found: Shown = []
        for frame in _frames(container, stream, offset_seconds):
            shown = offset_seconds if frame.pts is None else float((frame.pts - first) * base)
            found.append((shown, picture_of(frame)))
            if len(found) >= most:
                break
    return codec, found


def _frames(container: InputContainer, stream: VideoStream, offset_seconds: float) -> Iterator[av.VideoFrame]:
    """Yield the keyframes from an offset on, decoded.

    Where there is none, those from a little earlier on: not every container is sought by its keyframes. Where no packet is
    called a keyframe, what comes of the packets in a row.
    """
    context, base = stream.codec_context, stream.time_base
    context.thread_count, context.skip_frame = 1, "NONKEY"
    run: list[av.Packet[VideoStream]] = []
    for back in (0.0, BACK_SECONDS):
        at = max(0.0, offset_seconds - back)
        container.seek((stream.start_time or 0) + int(at / (base or 1)), stream=stream, backward=True, any_frame=False)
        none = True
        for frame in _keyframes(container, stream, run):
            none = False
            yield frame
        if not none:
            return
        context.flush_buffers()
    if run:
        yield from _in_a_row(run, context)


def _keyframes(
    container: InputContainer, stream: VideoStream, run: list[av.Packet[VideoStream]]
) -> Iterator[av.VideoFrame]:
    """Yield the decoded keyframes from here on; `run` is filled with the packets before the first of them."""
    run.clear()
    size, keyframes = 0, False
    for number, packet in enumerate(container.demux(stream)):
        keyframes = keyframes or packet.is_keyframe
        if packet.is_keyframe or packet.size == 0:
            yield from packet.decode()
        elif not keyframes and len(run) < RUN_PACKETS and size + packet.size <= RUN_BYTES:
            run.append(packet)
            size += packet.size
        if number >= MOST_PACKETS:
            break


def _in_a_row(run: list[av.Packet[VideoStream]], context: av.VideoCodecContext) -> Iterator[av.VideoFrame]:
    """Decode packets one after the other. Raises ValueError when no picture comes of them."""
    import av

    alone = decoder(context.name, context.extradata)
    none = True
    for packet in (*run, None):
        try:
            frames = alone.decode(packet)
        except av.error.InvalidDataError:
            continue
        none = none and not frames
        yield from frames
    if none:
        raise ValueError("no picture comes of what is in the file")
