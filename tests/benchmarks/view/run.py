"""Makes one clip and lets every detector look at it; keeps what it has, so that a run can go on where it stopped."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2

from benchmarks.view.peers import ffmpeg_alarms, ffmpeg_output, recipe_alarms
from benchmarks.view.plan import LOOK_SECONDS, Clip
from benchmarks.view.stream import write_clip
from benchmarks.view.truth import Truth, document_of

OURS: Final = "cradlewatch"
FFMPEG: Final = "ffmpeg"
RECIPE: Final = "recipe"
DETECTORS: Final = (OURS, FFMPEG, RECIPE)

_DRAWING: Final = (
    "camera",
    "dressing",
    "effects",
    "loss",
    "materials",
    "optics",
    "osd",
    "people",
    "plan",
    "rooms",
    "stage",
    "stream",
    "truth",
)


_SOURCES: Final = b"".join((Path(__file__).parent / f"{name}.py").read_bytes() for name in _DRAWING)
"""Read when the program starts: the code that runs, whatever is edited meanwhile."""


class DiagnoseFailed(Exception):
    """The product could not read a clip: a failure of the run, never a missed event."""


@dataclass(frozen=True)
class Work:
    """One clip to be made and looked at."""

    clip: Clip
    folder: Path
    keep_video: bool
    resume: bool
    """Take the product's answer from an earlier run, too."""
    make_only: bool = False
    """Don't ask the product: for clips that are made ahead."""


@dataclass(frozen=True)
class Answer:
    """What happened in a clip, and what each detector said of it."""

    truth: Truth
    said: dict[str, dict[str, Any]]


def _stamp(clip: Clip) -> str:
    """Return a digest of the clip's plan and the code that draws it: another one, and the clip is made anew."""
    return hashlib.sha256(repr(clip).encode() + _SOURCES).hexdigest()


def diagnose(path: Path, every: float = LOOK_SECONDS) -> dict[str, Any]:
    """Run the product over a file, as anybody would.

    Raises:
        DiagnoseFailed: it did not exit with 0.
    """
    program = Path(sys.executable).with_name("cradlewatch")
    command = [str(program), "agent", "diagnose", str(path), "--every", f"{every:g}", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DiagnoseFailed(f"{path.name}: exit {done.returncode}: {done.stderr.strip()[-300:]}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def perform(work: Work) -> Answer:
    """Make a clip where it isn't kept, and ask every detector that hasn't answered yet."""
    cv2.setNumThreads(1)
    work.folder.mkdir(parents=True, exist_ok=True)
    base = work.folder / work.clip.id
    video, stamp_file, truth_file = (base.with_suffix(suffix) for suffix in (".mp4", ".stamp", ".truth.json"))
    stamp = _stamp(work.clip)
    if not stamp_file.exists() or stamp_file.read_text(encoding="utf-8") != stamp:
        for detector in DETECTORS:
            _answer_file(base, detector).unlink(missing_ok=True)
        video.unlink(missing_ok=True)
    if not work.resume and not work.make_only:
        _answer_file(base, OURS).unlink(missing_ok=True)
    asked = [detector for detector in DETECTORS if not (work.make_only and detector == OURS)]
    wanted = [detector for detector in asked if not _answer_file(base, detector).exists()]
    if wanted and not video.exists():
        unfinished = base.with_suffix(".part")
        write_clip(work.clip, unfinished).save(truth_file)
        unfinished.rename(video)
        stamp_file.write_text(stamp, encoding="utf-8")
    ask: dict[str, Callable[[], dict[str, Any]]] = {
        OURS: lambda: diagnose(video),
        FFMPEG: lambda: document_of(video.name, ffmpeg_alarms(ffmpeg_output(video))),
        RECIPE: lambda: document_of(video.name, recipe_alarms(video, LOOK_SECONDS)),
    }
    for detector in wanted:
        _answer_file(base, detector).write_text(json.dumps(ask[detector]()), encoding="utf-8")
    if not work.keep_video:
        video.unlink(missing_ok=True)
    said = {detector: json.loads(_answer_file(base, detector).read_text(encoding="utf-8")) for detector in asked}
    return Answer(Truth.load(truth_file), said)


def answered(work: Work) -> bool:
    """Tell whether a clip, as it would be made now, has every detector's answer."""
    base = work.folder / work.clip.id
    stamp = base.with_suffix(".stamp")
    known = stamp.exists() and stamp.read_text(encoding="utf-8") == _stamp(work.clip)
    return known and all(_answer_file(base, detector).exists() for detector in DETECTORS)


def _answer_file(base: Path, detector: str) -> Path:
    return base.with_suffix(f".{detector}.json")
