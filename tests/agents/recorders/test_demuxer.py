"""FFmpeg's demuxers read recorded files in a process of their own: what it may, and what becomes of one that fails."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

import pytest

from agents.limited import command
from agents.recorders.base import RecorderError
from agents.recorders.demuxer import BrokenError, Demuxer, Unfinished
from agents.recorders.demuxer_child import OpenFile, duration
from agents.recorders.files import Files
from monitor.model.clock import ManualClock
from monitor.model.span import to_millis
from support.parts import require
from support.recorder_http import recorder_settings
from support.standing import plant

NOON = datetime(2026, 11, 30, 4, tzinfo=UTC)


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require("ffmpeg")
    path = tmp_path_factory.mktemp("video") / "one.ts"
    source = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=12"]
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "20", "-bf", "0"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *source, *coding, path], check=True)
    return path


@pytest.fixture
def demuxer() -> Iterator[Demuxer]:
    with closing(Demuxer()) as one:
        yield one


def seconds(demuxer: Demuxer, path: Path) -> float:
    with path.open("rb") as file:
        return demuxer.seconds(file, path.suffix)


def children() -> set[int]:
    """Return the processes that this one has started, whichever thread did it."""
    listed = (task / "children" for task in Path("/proc/self/task").iterdir())
    return {int(word) for path in listed for word in path.read_text().split()}


def child_of(demuxer: Demuxer, video: Path) -> int:
    before = children()
    assert seconds(demuxer, video) == pytest.approx(12, abs=0.11)
    (child,) = children() - before
    return child


def test_it_has_limits_and_no_secret_and_serves_many_files(
    demuxer: Demuxer, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NVR_PASSWORD", "planted-4711")
    child = child_of(demuxer, video)
    assert b"planted-4711" not in Path(f"/proc/{child}/environ").read_bytes()
    for limit in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_NOFILE):
        assert 0 < resource.prlimit(child, limit)[0] < 1 << 33
    for _ in range(5):
        assert seconds(demuxer, video) == pytest.approx(12, abs=0.11)
    assert demuxer.started == 1
    opened = {str(item.readlink()) for item in Path(f"/proc/{child}/fd").iterdir()}
    assert not {name for name in opened if name.startswith("/") and name != "/dev/null"}, "no file stays open"


def test_a_title_in_any_encoding_says_nothing_against_a_recording(
    demuxer: Demuxer, video: Path, tmp_path: Path
) -> None:
    for suffix in (".avi", ".mkv", ".flv"):
        titled = tmp_path / f"titled{suffix}"
        subprocess.run(
            ["ffmpeg", "-v", "error", "-y", "-i", video, "-c", "copy", "-metadata", "title=TTTTTTTT", titled],
            check=True,
        )
        body = titled.read_bytes()
        assert b"TTTTTTTT" in body
        titled.write_bytes(body.replace(b"TTTTTTTT", "大门录像".encode("gbk")))
        assert seconds(demuxer, titled) == pytest.approx(12, abs=0.21)


def test_a_process_that_hangs_is_given_up_and_the_next_file_has_another(video: Path) -> None:
    with closing(Demuxer(still_seconds=0.5)) as demuxer:
        child = child_of(demuxer, video)
        os.kill(child, signal.SIGSTOP)
        with pytest.raises(BrokenError, match="longer than any recording"):
            seconds(demuxer, video)
        assert child not in children(), "nor does it linger"
        assert seconds(demuxer, video) == pytest.approx(12, abs=0.11)


class _Handed(FileIO):
    """A file that says when it is handed over."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.handed = threading.Event()

    def fileno(self) -> int:
        self.handed.set()
        return super().fileno()


def test_a_process_that_dies_of_a_file_costs_that_file_alone(demuxer: Demuxer, video: Path) -> None:
    child = child_of(demuxer, video)
    os.kill(child, signal.SIGSTOP)
    said: list[BaseException] = []
    with _Handed(video) as file:

        def ask() -> None:
            try:
                demuxer.seconds(file, ".ts")
            except BrokenError as error:
                said.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        assert file.handed.wait(60)
        os.kill(child, signal.SIGKILL)
        asking.join(60)
    assert "died of it" in str(said[0])
    assert seconds(demuxer, video) == pytest.approx(12, abs=0.11)


