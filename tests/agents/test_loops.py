"""What is remembered of streams over restarts: files that are whole or nothing, and of the site's cameras alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from agents.loops import LoopBook
from agents.run import Service
from agents.state import State
from agents.vision.loop import KEPT_BYTES, Loop
from monitor.model.clock import SystemClock
from monitor.regulations.loader import load
from support.ports import closed_port
from support.site import site_of, write_site

NOW = datetime(2026, 11, 30, tzinfo=UTC).timestamp()


def filled(seed: int) -> Loop:
    rng, loop = np.random.default_rng(seed), Loop()
    sizes = rng.integers(500, 5000, 60_000)
    loop.frames([(100 + number / 15, int(size), False) for number, size in enumerate(sizes)])
    return loop


def test_each_camera_gets_its_own_back_and_files_of_others_go(tmp_path: Path) -> None:
    book, before = LoopBook(tmp_path), {name: filled(seed) for seed, name in enumerate(("gate", "yard", "gone"), 1)}
    for name, loop in before.items():
        book.keep(name, loop.kept(NOW))
    folder = tmp_path / "loops"
    (folder / "gate.loop.new").write_bytes(b"cut off")
    after = {name: Loop() for name in ("gate", "yard", "new")}
    book.recall(after, NOW)
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
    book.recall({"gate": loop}, NOW)
    assert loop.kept(NOW) == Loop().kept(NOW)
    if damage is not None:
        book.keep("gate", filled(3).kept(NOW))
        book.recall({"gate": loop}, NOW)
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
                while not service.periodic._scheduler.running:  # noqa: ASYNC110  (nothing tells)
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
