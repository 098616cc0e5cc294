"""How long files play, without decoding: real ones made by FFmpeg, cut ones, and any bytes at all."""

import subprocess
import tempfile
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.recorders.container import duration_seconds
from agents.recorders.demuxer import Demuxer, Unfinished
from support.parts import require

FORMS = {
    "plain.mp4": [],
    "faststart.mp4": ["-movflags", "+faststart"],
    "fragmented.mp4": ["-movflags", "+frag_keyframe+empty_moov"],
    "dash.mp4": ["-movflags", "+frag_keyframe+empty_moov+default_base_moof", "-frag_duration", "500000"],
    "hybrid.mp4": ["-movflags", "+frag_keyframe"],
    "plain.mov": [],
    "plain.ts": [],
    "plain.mkv": [],
    "plain.avi": [],
}


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    require("ffmpeg")
    folder = tmp_path_factory.mktemp("videos")
    made = {}
    for name, options in FORMS.items():
        made[name] = folder / name
        source = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=12"]
        coding = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "20", "-bf", "0"]
        subprocess.run(["ffmpeg", "-v", "error", "-y", *source, *coding, *options, made[name]], check=True)
    return made


def length(path: Path) -> float:
    with closing(Demuxer()) as demuxer:
        return duration_seconds(path, demuxer)


@pytest.mark.parametrize("name", FORMS)
def test_every_container_tells_its_length(videos: dict[str, Path], name: str) -> None:
    assert length(videos[name]) == pytest.approx(12, abs=0.11)


def test_a_renamed_file_is_read_by_its_bytes(videos: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "video.dat"
    copy.write_bytes(videos["plain.mp4"].read_bytes())
    assert length(copy) == pytest.approx(12, abs=0.11)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9])
def test_a_plain_mp4_without_its_end_has_no_length(videos: dict[str, Path], tmp_path: Path, share: float) -> None:
    whole = videos["plain.mp4"].read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(Unfinished):
        length(cut)


@pytest.mark.parametrize("name", ["fragmented.mp4", "plain.ts", "plain.mkv"])
def test_what_can_be_played_of_a_cut_file_counts(videos: dict[str, Path], tmp_path: Path, name: str) -> None:
    whole = videos[name].read_bytes()
    cut = tmp_path / name
    cut.write_bytes(whole[: int(len(whole) * 0.6)])
    assert 3 < length(cut) <= 12.2


def test_a_missing_file_is_an_operating_system_error(tmp_path: Path) -> None:
    for name in ("none.mp4", "none.ts"):
        with pytest.raises(FileNotFoundError):
            length(tmp_path / name)


@given(st.data())
def test_torn_and_changed_files_have_a_length_or_none(videos: dict[str, Path], data: st.DataObject) -> None:
    """Only mp4 is read by our own code; whatever its bytes, it ends with a length or Unfinished."""
    body = bytearray(videos[data.draw(st.sampled_from(["plain.mp4", "fragmented.mp4"]))].read_bytes())
    moov = body.find(b"moov")
    for _ in range(data.draw(st.integers(1, 6))):
        spot = data.draw(st.integers(0, len(body) - 1) | st.integers(moov - 4, min(moov + 900, len(body) - 1)))
        body[spot] = data.draw(st.integers(0, 255))
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(bytes(body))
        file.flush()
        with suppress(Unfinished):
            assert length(Path(file.name)) > 0


@given(st.binary(max_size=400))
def test_garbage_has_no_length(body: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(body)
        file.flush()
        with pytest.raises(Unfinished):
            length(Path(file.name))
