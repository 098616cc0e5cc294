"""Encodes a clip as a surveillance stream, with what happens to the stream itself: loss, loops, stuck bytes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.stream import VideoStream

from benchmarks.view.camera import DIM, Camera, exposure
from benchmarks.view.loss import Loss, damaged_share
from benchmarks.view.optics import Planar
from benchmarks.view.plan import DAY_SECONDS, LOOK_SECONDS, Clip, Tamper
from benchmarks.view.truth import Event, Tolerated, Truth

_KEYFRAME_SHARE: Final = 0.35
"""Of the bits of two seconds, a keyframe's; a picture in between, seconds after it, takes half of that."""
_TICKS: Final = 1000
"""Timestamps are milliseconds."""


@dataclass(frozen=True)
class _Sent:
    """One encoded picture that was sent."""

    at: float
    data: bytes
    keyframe: bool


def bit_rate(clip: Clip) -> int:
    """Return bits a second for the thinned-out stream whose pictures are as good as those of `kbps` at 15 a second."""
    keyframe = clip.scene.kbps * 1000 * 2 * _KEYFRAME_SHARE
    mean = keyframe * (1 + 0.5 * (clip.keyframe_every - 1)) / clip.keyframe_every
    return int(mean * clip.frames_per_second)


def _options(clip: Clip) -> dict[str, str]:
    immediate = clip.preset == "zerolatency" or any(_splices(tamper) for tamper in clip.tampers)
    options = {"preset": "superfast", "forced-idr": "1"}
    if immediate:
        options["tune"] = "zerolatency"
    if clip.scene.codec == "hevc":
        pace = f"keyint={clip.keyframe_every}:min-keyint={clip.keyframe_every}:scenecut=0:open-gop=0:repeat-headers=1"
        options |= {"preset": "ultrafast", "x265-params": f"log-level=none:pools=1:frame-threads=1:{pace}"}
    else:
        options["x264-params"] = f"scenecut=0:keyint={clip.keyframe_every}:open-gop=0:rc-lookahead=4:sliced-threads=0"
    return options


def _splices(tamper: Tamper) -> bool:
    return tamper.variant.name in {"copied", "reencoded", "bytes"}


class _Writer:
    """One file being written."""

    def __init__(self, clip: Clip, path: Path) -> None:
        self._container = av.open(str(path), "w", format="mp4")
        rate = Fraction(clip.frames_per_second).limit_denominator(100)
        codec = {"h264": "libx264", "hevc": "libx265"}[clip.scene.codec]
        stream = self._container.add_stream(codec, rate=rate, options=_options(clip))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = clip.scene.width, clip.scene.height, "yuv420p"
        stream.bit_rate = bit_rate(clip)
        stream.codec_context.thread_count = 1
        stream.codec_context.gop_size = clip.keyframe_every
        stream.codec_context.time_base = Fraction(1, _TICKS)
        self._stream = stream
        self._key_next = False
        self._remembers = any(_splices(tamper) for tamper in clip.tampers)
        self.sent: list[_Sent] = []

    def show(self, picture: Planar, at: float) -> None:
        """Encode one picture."""
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts, frame.time_base = round(at * _TICKS), Fraction(1, _TICKS)
        if self._key_next:
            frame.pict_type, self._key_next = PictureType.I, False
        for packet in self._stream.encode(frame):
            self._send(packet, at)

    def _send(self, packet: av.Packet[Any], at: float) -> None:
        if self._remembers:
            self.sent.append(_Sent(at, bytes(packet), packet.is_keyframe))
        self._container.mux(packet)

    def repeat(self, old: _Sent, at: float) -> None:
        """Send an encoded picture once more, byte for byte; the next new one is a keyframe."""
        packet = av.Packet(old.data)
        packet.stream, packet.time_base = self._stream, Fraction(1, _TICKS)
        packet.pts = packet.dts = round(at * _TICKS)
        packet.is_keyframe = old.keyframe
        self._key_next = True
        self._send(packet, at)

    def pictures(self, packets: list[_Sent]) -> list[Planar]:
        """Decode what was sent, as a recorder plays it back."""
        decoder = av.CodecContext.create(self._stream.codec_context.codec.canonical_name, "r")
        assert isinstance(decoder, VideoCodecContext)
        decoder.extradata = self._stream.codec_context.extradata
        shown = [frame for sent in packets for frame in decoder.decode(av.Packet(sent.data))]
        return [np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8) for frame in [*shown, *decoder.decode(None)]]

    def close(self) -> None:
        """Write what the encoder still holds."""
        for packet in self._stream.encode(None):
            self._send(packet, 0.0)
        self._container.close()


@dataclass
class _Playback:
    """A stretch of the past, played as live."""

    packets: list[_Sent]
    pictures: list[Planar]
    next: int = 0


