"""Recordings laid out as programs in the field write them: what the README's table says is what is read."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from agents.recorders.files import Files
from monitor.model.clock import ManualClock
from monitor.model.span import DAY, MINUTE, SECOND, Millis, Spans, to_millis
from support.recorder_http import NOW, recorder_settings
from support.tiny_mp4 import tiny_mp4

NOON = to_millis(NOW)  # 12:00 in Shanghai
README = Path(__file__).parents[3] / "agents" / "recorders" / "README.md"


@dataclass(frozen=True)
class Layout:
    """A row of the README's table, and files of five minutes as the program names them."""

    program: str
    path: str
    files: tuple[str, ...]
    """Begun at 11:40 and 11:45 in Shanghai, below the folders that `path` names."""
    others: tuple[str, ...] = ()
    """What the program leaves beside them."""
    options: str = ""
    camera: str = "gate"
    begin: Millis = NOON - 20 * MINUTE

    @property
    def row(self) -> str:
        return f"| `{self.path}` | {f'`{self.options}` ' if self.options else ''}|"


LAYOUTS = (
    Layout(
        "ffmpeg",
        "/recordings/{camera}/%Y-%m-%d_%H-%M-%S.mp4",
        ("recordings/gate/2026-11-23_11-40-00.mp4", "recordings/gate/2026-11-23_11-45-00.mp4"),
        ("recordings/yard/2026-11-23_11-40-00.mp4",),
    ),
    Layout(
        "motion",
        "/var/lib/motion/{camera}/*-%Y%m%d%H%M%S.mkv",
        ("var/lib/motion/gate/01-20261123114000.mkv", "var/lib/motion/gate/01-20261123114500.mkv"),
        ("var/lib/motion/gate/01-20261123114000-03.jpg", "var/lib/motion/gate/01-20261123114100-snapshot.jpg"),
    ),
    Layout(
        "motion by day",
        "/var/lib/motion/{camera}/%Y-%m-%d/%H%M%S-*.mkv",
        ("var/lib/motion/gate/2026-11-23/114000-01.mkv", "var/lib/motion/gate/2026-11-23/114500-02.mkv"),
    ),
    Layout(
        "zoneminder",
        "/var/cache/zoneminder/events/{camera}/%Y-%m-%d/*/*-video*.mp4",
        (
            "var/cache/zoneminder/events/1/2026-11-23/4711/4711-video.mp4",
            "var/cache/zoneminder/events/1/2026-11-23/4712/4712-video.h264.mp4",
        ),
        (
            "var/cache/zoneminder/events/1/2026-11-23/4711/snapshot.jpg",
            "var/cache/zoneminder/events/1/2026-11-23/4713/incomplete.mp4",
        ),
        options="starts: written",
        camera="1",
    ),
    Layout(
        "zoneminder deep",
        "/var/cache/zoneminder/events/{camera}/%y/%m/%d/%H/%M/%S/*-video*.mp4",
        (
            "var/cache/zoneminder/events/1/26/11/23/11/40/00/4711-video.mp4",
            "var/cache/zoneminder/events/1/26/11/23/11/45/00/4712-video.hevc.mp4",
        ),
        ("var/cache/zoneminder/events/1/26/11/23/.4711/00001-capture.jpg",),
        camera="1",
    ),
    Layout(
        "shinobi",
        "/home/Shinobi/videos/GROUP/{camera}/%Y-%m-%dT%H-%M-%S.mp4",
        (
            "home/Shinobi/videos/GROUP/gate/2026-11-23T11-40-00.mp4",
            "home/Shinobi/videos/GROUP/gate/2026-11-23T11-45-00.mp4",
        ),
    ),
    Layout(
        "mediamtx",
        "/recordings/{camera}/%Y-%m-%d_%H-%M-%S-%f.mp4",
        ("recordings/gate/2026-11-23_11-40-00-250000.mp4", "recordings/gate/2026-11-23_11-45-00-250000.mp4"),
        begin=NOON - 20 * MINUTE + 250,
    ),
    Layout(
        "frigate",
        "/media/frigate/recordings/%Y-%m-%d/%H/{camera}/%M.%S.mp4",
        (
            "media/frigate/recordings/2026-11-23/03/gate/40.00.mp4",
            "media/frigate/recordings/2026-11-23/03/gate/45.00.mp4",
        ),
        options="path_timezone: utc",
    ),
)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.program)
async def test_what_a_program_writes_is_read(tmp_path: Path, layout: Layout) -> None:
    for number, name in enumerate((*layout.files, *layout.others)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tiny_mp4(300))
        ended = (layout.begin + (number + 1) * 5 * MINUTE) / SECOND
        os.utime(path, (ended, ended))
    options = {"path": str(tmp_path) + layout.path, **dict([layout.options.split(": ")] if layout.options else [])}
    settings = recorder_settings(tmp_path, driver="files", options=options, clock=ManualClock(NOW))
    driver = Files(settings)
    footage = await driver.footage(layout.camera, NOON - DAY, NOON)
    assert footage.spans == Spans.window(layout.begin, layout.begin + 10 * MINUTE)
    assert footage.sizes is not None
    assert len(footage.sizes) == 2
    assert await driver.earliest(layout.camera) == layout.begin
    assert layout.camera in {one.id for one in await driver.channels()}
    await driver.close()


def test_the_readme_names_each_layout() -> None:
    rows = README.read_text().split("## Layouts")[1].split("## Decisions")[0]
    told = [row for row in rows.splitlines() if row.startswith("| ") and "`/" in row]
    assert [row.endswith(layout.row) for row, layout in zip(told, LAYOUTS, strict=True)] == [True] * len(LAYOUTS)
