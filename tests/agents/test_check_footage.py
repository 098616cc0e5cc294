"""The agent pointed at what is not ours: GStreamer's RTSP server playing real footage, and segments written by ffmpeg."""

from __future__ import annotations

import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agents.check import check
from agents.site import load_site
from agents.state import State
from monitor.model.clock import SystemClock
from monitor.model.verdict import Verdict
from support.gstreamer import gst_server
from support.packs import pack
from support.parts import require
from support.pictures import footage
from support.site import write_site

pytestmark = pytest.mark.timeout(120)

ZONE = ZoneInfo("Asia/Shanghai")
DAYS = 3
HISTORY = 5


def write_hour(path: Path) -> Path:
    """Have ffmpeg write an hour of very little."""
    command = [
        "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=size=32x32:rate=1/5:duration=3600",
        "-c:v", "libx264", "-preset", "ultrafast", str(path),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    return path


def record(folder: Path, hour: Path, camera: str, missing: dict[int, range]) -> None:
    """Lay out a camera's segments, one an hour since HISTORY days ago, but for some hours of some days ago."""
    today = datetime.now(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    for days_ago in range(HISTORY + 1):
        day = folder / camera / f"{today - timedelta(days=days_ago):%Y-%m-%d}"
        day.mkdir(parents=True)
        hours = 24 if days_ago else datetime.now(ZONE).hour
        for number in set(range(hours)) - set(missing.get(days_ago, ())):
            shutil.copy(hour, day / f"{number:02d}0000.mp4")


async def test_right_verdicts_on_what_others_made(tmp_path: Path) -> None:
    require("gstreamer")
    require("ffmpeg")
    hall = footage("hall")
    hour = write_hour(tmp_path / "hour.mp4")
    recordings = tmp_path / "recordings"
    record(recordings, hour, "hall", {})
    record(recordings, hour, "gap", {2: range(3, 8)})
    record(recordings, hour, "short", {day: range(24) for day in range(2, HISTORY + 1)})
    mounts = {"/hall": {"file": str(hall)}, "/black": {"test": "h264", "pattern": "black"}, "/tone": {"test": "audio"}}
    with gst_server(mounts, auth="digest", user="viewer", password="s3cret") as port:
        streams = {"hall": "hall", "gap": "black", "short": "tone"}
        cameras: list[dict[str, Any]] = [
            {
                "id": name, "zones": ["gate"], "recorder": "folder", "channel": name,
                "stream": f"rtsp://127.0.0.1:{port}/{mount}", "username": "viewer", "password_file": "password",
            }
            for name, mount in streams.items()
        ]  # fmt: skip
        folder = {"id": "folder", "driver": "files", "path": "recordings/{camera}/%Y-%m-%d/%H%M%S.mp4"}
        config = write_site(tmp_path, cameras, [folder], password="s3cret")
        regulation = pack(retention={"required_days": DAYS})
        site = load_site(config)
        checked = await check(site, regulation, SystemClock(), state=State(site.state_dir, "wj-0001"))
    found = {(item.requirement.kind, item.subject.id): item for item in checked.verdicts}

    def of(requirement: str) -> dict[str, Verdict]:
        return {name: found[requirement, name] for name in streams}

    assert {name: item.state for name, item in of("uptime").items()} == {"hall": "up", "gap": "up", "short": "down"}
    assert "no video" in of("uptime")["short"].reason
    assert {name: item.state for name, item in of("view").items()} == {"hall": "ok", "gap": "black", "short": "unknown"}
    retention = of("retention")
    assert {name: item.state for name, item in retention.items()} == {"hall": "ok", "gap": "gap", "short": "short"}
    assert {name: item.measured["held_days"] for name, item in retention.items()} == {
        "hall": HISTORY, "gap": HISTORY, "short": 1,
    }  # fmt: skip
    lost = f"{datetime.now(ZONE) - timedelta(days=2):%Y-%m-%d}"
    assert retention["gap"].measured["missing_days"] == [lost]
    assert retention["gap"].measured["contiguous_days"] == 1
    assert {item.state for item in of("recording_completeness").values()} == {"complete"}
    assert checked.exit_code == 1
