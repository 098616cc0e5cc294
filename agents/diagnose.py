"""The picture checks over a recorded file, as the watcher makes them over a live stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.recorded_looks import FilmedLook, file_looks
from agents.vision.diagnose import OK, Diagnosis, look
from agents.vision.eye import Eye
from agents.vision.measure import Scores, Trace, measure
from agents.vision.thresholds import Thresholds
from monitor.model.span import SECOND

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


def diagnose(
    path: Path, every: float, thresholds: Thresholds, progress: Callable[[float], None] = lambda _: None
) -> Diagnosed:
    """Look through a video file. Raises UnreadableError when no picture comes out of it."""
    samples, diagnoses = [], []
    eye, trace, diagnosis = Eye(thresholds), None, Diagnosis()
    for filmed in file_looks(path, every, progress):
        sample, trace, diagnosis = _looked(filmed, eye, trace, diagnosis, thresholds)
        samples.append(sample)
        diagnoses.append(diagnosis)
    return Diagnosed(str(path), every, tuple(samples), tuple(alarms(zip(samples, diagnoses, strict=True))))


def _looked(
    filmed: FilmedLook, eye: Eye, trace: Trace | None, diagnosis: Diagnosis, thresholds: Thresholds
) -> tuple[Sample, Trace, Diagnosis]:
    for frame in filmed.frames:
        eye.frame(frame.at_seconds, frame.bytes, keyframe=frame.keyframe)
    measures, kept = measure(filmed.picture, trace)
    judged = eye.look(measures)
    diagnosis = look(diagnosis, judged.conditions, round(filmed.at_seconds * SECOND), thresholds)
    return Sample(round(filmed.at_seconds, 3), judged.conditions.state, judged.scores), kept, diagnosis


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
