"""Motion, really running and recording a simulated camera, is read as it recorded: while it writes, and when it ended."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agents.recorders.files import Files
from agents.simulators.hikvision import HikvisionSimulator
from monitor.model.clock import SystemClock
from monitor.model.span import HOUR, MINUTE, SECOND, Millis, Spans, to_millis
from support.parts import require
from support.recorder_http import recorder_settings
from support.site import recorder
from support.thread import until

SHANGHAI = ZoneInfo("Asia/Shanghai")
TEMPLATE = "rec/{camera}/%Y-%m-%d/%H%M%S-*.mkv"
CONFIG = """
daemon off
setup_mode off
log_file {folder}/motion.log
target_dir {folder}/rec/gate
netcam_url {url}
netcam_userpass {user}:{password}
netcam_params analyzeduration=500000,probesize=100000
width 352
height 288
framerate 5
minimum_motion_frames 1
emulate_motion on
movie_output on
movie_codec mkv
movie_max_time 2
movie_filename %Y-%m-%d/%H%M%S-%v
picture_output off
webcontrol_port 0
stream_port 0
"""


@asynccontextmanager
async def motion(folder: Path, simulator: HikvisionSimulator) -> AsyncIterator[asyncio.subprocess.Process]:
    """Let Motion record the first camera of a simulated recorder in files of two seconds."""
    account = simulator.state
    config = folder / "motion.conf"
    config.write_text(
        CONFIG.format(folder=folder, url=simulator.rtsp_url(1), user=account.username, password=account.password)
    )
    process = await asyncio.create_subprocess_exec(
        "motion", "-n", "-c", str(config), env={**os.environ, "TZ": "Asia/Shanghai"},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def recorded(folder: Path) -> list[Path]:
    return sorted(folder.glob("rec/gate/*/*.mkv"))


def told_by_ffprobe(path: Path) -> tuple[Millis, Millis]:
    """Return what a file holds, by its name and by FFmpeg's own program."""
    began = datetime.strptime(f"{path.parent.name} {path.name[:6]}", "%Y-%m-%d %H%M%S").replace(tzinfo=SHANGHAI)
    command = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(path)]
    seconds = float(subprocess.run(command, check=True, capture_output=True).stdout)
    return to_millis(began), to_millis(began) + round(seconds * SECOND)


async def held(driver: Files) -> Spans:
    now = to_millis(SystemClock().now())
    return (await driver.footage("gate", now - HOUR, now + MINUTE)).spans


def near(found: Spans, files: list[Path]) -> bool:
    """Tell whether spans are what ffprobe says of the files, but for a frame or two."""
    due = Spans.of([told_by_ffprobe(path) for path in files])
    return found.subtract(due).total() + due.subtract(found).total() <= 100 * len(files)


@pytest.mark.timeout(180)
async def test_motion_is_read_as_it_recorded(tmp_path: Path) -> None:
    require("motion")
    require("ffmpeg")
    driver = Files(recorder_settings(tmp_path, driver="files", options={"path": TEMPLATE}, timezone=SHANGHAI))
    began = to_millis(SystemClock().now())
    async with recorder(1) as simulator, motion(tmp_path, simulator) as process:
        await until(lambda: len(recorded(tmp_path)) >= 3, "Motion has begun its third file")
        *finished, last = recorded(tmp_path)
        early = (await held(driver)).clip(0, told_by_ffprobe(finished[-1])[1])
        assert near(early, finished)
        process.terminate()
        await process.wait()
    assert simulator.stats()["failed_logins"] == 0
    files = recorded(tmp_path)
    footage = await held(driver)
    assert last in files
    assert near(footage, files)
    ended = to_millis(SystemClock().now())
    assert began - SECOND <= (footage.start or 0) < (footage.end or 0) <= ended + SECOND
    assert await driver.earliest("gate") == footage.start
    assert [one.id for one in await driver.channels()] == ["gate"]
    await driver.close()
