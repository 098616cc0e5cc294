"""A tree read through its catalogue says what a fresh look would say, and looks at next to nothing."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.recorders import listing as of_folders
from agents.recorders import tree
from agents.recorders.base import FilePlayback, RecorderError
from agents.recorders.files import Files
from monitor.model.clock import ManualClock
from monitor.model.span import DAY, HOUR, MINUTE, SECOND, Millis, Spans, from_millis, to_millis
from support.recorder_http import NOW, recorder_settings
from support.tiny_mp4 import tiny_mp4

NOON = to_millis(NOW)
SHANGHAI = ZoneInfo("Asia/Shanghai")
BY_DAY = "rec/{camera}/%Y-%m-%d/%H%M%S.mp4"
FLAT = "rec/{camera}/%Y-%m-%d_%H-%M-%S.mp4"
SHARED = "rec/%Y%m/{camera}-%d-%H%M%S.mp4"
HOURLY = "rec/%Y-%m-%d/%H/{camera}/%M.%S.mp4"


@dataclass
class Site:
    """A tree, the clock beside it, and the truth: what each file holds, by its path."""

    folder: Path
    template: str = BY_DAY
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW + timedelta(hours=1)))
    truth: dict[Path, tuple[Millis, Millis]] = field(default_factory=dict)
    changes: int = 0
    driver: Files | None = None

    def started(self, **changes: Any) -> Files:
        """Return a driver, as a fresh process would make it unless there is one."""
        if self.driver is None:
            values = {"driver": "files", "options": {"path": self.template}, "clock": self.clock, **changes}
            self.driver = Files(recorder_settings(self.folder, **values))
        return self.driver

    async def restart(self) -> None:
        if self.driver is not None:
            await self.driver.close()
        self.driver = None

    def path(self, at: Millis, camera: str = "gate") -> Path:
        wall = from_millis(at).astimezone(SHANGHAI)
        return self.folder / wall.strftime(self.template.replace("{camera}", camera))

    def put(self, at: Millis, seconds: int = 600, camera: str = "gate", body: bytes | None = None) -> Path:
        """Write a file, in place where there is one, and date it and its folder as a recorder's disk would."""
        path = self.path(at, camera)
        new = not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tiny_mp4(seconds) if body is None else body)
        self.changes += 1
        os.utime(path, ns=((at + seconds * SECOND) * 1_000_000 + self.changes,) * 2)
        self.truth[path] = (at, at + seconds * SECOND)
        self._date(path.parent, at + seconds * SECOND, new=new)
        return path

    def remove(self, path: Path) -> None:
        path.unlink()
        self.truth.pop(path)
        self.changes += 1
        self._date(path.parent, NOON, new=True)

    def _date(self, folder: Path, at: Millis, *, new: bool) -> None:
        """Date a folder: later with each change of its names, and by nothing else."""
        if new:
            self.stamps = {**getattr(self, "stamps", {}), folder: min(at, NOON) * 1_000_000 + self.changes}
        os.utime(folder, ns=(self.stamps[folder],) * 2)

    def held(self, camera: str = "gate") -> Spans:
        told = Spans.of([span for path, span in self.truth.items() if camera in str(path.relative_to(self.folder))])
        return told.clip(NOON - 10 * DAY, NOON)

    async def read(self, camera: str = "gate") -> Spans:
        return (await self.started().footage(camera, NOON - 10 * DAY, NOON)).spans


def catalogue_of(folder: Path) -> Path:
    (catalogue,) = folder.glob("files-*.sqlite")
    return catalogue


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Note which folders of files are listed."""
    seen: list[bytes] = []
    listing: Callable[[bytes], list[bytes]] = of_folders.listed

    def noted(folder: bytes) -> list[bytes]:
        seen.append(folder)
        return listing(folder)

    monkeypatch.setattr(of_folders, "listed", noted)
    monkeypatch.setattr(tree, "listed", noted)
    return seen


async def three_days(site: Site) -> list[Path]:
    return [site.put(NOON - days * DAY - hours * HOUR) for days in range(3) for hours in (1, 2, 3)]


@pytest.mark.parametrize("template", [BY_DAY, FLAT, SHARED, HOURLY])
async def test_of_a_known_tree_no_folder_is_listed_and_no_file_looked_into(
    tmp_path: Path, template: str, listed: list[bytes]
) -> None:
    site = Site(tmp_path, template)
    await three_days(site)
    assert await site.read() == site.held()
    assert site.started().looked_into == 9
    listed.clear()
    await site.restart()
    assert await site.read() == site.held()
    assert (listed, site.started().looked_into) == ([], 0)
    assert await site.started().earliest("gate") == NOON - 2 * DAY - 3 * HOUR
    assert site.started().looked_into == 0


async def test_only_the_new_file_of_a_changed_folder_is_looked_into(tmp_path: Path, listed: list[bytes]) -> None:
    site = Site(tmp_path)
    await three_days(site)
    await site.read()
    listed.clear()
    new = site.put(NOON - 30 * MINUTE)
    await site.restart()
    assert await site.read() == site.held()
    assert (listed, site.started().looked_into) == ([os.fsencode(new.parent)], 1)


async def test_the_last_file_grows_without_a_change_of_its_folder(tmp_path: Path, listed: list[bytes]) -> None:
    site = Site(tmp_path)
    paths = await three_days(site)
    await site.read()
    site.put(NOON - HOUR, 1200)
    assert await site.read() == site.held()
    listed.clear()
    assert await site.read() == site.held()
    assert listed == []
    assert site.truth[paths[0]] == (NOON - HOUR, NOON - 40 * MINUTE)


async def test_a_folder_that_changed_a_moment_ago_is_listed_again(tmp_path: Path, listed: list[bytes]) -> None:
    """Two changes within one tick of a file system's clock leave the same time: 2 s on some."""
    site = Site(tmp_path, clock=ManualClock(NOW))
    first = site.put(NOON - 12 * MINUTE)
    await site.read()
    second = site.put(NOON - 2 * MINUTE, 60)
    same = first.parent.stat().st_mtime_ns
    await site.read()
    site.remove(second)
    os.utime(first.parent, ns=(same, same))
    listed.clear()
    assert await site.read() == site.held()
    assert listed == [os.fsencode(first.parent)]


