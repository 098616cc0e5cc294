"""`agent diagnose`: files of every kind, good and bad, and what it says of them."""

from __future__ import annotations

import gc
import json
import random
import resource
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from agents.cli import app
from agents.diagnose import Sample, alarms
from agents.recorded_looks import Timeline, UnreadableError, file_looks
from agents.simulators.scenes import Picture, Scene
from agents.vision.diagnose import Diagnosis
from agents.watch.decoding import picture_of
from agents.watch.filmed import keyframes_at
from support.pictures import START, draws, footage
from support.site import write_site

WIDTH, HEIGHT = 176, 144
SCENE = Scene("gate", width=WIDTH, height=HEIGHT, name="Camera 01")
ROOM = draws(SCENE)["room"]
BLACK = draws(SCENE)["black"]
OPTIONS = {
    "libx264": {"preset": "ultrafast", "tune": "zerolatency", "qp": "26", "x264-params": "scenecut=0"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:scenecut=0:bframes=0:crf=22"},
}
Draw = Callable[[float], Picture]


def video(
    path: Path,
    draw: Draw,
    seconds: float,
    *,
    codec: str = "libx264",
    fps: int = 2,
    keyframe_every: float = 2.0,
    times: Callable[[int], float] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a file; `times` gives the second of each frame where they are not even, `options` further ones of the encoder."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.gop_size = WIDTH, HEIGHT, max(1, round(keyframe_every * fps))
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        stream.options = {**OPTIONS.get(codec, {}), **(options or {})}
        for number in range(round(seconds * fps)):
            at = times(number) if times else number / fps
            picture = _full_range(draw(START + at)) if codec == "mjpeg" else draw(START + at)
            frame = av.VideoFrame.from_ndarray(picture, format=stream.pix_fmt)
            frame.pts, frame.time_base = round(1000 * at), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _full_range(picture: Picture) -> Picture:
    """Bring a picture of 16..235 to the range that JPEG has."""
    return np.clip(np.round((picture.astype(np.float32) - 16) * (255 / 219)), 0, 255).astype(np.uint8)


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["diagnose", *(str(argument) for argument in arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def said(*arguments: str | Path) -> dict[str, Any]:
    """Return the JSON of a file that can be read; nothing else is on standard output."""
    status, out, _ = run(*arguments, "--json")
    assert status == 0
    document: dict[str, Any] = json.loads(out)
    return document


def then(*parts: tuple[float, Draw]) -> Draw:
    """Return scenes one after the other, each up to a second."""

    def draw(at: float) -> Picture:
        return next(scene for until, scene in parts if at - START < until)(at)

    return draw


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="session")
def capped(folder: Path) -> Path:
    """A camera that is capped from 40 to 80 s."""
    return video(folder / "capped.mp4", then((40, ROOM), (80, BLACK), (999, ROOM)), 120)


def test_samples_and_alarms_have_the_contract_s_form(capped: Path) -> None:
    document = said(capped)
    assert set(document) == {"schema", "file", "every_seconds", "samples", "alarms"}
    assert (document["schema"], document["file"], document["every_seconds"]) == (
        "cradlewatch.diagnose/1",
        str(capped),
        10.0,
    )
    assert [sample["at_seconds"] for sample in document["samples"]] == [10.0 * number for number in range(12)]
    assert [sample["state"] for sample in document["samples"]] == ["ok"] * 4 + ["black"] * 4 + ["ok"] * 4
    assert all(set(sample) == {"at_seconds", "state", "scores"} for sample in document["samples"])
    assert document["alarms"] == [
        {"state": "black", "from_seconds": 40.0, "until_seconds": 80.0, "raised_at_seconds": 50.0}
    ]


def test_without_json_a_table_shows_measures_beside_thresholds(capped: Path) -> None:
    status, out, _ = run(capped)
    assert status == 0
    for part in (
        "luma_p95",
        "black_p95",
        "thresholds sha256:",
        "12 looks: 8 ok, 4 black",
        "black from 0:00:40.0 to 0:01:20.0",
    ):
        assert part in out


def test_a_site_tries_its_own_thresholds_on_its_own_footage(capped: Path, folder: Path) -> None:
    cameras: list[dict[str, Any]] = [
        {
            "id": "gate",
            "zones": ["gate"],
            "stream": "rtsp://127.0.0.1:9/gate",
            "thresholds": {"day": {"dark_p90": 200}},
        },
        {"id": "yard", "zones": ["gate"], "stream": "rtsp://127.0.0.1:9/yard"},
    ]
    config = write_site(folder, cameras, thresholds={"confirm_looks": 3})
    states = [alarm["state"] for alarm in said(capped, "--config", config, "--camera", "gate")["alarms"]]
    assert states[:2] == ["dark", "black"], "as bright as the room is, it is too dark for this camera"
    (alarm,) = said(capped, "--config", config, "--camera", "yard")["alarms"]
    assert (alarm["state"], alarm["raised_at_seconds"]) == ("black", 60.0), "the site wants a third look"
    assert said(capped)["alarms"][0]["raised_at_seconds"] == 50.0
    assert "(changed: confirm_looks)" in run(capped, "--config", config)[1]
    out = run(capped, "--config", config, "--camera", "gate")[1]
    assert "(changed: dark_p90 by day, confirm_looks)" in out
    assert [line.split() for line in out.splitlines() if line.startswith("  dark_p90")] == [
        ["dark_p90", "200", "44", "44"]
    ]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--camera", "gate"), "--camera gate: give --config FILE, too: the camera's thresholds stand in site.yaml"),
        (("--config", "site.yaml", "--camera", "hall"), "site.yaml has no such camera; there are gate"),
        (("--config", "none.yaml"), "none.yaml"),
    ],
)
def test_thresholds_that_can_t_be_found_are_told(
    capped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], why: str
) -> None:
    write_site(tmp_path, [{"id": "gate", "zones": ["gate"], "stream": "rtsp://127.0.0.1:9/gate"}])
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capped.resolve(), *arguments)
    assert (status, out) == (2, "")
    assert why in err


