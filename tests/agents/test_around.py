"""What is known around a camera that stands alone: when its silence is its own, and when the agent sees nothing at all."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents.check import check
from agents.regulation import site_regulation
from agents.run import Service
from agents.site import load_site
from agents.state import State
from agents.station import FRAMES_SECONDS, Station
from monitor.model.clock import ManualClock, SystemClock
from monitor.model.observation import StreamCause
from support.site import behind, nvr, recorder, write_site

SITE = """
institution: {id: wj-0001}
regulation: kr-daycare-60
networks: [127.0.0.0/8]
gateway: 127.0.0.1:1
zones: []
recorders: []
cameras:
  - {id: gate, zones: [], stream: "rtsp://127.0.0.1:1/gate"}
  - {id: room, zones: [], stream: "rtsp://127.0.0.1:1/room"}
"""


async def test_a_silent_gateway_makes_nobody_blind_who_was_refused_or_sees_another_camera(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE, encoding="utf-8")
    site, clock = load_site(tmp_path / "site.yaml"), ManualClock(datetime(2026, 11, 28, tzinfo=UTC))
    station = Station(site, clock, lambda _: None)
    gate, room = site.cameras

    async def silent() -> bool:
        return False

    station.reach.site_answers = silent  # type: ignore[method-assign]  # a router that drops everything
    try:
        assert not (await station.around(gate, StreamCause.TIMEOUT, 0.0)).site_answers
        assert (await station.around(gate, StreamCause.REFUSED, 0.0)).site_answers, "a port that is shut has answered"
        station.runs(gate)
        assert not (await station.around(gate, StreamCause.TIMEOUT, 0.0)).site_answers, (
            "its own last frames don't count"
        )
        station.runs(room)
        assert (await station.around(gate, StreamCause.TIMEOUT, 0.0)).site_answers, "another camera plays"
        clock.advance(FRAMES_SECONDS + 1)
        assert not (await station.around(gate, StreamCause.TIMEOUT, 0.0)).site_answers
    finally:
        await station.close()


async def test_a_recorder_that_can_t_be_asked_says_of_no_channel_that_it_is_off_line(tmp_path: Path) -> None:
    behind = SITE.replace("gate, zones: []", "gate, zones: [], recorder: nvr, channel: 1").replace(
        "recorders: []", "recorders:\n  - {id: nvr, driver: hikvision, url: 'http://127.0.0.1:1'}"
    )
    (tmp_path / "site.yaml").write_text(behind, encoding="utf-8")
    site, clock = load_site(tmp_path / "site.yaml"), ManualClock(datetime(2026, 11, 28, tzinfo=UTC))
    station = Station(site, clock, lambda _: None)
    gate, room = site.cameras
    scan = station.scans["nvr"]
    try:
        assert not await station.says_offline(gate)
        assert not await station.says_offline(room), "no recorder stands before it"
        scan.online = {"1": False}
        assert await station.says_offline(gate, 5.0)
        clock.advance(20)
        assert not await station.says_offline(gate, 5.0), "that was said before"
        assert scan.online == {"1": False}, "nobody was asked"
    finally:
        await station.close()


@pytest.mark.parametrize(
    ("gateway", "said"),
    [
        ("127.0.0.1:1", None),
        (
            "router.invalid",
            (
                "gateway: the name router.invalid could not be resolved; correct gateway in {site}, until then a silent"
                " recorder can't be told from a cut line"
            ),
        ),
    ],
)
async def test_a_gateway_that_has_no_address_is_told(tmp_path: Path, gateway: str, said: str | None) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SITE.replace("127.0.0.1:1\nzones", f"{gateway}\nzones"), encoding="utf-8")
    site = load_site(path)
    state = State(site.state_dir, site.institution.id)
    clock = ManualClock(datetime(2026, 11, 28, tzinfo=UTC))
    try:
        checked = await check(site, site_regulation(site, state).regulation, clock, camera="gate", state=state)
    finally:
        state.close()
    assert checked.notes == (() if said is None else (said.format(site=path),))


async def test_a_name_server_that_is_not_up_yet_holds_up_neither_the_first_report_nor_the_watching(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a power cut: the agent is there before the router that the gateway's name has to be asked of."""
    answers = threading.Event()
    monkeypatch.setattr("agents.rtsp.address.socket.getaddrinfo", lambda *_, **__: answers.wait(60) and [])
    async with recorder(1) as simulator:
        site = load_site(write_site(tmp_path, behind(simulator), [nvr(simulator)], gateway="router.example"))
        state = State(site.state_dir, site.institution.id)
        service = Service(site, site_regulation(site, state).regulation, state, SystemClock())
        service.station.addresses._resolve_seconds = 1000.0
        running = asyncio.create_task(service.run())
        async with asyncio.timeout(30):
            while service.watches["c1"].stream.state != "up":  # noqa: ASYNC110  (nobody tells)
                await asyncio.sleep(0.02)
        with sqlite3.connect(site.state_dir / "journal.sqlite") as journal:
            assert ("wj-0001",) in journal.execute("SELECT subject FROM instant").fetchall()
        service.stop()
        async with asyncio.timeout(20):
            await running
        answers.set()
        state.close()
