"""The memory of a service that runs for months: what a look leaves behind is gone a moment later."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents import garbage
from agents.periodic import Periodic
from agents.run import Service
from agents.run_cli import _run
from agents.state import State
from monitor.model.clock import SystemClock
from support.ports import closed_port
from support.site import site_of, write_site
from support.thread import until


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Sweep often; afterwards this process collects its garbage as before."""
    monkeypatch.setattr(garbage, "SWEEP_SECONDS", 0.05)
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def look_around() -> None:
    """Leave behind what looks do: tuples of one length that were cut to it."""
    for _ in range(2000):
        tuple(number * 0.5 for number in range(17))


async def test_what_comes_and_goes_leaves_nothing() -> None:
    garbage.spare_what_stays()
    before = sys.getallocatedblocks()
    look_around()
    assert sys.getallocatedblocks() - before > 1500, "Python keeps them for reuse, until it looks through everything"
    periodic = Periodic(SystemClock())
    garbage.keep_swept(periodic)
    periodic.start()
    try:
        await until(lambda: sys.getallocatedblocks() - before < 500, "their memory is free again", 10)
    finally:
        periodic.stop()


async def test_a_service_is_swept_for_as_long_as_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole: list[int] = []

    def noted(phase: str, info: dict[str, Any]) -> None:
        if phase == "stop" and info["generation"] == 2:
            whole.append(info["collected"])

    runs = Service.run

    async def run(service: Service) -> None:
        running = asyncio.create_task(runs(service))
        await until(lambda: len(whole) > 3, "all was looked through again and again", 30)
        service.stop()
        await running

    monkeypatch.setattr(Service, "run", run)
    camera = {"id": "c1", "zones": ["room"], "stream": f"rtsp://127.0.0.1:{closed_port()}/"}
    site = site_of(write_site(tmp_path, [camera]))
    state = State(site.state_dir, site.institution.id)
    gc.callbacks.append(noted)
    try:
        await _run(site, state, None)
    finally:
        gc.callbacks.remove(noted)
        state.close()