def test_one_that_was_killed_in_between_costs_nothing(demuxer: Demuxer, video: Path) -> None:
    child = child_of(demuxer, video)
    os.kill(child, signal.SIGKILL)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert seconds(demuxer, video) == pytest.approx(12, abs=0.11)
    assert demuxer.started == 2


def test_it_runs_nothing_that_lies_where_the_agent_stands(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, "agents", monkeypatch)
    with closing(Demuxer()) as demuxer:
        assert seconds(demuxer, video) == pytest.approx(12, abs=0.11)


def on_its_own() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Return a demuxer's child, started as the agent starts it, and the socket by which it is asked."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        return subprocess.Popen(command("agents.recorders.demuxer_child"), stdin=theirs.fileno()), ours


def test_it_ends_with_the_agent(video: Path) -> None:
    """Its socket closes with the agent, however that ends."""
    process, ours = on_its_own()
    with video.open("rb") as file, ours:
        socket.send_fds(ours, [b'{"name": "a.ts", "idle_seconds": 60}'], [file.fileno()])
        assert b"seconds" in ours.recv(4096)
    assert process.wait(60) == 0


def test_it_ends_when_nobody_asks(video: Path) -> None:
    process, ours = on_its_own()
    with video.open("rb") as file, ours:
        socket.send_fds(ours, [b'{"name": "a.ts", "idle_seconds": 0.01}'], [file.fileno()])
        assert process.wait(60) == 0


def test_what_the_disk_does_is_told_apart_from_what_the_file_is(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        number = os.open(tmp_path, os.O_RDONLY)
        try:
            assert duration(OpenFile(number, "recording.ts", theirs)) == {"failed": 21}, "a folder can't be read"
        finally:
            os.close(number)


def test_a_list_of_files_is_not_followed(demuxer: Demuxer, video: Path, tmp_path: Path) -> None:
    lists = {
        "a.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:12\n#EXTINF:12,\n{video}\n#EXT-X-ENDLIST\n",
        "a.ffconcat": f"ffconcat version 1.0\nfile {video}\n",
    }
    for name, text in lists.items():
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(Unfinished):
            seconds(demuxer, path)


async def test_a_file_that_kills_its_reader_makes_its_camera_unknown_and_no_other(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for camera in ("gate", "room1"):
        path = tmp_path / "rec" / camera / "2026-11-30" / "110000.ts"
        path.parent.mkdir(parents=True)
        shutil.copy(video, path)
    driver = Files(
        recorder_settings(
            tmp_path, driver="files", options={"path": "rec/{camera}/%Y-%m-%d/%H%M%S.ts"}, clock=ManualClock(NOON)
        )
    )
    whole = Demuxer.seconds

    def deadly(self: Demuxer, file: FileIO, suffix: str) -> float:
        if "gate" in str(file.name):
            raise BrokenError("the process that reads it died of it")
        return whole(self, file, suffix)

    monkeypatch.setattr(Demuxer, "seconds", deadly)
    noon = to_millis(NOON)
    with pytest.raises(
        RecorderError, match=r"gate/2026-11-30/110000\.ts can't be read: the process .* died of it\. Look"
    ):
        await driver.footage("gate", noon - 86_400_000, noon)
    assert len((await driver.footage("room1", noon - 86_400_000, noon)).spans) == 1
    await driver.close()


READING = """
import asyncio, sys
from pathlib import Path
from agents.recorders.files import Files
from support.recorder_http import recorder_settings
from support.standing import plant
import agents.run, agents.check, agents.baseline, agents.watch.decoder

async def read():
    driver = Files(recorder_settings(Path(sys.argv[1]), driver="files", options={"path": "%Y-%m-%d/%H%M%S.ts"}))
    footage = await driver.footage("gate", 1_780_000_000_000, 1_990_000_000_000)
    await driver.close()
    return len(footage.spans)

print(asyncio.run(read()), any(name == "av" or name.startswith("av.") for name in sys.modules))
"""


def test_the_agents_own_process_never_loads_ffmpeg(tmp_path: Path, video: Path) -> None:
    path = tmp_path / "2026-11-30" / "110000.ts"
    path.parent.mkdir()
    path.write_bytes(video.read_bytes())
    told = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    run = subprocess.run(
        [sys.executable, "-c", READING, tmp_path], stdout=subprocess.PIPE, text=True, env=told, check=True
    )
    assert run.stdout.split() == ["1", "False"]
