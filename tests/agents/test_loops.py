"""What is remembered of streams over restarts: files that are whole or nothing, and of the site's cameras alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from agents.loops import LoopBook, recall
from agents.run import Service
from agents.state import State
from agents.vision.loop import KEPT_BYTES, Loop
from monitor.model.clock import SystemClock
from monitor.regulations.loader import load
from support.ports import closed_port
from support.site import behind, nvr, recorder, site_of, write_site

NOW = datetime(2026, 11, 30, tzinfo=UTC).timestamp()


def filled(seed: int) -> Loop:
    rng, loop = np.random.default_rng(seed), Loop()
    sizes = rng.integers(500, 5000, 60_000)
    loop.frames([(100 + number / 15, int(size), False) for number, size in enumerate(sizes)])
    return loop


def take(book: LoopBook, loops: Mapping[str, Loop]) -> None:
    for name, loop in loops.items():
        if (kept := book.read(name)) is not None:
            recall(name, loop, kept, NOW)


def test_each_camera_gets_its_own_back_and_files_of_others_go(tmp_path: Path) -> None:
    book, before = LoopBook(tmp_path), {name: filled(seed) for seed, name in enumerate(("gate", "yard", "gone"), 1)}
    for name, loop in before.items():
        book.keep(name, loop.kept(NOW))
    folder = tmp_path / "loops"
    (folder / "gate.loop.new").write_bytes(b"cut off")
    after = {name: Loop() for name in ("gate", "yard", "new")}
    take(book, after)
    book.forget_others(after.keys())
    assert {name: loop.kept(NOW) for name, loop in after.items() if name != "new"} == {
        name: before[name].kept(NOW) for name in ("gate", "yard")
    }
    assert after["new"].kept(NOW) == Loop().kept(NOW)
    assert sorted(path.name for path in folder.iterdir()) == ["gate.loop", "yard.loop"]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert {path.stat().st_size for path in folder.iterdir()} == {KEPT_BYTES}


@pytest.mark.parametrize("damage", [b"", b"\0" * KEPT_BYTES, b"x" * (KEPT_BYTES * 3), None])
def test_a_file_that_is_damaged_is_none_and_is_written_anew(tmp_path: Path, damage: bytes | None) -> None:
    book, path = LoopBook(tmp_path), tmp_path / "loops" / "gate.loop"
    path.parent.mkdir()
    if damage is None:
        path.mkdir()
    else:
        path.write_bytes(damage)
    loop = Loop()
    take(book, {"gate": loop})
    assert loop.kept(NOW) == Loop().kept(NOW)
    if damage is not None:
        book.keep("gate", filled(3).kept(NOW))
        take(book, {"gate": loop})
        assert loop.kept(NOW) == filled(3).kept(NOW)


@pytest.mark.timeout(120)
async def test_the_service_remembers_at_its_start_what_it_kept_when_it_ended(tmp_path: Path) -> None:
    stream = f"rtsp://127.0.0.1:{closed_port()}/yard"
    site = site_of(write_site(tmp_path, [{"id": "yard", "zones": ["gate"], "stream": stream}], state_dir="state"))
    tables = []
    for start in range(3):
        state = State(site.state_dir, site.institution.id, enduring=True)
        service = Service(site, load("demo-nursery"), state, SystemClock())
        with state.lock():
            running = asyncio.create_task(service.run())
            async with asyncio.timeout(60):
                while service._unread or not service.periodic._scheduler.running:  # noqa: ASYNC110  (nothing tells)
                    await asyncio.sleep(0.02)
            loop = service.watches["yard"].loop
            tables.append(loop.kept(NOW)[24:])
            if start == 0:
                loop.recall(filled(1).kept(NOW), NOW)
            if start == 1:
                (site.state_dir / "loops" / "yard.loop").write_bytes(b"cut off")
                await service._loops_job()
            service.stop()
            await running
        state.close()
    assert tables[0] == Loop().kept(NOW)[24:]
    assert tables[1] != tables[0]
    assert tables[2] == tables[1]


def test_what_is_read_after_the_first_frames_is_known_all_the_same() -> None:
    """A recording of two hours, of which months later the last forty minutes are played; the disk gives what was kept late."""
    day, live = np.random.default_rng(1), np.random.default_rng(2)
    sizes = [int(size) for size in day.integers(500, 5000, 15 * 7200)]
    before, after = Loop(), Loop()
    before.frames([(100 + number / 15, size, False) for number, size in enumerate(sizes)])
    kept, later = before.kept(NOW), NOW + 30 * 86_400
    after.frames([(7 + number / 15, int(size), False) for number, size in enumerate(live.integers(500, 5000, 900))])
    recall("gate", after, kept, later)
    assert (after.looping, after.since) == (False, None)
    found = []
    for number, size in enumerate(sizes[15 * 1200 :]):
        after.frame(67 + number / 15, size)
        if number % 150 == 0:
            found.append(after.looping)
    assert found[-1], "what was kept is known again"
    assert (after.kept(later)[24:] == kept[24:]) is False, "and what has come meanwhile is remembered with it"


@pytest.mark.timeout(120)
async def test_cameras_are_watched_while_what_was_kept_of_them_is_still_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes, read = threading.Event(), LoopBook.read

    def slowly(book: LoopBook, camera: str) -> bytes | None:
        assert goes.wait(60.0), "somebody waits for the disk"
        return read(book, camera)

    monkeypatch.setattr(LoopBook, "read", slowly)
    async with recorder(1) as simulator:
        site = site_of(write_site(tmp_path, behind(simulator), [nvr(simulator)], state_dir="state"))
        state = State(site.state_dir, site.institution.id, enduring=True)
        LoopBook(site.state_dir).keep("c1", kept := filled(1).kept(NOW))
        service = Service(site, load("demo-nursery"), state, SystemClock())
        running = asyncio.create_task(service.run())
        watch = service.watches["c1"]
        async with asyncio.timeout(60):
            while not watch.view.state:  # noqa: ASYNC110  (nothing tells)
                await asyncio.sleep(0.02)
            await service._loops_job()
            assert (site.state_dir / "loops" / "c1.loop").read_bytes() == kept, "nothing is written before it was read"
            goes.set()
            while service._unread:  # noqa: ASYNC110  (nothing tells)
                await asyncio.sleep(0.02)
        assert watch.loop.kept(NOW)[24:] == kept[24:]
        service.stop()
        await running
        state.close()