def test_a_frozen_picture_began_at_the_look_that_showed_it_first(folder: Path) -> None:
    still = ROOM(START + 41)
    path = video(folder / "freezes.mp4", lambda at: still if at >= START + 41 else ROOM(at), 90)
    frozen = next(item for item in said(path)["alarms"] if item["state"] == "frozen")
    assert frozen["from_seconds"] == pytest.approx(50, abs=4), "known by the one after it"
    assert frozen["raised_at_seconds"] >= frozen["from_seconds"] + 16


def test_looks_between_two_keyframes_of_a_live_room_are_not_frozen(folder: Path) -> None:
    """An encoder leaves a still room's noise alone there, for seconds."""
    rng = np.random.default_rng(5)
    still = ROOM(START)

    def noisy(_: float) -> Picture:
        grain = rng.normal(0, 2.0, (HEIGHT, WIDTH))
        live = still.copy()
        live[:HEIGHT] = np.clip(live[:HEIGHT] + grain, 16, 235).astype(np.uint8)
        return live

    slow = {"qp": "24", "preset": "veryfast"}
    path = video(folder / "between.mp4", noisy, 60, fps=4, keyframe_every=8, options=slow)
    assert said(path, "--every", "1")["alarms"] == []


@pytest.mark.parametrize(("quantizer", "deviation"), [(6, 0.7), (10, 0.7), (16, 0.7), (16, 0.4), (31, 0.7)])
def test_a_still_room_whose_noise_is_left_out_block_by_block_is_not_frozen_until_all_of_it_is(
    folder: Path, quantizer: int, deviation: float
) -> None:
    """Of a live picture that is coded by itself some blocks come again to the bit, by chance: half of them and more, which add up to all in a few looks."""
    rng, still = np.random.default_rng(7), ROOM(START)

    def noisy(at: float) -> Picture:
        live = still.copy()
        live[:HEIGHT] = np.clip(live[:HEIGHT] + rng.normal(0, deviation, (HEIGHT, WIDTH)), 16, 235).astype(np.uint8)
        return live if at < START + 60 else still

    coarse = {"qmin": str(quantizer), "qmax": str(quantizer)}
    path = video(folder / f"coarse-{quantizer}-{deviation}.avi", noisy, 120, codec="mjpeg", options=coarse)
    found = [(item["state"], item["from_seconds"]) for item in said(path)["alarms"]]
    assert found == [("frozen", pytest.approx(60, abs=1))]


def test_a_frozen_picture_is_known_between_keyframes_that_are_far_apart(folder: Path) -> None:
    still = ROOM(START + 41)
    path = video(
        folder / "freezes-far.mp4", lambda at: still if at >= START + 41 else ROOM(at), 120, keyframe_every=300
    )
    for every, delay in ((10, 45), (2, 30)):
        frozen = [item for item in said(path, "--every", str(every))["alarms"] if item["state"] == "frozen"]
        assert len(frozen) == 1
        assert 39 <= frozen[0]["from_seconds"] <= frozen[0]["raised_at_seconds"] <= 41 + delay


