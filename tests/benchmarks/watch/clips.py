"""Clips for the server: a room with people in it at a surveillance bit rate, cut into access units."""

from __future__ import annotations

import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import av
import numpy as np

from agents.simulators.scenes import Scene

NOON = 1_790_000_000.0
"""Epoch second of the first picture; its clock is written into it."""
ENCODERS = {
    "h264": ("libx264", "-preset", "veryfast", "-bf", "0"),
    "h265": ("libx265", "-preset", "ultrafast", "-x265-params", "bframes=0:log-level=none"),
}


@dataclass(frozen=True)
class Format:
    """What a camera sends."""

    codec: str
    width: int
    height: int
    rate: int
    """Frames a second."""
    kilobits: int
    """A second."""
    keyframe_seconds: float = 2.0
    clip_seconds: int = 120
    """After this the clip begins anew: longer than a side is watched, for a recording that is played again is a fault, and
    looked at more closely."""

    def __str__(self) -> str:
        """Return it as people write it."""
        return f"{self.width}x{self.height} {self.rate} fps {self.codec} {self.kilobits} kb/s"


SUB = Format("h264", 704, 576, 15, 512)
SUB_H265 = Format("h265", 704, 576, 15, 512)
MAIN = Format("h264", 1920, 1080, 25, 4000)


def encode(form: Format, folder: Path) -> Path:
    """Write a clip of a drawn room with people, a clock and a sensor's noise, on which the encoder spends the whole rate."""
    target = folder / f"{form.codec}-{form.width}-{form.rate}-{form.kilobits}.mp4"
    scene = Scene("bench", width=form.width, height=form.height, name="Camera 01")
    rate = f"{form.kilobits}k"
    command = [
        "ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{form.width}x{form.height}",
        "-r", str(form.rate), "-i", "-", "-c:v", *ENCODERS[form.codec], "-b:v", rate, "-maxrate", rate, "-bufsize", rate,
        "-g", str(round(form.rate * form.keyframe_seconds)), "-sc_threshold", "0", str(target),
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
        assert encoder.stdin is not None
        for number in range(form.clip_seconds * form.rate):
            encoder.stdin.write(np.ascontiguousarray(scene.room(NOON + number / form.rate, UTC)).tobytes())
        encoder.stdin.close()
        if encoder.wait() != 0:
            raise RuntimeError(f"ffmpeg could not encode {form}")
    return target


@dataclass(frozen=True)
class Units:
    """A clip cut into access units, as the server reads it."""

    path: str
    sizes: list[int]
    keyframes: list[int]
    """Numbers of the units that are keyframes."""
    codec: str
    rate: int

    def spec(self) -> dict[str, Any]:
        """Return it for the server's command line."""
        return asdict(self)


def cut(video: Path, form: Format) -> Units:
    """Write the clip's access units (Annex B, parameter sets before each keyframe) beside it."""
    target = video.with_suffix(".units")
    sizes: list[int] = []
    keyframes: list[int] = []
    with av.open(str(video)) as container, target.open("wb") as out:
        stream = container.streams.video[0]
        annex_b = av.BitStreamFilterContext(
            {"h264": "h264_mp4toannexb", "h265": "hevc_mp4toannexb"}[form.codec], stream
        )
        for packet in container.demux(stream):
            for unit in annex_b.filter(packet if packet.size else None):
                if unit.is_keyframe:
                    keyframes.append(len(sizes))
                sizes.append(out.write(bytes(unit)))
    return Units(str(target), sizes, keyframes, form.codec, form.rate)
