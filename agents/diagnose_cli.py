"""The command `agent diagnose`: a recorded file's looks and alarms, as a table or as JSON."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import typer

from agents.bounds import Bounds
from agents.diagnose import Diagnosed, approved_by, diagnose
from agents.limited import kept_small
from agents.vision.light import LIGHTS, Light
from agents.vision.thresholds import Thresholds
from monitor.model.counted import counted
from monitor.regulations.columns import table


def print_diagnosis(path: Path, *, baseline: Path | None, every: float, bounds: Bounds, as_json_only: bool) -> None:
    """Look through a file by `bounds` and print what was seen. Raises UnreadableError, whose text is one sentence, MemoryError."""
    cv2.setNumThreads(1)  # for pictures of this size more threads only make the machine busy
    meter = _Progress()
    try:
        with kept_small():
            approved = () if baseline is None else approved_by(baseline, every)
            diagnosed = diagnose(path, every, bounds.day, approved, meter.told, bounds.of)
    finally:
        meter.done()
    if as_json_only:
        typer.echo(json.dumps(diagnosed.as_json(), ensure_ascii=False))
    else:
        _print(diagnosed, bounds)


def _print(diagnosed: Diagnosed, bounds: Bounds) -> None:
    rows = [("at", "state", "measures")]
    rows += [
        (_clock(sample.at_seconds), sample.state, ", ".join(f"{name} {_number(value)}" for name, value in sample.scores.items()))
        for sample in diagnosed.samples
    ]  # fmt: skip
    for line in table(rows, 200):
        typer.echo(line)
    changed = ", ".join(_changed(bounds))
    typer.echo(f"\nthresholds {bounds.digest()}{f' (changed: {changed})' if changed else ''}")
    for line in table([(f"  {name}", *values) for name, values in _values(bounds)], 120):
        typer.echo(line)
    counts = Counter(sample.state for sample in diagnosed.samples)
    looks = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    typer.echo(f"\n{counted(len(diagnosed.samples), 'look')}: {looks}")
    if not diagnosed.alarms:
        typer.echo("no alarm")
    for alarm in diagnosed.alarms:
        until = "the end" if alarm.until_seconds is None else _clock(alarm.until_seconds)
        typer.echo(
            f"{alarm.state} from {_clock(alarm.from_seconds)} to {until}, known at {_clock(alarm.raised_at_seconds)}"
        )


def _changed(bounds: Bounds) -> Iterator[str]:
    """Yield what isn't as by default, and in which lights where it isn't so in each."""
    lights = {light: bounds.of(light).changed() for light in LIGHTS}
    for name in vars(Thresholds()):
        where = [light for light in LIGHTS if name in lights[light]]
        if where:
            yield name if len(where) == len(LIGHTS) else f"{name} by {', '.join(where)}"


def _values(bounds: Bounds) -> Iterator[tuple[str, list[str]]]:
    """Yield each threshold, in each light where they differ."""
    same = bounds.day == bounds.infrared == bounds.nap
    lights: Sequence[Light] = LIGHTS[:1] if same else LIGHTS
    if not same:
        yield "", list(lights)
    for name in vars(bounds.day):
        yield name, [_number(getattr(bounds.of(light), name)) for light in lights]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _clock(seconds: float) -> str:
    """Return hours, minutes and seconds of a file's own time."""
    whole, rest = divmod(round(seconds, 1), 60)
    return f"{int(whole) // 60:d}:{int(whole) % 60:02d}:{rest:04.1f}"


class _Progress:
    """How far the file is read, on standard error: one line that renews itself, and nothing where nobody looks."""

    def __init__(self) -> None:
        self._shown = -1
        self._terminal = sys.stderr.isatty()

    def told(self, second: float) -> None:
        """Take note of the second of the file that was reached."""
        if self._terminal and int(second) // 60 != self._shown:
            self._shown = int(second) // 60
            typer.echo(f"\rlooked through up to {_clock(60 * self._shown)}", err=True, nl=False)

    def done(self) -> None:
        """Leave the terminal with a fresh line."""
        if self._shown >= 0:
            typer.echo("\r\033[K", err=True, nl=False)