def test_looks_may_be_closer(capped: Path) -> None:
    document = said(capped, "--every", "4")
    assert document["every_seconds"] == 4.0
    assert [(alarm["state"], alarm["from_seconds"]) for alarm in document["alarms"]] == [("black", 40.0)]


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("libx265", "mp4"),
        ("mjpeg", "avi"),
        ("libx264", "ts"),
        ("libx264", "mkv"),
        ("mpeg4", "mp4"),
        ("msmpeg4", "avi"),
        ("libvpx", "webm"),
    ],
)
def test_codecs_and_containers(folder: Path, codec: str, suffix: str) -> None:
    path = video(folder / f"{codec}.{suffix}", then((20, ROOM), (999, BLACK)), 40, codec=codec)
    document = said(path)
    assert [alarm["state"] for alarm in document["alarms"]] == ["black"]
    assert document["alarms"][0]["from_seconds"] == pytest.approx(20, abs=0.6)
    assert document["alarms"][0]["until_seconds"] is None


def test_a_picture_is_found_between_keyframes_that_are_far_apart(folder: Path) -> None:
    path = video(folder / "few.mp4", then((33, ROOM), (999, BLACK)), 70, keyframe_every=60)
    looks = list(file_looks(path, 10.0))
    assert [look.at_seconds for look in looks] == [0, 10, 20, 30, 40, 50, 60]
    assert [int(look.picture.luma.mean()) < 25 for look in looks] == [False] * 4 + [True] * 3


def test_a_keyframe_near_the_due_time_will_do(folder: Path) -> None:
    path = video(folder / "three.mp4", ROOM, 40, keyframe_every=3)
    assert [look.at_seconds for look in file_looks(path, 10.0)] == [0, 12, 21, 30]


class Asks:
    """Somebody who asks for the frames of one time."""

    def __init__(self, begin: float, end: float) -> None:
        self.window: tuple[float, float] | None = (begin, end)
        self.given: list[tuple[list[float], int]] = []

    def want(self, after: float) -> tuple[float, float] | None:
        """Return that time, once."""
        window, self.window = self.window, None
        return window

    def filmed(self, times: Sequence[float], pictures: Sequence[object]) -> None:
        """Note which frames came."""
        self.given.append((list(times), len(pictures)))


def told_frames(path: Path, begin: float, end: float) -> list[tuple[list[float], int]]:
    asks = Asks(begin, end)
    list(file_looks(path, 10.0, asking=asks))
    return asks.given


@pytest.mark.parametrize("begin", [3.4, 4.0, 4.4])
def test_frames_that_are_asked_for_are_those_of_that_time(folder: Path, begin: float) -> None:
    path = video(folder / f"asked-{begin}.mp4", ROOM, 10, fps=10)
    frames = [round(begin + number / 10, 1) for number in range(7)]
    assert [
        ([round(at, 1) for at in times], count) for times, count in told_frames(path, begin - 0.01, begin + 0.61)
    ] == [(frames, 7)]


def test_frames_of_which_those_before_are_too_many_are_none_at_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither are those that come after the next keyframe: a part of what is asked for tells of others that they are not the same."""
    path = video(folder / "many.mp4", ROOM, 10, fps=10)
    monkeypatch.setattr("agents.recorded_looks.MOST_FILM_PIXELS", 10 * WIDTH * HEIGHT)
    assert told_frames(path, 2.55, 2.95)[0][1] == 4
    assert told_frames(path, 3.75, 4.25) == [([], 0)]


def test_one_keyframe_alone_costs_no_memory_for_each_frame_after_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames on the way to those that are asked for are let go one by one."""
    path, held = video(folder / "alone.mp4", ROOM, 60, fps=10, keyframe_every=100), list[int]()

    def counted(frame: av.VideoFrame) -> object:
        held.append(sum(isinstance(item, av.VideoFrame) for item in gc.get_objects()))
        return picture_of(frame)

    monkeypatch.setattr("agents.recorded_looks.picture_of", counted)
    assert told_frames(path, 54.95, 55.45)[0][1] == 5
    assert max(held) < 50


