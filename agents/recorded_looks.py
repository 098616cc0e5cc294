"""A recorded file as a camera: its frames' sizes, and a decoded picture for each time at which a look is due."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from agents.limited import FORMATS, LIMITS, MAX_PIXELS, ONE_FILE_ALONE
from agents.vision.picture import Picture
from agents.watch.decoding import FILED, codec_of, decoder, picture_of

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

NEAR_RATIO = 0.5
"""A keyframe this share of the distance between two looks away from its due time will do."""

MOMENT_SECONDS = 0.001
"""Timestamps are rounded to their own ticks."""

MOST_DELAYED = 16
"""Frames that a decoder may hold back, at most, to put them into the order in which they are shown."""

MOST_FILM_PIXELS = 600 << 20
"""Of frames that are decoded one after the other to reach those that somebody asks for, ten seconds of 1920x1080: a file with one keyframe alone would be
decoded over and over."""

MAX_HELD_BYTES = 64 << 20
"""Of packets that may have to be decoded to reach a due time; a longer run without a keyframe is decoded as it comes."""

SANE_STEP_SECONDS = 24 * 3600.0
"""A timestamp that jumps further ahead is a broken one, not a hole in the recording."""


IMAGE_FORMATS = ("image2", "_pipe")
"""Ends of the names that FFmpeg gives to the formats of single images."""

_FORMATS = (
    FORMATS,
    "dhav,ivf,nut,ogg,obu,av1,m4v,mpegvideo,mxf,gif",
    "image2,jpeg_pipe,jpegls_pipe,j2k_pipe,png_pipe,bmp_pipe,webp_pipe,tiff_pipe,pgm_pipe,ppm_pipe",
)
_ONE_FILE = {**LIMITS, **ONE_FILE_ALONE, "format_whitelist": ",".join(_FORMATS), "pattern_type": "none"}
"""Neither a list of further files is followed, nor a pattern of names."""


class UnreadableError(Exception):
    """The file gives no picture; the text is one sentence that names it."""


@dataclass(frozen=True)
class FrameSize:
    """One coded frame: when, how large, and whether a decoder can start at it."""

    at_seconds: float
    bytes: int
    keyframe: bool


@dataclass(frozen=True)
class FilmedLook:
    """One picture of the file, with the coded frames since the look before."""

    at_seconds: float
    """By the file's own timestamps, from its first frame on."""
    picture: Picture
    frames: tuple[FrameSize, ...]
    codec: str
    """As FFmpeg names its decoder."""


class Asking(Protocol):
    """Somebody who asks for some frames between looks."""

    def want(self, after: float) -> tuple[float, float] | None:
        """Return from when to when frames are wanted, after a second; None where none are. Asked again once these were given."""

    def filmed(self, times: Sequence[float], pictures: Sequence[Picture]) -> None:
        """Take the frames in the order in which they are shown, and when each is; none at all where they can't be decoded."""


class Timeline:
    """A stream's own timestamps made to run: from 0, never back, missing ones one frame after the one before.

    Some containers give a timestamp to the first of several frames only: what was assumed for the others is part of the
    time up to the next timestamp.
    """

    def __init__(self, frame_seconds: float) -> None:
        """Take the nominal distance of two frames."""
        self._step = frame_seconds
        self._last_raw: float | None = None
        self._assumed = 0.0
        """Since that timestamp, for frames without one of their own."""
        self._now = -frame_seconds

    def __call__(self, raw: float | None) -> float:
        """Return the running time of a frame whose decoding timestamp reads `raw` seconds."""
        step, passed = self._step, 0.0 if raw is None or self._last_raw is None else raw - self._last_raw
        if raw is None or raw == self._last_raw:
            self._assumed += step
        elif 0 < passed < SANE_STEP_SECONDS:
            step, self._assumed = max(0.0, passed - self._assumed), max(0.0, self._assumed - passed)
        else:
            self._assumed = 0.0
        self._last_raw = raw if raw is not None else self._last_raw
        self._now += step
        return self._now


def file_looks(
    path: Path, every: float, progress: Callable[[float], None] = lambda _: None, asking: Asking | None = None
) -> Iterator[FilmedLook]:
    """Yield a look for each `every` seconds of a video file, the first at its first picture.

    A keyframe near the due time is decoded alone; without one the frames up to the due time are. `progress` is told the
    second that was reached; who is `asking` is given frames meanwhile. Raises UnreadableError when no picture comes out of the file at all.
    """
    import av

    try:
        with _opened(path) as container:
            yield from _looks(path, container, every, progress, asking)
    except (av.error.FFmpegError, OSError, ValueError, EOFError) as error:
        raise UnreadableError(f"{path}: {_said(error)}") from error


