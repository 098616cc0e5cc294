"""Walking the folders of a path template: only what may hold footage of a window is opened."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from pathlib import Path

from agents.recorders.path_template import Component, Parts, Template, epoch, wall_range

ALWAYS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
ZONE_SLACK = timedelta(hours=2)
"""How far a folder's local times may lie from what its names say, around a change of summer time."""


@dataclass(frozen=True)
class Found:
    """A file (or, with a depth, a folder) that fits the template."""

    path: str
    parts: dict[str, int]
    camera: str | None


def walk(
    template: Template, zone: tzinfo, camera: str | None, window: tuple[datetime, datetime], depth: int | None = None
) -> Iterator[Found]:
    """Yield what fits the template and may begin in `window` (aware, half-open), oldest names first.

    `camera` None stands for all of them. Folders whose names put them outside are never opened. With `depth`, the walk
    ends at that component. Raises OSError for a folder that cannot be read; one that was removed meanwhile is empty.
    """
    target = len(template.components) - 1 if depth is None else depth
    wall = _wall_window(*window, zone)
    pending: list[tuple[str, int, dict[str, int], str | None]] = [(str(template.root), 0, {}, None)]
    while pending:
        folder, level, parts, seen = pending.pop()
        want_files = level == len(template.components) - 1
        below = _entries(folder, template.components[level], camera or seen, parts, want_files=want_files)
        for path, more, name in sorted(below, key=lambda entry: entry[0], reverse=level < target):
            if not _may_lie_in(more, wall, window):
                continue
            if level == target:
                yield Found(path, more, name)
            else:
                pending.append((path, level + 1, more, name))


@lru_cache(maxsize=512)
def _regex(component: Component, camera: str | None) -> re.Pattern[str]:
    return component.regex(camera)


def _entries(
    folder: str, component: Component, camera: str | None, parts: dict[str, int], *, want_files: bool
) -> Iterator[tuple[str, dict[str, int], str | None]]:
    """Yield (path, parts of the time, camera) of the names in `folder` that fit the component."""
    if camera is not None:
        only = component.fixed(camera)
        if only is not None:
            path = Path(folder, only)
            if path.is_file() if want_files else path.is_dir():
                yield str(path), parts, camera
            return
    fits = _regex(component, camera)
    try:
        with os.scandir(folder) as listing:
            for entry in listing:
                match = fits.fullmatch(entry.name)
                if match is None or not (entry.is_file() if want_files else entry.is_dir()):
                    continue
                more = _told(match, parts)
                if more is not None:
                    yield entry.path, more, match.groupdict().get("camera") or camera
    except FileNotFoundError:
        return  # removed between listing its parent and itself


def parts_of(fits: re.Pattern[str], name: str, above: Parts) -> dict[str, int] | None:
    """Return what a name says of the time, with what the folders above it say; None when it doesn't fit."""
    match = fits.fullmatch(name)
    return _told(match, above) if match is not None else None


def _told(match: re.Match[str], above: Parts) -> dict[str, int] | None:
    more = {letter: int(digits) for letter, digits in match.groupdict().items() if letter != "camera"}
    return {**above, **more} if all(above.get(letter, value) == value for letter, value in more.items()) else None


def _wall_window(first: datetime, last: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the window in wall time, a little wider; both ends naive."""
    try:
        low = first.astimezone(zone).replace(tzinfo=None) - ZONE_SLACK
    except OverflowError:
        low = datetime.min  # noqa: DTZ901  (wall time)
    try:
        high = last.astimezone(zone).replace(tzinfo=None) + ZONE_SLACK
    except OverflowError:
        high = datetime.max  # noqa: DTZ901  (wall time)
    return low, high


def _may_lie_in(parts: dict[str, int], wall: tuple[datetime, datetime], window: tuple[datetime, datetime]) -> bool:
    stated = epoch(parts)
    if stated is not None:
        return window[0] <= stated < window[1]
    spread = wall_range(parts)
    return spread is not None and spread[0] < wall[1] and spread[1] > wall[0]
