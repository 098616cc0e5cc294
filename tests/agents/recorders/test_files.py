"""Recordings on disk: segments really written by FFmpeg, and folders of every shape and state."""

import asyncio
import os
import shutil
import subprocess
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agents.recorders.base import NotOffered, RecorderError
from agents.recorders.files import Files
from agents.recorders.registry import DRIVERS
from agents.recorders.settings import OptionsError
from monitor.model.clock import ManualClock
from monitor.model.span import DAY, HOUR, MINUTE, SECOND, Millis, Spans, from_millis, to_millis
from support.parts import require
from support.recorder_http import NOW, recorder_settings

NOON = to_millis(NOW)
SHANGHAI = ZoneInfo("Asia/Shanghai")
FOOTAGE = Path(__file__).parents[4] / "shared" / "footage"
TEMPLATE = "rec/{camera}/%Y-%m-%d/%H%M%S.mp4"


@cache
def clip(seconds: int = 600) -> bytes:
    """Return an mp4 that plays for so long, at one frame in five seconds: small and quick to make."""
    require("ffmpeg")
    made = subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"color=size=32x32:rate=1/5:duration={seconds}",
         "-c:v", "libx264", "-preset", "ultrafast", "-movflags", "frag_keyframe+empty_moov", "-f", "mp4", "-"],
        check=True, capture_output=True,
    )  # fmt: skip
    return made.stdout


def files(tmp_path: Path, path: str = TEMPLATE, **changes: Any) -> Files:
    options: dict[str, str] = {
        "path": path,
        **{name: changes.pop(name) for name in ("path_timezone", "starts") if name in changes},
    }
    clock = changes.pop("clock", ManualClock(NOW))
    return Files(recorder_settings(tmp_path, driver="files", options=options, clock=clock, **changes))


def put(
    tmp_path: Path,
    at: Millis,
    *,
    camera: str = "gate",
    zone: ZoneInfo = SHANGHAI,
    template: str = TEMPLATE,
    body: bytes | None = None,
) -> Path:
    """Write a segment under the name that its start has."""
    name = from_millis(at).astimezone(zone).strftime(template.replace("{camera}", camera))
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(clip() if body is None else body)
    changed = (at + 10 * MINUTE) / 1000
    os.utime(path, (changed, changed))
    return path


async def held(driver: Files, start: Millis, end: Millis, camera: str = "gate") -> Spans:
    return (await driver.footage(camera, start, end)).spans


def test_the_driver_stands_in_the_registry(tmp_path: Path) -> None:
    settings = recorder_settings(tmp_path, driver="files", options={"path": TEMPLATE})
    assert isinstance(DRIVERS["files"](settings), Files)


async def test_segments_give_their_spans_and_a_missing_one_its_gap(tmp_path: Path) -> None:
    starts = [NOON - HOUR + number * 10 * MINUTE for number in range(6) if number != 3]
    for start in starts:
        put(tmp_path, start)
    driver = files(tmp_path)
    assert await held(driver, NOON - DAY, NOON) == Spans.of([(at, at + 10 * MINUTE) for at in starts])
    assert await held(driver, NOON - 25 * MINUTE, NOON - 5 * MINUTE) == Spans.window(
        NOON - 20 * MINUTE, NOON - 5 * MINUTE
    )
    assert await driver.earliest("gate") == NOON - HOUR


async def test_the_segment_that_reaches_into_the_window_counts(tmp_path: Path) -> None:
    put(tmp_path, NOON - 12 * MINUTE)
    assert await held(files(tmp_path), NOON - 5 * MINUTE, NOON) == Spans.window(NOON - 5 * MINUTE, NOON - 2 * MINUTE)


async def test_a_segment_over_midnight_is_found_in_the_day_before(tmp_path: Path) -> None:
    midnight = to_millis(datetime(2026, 11, 23, tzinfo=SHANGHAI))
    put(tmp_path, midnight - 4 * MINUTE)
    assert await held(files(tmp_path), midnight, NOON) == Spans.window(midnight, midnight + 6 * MINUTE)


