"""Holds the agent's journal against what the devices say was done to them; imports nothing of the project."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

STREAM_FAULTS = {"die": {"refused", "closed"}, "stalled": {"stalled"}, "dead": {"not_found", "closed"}}
"""Fault to the causes that may stand in the journal."""
VIEW_FAULTS = {"black": "black", "frozen": "frozen", "frozen_sensor": "frozen"}
"""Fault to the state that must stand in the journal."""


EARLY_SECONDS = 1.0
"""So much before its time a span may begin or end: clocks and frames are no finer. What is well again sooner is a missed fault."""
HOLE_SECONDS = 1.0


@dataclass(frozen=True)
class Done:
    """What a camera's simulator says: the fault held in [start, end), epoch seconds."""

    camera: str
    fault: str
    start: float
    end: float


@dataclass(frozen=True)
class Span:
    """One span of the journal, epoch seconds."""

    camera: str
    kind: str
    state: str
    cause: str
    start: float
    end: float


@dataclass(frozen=True)
class Bounds:
    """How far the journal may lie from the script, in seconds."""

    stream_start: float
    stream_end: float
    """Until the reconnecting came to it."""
    view_start: float
    view_end: float
    """Three looks."""


@dataclass(frozen=True)
class Audit:
    """What was found: `lateness` by fault, the distance of the starts in seconds; and every sentence of what is wrong."""

    matched: int
    lateness: dict[str, list[float]]
    wrong: list[str]


def told(events: Iterable[dict[str, Any]]) -> list[Done]:
    """Return the faults that the simulators tell of, in their own events."""
    begun: dict[str, tuple[str, float]] = {}
    done = []
    for event in events:
        if event.get("event") != "done":
            continue
        camera, at = event["camera"], datetime.fromisoformat(event["at"]).timestamp()
        if event["do"] == "revive":
            fault, start = begun.pop(camera)
            done.append(Done(camera, fault, start, at))
        else:
            begun[camera] = event["do"], at
    if begun:
        raise ValueError(f"never revived: {sorted(begun)}")
    return done


def spans_of(journal: Path) -> list[Span]:
    """Read the agent's journal as any program could."""
    query = "SELECT subject, kind, state, cause, start, \"end\" FROM span WHERE subject_kind = 'camera' ORDER BY start"
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
        rows = connection.execute(query).fetchall()
    return [
        Span(camera, kind, state, cause, start / 1000, end / 1000) for camera, kind, state, cause, start, end in rows
    ]


def audit(done: Sequence[Done], spans: Sequence[Span], bounds: Bounds) -> Audit:
    """Match every fault with one run of spans, and every span that is not well with a fault."""
    found = Audit(0, {}, [])
    matched = 0
    used: set[Span] = set()
    for fault in done:
        run = _run_of(fault, spans, bounds)
        used.update(run)
        wrong = _differences(fault, run, bounds)
        found.wrong.extend(wrong)
        matched += not wrong
        if run:
            found.lateness.setdefault(fault.fault, []).append(round(run[0].start - fault.start, 3))
    for span in spans:
        if _ill(span) and span not in used:
            found.wrong.append(
                f"{span.camera}: {span.kind} {span.state} {span.cause} was nobody's doing: {_when(span)}"
            )
    found.wrong.extend(_uncovered(spans))
    return Audit(matched, found.lateness, found.wrong)


def _uncovered(spans: Iterable[Span]) -> list[str]:
    """Return where a camera's stream is said to be two things at a time, or nothing at all."""
    wrong = []
    lanes: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda item: (item.start, item.end)):
        if span.kind == "stream":
            lanes.setdefault(span.camera, []).append(span)
    for camera, lane in lanes.items():
        for before, after in pairwise(lane):
            if after.start < before.end:
                wrong.append(f"{camera}: {before.state} and {after.state} at a time: {_when(after)}")
            elif after.start > before.end + HOLE_SECONDS:
                wrong.append(
                    f"{camera}: nothing is said between {before.state} and {after.state}: {_when(before)}, {_when(after)}"
                )
    return wrong


def _ill(span: Span) -> bool:
    return span.kind in {"stream", "view"} and span.state not in {"up", "ok"}


def _run_of(fault: Done, spans: Sequence[Span], bounds: Bounds) -> list[Span]:
    """Return what the journal says of a fault: all that is not well, of its kind, while it lasted."""
    kind = "stream" if fault.fault in STREAM_FAULTS else "view"
    slack = bounds.stream_end if kind == "stream" else bounds.view_end
    return [
        span
        for span in spans
        if span.camera == fault.camera and span.kind == kind and _ill(span)
        and span.start < fault.end + slack and span.end > fault.start - 1
    ]  # fmt: skip


def _differences(fault: Done, run: list[Span], bounds: Bounds) -> list[str]:
    name = f"{fault.camera} {fault.fault} {_when(fault)}"
    if not run:
        return [f"{name}: nothing in the journal"]
    wrong = []
    is_stream = fault.fault in STREAM_FAULTS
    for span in run:
        right = span.cause in STREAM_FAULTS[fault.fault] if is_stream else span.state == VIEW_FAULTS[fault.fault]
        if not right or (is_stream and span.state != "down"):
            wrong.append(f"{name}: it says {span.state} {span.cause}")
    if any(after.start > before.end for before, after in pairwise(run)):
        wrong.append(f"{name}: in pieces: {[_when(span) for span in run]}")
    late = run[0].start - fault.start
    if not -EARLY_SECONDS <= late <= (bounds.stream_start if is_stream else bounds.view_start):
        wrong.append(f"{name}: began {late:+.1f} s")
    late = run[-1].end - fault.end
    if not -EARLY_SECONDS <= late <= (bounds.stream_end if is_stream else bounds.view_end):
        wrong.append(f"{name}: ended {late:+.1f} s")
    return wrong


def _when(span: Done | Span) -> str:
    start, end = (datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S") for at in (span.start, span.end))
    return f"{start} to {end}"


def read_events(path: Path) -> list[dict[str, Any]]:
    """Read the lines that the simulators wrote."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
