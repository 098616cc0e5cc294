"""Others' detectors on the same clips: FFmpeg's own filters, and the recipe that most projects use."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np

from benchmarks.view.truth import Alarm

CHANGED: Final = "changed"
ALIASES: Final = {CHANGED: frozenset({"covered", "moved"})}
"""A fixed threshold on similarity can't tell a covered view from a moved one: it is given credit for either."""
FFMPEG_STATES: Final = ("black", "frozen", "blurred")
RECIPE_STATES: Final = ("black", "bright", "frozen", CHANGED, "blurred")
_FILTERS: Final = "freezedetect=n=-50dB:d=15,blackdetect,blurdetect,metadata=print:file=-"
"""With their defaults (blackdetect 98 % of the picture for 2 s) but for freezedetect's 2 s, as it calls any two pictures that are further apart than its duration
frozen, and keyframes here are up to 10 s apart; and its -60 dB, at which it finds 5 of 11 frozen events of tuning scenes, and 11 at -50 (2026-12-01; no more false on a clean day)."""
_BLUR: Final = 7.0
"""blurdetect only measures; this bound is the best on the tuning list."""
_FRAME = re.compile(r"^frame:\d+\s+pts:\S+\s+pts_time:(\S+)")
_CONFIRM_LOOKS: Final = 2


@dataclass
class _Latch:
    """Turns a state of each look into alarms: two looks in a row open one, two looks of another close it."""

    alarms: list[Alarm]
    current: str | None = None
    waiting: str | None = None
    since: float = 0.0
    looks: int = 0

    def look(self, state: str | None, at: float) -> None:
        """Take one more look."""
        if state == self.current:
            self.waiting, self.looks = state, 0
            return
        if state != self.waiting or not self.looks:
            self.waiting, self.since, self.looks = state, at, 0
        self.looks += 1
        if self.looks >= _CONFIRM_LOOKS:
            self.current, self.looks = state, 0
            if state is not None:
                self.alarms.append(Alarm(state, self.since, at))


def ffmpeg_output(path: Path) -> str:
    """Run FFmpeg's filters over the keyframes of a file; return what they noted of each."""
    command = ["ffmpeg", "-hide_banner", "-nostdin", "-v", "error", "-threads", "1", "-skip_frame", "nokey"]
    done = subprocess.run(
        [*command, "-i", str(path), "-an", "-vf", _FILTERS, "-f", "null", "-"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def _frames(output: str) -> Iterator[tuple[float, dict[str, str]]]:
    """Yield each frame's time and notes from `metadata=print`."""
    at, notes = None, dict[str, str]()
    for line in output.splitlines():
        if match := _FRAME.match(line):
            if at is not None:
                yield at, notes
            at, notes = float(match.group(1)), {}
        elif "=" in line:
            key, _, value = line.partition("=")
            notes[key.removeprefix("lavfi.")] = value
    if at is not None:
        yield at, notes


def ffmpeg_alarms(output: str) -> tuple[Alarm, ...]:
    """Return what FFmpeg's filters report, each as an alarm when it is noted."""
    alarms: list[Alarm] = []
    blurred = _Latch(alarms)
    for at, notes in _frames(output):
        if "freezedetect.freeze_start" in notes:
            alarms.append(Alarm("frozen", float(notes["freezedetect.freeze_start"]), at))
        if "black_start" in notes:
            alarms.append(Alarm("black", float(notes["black_start"]), at))
        blur = float(notes.get("blur", "nan"))
        blurred.look("blurred" if blur >= _BLUR else None, at)
    return tuple(sorted(alarms, key=lambda alarm: alarm.raised))


def _looks(path: Path, every: float) -> Iterator[tuple[float, np.ndarray]]:
    """Yield time and luma of about one keyframe for each `every` seconds."""
    due = 0.0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.skip_frame = "NONKEY"
        for frame in container.decode(stream):
            if frame.time >= due - every / 4:
                due = frame.time + every
                luma = frame.to_ndarray(format="gray")
                yield frame.time, np.asarray(cv2.resize(luma, (320, 180), interpolation=cv2.INTER_AREA), np.uint8)


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean structural similarity of two luma planes (Wang et al. 2004, 11 x 11 Gaussian windows)."""
    one, two = first.astype(np.float32), second.astype(np.float32)

    def mean(plane: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.GaussianBlur(plane, (11, 11), 1.5))

    mean_one, mean_two = mean(one), mean(two)
    spread_one = mean(one * one) - mean_one**2
    spread_two = mean(two * two) - mean_two**2
    joint = mean(one * two) - mean_one * mean_two
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_one * mean_two + c1) * (2 * joint + c2)
    return float((top / ((mean_one**2 + mean_two**2 + c1) * (spread_one + spread_two + c2))).mean())


_SHARP: Final = 50.0
"""Variance of the Laplacian of a sharp picture without its top and bottom tenth: there stand clock and name, sharp in any case. On nine blurred events of tuning scenes 8 are found
with 4 false at 50, 9 with 23 at the usual 100 (2026-12-01)."""


def _recipe_state(luma: np.ndarray, before: np.ndarray | None, first: np.ndarray) -> str | None:
    """Return what the usual thresholds say of one look."""
    if luma.mean() < 30:
        return "black"
    if luma.mean() > 220:
        return "bright"
    if before is not None and cv2.absdiff(luma, before).mean() < 0.5:
        return "frozen"
    if similarity(luma, first) < 0.5:
        return CHANGED
    written = len(luma) // 10
    if cv2.Laplacian(luma[written:-written], cv2.CV_64F).var() < _SHARP:
        return "blurred"
    return None


def recipe_alarms(path: Path, every: float) -> tuple[Alarm, ...]:
    """Run the usual recipe: mean luma, frame difference, similarity to the first picture, variance of the Laplacian."""
    alarms: list[Alarm] = []
    latch = _Latch(alarms)
    first = before = None
    for at, luma in _looks(path, every):
        first = luma if first is None else first
        latch.look(_recipe_state(luma, before, first), at)
        before = luma
    return tuple(alarms)