def still_picture(path: Path) -> Picture | None:
    """Return the picture of an image file (JPEG, PNG or another that FFmpeg reads); None when it is no image.

    Raises UnreadableError for a file that can't be read at all.
    """
    import av

    try:
        with _opened(path) as container:
            if not container.format.name.endswith(IMAGE_FORMATS):
                return None
            return _still(path, container)
    except (av.error.FFmpegError, OSError, ValueError, IndexError) as error:
        raise UnreadableError(f"{path}: {_said(error, 'a picture or a video')}") from error


def _still(path: Path, container: InputContainer) -> Picture:
    import av

    # Else memory is taken for a picture before its size is known.
    container.streams.video[0].codec_context.options = dict(LIMITS)
    try:
        for frame in container.decode(video=0):
            return picture_of(frame)
    except av.error.ArgumentError:
        raise UnreadableError(f"{path}: its picture is damaged, or larger than any camera's") from None
    raise UnreadableError(f"{path}: no picture could be decoded from it")


def _opened(path: Path) -> InputContainer:
    """Open a file, whatever its name: one with a colon in it is no address."""
    import av

    return av.open(f"file:{path}", metadata_errors="replace", options=_ONE_FILE)


def _said(error: Exception, wanted: str = "a video") -> str:
    import av

    if isinstance(error, av.error.ArgumentError):
        return f"it can't be read as {wanted} (it is of a kind that is not opened)"
    text = error.strerror if isinstance(error, av.error.FFmpegError | OSError) and error.strerror else str(error)
    return f"it can't be read as {wanted} ({text})"


def _looks(
    path: Path, container: InputContainer, every: float, progress: Callable[[float], None], asking: Asking | None
) -> Iterator[FilmedLook]:
    from av.stream import Disposition

    # A cover picture beside music counts as a video stream of one frame.
    streams = [item for item in container.streams.video if not item.disposition & Disposition.attached_pic]
    if not streams:
        raise UnreadableError(f"{path}: there is no video in it")
    stream = streams[0]
    context, codec = stream.codec_context, codec_of(stream)
    if codec not in FILED:
        raise UnreadableError(
            f"{path}: its codec {codec} is not read; H.264, H.265, MJPEG, MPEG-4, MPEG-2, VP8, VP9 and AV1 are"
        )
    if context.width * context.height > MAX_PIXELS:
        raise UnreadableError(f"{path}: a picture of {context.width} x {context.height} is larger than any camera's")
    coding = _Coding(codec, context.extradata, (context.width, context.height))
    run, film = _Run(coding, every), None if asking is None else _Film(coding, asking)
    rate = float(stream.average_rate or stream.base_rate or 25)
    timeline = Timeline(1 / rate if rate > 0 else 0.04)
    looks = 0
    for packet in _packets(container, stream):
        stamp = packet.dts if packet.dts is not None else packet.pts
        at = timeline(None if stamp is None or packet.time_base is None else float(stamp * packet.time_base))
        progress(at)
        if film is not None:
            film.packet(packet, at)
        for look in run.packet(packet, at):
            looks += 1
            yield look
    for look in run.end():
        looks += 1
        yield look
    if not looks:
        raise UnreadableError(f"{path}: no picture could be decoded from it")


def _packets(container: InputContainer, stream: av.VideoStream) -> Iterator[av.Packet[Any]]:
    """Yield the coded frames; a file that was cut off ends where it ends."""
    import av

    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except (av.error.FFmpegError, EOFError):
        return


@dataclass(frozen=True)
class _Coding:
    """How a file's pictures are coded, as its container says."""

    codec: str
    extradata: bytes | None
    size: tuple[int, int]

    def decoder(self) -> av.VideoCodecContext:
        return decoder(self.codec, self.extradata, size=self.size)