def test_pictures_that_are_renewed_bit_by_bit_are_looked_at_as_often_as_others(folder: Path) -> None:
    refreshed = {"x264-params": "intra-refresh=1:scenecut=0"}
    path = video(folder / "refreshed.mp4", ROOM, 45, fps=4, keyframe_every=6, options=refreshed)
    at = [look.at_seconds for look in file_looks(path, 10.0)]
    assert len(at) == 5, "no keyframe but the first can be decoded alone, though the file marks more of them"
    assert all(0 <= found - due <= 4 for found, due in zip(at, range(0, 50, 10), strict=True))


def test_looks_go_by_the_video_s_own_time(folder: Path) -> None:
    """A frame in half a second, then one in five: the rate says nothing."""
    path = video(folder / "variable.mkv", ROOM, 20, times=lambda n: n / 2 if n < 20 else 10 + (n - 20) * 5)
    at = [look.at_seconds for look in file_looks(path, 10.0)]
    assert at == pytest.approx([10.0 * number for number in range(len(at))], abs=5)
    assert len(at) == 11


def test_all_frames_are_told_once_and_in_order(capped: Path) -> None:
    frames = [frame for look in file_looks(capped, 10.0) for frame in look.frames]
    assert [frame.at_seconds for frame in frames] == sorted({frame.at_seconds for frame in frames})
    assert all(frame.bytes > 0 for frame in frames)
    assert sum(frame.keyframe for frame in frames) == 56, "one in two seconds, up to the last look"


RAW = st.one_of(st.none(), st.floats(-1e6, 1e6))


@given(st.lists(RAW, max_size=50))
def test_a_stream_s_time_never_runs_back_whatever_its_timestamps(raw: list[float | None]) -> None:
    timeline = Timeline(0.04)
    found = [timeline(item) for item in raw]
    assert all(one <= other for one, other in pairwise(found))
    assert not found or found[0] == 0


def test_the_same_time_again_and_again_counts_as_frames() -> None:
    timeline = Timeline(0.5)
    assert [timeline(7.0) for _ in range(4)] == [0.0, 0.5, 1.0, 1.5]


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param([5.0, None, None, 5.3, 5.4], id="one timestamp for several frames"),
        pytest.param([5.0, 5.0, 5.0, 5.3, 5.4], id="the same one for several frames"),
        pytest.param([5.0, None, None, 5.1, 5.2, 5.4], id="frames that are closer than they should be"),
    ],
)
def test_what_is_assumed_for_frames_without_a_timestamp_is_no_further_time(raw: list[float | None]) -> None:
    timeline = Timeline(0.1)
    found = [timeline(item) for item in raw]
    assert found[-1] == pytest.approx(0.4)


def test_a_baseline_is_an_image_a_video_or_a_fingerprint(folder: Path) -> None:
    from agents.vision.fingerprint import fingerprint

    room = video(folder / "room.mp4", ROOM, 40)
    looks = list(file_looks(room, 10.0))
    image = folder / "view.png"
    av.VideoFrame.from_ndarray(ROOM(START), format="yuv420p").save(str(image))
    kept = folder / "view.json"
    kept.write_text(json.dumps(fingerprint(looks[0].picture).to_json()))
    for baseline in (image, room, kept):
        scores = said(room, "--baseline", baseline)["samples"][0]["scores"]
        assert scores["in_place"] > 0.85, baseline  # somebody walks through the room
    first = said(room)["samples"]
    assert ["in_place" in sample["scores"] for sample in first] == [False, False, False, True]


