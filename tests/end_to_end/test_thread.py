"""From a camera's stream and a recorder's index to a finding at the centre, with both ends killed on the way."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agents.simulators.camera import Camera, Fault
from agents.simulators.footage import Footage, continuous, midnight_days_ago
from agents.simulators.hikvision import HikvisionSimulator
from agents.simulators.recorder import Channel, RecorderState
from dashboards.web.charts import BAR_WIDTH
from support.ports import closed_port
from support.thread import Thread, until

PIXEL_SECONDS = 27.0
"""What a tenth of a pixel of the page's bar of a day stands for: it is drawn no finer."""

SHANGHAI = ZoneInfo("Asia/Shanghai")


def recorder() -> RecorderState:
    """A recorder that has held 100 days and records on."""
    now = time.time()
    history = continuous(midnight_days_ago(now, SHANGHAI, 100), now, seed=1)
    return RecorderState([Channel(n, f"ch {n}", Camera(n), Footage(list(history), lag_seconds=1.0)) for n in (1, 2)])


def items(thread: Thread, path: str) -> list[dict[str, Any]]:
    answer = thread.get(path)
    return answer["items"] if answer else []


def states(thread: Thread, camera: str, kind: str = "stream") -> list[dict[str, Any]]:
    found = items(thread, f"/api/v1/institutions/wj-0001/ledger?kind={kind}&limit=500")
    return sorted((s for s in found if s["subject"]["id"] == camera), key=lambda s: s["start_at"])


def ups(thread: Thread, camera: str) -> list[dict[str, Any]]:
    return [item for item in states(thread, camera) if item["state"] == "up"]


def verdicts(thread: Thread) -> dict[tuple[str, str], dict[str, Any]]:
    answer = thread.get("/api/v1/institutions/wj-0001")
    return {(v["requirement"], v["subject"]["id"]): v for v in answer["verdicts"]} if answer else {}


def drawn_up(thread: Thread) -> list[tuple[float, float]]:
    """Return the seconds before now in which the first camera is drawn as up on the page's bar, oldest first."""
    bar = re.search(r'<svg class="bar".*?</svg>', thread.page("/institutions/wj-0001"), re.DOTALL)
    if bar is None:
        return []
    rects = re.findall(r'<rect class="b-up" x="([\d.]+)" y="\d+" width="([\d.]+)"', bar[0])
    scale = 86_400 / BAR_WIDTH
    return [((float(x) - BAR_WIDTH) * scale, (float(x) + float(wide) - BAR_WIDTH) * scale) for x, wide in rects]


@pytest.fixture
def away_seconds(request: pytest.FixtureRequest) -> tuple[float, float]:
    """How long collector and agent stay killed: long once, since what is seen meanwhile is not the database's doing."""
    return (62.0, 2 * PIXEL_SECONDS - 10) if "sqlite" in request.node.name else (8.0, 8.0)


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_the_thread_holds_when_either_end_is_killed(
    tmp_path: Path, empty_database_url: str, away_seconds: tuple[float, float]
) -> None:
    """Killing the agent makes the time unknown until the index fills it; killing the collector loses nothing."""
    collector_away, agent_away = away_seconds
    async with HikvisionSimulator(recorder()) as simulator:
        streams = [simulator.rtsp_url(1), simulator.rtsp_url(2)]
        with Thread(tmp_path, simulator.url, streams, closed_port(), empty_database_url) as thread:
            thread.register()
            thread.start_collector()
            await until(thread.alive, "the collector answers")
            thread.enroll()
            thread.start_agent()
            await until(lambda: verdicts(thread).get(("zone_coverage", "z1"), {}).get("outcome") == "met", "covered")
            await until(lambda: verdicts(thread).get(("retention", "c2"), {}).get("outcome") == "met", "retention")
            assert items(thread, "/api/v1/findings") == []

            # A camera dies: a finding with its clause; it returns: the finding has its end.
            simulator.set_fault(2, Fault.DEAD)
            found = await until(lambda: items(thread, "/api/v1/findings"), "a finding")
            assert [(f["requirement"], f["subject"]["id"], f["state"]) for f in found] == [("uptime", "c2", "down")]
            assert found[0]["citation"]["clause"]
            simulator.set_fault(2, Fault.NONE)
            await until(lambda: items(thread, "/api/v1/findings")[0]["ended_at"], "the finding's end")

            # The collector is killed; what is seen meanwhile arrives afterwards, once.
            thread.kill_collector()
            simulator.set_fault(1, Fault.BLACK)
            await until(lambda: not thread.alive(), "the collector is gone")
            began = time.monotonic()
            await until(lambda: time.monotonic() - began > collector_away, "reports are written meanwhile", 90)
            thread.start_collector()
            await until(lambda: any(f["state"] == "black" for f in items(thread, "/api/v1/findings")), "black")
            # What is new comes in between the backlog: the hole fills up from its older end.
            await until(lambda: len(ups(thread, "c1")) == 1, "no hole: the camera was watched all the time")
            for camera in ("c1", "c2"):
                assert all(a["end_at"] <= b["start_at"] for a, b in pairwise(ups(thread, camera))), "double"

            # The agent is killed: the time between is unknown, until the recorder's index fills it.
            simulator.set_fault(1, Fault.NONE)
            thread.kill_agent()
            killed_at = time.time()
            await until(lambda: time.time() - killed_at > agent_away, "the agent is off for a while", 90)
            if agent_away > PIXEL_SECONDS:
                assert drawn_up(thread)[-1][1] < PIXEL_SECONDS - agent_away, (
                    "nobody watches: the page's bar says unknown"
                )
            thread.start_agent()
            await until(lambda: len(ups(thread, "c1")) == 2, "watched again")
            lines = ups(thread, "c1")
            assert lines[0]["end_at"] < lines[1]["start_at"], "nobody watched in between"
            await until(lambda: _uptime_covers(thread), "the index fills the time between")
            ((_, until_now),) = drawn_up(thread)
            assert until_now > -PIXEL_SECONDS, "the page shows the time between as up"
            assert {f["state"] for f in items(thread, "/api/v1/findings")} == {"down", "black"}


def _uptime_covers(thread: Thread) -> bool:
    """The window's figures count the time between as up: up is all there is, and there is more than was watched."""
    verdict = verdicts(thread).get(("uptime", "c1"))
    if verdict is None or verdict["outcome"] != "met":
        return False
    first, last = (s for s in states(thread, "c1") if s["state"] == "up")
    watched = sum(_seconds(s["end_at"]) - _seconds(s["start_at"]) for s in (first, last))
    figures = verdict["measured"]
    return bool(figures["down_seconds"] == 0 and figures["up_seconds"] > watched + 2)


def _seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()