@dataclass
class _Run:
    """Where reading is: when the next look is due, and the frames that might be decoded for it."""

    coding: _Coding
    every: float
    due: float = 0.0
    held: list[tuple[av.Packet[Any], float]] = field(default_factory=list)
    """Frames since the last keyframe that no decoder has seen yet."""
    held_bytes: int = 0
    chain: _Chain | None = None
    begins_anew: bool = True
    """Whether what is marked as a keyframe can be decoded alone: where pictures are renewed bit by bit, it is but where that begins."""
    frames: list[FrameSize] = field(default_factory=list)

    def packet(self, packet: av.Packet[Any], at: float) -> Iterator[FilmedLook]:
        """Take the next coded frame; yield the look that it makes possible, if any."""
        late = self.due + self.every * NEAR_RATIO
        if at > late and self.held:
            yield from self._decoded_up_to(self.due)
        self.frames.append(FrameSize(at, packet.size, bool(packet.is_keyframe)))
        if packet.is_keyframe:
            picture = None
            if at >= self.due - MOMENT_SECONDS:
                picture = _alone(self.coding, packet)
                self.begins_anew = picture is not None
            if self.begins_anew:
                self.held, self.held_bytes, self.chain = [], 0, None
            if picture is not None:
                yield self._look(at, picture)
        self.held.append((packet, at))
        self.held_bytes += packet.size
        if self.held_bytes > MAX_HELD_BYTES:
            self._feed(len(self.held))

    def end(self) -> Iterator[FilmedLook]:
        """Yield the look that was still due within the file."""
        if self.held and self.held[-1][1] >= self.due:
            yield from self._decoded_up_to(self.due)

    def _decoded_up_to(self, until: float) -> Iterator[FilmedLook]:
        """Decode what is held up to a time; frames without a keyframe before them are tried all the same."""
        count = sum(at <= until for _, at in self.held) or 1
        at = self.held[count - 1][1]
        picture = self._feed(count)
        for _ in range(min(MOST_DELAYED, len(self.held)) if picture is None else 0):
            picture = picture or self._feed(1)
        if picture is not None:
            yield self._look(max(at, until), picture)
        else:
            self.due = max(self.due, at) + self.every  # nothing to be seen here: not tried again for each frame

    def _feed(self, count: int) -> Picture | None:
        if self.chain is None:
            self.chain = _Chain(self.coding)
        picture = self.chain.feed([packet for packet, _ in self.held[:count]])
        self.held_bytes -= sum(packet.size for packet, _ in self.held[:count])
        del self.held[:count]
        return picture

    def _look(self, at: float, picture: Picture) -> FilmedLook:
        frames, self.frames = tuple(self.frames), []
        while self.due <= at + MOMENT_SECONDS:
            self.due += self.every
        return FilmedLook(at, picture, frames, self.coding.codec)


@dataclass
class _Film:
    """The frames since a keyframe, from which those that somebody asks for are decoded."""

    coding: _Coding
    asking: Asking
    window: tuple[float, float] | None = None
    held: list[tuple[av.Packet[Any], float]] = field(default_factory=list)
    held_bytes: int = 0

    def packet(self, packet: av.Packet[Any], at: float) -> None:
        """Take the next coded frame; give those that were asked for once the last of them is there."""
        self.window = self.window or self.asking.want(at)
        if self.window is not None and at > self.window[1]:
            begin, end = self.window
            shown, self.window = self._shown(begin, end), None
            self.asking.filmed([shown_at for shown_at, _ in shown], [picture for _, picture in shown])
        begins = packet.is_keyframe and (self.window is None or at <= self.window[0])
        width, height = self.coding.size
        if begins or self.held_bytes > MAX_HELD_BYTES or len(self.held) * width * height > MOST_FILM_PIXELS:
            self.held, self.held_bytes = [], 0
        # From a keyframe within the window on some of its frames would be missing, and the one that would tell with them.
        if begins or self.held:
            self.held.append((packet, at))
            self.held_bytes += packet.size

    def _shown(self, begin: float, end: float) -> list[tuple[float, Picture]]:
        """Return the pictures of a time, in the order in which they are shown; none where one since the keyframe is missing."""
        import av

        times = sorted(at for _, at in self.held)
        context, shown, count = self.coding.decoder(), list[tuple[float, Picture]](), 0
        try:
            for part in (*(_copy(packet) for packet, _ in self.held), None):
                for frame in context.decode(part):
                    if count < len(times) and begin <= times[count] <= end:
                        shown.append((times[count], picture_of(frame)))
                    count += 1
        except (av.error.FFmpegError, EOFError, ValueError):
            return []
        return shown if count == len(times) else []


class _Chain:
    """A decoder that is fed frame by frame from a keyframe on."""

    def __init__(self, coding: _Coding) -> None:
        """Open the decoder; no frame that was damaged on the way is waited for."""
        self._context = coding.decoder()

    def feed(self, packets: list[av.Packet[Any]]) -> Picture | None:
        """Decode frames; return the last picture that came out."""
        import av

        last: av.VideoFrame | None = None
        for packet in packets:
            try:
                for frame in self._context.decode(_copy(packet)):
                    last = frame
            except (av.error.FFmpegError, EOFError, ValueError):
                continue
        return None if last is None else picture_of(last)


def _alone(coding: _Coding, packet: av.Packet[Any]) -> Picture | None:
    """Decode one keyframe by itself; None when nothing comes out."""
    import av

    context = coding.decoder()
    last: av.VideoFrame | None = None
    try:
        for part in (_copy(packet), None):
            for frame in context.decode(part):
                last = frame
    except (av.error.FFmpegError, EOFError, ValueError):
        return None
    return None if last is None else picture_of(last)


def _copy(packet: av.Packet[Any]) -> av.Packet[Any]:
    """Return the same bytes without the packet's ties to its file."""
    import av

    return av.Packet(bytes(packet))
