"""What is known around a camera that stands alone: when its silence is its own, and when the agent sees nothing at all."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents.check import check
from agents.regulation import site_regulation
from agents.site import load_site
from agents.state import State
from agents.station import FRAMES_SECONDS, Station
from monitor.model.clock import ManualClock
from monitor.model.observation import StreamCause

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
