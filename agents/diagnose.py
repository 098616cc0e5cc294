"""The picture checks over a recorded file, as the watcher makes them over a live stream."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agents.recorded_looks import MOMENT_SECONDS, FilmedLook, UnreadableError, file_looks, still_picture
from agents.vision.diagnose import OK, Diagnosis, look
from agents.vision.eye import Eye, Judged, Taken
from agents.vision.film import film_frame
from agents.vision.fingerprint import Fingerprint, fingerprint, merge
from agents.vision.imprint import Imprint
from agents.vision.light import Light
from agents.vision.measure import Measures, Scores, Trace, measure
from agents.vision.picture import Picture
from agents.vision.replay import Window
from agents.vision.strips import strips
from agents.vision.structure import COLUMNS, ROWS
from agents.vision.thresholds import Thresholds
from monitor.model.span import SECOND

BASELINE_SECONDS = 10.0
BASELINE_LOOKS = 3
"""Without a given baseline so much of a file, whichever is longer, is its approved view."""

MAX_FINGERPRINT_BYTES = 1 << 20

LEAST_WIDTH, LEAST_HEIGHT = 2 * COLUMNS, 2 * ROWS
"""A smaller picture has no edge in a fingerprint's cells: nothing could be held against it."""
LONGEST_ASPECT = 10

APART_SECONDS = 10.0
"""Between two keyframes an encoder leaves alone what hardly changes, a sensor's noise among it, for some seconds: the same picture again so soon tells nothing."""

SCHEMA = "cradlewatch.diagnose/1"


@dataclass(frozen=True)
class Sample:
    """One looked-at picture."""

    at_seconds: float
    state: str
    """Of this look alone, before any confirmation."""
    scores: Scores


@dataclass(frozen=True)
class Alarm:
    """What would become a view span: a state that was confirmed."""

    state: str
    from_seconds: float
    until_seconds: float | None
    """None when it still held at the end."""
    raised_at_seconds: float
    """The look that confirmed it."""