async def test_a_file_that_was_cut_off_while_it_was_written_is_seen_though_nothing_changes(tmp_path: Path) -> None:
    site = Site(tmp_path, clock=ManualClock(NOW))
    path = site.put(NOON - 4 * MINUTE, 238, body=b"\0\0\0\x18ftypisom" + b"\0" * 1000)
    assert await site.read() == Spans.window(NOON - 4 * MINUTE, NOON - 2 * SECOND)
    site.clock.advance(3600)
    assert path.exists()
    assert await site.read() == Spans.empty()


async def test_an_old_file_overwritten_in_place_is_seen_by_the_slow_look(tmp_path: Path) -> None:
    site = Site(tmp_path)
    paths = await three_days(site)
    before = site.held()
    await site.read()
    site.put(NOON - 2 * DAY - 3 * HOUR, 60)
    assert await site.read() == before  # by design: no change time tells
    site.clock.advance(5 * 86_400)
    await site.restart()
    assert await site.read() == site.held() != before
    assert site.started().looked_into == 1, paths


async def test_of_a_folder_of_many_days_only_the_last_file_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, FLAT)
    paths = sorted(await three_days(site))
    await site.read()
    looked: list[str] = []
    seen: Callable[[bytes, bytes], list[int] | None] = tree._size_and_change

    def noted(folder: bytes, name: bytes) -> list[int] | None:
        looked.append(os.fsdecode(name))
        return seen(folder, name)

    monkeypatch.setattr(tree, "_size_and_change", noted)
    paths.append(site.put(NOON - 30 * MINUTE, 1200))
    assert await site.read() == site.held()
    assert (set(looked), site.started().looked_into) == (set(), 10)
    looked.clear()
    site.put(NOON - 30 * MINUTE, 1500)
    assert await site.read() == site.held()
    assert (set(looked), site.started().looked_into) == ({paths[-1].name}, 11)


async def test_the_end_of_a_day_that_was_being_written_is_looked_at_until_it_is_done(tmp_path: Path) -> None:
    site = Site(tmp_path, FLAT, clock=ManualClock(from_millis(NOON - 12 * HOUR + 2 * MINUTE)))
    midnight = NOON - 12 * HOUR
    site.put(midnight - HOUR, 3600)
    await site.read()
    site.put(midnight + MINUTE, 30)
    await site.read()
    site.put(midnight - HOUR, 3660)
    site.clock.advance(3600)
    assert await site.read() == site.held()
    with sqlite3.connect(catalogue_of(tmp_path)) as connection:
        tails = connection.execute("SELECT tail FROM shelf WHERE length(segments) > 0 ORDER BY day").fetchall()
    connection.close()
    assert [bool(tail) for (tail,) in tails] == [False, True]


async def test_a_folder_that_is_gone_is_gone(tmp_path: Path) -> None:
    site = Site(tmp_path)
    paths = await three_days(site)
    await site.read()
    for path in paths[-3:]:
        site.remove(path)
    paths[-1].parent.rmdir()
    assert await site.read() == site.held()
    catalogue = catalogue_of(tmp_path)
    await site.restart()
    assert paths[-1].parent.name.encode() not in catalogue.read_bytes()


@pytest.mark.parametrize("change", ["path", "zone"])
async def test_other_rules_begin_anew(tmp_path: Path, change: str) -> None:
    site = Site(tmp_path)
    await three_days(site)
    await site.read()
    await site.restart()
    if change == "zone":
        site.started(timezone=ZoneInfo("Europe/Berlin"))
        assert await site.read() == site.held().shift(7 * HOUR).clip(NOON - 10 * DAY, NOON)
    else:
        site.started(options={"path": BY_DAY, "path_timezone": "utc"})
        assert await site.read() == site.held().shift(8 * HOUR).clip(NOON - 10 * DAY, NOON)