def _stretch(sent: list[_Sent], start: float, period: float) -> list[_Sent]:
    """Return whole groups of pictures out of the last `period` seconds before `start`."""
    recent = [packet for packet in sent if start - period - 1e-6 <= packet.at < start]
    keys = [number for number, packet in enumerate(recent) if packet.keyframe]
    return recent[keys[0] : keys[-1]]


def write_clip(clip: Clip, path: Path) -> Truth:
    """Draw and encode a clip into an MP4 file; return what happened in it.

    A tamper whose damage is measured (lost slices) counts if the measure says so.
    """
    camera, writer = Camera(clip), _Writer(clip, path)
    playbacks: dict[int, _Playback] = {}
    losses: dict[int, Loss] = {}
    shares: dict[int, list[float]] = {}
    for number in range(int(clip.seconds * clip.frames_per_second)):
        at = number / clip.frames_per_second
        tamper = camera.tamper(at)
        if tamper is not None and _splices(tamper):
            _play_back(writer, camera, tamper, at, playbacks, clip.keyframe_every)
            continue
        picture = camera.picture(at)
        if tamper is not None and tamper.variant.name.startswith("lost_"):
            loss = losses.setdefault(id(tamper), _loss(clip, tamper))
            damaged = loss.picture(picture)
            shares.setdefault(id(tamper), []).append(damaged_share(damaged, picture))
            picture = damaged
        writer.show(picture, at)
    writer.close()
    return truth_of(clip, {key: float(np.median(values)) for key, values in shares.items()})


def _loss(clip: Clip, tamper: Tamper) -> Loss:
    keyframes = tamper.variant.name == "lost_keyframes"
    return Loss(clip.scene.width, clip.scene.height, keyframes=keyframes, share=tamper.severity, seed=tamper.seed)


def _play_back(
    writer: _Writer, camera: Camera, tamper: Tamper, at: float, playbacks: dict[int, _Playback], keyframe_every: int
) -> None:
    name = tamper.variant.name
    if id(tamper) not in playbacks:
        if name == "bytes":
            packets = [next(packet for packet in reversed(writer.sent) if packet.keyframe)]
        else:
            packets = _stretch(writer.sent, tamper.start, tamper.period)
        # What is played is no whole number of groups of pictures long.
        shown = packets[: len(packets) - tamper.seed % keyframe_every]
        pictures = writer.pictures(shown) if name == "reencoded" else []
        playbacks[id(tamper)] = _Playback(packets, pictures)
    play = playbacks[id(tamper)]
    if name == "reencoded":
        picture = _worn(play.pictures[play.next % len(play.pictures)], tamper.seed)
        camera.osd.write(picture, camera.clock(at), opaque=True)
        writer.show(picture, at)
    else:
        writer.repeat(play.packets[play.next % len(play.packets)], at)
    play.next += 1


def _worn(picture: Planar, seed: int) -> Planar:
    """Return a played-back picture as a forger's second encoder gets it: a little larger or brighter, or as it was."""
    manner = seed % 3
    out = picture.copy()
    rows, width = picture.shape
    height = rows * 2 // 3
    if manner == 1:
        out[:height] = np.clip(picture[:height].astype(np.int16) + 6, 16, 235).astype(np.uint8)
    elif manner == 2:
        small = cv2.resize(picture[:height], (width * 3 // 4, height * 3 // 4), interpolation=cv2.INTER_AREA)
        out[:height] = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return out


def _event(tamper: Tamper, damaged: float | None) -> Event:
    counts = tamper.counts if damaged is None else damaged >= tamper.variant.floor
    return Event(
        state=tamper.variant.state,
        variant=tamper.variant.name,
        changes_from=tamper.start,
        begins=tamper.begins,
        until=tamper.end,
        counts=counts,
        also=tamper.variant.also,
        passing=tamper.variant.passing,
    )


def _dark_stretches(clip: Clip) -> list[Tolerated]:
    """Return when a room without infrared lies in the dark."""
    if clip.night == "infrared":
        return []
    found: list[Tolerated] = []
    start: float | None = None
    for look in range(int(clip.seconds // LOOK_SECONDS) + 1):
        at = look * LOOK_SECONDS
        dark = exposure(clip, at)[0] < DIM
        if dark and start is None:
            start = at
        if not dark and start is not None:
            found.append(Tolerated("dark", start, at))
            start = None
    return [*found, Tolerated("dark", start, clip.seconds)] if start is not None else found


def truth_of(clip: Clip, damaged: dict[int, float]) -> Truth:
    """Return the truth of a clip; `damaged` has the measured share of those tampers that have one, by identity."""
    return Truth(
        clip=clip.id,
        scene=clip.scene.id,
        seconds=clip.seconds,
        look_seconds=LOOK_SECONDS,
        events=tuple(_event(tamper, damaged.get(id(tamper))) for tamper in clip.tampers),
        tolerated=tuple(_dark_stretches(clip)),
        clean_days=0.0 if clip.tampers else clip.seconds / DAY_SECONDS,
    )