@pytest.mark.parametrize(
    ("template", "timezone"),
    [
        ("r/%Y/%m/%d/{camera}/%H.%M.%S.mp4", "utc"),
        ("r/{camera}_%Y%m%d_%H%M%S.mp4", "local"),
        ("r/%Y-%m-%d/%H/{camera}/%M.%S.mp4", "utc"),
        ("r/{camera}/%s.mp4", "local"),
        ("r/{camera}/*/%Y%j-%H%M%S-*.mp4", "local"),
    ],
)
async def test_templates_of_many_recorders(tmp_path: Path, template: str, timezone: str) -> None:
    zone = SHANGHAI if timezone == "local" else ZoneInfo("UTC")
    name = template.replace("*", "part")
    for camera in ("gate", "gate2"):
        for hours in (1, 30):
            if "%s" in name:
                put(
                    tmp_path,
                    NOON - hours * HOUR,
                    camera=camera,
                    template=name.replace("%s", str((NOON - hours * HOUR) // 1000)),
                )
            else:
                put(tmp_path, NOON - hours * HOUR, camera=camera, zone=zone, template=name)
    driver = files(tmp_path, template, path_timezone=timezone)
    expected = Spans.of([(NOON - hours * HOUR, NOON - hours * HOUR + 10 * MINUTE) for hours in (1, 30)])
    assert await held(driver, NOON - 3 * DAY, NOON) == expected
    assert [one.id for one in await driver.channels()] == ["gate", "gate2"]


async def test_only_folders_of_the_window_are_opened(tmp_path: Path) -> None:
    for days in range(30):
        put(tmp_path, NOON - days * DAY)
    unreadable = tmp_path / "rec" / "gate" / str(date(2026, 11, 3))
    (unreadable / "120000.mp4").unlink()
    (unreadable / "120000.mp4").symlink_to("120000.mp4")  # a loop: whoever looks at it fails
    driver = files(tmp_path)
    assert (await held(driver, NOON - 10 * DAY, NOON)).total() == 10 * 10 * MINUTE


async def test_lengths_are_read_once(tmp_path: Path) -> None:
    path = put(tmp_path, NOON - HOUR)
    driver = files(tmp_path)
    first = await held(driver, NOON - DAY, NOON)
    kept = path.stat()
    path.write_bytes(b"\0" * kept.st_size)
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert await held(driver, NOON - DAY, NOON) == first
    os.utime(path)
    assert await held(driver, NOON - DAY, NOON) == Spans.empty()


async def test_a_file_being_written_reaches_to_its_last_change(tmp_path: Path) -> None:
    path = put(tmp_path, NOON - 4 * MINUTE, body=b"\0\0\0\x18ftypisom" + b"\0" * 1000)
    os.utime(path, (NOON / 1000 - 2, NOON / 1000 - 2))
    driver = files(tmp_path)
    assert await held(driver, NOON - HOUR, NOON) == Spans.window(NOON - 4 * MINUTE, NOON - 2 * SECOND)


async def test_a_file_that_was_cut_off_holds_nothing_that_plays(tmp_path: Path) -> None:
    put(tmp_path, NOON - HOUR, body=b"\0\0\0\x18ftypisom" + b"\0" * 1000)
    put(tmp_path, NOON - 2 * HOUR, body=b"")
    driver = files(tmp_path)
    assert await held(driver, NOON - DAY, NOON) == Spans.empty()
    assert any("2 hold nothing playable" in one.answered for one in driver.exchanges)


@pytest.mark.parametrize("second_pass", [False, True])
async def test_the_repeated_hour_is_told_apart_by_the_files_own_change(tmp_path: Path, second_pass: bool) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start = to_millis(datetime(2026, 10, 25, 0 + second_pass, 30, tzinfo=UTC))  # 02:30, twice
    put(tmp_path, start, zone=berlin)
    driver = files(tmp_path, timezone=berlin)
    assert await held(driver, start - DAY, start + DAY) == Spans.window(start, start + 10 * MINUTE)


async def test_a_copied_file_of_the_repeated_hour_is_taken_for_the_first_pass(tmp_path: Path) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start = to_millis(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
    os.utime(put(tmp_path, start, zone=berlin))
    driver = files(tmp_path, timezone=berlin)
    assert await held(driver, start - DAY, start + DAY) == Spans.window(start, start + 10 * MINUTE)


@pytest.mark.parametrize("channel", ["../gate", "..", ".", "", "a/b", "a\0b", "x" * 300])
async def test_a_channel_never_leaves_the_folder(tmp_path: Path, channel: str) -> None:
    put(tmp_path, NOON - HOUR)
    driver = files(tmp_path)
    with pytest.raises(RecorderError, match="can't be part of a path"):
        await driver.footage(channel, NOON - DAY, NOON)
    with pytest.raises(RecorderError):
        await driver.earliest(channel)


@pytest.mark.parametrize("template", [TEMPLATE, "rec/{camera}-%Y%m%d%H%M%S.mp4"])
async def test_names_in_another_encoding_are_marked_so_that_they_can_be_stored(tmp_path: Path, template: str) -> None:
    put(tmp_path, NOON - HOUR, template=template)
    other = os.fsencode(put(tmp_path, NOON - HOUR, template=template, camera="yard"))
    os.renames(other, other.replace(b"yard", "大门".encode("gbk")))
    driver = files(tmp_path, template)
    assert [one.id.encode() for one in await driver.channels()] == [b"gate", "\ufffd\ufffd\ufffd\ufffd".encode()]
    assert await held(driver, NOON - DAY, NOON) == Spans.window(NOON - HOUR, NOON - 50 * MINUTE)
    assert all(one.answered.encode() for one in driver.exchanges)
    await driver.close()


async def test_a_missing_root_is_an_error_and_no_empty_index(tmp_path: Path) -> None:
    driver = files(tmp_path)
    for work in (driver.footage("gate", NOON - DAY, NOON), driver.earliest("gate"), driver.channels(), driver.disks()):
        with pytest.raises(RecorderError, match="is mounted"):
            await work


async def test_a_camera_without_a_folder_is_an_error_and_one_with_an_empty_folder_has_no_footage(
    tmp_path: Path,
) -> None:
    (tmp_path / "rec" / "gate").mkdir(parents=True)
    driver = files(tmp_path)
    assert await held(driver, NOON - DAY, NOON) == Spans.empty()
    assert await driver.earliest("gate") is None
    with pytest.raises(RecorderError, match="check `channel`"):
        await driver.footage("garden", NOON - DAY, NOON)


async def test_a_folder_entry_that_cannot_be_looked_at_makes_the_whole_answer_an_error(tmp_path: Path) -> None:
    loop = put(tmp_path, NOON - HOUR)
    put(tmp_path, NOON - DAY)
    loop.unlink()
    loop.symlink_to(loop.name)
    with pytest.raises(RecorderError, match="cannot be read"):
        await files(tmp_path).footage("gate", NOON - 2 * DAY, NOON)


async def test_an_unreadable_file_makes_the_whole_answer_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, NOON - HOUR)

    def failing(path: Path, _: object) -> float:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr("agents.recorders.segments.duration_seconds", failing)
    with pytest.raises(RecorderError, match="Input/output error") as error:
        await files(tmp_path).footage("gate", NOON - DAY, NOON)
    assert error.value.cause == "recorder"


async def test_names_that_are_no_time_and_other_files_are_passed_over(tmp_path: Path) -> None:
    good = put(tmp_path, NOON - HOUR)
    for name in ("996199.mp4", "110000.jpg", ".110000.mp4", "110000.mp4.part", "abc.mp4"):
        shutil.copy(good, good.parent / name)
    (good.parent / "113000.mp4").mkdir()
    assert await held(files(tmp_path), NOON - DAY, NOON) == Spans.window(NOON - HOUR, NOON - 50 * MINUTE)


async def test_a_length_beyond_belief_proves_nothing(tmp_path: Path) -> None:
    body = clip(600)
    put(tmp_path, NOON - HOUR, body=clip(2 * 86_400))
    put(tmp_path, NOON - 2 * HOUR, body=body)
    assert await held(files(tmp_path), NOON - DAY, NOON) == Spans.window(NOON - 2 * HOUR, NOON - 110 * MINUTE)


async def test_the_file_system_is_one_disk(tmp_path: Path) -> None:
    put(tmp_path, NOON - HOUR)
    (disk,) = await files(tmp_path).disks()
    assert disk.state == "ok"
    assert disk.capacity_bytes == shutil.disk_usage(tmp_path).total


async def test_what_a_folder_cannot_say_is_not_offered(tmp_path: Path) -> None:
    driver = files(tmp_path, "rec/%F/%H%M%S.mp4")
    (tmp_path / "rec").mkdir()
    for work in (driver.identity(), driver.clock_offset(), driver.channels()):
        with pytest.raises(NotOffered):
            await work
    assert driver.stream_url("gate", main=True) is None
    await driver.close()


async def test_progress_is_told_and_ends_at_one(tmp_path: Path) -> None:
    for number in range(5):
        put(tmp_path, NOON - HOUR + number * 10 * MINUTE)
    told: list[float] = []
    await files(tmp_path).footage("gate", NOON - DAY, NOON, told.append)
    await asyncio.sleep(0)
    assert told[-1] == 1.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "recorder nvr: the key 'path' is missing"),
        (
            {"path": TEMPLATE, "pfad": 1},
            "recorder nvr: unknown key 'pfad'; driver files knows: path, path_timezone, starts",
        ),
        ({"path": TEMPLATE, "path_timezone": "mars"}, "recorder nvr: key 'path_timezone'"),
        ({"path": "rec/%F/*.mp4"}, "recorder nvr: key 'starts': `path` 'rec/%F/*.mp4' tells the day and not when"),
        (
            {"path": "rec/{kamera}/%F/%H.mp4"},
            "recorder nvr: key 'path': `path` 'rec/{kamera}/%F/%H.mp4' holds {kamera}; of names",
        ),
        ({"path": "rec/%H.mp4"}, "recorder nvr: key 'path': `path` 'rec/%H.mp4' does not tell the day"),
    ],
)
def test_wrong_options_are_one_sentence(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionsError) as error:
        Files(recorder_settings(tmp_path, driver="files", options=options))
    assert str(error.value).startswith(words)


