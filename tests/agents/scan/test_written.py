"""How much is written a day: every file's bytes, by its share of each day, and nothing where one isn't told."""

import os
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from agents.recorders.base import Footage
from agents.recorders.files import Files
from agents.recorders.sizes import FileSizes
from agents.scan.recorder import Channelled, RecorderScan
from agents.scan.written import days_of
from monitor.model.calendar import day_start
from monitor.model.clock import ManualClock
from monitor.model.observation import Kind, Observation
from monitor.model.span import HOUR, MINUTE, Millis, Spans, from_millis
from support.recorder_http import NOW, recorder_settings
from support.rounds import rounds_over
from support.tiny_mp4 import tiny_mp4

BERLIN = ZoneInfo("Europe/Berlin")
FIRST = date(2026, 10, 24)  # the second day has 25 hours
EDGES = [day_start(FIRST + timedelta(days=index), BERLIN) for index in range(4)]

files = st.tuples(
    st.integers(EDGES[0] - 30 * HOUR, EDGES[3] + HOUR), st.integers(0, 60 * HOUR), st.none() | st.integers(1, 10**9)
).map(lambda one: (one[0], one[0] + one[1], one[2]))


def share(start: Millis, end: Millis, low: Millis, high: Millis) -> Fraction:
    return Fraction(max(0, min(end, high) - max(start, low)), end - start) if end > start else Fraction(0)


@given(st.lists(files, max_size=30))
def test_each_day_has_its_share_of_every_file(listed: list[tuple[Millis, Millis, int | None]]) -> None:
    sizes = FileSizes.of(listed)
    found = days_of(Footage(Spans.empty(), Spans.empty(), (EDGES[0], EDGES[3]), sizes), BERLIN)
    for index, (low, high) in enumerate(pairwise(EDGES)):
        parts = [(one.bytes, share(one.start, one.end, low, high)) for one in sizes]
        told = found[FIRST + timedelta(days=index)]
        if any(size is None and part for size, part in parts):
            assert told is None
        elif told is not None:
            due = float(sum((size * part for size, part in parts if size is not None), Fraction(0)))
            assert abs(told - due) <= 1


@given(st.lists(files, max_size=30))
def test_a_file_is_counted_once_with_its_larger_size(listed: list[tuple[Millis, Millis, int | None]]) -> None:
    twice = [*listed, *((start, end - MINUTE, None) for start, end, _ in listed)]
    once = FileSizes.of(listed)
    assert FileSizes.of(twice) == once
    assert len(once) == len({start for start, _, _ in listed})


async def test_what_recordings_kept_as_files_take_is_told(tmp_path: Path) -> None:
    """A whole first scan of a folder: four whole days of a file an hour, and the bytes of each."""
    zone, first = ZoneInfo("Asia/Shanghai"), date(2026, 11, 19)
    for hour in range(4 * 24 + 12):
        at = day_start(first, zone) + hour * HOUR
        path = tmp_path / from_millis(at).astimezone(zone).strftime("rec/gate/%Y-%m-%d/%H%M%S.mp4")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tiny_mp4(3600).ljust(1000 + hour // 24, b"\0"))
        os.utime(path, ((at + HOUR) / 1000,) * 2)
    clock = ManualClock(NOW)
    options = {"path": "rec/{camera}/%Y-%m-%d/%H%M%S.mp4"}
    driver = Files(recorder_settings(tmp_path, driver="files", options=options, clock=clock))
    seen: list[Observation] = []
    scan = RecorderScan("disk", driver, [Channelled("gate", "gate")], clock, seen.append)
    with rounds_over(scan, clock, seen, tmp_path, zone="Asia/Shanghai") as rounds:
        assert await rounds.round(30)
    await driver.close()
    (told,) = [item.facts for item in seen if item.kind is Kind.WRITTEN]
    sizes = told["bytes"]
    assert isinstance(sizes, list)
    assert sizes[-4:] == [24_000, 24_024, 24_048, 24_072]
    assert set(sizes[:-4]) == {0}
    assert "estimated_days" not in told
