"""What is foretold of each recorder: its pool of footage put together from what its index and its disks tell."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from itertools import groupby

import numpy as np

from monitor.evaluation.basis import camera_subject, recorder_subject
from monitor.evaluation.forecast import USABLE, Floats, Forecast, Pool, forecast
from monitor.model.calendar import local_date
from monitor.model.inventory import Camera
from monitor.model.ledger import Facts
from monitor.model.observation import Kind

MOST_DAYS = 800
"""Of a longer history nothing more is taken."""

LOST = 1.05
"""Footage listed beyond the disks' size by more than this: a disk is gone, and its footage with it soon."""


def outlooks(facts: Facts, required_days: int) -> Mapping[str, Forecast]:
    """Return the forecast of each camera of which one can be made: all cameras of a recorder share its pool."""
    found: dict[str, Forecast] = {}
    cameras = sorted((item for item in facts.inventory.cameras if item.recorder), key=lambda item: item.recorder or "")
    for recorder_id, group in groupby(cameras, key=lambda item: item.recorder or ""):
        mine = list(group)
        pool = _pool(facts, recorder_id, mine)
        foretold = forecast(pool, required_days) if pool is not None else None
        if foretold is not None:
            found |= {item.id: foretold for item in mine}
    return found


def _pool(facts: Facts, recorder_id: str, cameras: list[Camera]) -> Pool | None:
    """Return a recorder's pool; None unless the disks' size and the bytes of every camera with footage are known."""
    capacity = _capacity(facts, recorder_id)
    today = local_date(facts.as_of, facts.inventory.institution.zone_info)
    written: dict[str, dict[date, int]] = {}
    for camera in cameras:
        reading, days = facts.recordings.get(camera.id), _written(facts, camera.id)
        if days is None and (reading is None or reading.footage):
            return None  # what this camera writes pushes the others' footage out, too
        written[camera.id] = {day: size for day, size in (days or {}).items() if day < today}
    listed = [days for days in written.values() if days]
    if capacity is None or not listed:
        return None
    first, end = min(map(min, listed)), min(map(max, listed)) + timedelta(days=1)
    lines = {name: _line(days, first, end) for name, days in written.items()}
    held = float(sum(line.sum() for line in lines.values()))
    lost = max(0.0, 1 - capacity / held) if held > capacity * LOST else 0.0
    return Pool(
        first, lines, float(capacity), overwriting=held >= USABLE[0] * capacity, lost_share=lost,
        estimated=any(_is_estimated(facts, camera.id) for camera in cameras),
    )  # fmt: skip


def _line(days: Mapping[date, int], first: date, end: date) -> Floats:
    """Return the bytes of each of the days [first, end); shape (n,)."""
    return np.array([days.get(first + timedelta(days=index), 0) for index in range((end - first).days)], np.float64)


def _written(facts: Facts, camera_id: str) -> dict[date, int] | None:
    """Return the bytes of each whole day as the index told them; None where it didn't, or not in a form we read."""
    instant = facts.instant(Kind.WRITTEN, camera_subject(camera_id))
    if instant is None or not instant.readable:
        return None
    first, sizes = instant.observation.facts.get("first_day"), instant.observation.facts.get("bytes")
    if not isinstance(first, str) or not isinstance(sizes, list) or len(sizes) > MOST_DAYS:
        return None
    try:
        start = date.fromisoformat(first)
        end = start + timedelta(days=len(sizes))
    except (ValueError, OverflowError):
        return None
    if any(type(size) is not int or not 0 <= size < 2**60 for size in sizes) or end.year > 9000:
        return None
    return {start + timedelta(days=index): size for index, size in enumerate(sizes) if isinstance(size, int)}


def _is_estimated(facts: Facts, camera_id: str) -> bool:
    """Tell whether what a camera writes is known by its bit rate alone, on some days."""
    instant = facts.instant(Kind.WRITTEN, camera_subject(camera_id))
    return instant is not None and bool(instant.observation.facts.get("estimated_days"))


def _capacity(facts: Facts, recorder_id: str) -> int | None:
    """Return the size of all disks that work, in bytes; None where the recorder doesn't tell all of them."""
    instant = facts.instant(Kind.DISKS, recorder_subject(recorder_id))
    disks = instant.observation.facts.get("disks") if instant is not None and instant.readable else None
    if not isinstance(disks, list):
        return None
    total = 0
    arrays = any(isinstance(disk, dict) and disk.get("kind") == "array" for disk in disks)
    for disk in disks:
        if arrays and isinstance(disk, dict) and disk.get("capacity_bytes") is None and disk.get("kind") == "disk":
            continue  # a member: its capacity is the array's
        size = disk.get("capacity_bytes") if isinstance(disk, dict) and str(disk.get("state")) in _WORKS else None
        if isinstance(disk, dict) and str(disk.get("state")) in _GONE:
            continue
        if type(size) is not int or size < 0:
            return None
        total += size
    return total or None


_WORKS = frozenset({"ok", "degraded", "read_only"})
_GONE = frozenset({"missing", "failed"})