async def test_a_file_that_only_its_change_time_dates_ends_at_it(tmp_path: Path) -> None:
    """ZoneMinder's usual scheme: the folder tells the day, the name a number."""
    path = tmp_path / "events" / "1" / "2026-11-23" / "4711" / "4711-video.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(clip(600))
    ended = NOON / 1000 - 60
    os.utime(path, (ended, ended))
    driver = files(tmp_path, "events/{camera}/%Y-%m-%d/*/*-video.mp4", starts="written")
    assert await held(driver, NOON - DAY, NOON, "1") == Spans.window(NOON - 11 * MINUTE, NOON - MINUTE)
    os.utime(path, (ended - 3 * 86_400,) * 2)  # a copy that lost its times
    with pytest.raises(RecorderError, match=r"4711-video.mp4 was changed on another day than its path says"):
        await driver.footage("1", NOON - DAY, NOON)


@pytest.mark.parametrize(
    ("source", "extension"), [("testsrc", "mp4"), ("testsrc", "ts"), ("testsrc", "mkv"), ("hall.mp4", "mp4")]
)
async def test_segments_really_written_by_ffmpeg(tmp_path: Path, extension: str, source: str) -> None:
    """FFmpeg cuts 12 seconds into segments of four, named by its own strftime; no second may be lost."""
    require("ffmpeg")
    given = ["-f", "lavfi", "-i", "testsrc=size=128x96:rate=10"]
    if source != "testsrc":
        if not (FOOTAGE / source).exists():
            pytest.skip(f"no {source}: the footage is not shipped with the project")
        given = ["-i", str(FOOTAGE / source)]
    folder = tmp_path / "rec" / "gate"
    folder.mkdir(parents=True)
    # -re would take 12 s of waiting: four times as fast, the names are a second apart and tell the order.
    done = await asyncio.create_subprocess_exec(
        "ffmpeg", "-v", "error", "-readrate", "4", *given, "-t", "12", "-an", "-c:v", "libx264", "-preset", "ultrafast",
        "-force_key_frames", "expr:gte(t,n_forced*4)", "-f", "segment", "-segment_time", "4", "-strftime", "1",
        "-reset_timestamps", "1", str(folder / f"%Y-%m-%d_%H-%M-%S.{extension}"), env={**os.environ, "TZ": "Asia/Shanghai"},
    )  # fmt: skip
    assert await done.wait() == 0
    written = sorted(folder.iterdir())
    began = [to_millis(datetime.strptime(one.stem, "%Y-%m-%d_%H-%M-%S").replace(tzinfo=SHANGHAI)) for one in written]
    assert len(written) >= 2
    end = began[-1] + HOUR
    driver = files(
        tmp_path,
        f"rec/{{camera}}/%Y-%m-%d_%H-%M-%S.{extension}",
        clock=ManualClock(from_millis(end) + timedelta(hours=1)),
    )
    footage = await driver.footage("gate", began[0] - HOUR, end)
    assert footage.spans.start == began[0]
    for path, start in zip(written, began, strict=True):
        alone = await driver.footage("gate", start, start + SECOND)
        assert alone.spans.total() == SECOND, path
    await driver.close()
    assert footage.spans.end == pytest.approx(began[-1] + 4 * SECOND, abs=600)