def blocks_of(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def no_video(path: Path) -> Path:
    """Write a file with sound alone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def music_with_cover(path: Path) -> Path:
    """Write sound whose cover picture counts as a video stream."""
    with av.open(str(path), "w") as container:
        sound, cover = container.add_stream("aac", rate=8000), container.add_stream("mjpeg", rate=1)
        assert isinstance(cover, av.VideoStream)
        cover.width, cover.height, cover.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(_full_range(ROOM(START)), format="yuvj420p")
        container.mux([*cover.encode(picture), *cover.encode(None)])
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        container.mux([*sound.encode(frame), *sound.encode(None)])
    return path


def empty_video(path: Path) -> Path:
    """Write a file whose video has no frame."""
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("mjpeg", rate=2)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        container.start_encoding()
    return path


@pytest.fixture(scope="session")
def nonsense(folder: Path, capped: Path) -> dict[str, Path]:
    whole = capped.read_bytes()
    return {
        "absent": folder / "absent.mp4",
        "folder": folder,
        "empty": blocks_of(folder / "empty.mp4", b""),
        "noise": blocks_of(folder / "noise.mp4", random.Random(1).randbytes(20_000)),
        "text": blocks_of(folder / "text.mp4", b"no video\n" * 100),
        "sound": no_video(folder / "sound.wav"),
        "frames": empty_video(folder / "frames.avi"),
        "cover": music_with_cover(folder / "cover.mp4"),
        "list": blocks_of(folder / "list.mp4", f"ffconcat version 1.0\nfile {capped.name}\n".encode()),
        "index": blocks_of(folder / "index.mp4", whole[: len(whole) // 2]),  # an MP4's index is at its end
    }


@pytest.mark.parametrize(
    "name", ["absent", "folder", "empty", "noise", "text", "sound", "cover", "frames", "list", "index"]
)
def test_what_can_t_be_read_is_told_in_one_sentence(nonsense: dict[str, Path], name: str) -> None:
    status, out, err = run(nonsense[name], "--json")
    assert (status, out) == (2, "")
    assert err.startswith(f"{nonsense[name]}: ")
    assert err.count("\n") == 1


def test_a_file_s_name_is_no_address(folder: Path, capped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "cam1:10.mp4").write_bytes(capped.read_bytes())
    assert said("cam1:10.mp4")["samples"] == said(capped)["samples"]
    status, out, err = run("tcp://127.0.0.1:9/x", "--json")
    assert (status, out) == (2, "")
    assert "No such file" in err


def test_a_bad_baseline_is_told_too(capped: Path, folder: Path) -> None:
    for number, text in enumerate(('{"version": 1}', "{", "nothing")):
        path = blocks_of(folder / f"bad{number}.json", text.encode())
        status, out, err = run(capped, "--baseline", path, "--json")
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"{path}: ")


def image(path: Path, width: int, height: int, form: str = "rgb24") -> Path:
    """Write a still picture of a checkered wall, in any size and any form of pixels."""
    rows, columns = np.indices((height, width))
    luma = (60 + 120 * ((rows // 23 + columns // 31) % 2)).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(np.repeat(luma[:, :, None], 3, axis=2), format="rgb24").reformat(format=form)
    codec = av.CodecContext.create("png", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt, codec.time_base = width, height, form, Fraction(1, 25)
    path.write_bytes(b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)]))
    return path


def four_colours(path: Path) -> Path:
    """Write a JPEG of four colours, as from print: each is one scan of the same data."""
    grey = cv2.imencode(".jpg", ROOM(START)[:HEIGHT])[1].tobytes()
    at, head = 2, b"\xff\xd8\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0"
    while (kind := grey[at + 1]) != 0xDA:
        part, at = (
            grey[at : at + 2 + int.from_bytes(grey[at + 2 : at + 4])],
            at + 2 + int.from_bytes(grey[at + 2 : at + 4]),
        )
        if kind == 0xC0:
            part = b"\xff\xc0\0\x14" + part[4:9] + b"\4" + b"".join(bytes((n, 0x11, part[12])) for n in range(1, 5))
        head += part if kind != 0xE0 else b""
    tables, data = grey[at + 6], grey[at + 10 : -2]
    scans = (b"\xff\xda\0\x08\1" + bytes((n, tables, 0, 63, 0)) + data for n in range(1, 5))
    return blocks_of(path, head + b"".join(scans) + b"\xff\xd9")


@pytest.mark.parametrize("form", ["rgb48be", "rgba", "gray16be", "gray", "ya8", "monob", "rgb24"])
def test_a_baseline_may_have_any_form_of_pixels(capped: Path, folder: Path, form: str) -> None:
    assert said(capped, "--baseline", image(folder / f"{form}.png", WIDTH, HEIGHT, form))["samples"]


def test_a_baseline_may_be_made_for_print(capped: Path, folder: Path) -> None:
    assert said(capped, "--baseline", four_colours(folder / "print.jpg"))["samples"]


@pytest.mark.parametrize(
    ("width", "height", "why"),
    [
        (2, 2, "a picture of 2 x 2 is too small to hold a view against; give one of 96 x 72 at least"),
        (1, 4000, "a picture of 1 x 4000 is too small to hold a view against"),
        (100, 3000, "a picture of 100 x 3000 is no camera's"),
    ],
)
def test_a_baseline_of_no_cameras_size_is_told(capped: Path, folder: Path, width: int, height: int, why: str) -> None:
    path = image(folder / f"{width}x{height}.png", width, height)
    status, out, err = run(capped, "--baseline", path, "--json")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"{path}: {why}")


def test_a_baseline_in_which_nothing_is_to_be_seen_is_told(capped: Path, folder: Path) -> None:
    path = folder / "black.png"
    av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH, 3), 3, np.uint8), format="rgb24").save(str(path))
    status, out, err = run(capped, "--baseline", path, "--json")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"{path}: there is nothing to be seen in it")


def test_no_memory_is_taken_for_a_baseline_larger_than_any_cameras(capped: Path, folder: Path) -> None:
    """A few bytes of a PNG say 16,000 x 16,000, and a gigabyte is what they would come to."""
    path = folder / "huge.png"
    small = image(path, WIDTH, HEIGHT).read_bytes()
    header = b"IHDR" + struct.pack(">II", 16_000, 16_000) + small[24:29]
    path.write_bytes(small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status, out, err = run(capped, "--baseline", path, "--json")
    assert (status, out, err) == (2, "", f"{path}: its picture is damaged, or larger than any camera's\n")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


def test_a_file_that_was_cut_off_ends_where_it_ends(folder: Path) -> None:
    whole = video(folder / "whole.ts", ROOM, 60).read_bytes()
    cut = blocks_of(folder / "cut.ts", whole[: len(whole) // 2])
    samples = said(cut)["samples"]
    assert 2 <= len(samples) <= 4
    assert {sample["state"] for sample in samples} == {"ok"}


def huge_jpeg(path: Path) -> Path:
    """Write a Motion JPEG whose header says 16,000 x 16,000."""
    with av.open(str(video(path.with_suffix(".small.avi"), ROOM, 2, codec="mjpeg"))) as container:
        first = next(bytes(packet) for packet in container.demux(video=0) if packet.size)
    at = first.index(b"\xff\xc0")
    size = (16_000).to_bytes(2, "big")
    return blocks_of(path, first[: at + 5] + size + size + first[at + 9 :])


def test_a_picture_larger_than_any_camera_s_is_refused(folder: Path) -> None:
    status, _, err = run(huge_jpeg(folder / "huge.mjpeg"))
    assert status == 2
    assert err.count("\n") == 1


def of_no_known_codec(path: Path) -> Path:
    """Write a file whose container names a codec that nobody has heard of."""
    return blocks_of(path, video(path.with_suffix(".known.mp4"), ROOM, 4).read_bytes().replace(b"avc1", b"zzzz"))


def test_a_codec_that_nobody_has_heard_of_is_told(folder: Path) -> None:
    path = of_no_known_codec(folder / "unknown.mp4")
    status, out, err = run(path, "--json")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"{path}: its codec unknown is not read; H.264,")
    with pytest.raises(ValueError, match="'unknown' is not decoded"):
        keyframes_at(str(path), 0.0, 1)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused_and_nothing_else(folder: Path, capped: Path, data: st.DataObject) -> None:
    damaged = bytearray(video_bytes(folder))
    for _ in range(data.draw(st.integers(1, 40))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = blocks_of(folder / f"damaged-{zlib.crc32(bytes(damaged)):08x}.mp4", bytes(damaged))
    refused = ""
    try:
        assert list(file_looks(path, 2.0))
    except UnreadableError as error:
        refused = str(error)
    finally:
        path.unlink()
    assert not refused or refused.startswith(str(path))


def video_bytes(folder: Path) -> bytes:
    """Return a short video's bytes, made once."""
    path = folder / "short.mp4"
    return (path if path.exists() else video(path, ROOM, 6)).read_bytes()


def course(*states: str | None) -> Iterator[tuple[Sample, Diagnosis]]:
    """Yield looks ten seconds apart after which this was confirmed, each since the look before."""
    since, last = 0, None
    for number, state in enumerate(states):
        since = (number - 1) * 10_000 if state != last and number else since
        last = state
        yield Sample(number * 10.0, "ok", {}), Diagnosis(state, since)


def alarms_of(states: Sequence[str | None]) -> list[tuple[str, float, float | None, float]]:
    return [
        (alarm.state, alarm.from_seconds, alarm.until_seconds, alarm.raised_at_seconds)
        for alarm in alarms(course(*states))
    ]


def test_one_alarm_is_open_at_a_time() -> None:
    assert alarms_of(["ok", "ok", "black", "black", "covered", "ok"]) == [
        ("black", 10, 30, 20),
        ("covered", 30, 40, 40),
    ]
    assert alarms_of([None, "ok", "frozen"]) == [("frozen", 10, None, 20)]
    assert alarms_of([]) == alarms_of(["ok", "ok"]) == []


def test_real_footage_raises_no_alarm() -> None:
    assert said(footage("hall"), "--every", "2")["alarms"] == []