@dataclass(frozen=True)
class Diagnosed:
    """A file looked through."""

    file: str
    every_seconds: float
    samples: tuple[Sample, ...]
    alarms: tuple[Alarm, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the contract's form."""
        return {
            "schema": SCHEMA,
            "file": self.file,
            "every_seconds": self.every_seconds,
            "samples": [vars(sample) for sample in self.samples],
            "alarms": [vars(alarm) for alarm in self.alarms],
        }


@dataclass
class _Baseline:
    """The approved views of a file: given, or its own first sound looks."""

    given: Sequence[Fingerprint]
    _first: list[Fingerprint] = field(default_factory=list)
    _began: float | None = None
    done: bool = False

    def __post_init__(self) -> None:
        """There is nothing to be learnt where views are given."""
        self.done = bool(self.given)

    def take(self, at_seconds: float, view: Fingerprint, *, sound: bool) -> Sequence[Fingerprint]:
        """Take a look in and return the approved views as far as they are known."""
        self._began = at_seconds if self._began is None else self._began
        enough = at_seconds - self._began >= BASELINE_SECONDS and len(self._first) >= BASELINE_LOOKS
        if sound and not enough:
            self._first.append(view)
            enough = at_seconds - self._began >= BASELINE_SECONDS and len(self._first) >= BASELINE_LOOKS
        if enough:
            self.done, self.given = True, views_of(self._first)
        return self.given


def views_of(looks: Sequence[Fingerprint]) -> list[Fingerprint]:
    """Return one view for each light in which there are looks."""
    lights = dict.fromkeys(item.light for item in looks)
    return [merge([item for item in looks if item.light == light]) for light in lights]


def approved_by(path: Path, every: float) -> list[Fingerprint]:
    """Return the approved views that a file holds: a fingerprint, an image, or the first looks of a video.

    Raises UnreadableError, with one sentence, for anything else, and for what nothing can be held against.
    """
    found = _fingerprint_file(path)
    if found is not None:
        return [found]
    picture = still_picture(path)
    looks: list[Fingerprint] = []
    if picture is not None:
        looks.append(_view(path, picture))
    else:
        for filmed in file_looks(path, every):
            looks.append(_view(path, filmed.picture))
            if filmed.at_seconds >= BASELINE_SECONDS and len(looks) >= BASELINE_LOOKS:
                break
    if not any(view.strength.any() for view in looks):
        raise UnreadableError(
            f"{path}: there is nothing to be seen in it that a view could be held against; give a picture of the room in good light"
        )
    return views_of(looks)


def _view(path: Path, picture: Picture) -> Fingerprint:
    height, width = picture.luma.shape
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        raise UnreadableError(
            f"{path}: a picture of {width} x {height} is too small to hold a view against;"
            f" give one of {LEAST_WIDTH} x {LEAST_HEIGHT} at least, best of the camera's own size"
        )
    if max(width, height) > LONGEST_ASPECT * min(width, height):
        raise UnreadableError(
            f"{path}: a picture of {width} x {height} is no camera's; give one of the camera's own size"
        )
    return fingerprint(picture)


def _fingerprint_file(path: Path) -> Fingerprint | None:
    """Read a fingerprint's JSON; None for a file that is no JSON."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FINGERPRINT_BYTES)
    except OSError as error:
        raise UnreadableError(f"{path}: it can't be read ({error.strerror})") from error
    if not data.lstrip().startswith(b"{"):
        return None
    try:
        return Fingerprint.from_json(json.loads(data))
    except ValueError as error:  # bad JSON and bad UTF-8 are such, too
        raise UnreadableError(f"{path}: it is no fingerprint ({error})") from error


@dataclass
class _Held:
    """What a look may be held against: the newest of those before that was coded apart from it, before a keyframe or some seconds earlier."""

    _apart: tuple[float, Trace] | None = None
    """The last look before the newest keyframe, or one that is as good by now."""
    _since: deque[tuple[float, Trace]] = field(default_factory=deque)
    """Those since then."""

    def next(self, filmed: FilmedLook) -> None:
        """Go on to a look."""
        anew = any(frame.keyframe for frame in filmed.frames)
        while self._since and (anew or self._since[0][0] <= filmed.at_seconds - APART_SECONDS + MOMENT_SECONDS):
            self._apart = self._since.popleft()

    @property
    def at_seconds(self) -> float | None:
        """When that look was; None without one."""
        return None if self._apart is None else self._apart[0]

    def measured(self, filmed: FilmedLook) -> Measures:
        """Measure a look beside that one; without one beside the newest, which tells what changes and not what is the same."""
        apart, newest = self._apart, self._since[-1] if self._since else None
        beside = apart or newest
        measures, kept = measure(filmed.picture, None if beside is None else beside[1])
        if apart is None:
            measures = replace(measures, repeat=replace(measures.repeat, same_ratio=None, renewed=None, same_now=None))
            kept = replace(kept, same_ratio=None)
        self._since.append((filmed.at_seconds, kept))
        return measures

    @property
    def imprint(self) -> Imprint | None:
        """What is kept of the newest look's noise."""
        return self._since[-1][1].imprint


def diagnose(
    path: Path,
    every: float,
    thresholds: Thresholds,
    approved: Sequence[Fingerprint] = (),
    progress: Callable[[float], None] = lambda _: None,
    by_light: Callable[[Light], Thresholds] | None = None,
) -> Diagnosed:
    """Look through a video file. `by_light` gives the thresholds of a look's light, where they differ.

    Raises UnreadableError when no picture comes out of it.
    """
    samples, diagnoses = list[Sample](), list[Diagnosis]()
    eye, held, diagnosis = Eye(thresholds, approved, by_light=by_light), _Held(), Diagnosis()
    baseline = _Baseline(approved)
    for filmed in file_looks(path, every, progress, _Asking(eye)):
        view = fingerprint(filmed.picture)
        held.next(filmed)
        before = None if held.at_seconds is None else round(held.at_seconds * SECOND)
        sample, judged = _looked(filmed, view, eye, held)
        diagnosis = look(diagnosis, judged.conditions, round(filmed.at_seconds * SECOND), judged.thresholds, before)
        if not baseline.done:
            eye.approved = tuple(baseline.take(filmed.at_seconds, view, sound=sample.state == OK))
        samples.append(sample)
        diagnoses.append(diagnosis)
    return Diagnosed(str(path), every, tuple(samples), tuple(alarms(zip(samples, diagnoses, strict=True))))


class _Asking:
    """An eye that asks for frames."""

    def __init__(self, eye: Eye) -> None:
        self._eye = eye
        self._window: Window | None = None

    def want(self, after: float) -> tuple[float, float] | None:
        """Return from when to when."""
        self._window = self._eye.want(after)
        return None if self._window is None else (self._window.begin, self._window.end)

    def filmed(self, times: Sequence[float], pictures: Sequence[Picture]) -> None:
        """Hand on what they left."""
        if self._window is None:
            return
        found = [
            (at, film_frame(strips(picture.luma), self._window.earlier))
            for at, picture in zip(times, pictures, strict=True)
        ]
        told = [(at, item) for at, item in found if item is not None]
        self._eye.filmed([at for at, _ in told], [item for _, item in told])


def _looked(filmed: FilmedLook, view: Fingerprint, eye: Eye, held: _Held) -> tuple[Sample, Judged]:
    for frame in filmed.frames:
        eye.frame(frame.at_seconds, frame.bytes, keyframe=frame.keyframe)
    measures = held.measured(filmed)
    judged = eye.look(measures, view, Taken(filmed.at_seconds, held.imprint), codec=filmed.codec)
    return Sample(round(filmed.at_seconds, 3), judged.conditions.state, judged.scores), judged


def alarms(course: Iterable[tuple[Sample, Diagnosis]]) -> list[Alarm]:
    """Return the alarms that a course of looks raises, from what was confirmed after each."""
    found: list[Alarm] = []
    held: str | None = None
    for sample, diagnosis in course:
        if diagnosis.state == held:
            continue
        since = diagnosis.since / SECOND
        if held not in {None, OK}:
            found[-1] = Alarm(found[-1].state, found[-1].from_seconds, since, found[-1].raised_at_seconds)
        held = diagnosis.state
        if held is not None and held != OK:
            found.append(Alarm(held, since, None, sample.at_seconds))
    return found