@pytest.mark.parametrize("trouble", ["damaged", "folder", "nowhere"])
async def test_without_its_catalogue_all_is_read_again(tmp_path: Path, trouble: str) -> None:
    site = Site(tmp_path)
    await three_days(site)
    await site.read()
    await site.restart()
    catalogue = catalogue_of(tmp_path)
    catalogue.unlink()
    if trouble == "damaged":
        catalogue.write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    elif trouble == "folder":
        catalogue.mkdir()
    else:
        site.started(state_dir=None)
    assert await site.read() == site.held()
    assert site.started().looked_into == 9
    told = [one.answered for one in site.started().exchanges]
    assert any("could not be kept" in one for one in told) is (trouble == "folder")
    assert isinstance(await site.started().playback("gate", NOON - HOUR, 10), FilePlayback)


async def test_names_that_do_not_fit_their_segments_are_not_believed(tmp_path: Path) -> None:
    site = Site(tmp_path)
    await three_days(site)
    await site.read()
    await site.restart()
    catalogue = catalogue_of(tmp_path)
    with sqlite3.connect(catalogue) as connection:
        connection.execute("UPDATE shelf SET names = X'78'")
        connection.execute("INSERT INTO shelf VALUES ('gate', ?, 'x', '', 0, '', X'0102', '')", (NOW.toordinal(),))
    connection.close()
    site.put(NOON - 30 * MINUTE)
    assert await site.read() == site.held()


async def test_an_unreadable_file_costs_nothing_of_what_was_read_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path)
    paths = await three_days(site)

    def failing(path: Path, _: object) -> float:
        if path == paths[0]:
            raise OSError(5, "Input/output error", str(path))
        return 600.0

    monkeypatch.setattr("agents.recorders.segments.duration_seconds", failing)
    with pytest.raises(RecorderError, match="Input/output error"):
        await site.read()
    await site.restart()
    monkeypatch.undo()
    assert await site.read() == site.held()
    assert site.started().looked_into == 3


async def test_a_reading_that_is_given_up_stops_and_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path)
    await three_days(site)
    begun, going = threading.Event(), threading.Event()

    def slow(*_: object) -> float:
        begun.set()
        assert going.wait(60)
        return 600.0

    monkeypatch.setattr("agents.recorders.segments.duration_seconds", slow)
    work = asyncio.create_task(site.read())
    assert await asyncio.to_thread(begun.wait, 60)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    going.set()
    assert await site.read() == site.held()
    assert 9 <= site.started().looked_into <= 12  # the folder that was under way is read again


async def test_sizes_are_those_of_the_files_that_play(tmp_path: Path) -> None:
    site = Site(tmp_path)
    paths = await three_days(site)
    site.put(NOON - 5 * DAY, body=b"\0\0\0\x18ftypisom" + b"\0" * 1000)
    footage = await site.started().footage("gate", NOON - 10 * DAY, NOON)
    assert footage.sizes is not None
    expected = sorted((*site.truth[path], path.stat().st_size) for path in paths)
    assert [tuple(one) for one in footage.sizes] == expected


@pytest.mark.parametrize("template", [BY_DAY, FLAT, SHARED])
@settings(max_examples=8, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "put", "grow", "remove", "restart", "read"]), st.integers(0, 999)),
        max_size=14,
    )
)
def test_it_says_what_a_fresh_look_says(template: str, steps: list[tuple[str, int]]) -> None:
    async def run(folder: Path) -> None:
        site = Site(folder, template)
        site.put(NOON - 9 * DAY, camera="gate")
        site.put(NOON - 9 * DAY, camera="yard")
        latest = {"gate": NOON - 9 * DAY, "yard": NOON - 9 * DAY}
        for what, number in steps:
            site.clock.advance(61)  # a folder of several cameras that was just listed is not listed again
            at, camera = NOON - (number % 60) * 3 * HOUR - 20 * MINUTE, ("gate", "yard")[number % 2]
            if what == "put" and not site.path(at, camera).exists():
                site.put(at, 60 * (1 + number % 9), camera)
                latest[camera] = max(latest[camera], at)
            elif what == "grow":
                newest = max(path for path in site.truth if camera in str(path.relative_to(folder)))
                if site.truth[newest][0] == latest[camera]:  # what a later one has followed is not written any more
                    site.put(latest[camera], 60 * (10 + number % 9), camera)
            elif what == "remove" and len(site.truth) > 2:
                kept = [path for path in sorted(site.truth) if site.truth[path][0] > NOON - 9 * DAY]
                if kept:
                    site.remove(kept[number % len(kept)])
            elif what == "restart":
                await site.restart()
            elif what == "read":
                assert await site.read(camera) == site.held(camera)
        site.clock.advance(61)
        for camera in ("gate", "yard"):
            assert await site.read(camera) == site.held(camera)
        await site.restart()

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))
