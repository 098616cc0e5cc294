"""The decoder's child: whatever it is given, the next look works."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import os
import random
import resource
import signal
import time
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from agents.simulators.scenes import Scene
from agents.vision.imprint import IMPRINT_BYTES
from agents.watch.decoder import DecodeError, Decoder, DecoderBusyError, DecoderKilledError
from agents.watch.looking import DEAR_SECONDS
from agents.watch.processor import processor_seconds
from support.pictures import draws, encoded
from support.standing import plant

SCENE = Scene("gate", width=352, height=288, name="Camera 01")
KEYFRAMES = encoded(draws(SCENE)["room"], 352, 288)
FROZEN = encoded(draws(SCENE)["frozen"], 352, 288)


@pytest.fixture
async def decoder() -> AsyncIterator[Decoder]:
    """Give a decoder, and end its child."""
    made = Decoder()
    yield made
    await made.close()


def child(decoder: Decoder) -> int:
    process = decoder._process
    assert process is not None
    return process.pid


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


async def works(decoder: Decoder) -> None:
    looked = await decoder.look("gate", "h264", KEYFRAMES[0])
    assert (looked.width, looked.height) == (352, 288)
    assert looked.measures.levels.luma_mean > 60


async def test_it_keeps_the_limit_by_which_a_command_leaves_no_core(decoder: Decoder) -> None:
    """One byte: at zero a pattern that pipes to a program would be handed the pictures of a decoder that crashed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard != 0:
        resource.setrlimit(resource.RLIMIT_CORE, (1, hard))
    try:
        await works(decoder)
        assert resource.prlimit(child(decoder), resource.RLIMIT_CORE)[0] == (1 if hard != 0 else 0)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


async def test_a_look_compares_with_the_same_camera_s_look_before(decoder: Decoder) -> None:
    first = await decoder.look("gate", "h264", FROZEN[0])
    other = await decoder.look("room1", "h264", FROZEN[1])
    again = await decoder.look("gate", "h264", FROZEN[1])
    assert [seen.measures.repeat.same_ratio for seen in (first, other, again)] == [None, None, 1.0]


async def test_many_cameras_at_once_each_get_their_own_answer(decoder: Decoder) -> None:
    small = encoded(draws(Scene("small", width=176, height=144))["room"], 176, 144, looks=1)[0]
    looks = await asyncio.gather(
        *(decoder.look(f"c{number}", "h264", small if number % 2 else KEYFRAMES[0]) for number in range(12))
    )
    assert [looked.width for looked in looks] == [176 if number % 2 else 352 for number in range(12)]
    assert decoder.restarts == 0


def _garbage() -> list[bytes]:
    seeded = random.Random(1)
    flipped = bytearray(KEYFRAMES[0])
    for _ in range(200):
        flipped[seeded.randrange(len(flipped))] ^= 1 << seeded.randrange(8)
    return [b"", b"\0", b"\n", seeded.randbytes(5000), b"\0\0\0\1\x65" + seeded.randbytes(5000), bytes(flipped)]


@pytest.mark.parametrize("data", _garbage(), ids=["empty", "zero", "newline", "noise", "slice", "flipped"])
async def test_garbage_is_an_error_or_a_picture_and_never_the_end(decoder: Decoder, data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        await decoder.look("gate", "h264", data)
    await works(decoder)


def coded(encoder: str, frames: int, form: str = "yuv420p") -> bytes:
    """Return so many frames of noise that moves, as one piece."""
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt, context.time_base = 352, 288, form, Fraction(1, 15)
    if encoder == "libx265":
        context.options = {"preset": "ultrafast", "x265-params": "log-level=none"}
    room = np.random.default_rng(1).integers(16, 230, (432, 352)).astype(np.uint8)
    packets = []
    for number in range(frames):
        frame = av.VideoFrame.from_ndarray(np.roll(room, number, axis=1), format="yuv420p").reformat(format=form)
        frame.pts = number
        packets += context.encode(frame)
    return b"".join(bytes(packet) for packet in [*packets, *context.encode(None)])


@pytest.mark.parametrize(
    ("codec", "data"),
    [
        ("h264", coded("libx264", 8)),
        ("h265", coded("libx265", 8)),
        ("mjpeg", coded("mjpeg", 1, "yuvj420p")),
    ],
    ids=["h264", "h265", "mjpeg"],
)
async def test_damaged_pictures_of_every_codec_and_never_the_end(decoder: Decoder, codec: str, data: bytes) -> None:
    assert (await decoder.look("gate", codec, data)).width == 352
    for seed in range(20):
        seeded, damaged = random.Random(seed), bytearray(data)
        for _ in range(seeded.choice([1, 20, 400])):
            damaged[seeded.randrange(len(damaged))] ^= 1 << seeded.randrange(8)
        del damaged[seeded.randrange(len(damaged)) :: seeded.choice([7, 100_000])]
        with contextlib.suppress(DecodeError):
            await decoder.look("damaged", codec, bytes(damaged))
    await works(decoder)
    assert decoder.restarts <= 1


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
async def test_a_keyframe_cut_short(decoder: Decoder, share: float) -> None:
    cut = KEYFRAMES[0][: int(len(KEYFRAMES[0]) * share)]
    with contextlib.suppress(DecodeError):
        assert (await decoder.look("gate", "h264", cut)).width == 352
    await works(decoder)


async def test_another_codec_is_an_error(decoder: Decoder) -> None:
    with pytest.raises(DecodeError, match="vp8"):
        await decoder.look("gate", "vp8", KEYFRAMES[0])
    with pytest.raises(DecodeError):
        await decoder.look("gate", "mjpeg", KEYFRAMES[0])
    with pytest.raises(DecodeError):
        await decoder.look("gate", "h265", KEYFRAMES[0])
    await works(decoder)


async def test_a_child_that_is_killed_between_two_looks_is_started_again(decoder: Decoder) -> None:
    await works(decoder)
    first = decoder._process
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    await first.wait()
    await works(decoder)
    assert decoder.restarts == 1


async def test_a_child_that_dies_in_mid_look_costs_that_look_alone(decoder: Decoder) -> None:
    await works(decoder)
    os.kill(child(decoder), signal.SIGSTOP)
    looking = asyncio.create_task(decoder.look("gate", "h264", KEYFRAMES[0]))
    await asyncio.sleep(0)
    os.kill(child(decoder), signal.SIGKILL)
    with pytest.raises(DecodeError, match="died"):
        await looking
    await works(decoder)
    assert decoder.restarts == 1


async def test_a_machine_that_can_t_start_the_child_is_no_keyframe_s_fault(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without memory or processes for a while: no camera's pictures cost the decoder its life, and none is looked at more seldom for that."""

    async def none_left(*_: str, **__: Any) -> asyncio.subprocess.Process:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "create_subprocess_exec", none_left)
        with pytest.raises(DecodeError, match="could not be started") as caught:
            await decoder.look("gate", "h264", KEYFRAMES[0])
    assert not isinstance(caught.value, DecoderKilledError)
    await works(decoder)


TAKEN_OVER = """
import json, struct, sys
def read():
    (length,) = struct.unpack(">I", sys.stdin.buffer.read(4))
    return sys.stdin.buffer.read(length)
read()
warm = json.dumps({"error": "nothing"}).encode()
sys.stdout.buffer.write(struct.pack(">I", len(warm)) + warm)
sys.stdout.buffer.flush()
read()
answer = sys.argv[1].encode()
sys.stdout.buffer.write(struct.pack(">I", int(sys.argv[2]) or len(answer)) + answer)
sys.stdout.buffer.flush()
read()
"""


@pytest.mark.parametrize(
    ("answer", "length"),
    [
        ("{}", 0), ("[]", 0), ("5", 0), ("no JSON", 0), ("[" * 100_000, 0), ('{"width": NaN}', 0), ("{}", 1 << 31),
        ('{"width": 352, "height": 288, "view": {}, "measures": {}}', 0), ('{"view": [], "width": "x"}', 0),
    ],
)  # fmt: skip
async def test_a_child_that_was_taken_over_costs_its_look_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, answer: str, length: int
) -> None:
    async with taken_over(monkeypatch, answer, length) as decoder:
        with pytest.raises(DecodeError):
            await decoder.look("gate", "h264", KEYFRAMES[0])


async def test_a_child_of_another_version_says_what_is_to_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program was updated under the agent, whose next child is the new one: no look would work until the agent is."""
    async with taken_over(monkeypatch, "{}\n" + "x" * 20_000) as decoder:
        with pytest.raises(DecodeError, match="restart the agent"):
            await decoder.look("gate", "h264", KEYFRAMES[0])


@pytest.mark.parametrize("offset", ["[1e999, 0, 1]", f"[1{'0' * 400}, 0, 1]", "[true, 0, 1]", "[0, 0]", "{}", '"abc"'])
async def test_a_child_that_was_taken_over_costs_its_film_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, offset: str
) -> None:
    async with taken_over(monkeypatch, f'{{"offsets": [{offset}]}}') as decoder:
        with pytest.raises(DecodeError, match="nonsense"):
            await decoder.film("h264", KEYFRAMES[:1], 1, np.zeros(IMPRINT_BYTES, np.int8))


@contextlib.asynccontextmanager
async def taken_over(monkeypatch: pytest.MonkeyPatch, answer: str, length: int = 0) -> AsyncIterator[Decoder]:
    """Give a decoder whose child says what it likes."""
    start = asyncio.create_subprocess_exec

    async def other(program: str, *_: str, **more: Any) -> asyncio.subprocess.Process:
        return await start(program, "-c", TAKEN_OVER, answer, str(length), **more)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", other)
    decoder = Decoder()
    try:
        yield decoder
    finally:
        await decoder.close()


async def test_a_decode_that_takes_too_long_is_ended() -> None:
    decoder = Decoder(look_seconds=0.3)
    try:
        await works(decoder)
        os.kill(child(decoder), signal.SIGSTOP)
        with pytest.raises(DecodeError, match="took too long"):
            await decoder.look("gate", "h264", KEYFRAMES[0])
        await works(decoder)
        assert decoder.restarts == 1
    finally:
        await decoder.close()


async def test_what_the_machine_takes_is_no_cost_of_the_picture() -> None:
    """Where the processor goes to others for a second, a usual picture isn't a dear one, and the next look comes when it should."""
    decoder = Decoder()
    try:
        await works(decoder)
        os.kill(child(decoder), signal.SIGSTOP)
        loop = asyncio.get_running_loop()
        began = loop.time()
        loop.call_later(DEAR_SECONDS + 0.3, os.kill, child(decoder), signal.SIGCONT)
        looked = await decoder.look("gate", "h264", KEYFRAMES[0])
        assert looked.seconds < DEAR_SECONDS < loop.time() - began
    finally:
        await decoder.close()


def test_processor_time_is_told_of_running_processes_alone() -> None:
    own = processor_seconds(os.getpid())
    assert own is not None
    assert own == pytest.approx(time.process_time(), abs=0.1)
    assert processor_seconds(1 << 22) is None, "no pid is as high (proc(5), pid_max)"
    assert processor_seconds(1 << 30) is None


async def test_a_look_waits_for_its_turn_so_long_and_no_longer() -> None:
    decoder = Decoder(look_seconds=1.5, turn_seconds=0.3)
    try:
        await works(decoder)
        os.kill(child(decoder), signal.SIGSTOP)
        stuck = asyncio.create_task(decoder.look("poisonous", "h264", KEYFRAMES[0]))
        await asyncio.sleep(0)
        with pytest.raises(DecoderBusyError, match="busy"):
            await decoder.look("gate", "h264", KEYFRAMES[0])
        with pytest.raises(DecoderKilledError):
            await stuck
        await works(decoder)
    finally:
        await decoder.close()


async def test_a_picture_announced_as_larger_than_any_camera_s_never_reaches_the_child(decoder: Decoder) -> None:
    with pytest.raises(DecodeError, match="16384 x 16384"):
        await decoder.look("gate", "h264", KEYFRAMES[0], (16384, 16384))
    assert decoder._process is None, "nothing was started for it"
    assert (await decoder.look("gate", "h264", KEYFRAMES[0], (4000, 3000))).width == 352


async def test_a_look_that_nobody_waits_for_any_more_does_not_answer_the_next_one(decoder: Decoder) -> None:
    small = encoded(draws(Scene("small", width=176, height=144))["room"], 176, 144, looks=1)[0]
    await works(decoder)
    for _ in range(3):
        looking = asyncio.create_task(decoder.look("gate", "h264", small))
        await asyncio.sleep(0)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await works(decoder)
    assert decoder.restarts == 0, "nobody else pays for that"


async def test_a_waiting_look_may_be_given_up_without_harm_to_the_one_at_work(decoder: Decoder) -> None:
    await works(decoder)
    pid = child(decoder)
    first = asyncio.create_task(decoder.look("gate", "h264", KEYFRAMES[0]))
    second = asyncio.create_task(decoder.look("room1", "h264", KEYFRAMES[0]))
    await asyncio.sleep(0)
    second.cancel()
    assert (await first).width == 352
    assert child(decoder) == pid


async def test_the_child_knows_no_secret_and_ends_with_its_parent(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NVR_PASSWORD", "s3cret")
    await works(decoder)
    environment = environment_of(child(decoder))
    assert b"s3cret" not in environment
    assert b"PASSWORD" not in environment
    process = decoder._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()  # as when the agent is killed
    async with asyncio.timeout(5):
        assert await process.wait() == 0


async def test_it_runs_nothing_that_lies_where_the_agent_stands(
    decoder: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, "agents", monkeypatch)
    await works(decoder)


# Recorded files.

PLAYLIST = b"#EXTM3U\n#EXTINF:10,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile /etc/hostname\n"
SDP = b"v=0\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n"


def recorded(path: Path) -> bytes:
    """Write ten pictures as MPEG-TS and return the bytes."""
    with av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=5)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 176, 144, "yuv420p", 5
        for shade in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((216, 176), 40 + 10 * shade, np.uint8), format="yuv420p")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path.read_bytes()


async def test_a_file_is_looked_at_from_the_keyframe_before_an_instant_on(decoder: Decoder, tmp_path: Path) -> None:
    recorded(tmp_path / "whole.ts")
    filmed = await decoder.look_at_file("gate", tmp_path / "whole.ts", 1.2, 2)
    assert filmed.codec == "h264"
    assert 0.0 <= filmed.first_seconds <= 1.2
    assert [(look.width, look.height) for look in filmed.looks][:1] == [(176, 144)]


async def test_whatever_lies_on_the_disk_costs_no_other_look(decoder: Decoder, tmp_path: Path) -> None:
    whole = recorded(tmp_path / "whole.ts")
    chance = random.Random(7)
    spoilt = [bytes(b ^ (chance.random() < 0.02) * 0xFF for b in whole) for _ in range(3)]
    files = [b"", b"text", PLAYLIST, CONCAT, SDP, whole[:200], chance.randbytes(5000), *spoilt]
    for number, content in enumerate(files):
        path = tmp_path / f"{number}.ts"
        path.write_bytes(content)
        with contextlib.suppress(DecodeError):
            filmed = await decoder.look_at_file("gate", path, chance.uniform(-1, 1e9), 2)
            assert number >= 7 or not filmed.looks, "nothing is shown of what is no recording"
    with pytest.raises(DecodeError):
        await decoder.look_at_file("gate", tmp_path / "absent.ts", 0.0, 2)
    await works(decoder)
    assert decoder.restarts == 0


NOTHING = np.zeros(IMPRINT_BYTES, np.int8)
"""An imprint of nothing at all."""


def film(codec: str, seconds: float = 2.0) -> list[bytes]:
    """Return the coded frames of a scene, five a second, of which the first alone is a keyframe."""
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = 352, 288, "yuvj420p" if codec == "mjpeg" else "yuv420p"
    context.time_base, context.framerate, context.gop_size = Fraction(1, 5), Fraction(5), 100
    context.options = {} if codec == "mjpeg" else {"preset": "ultrafast", "tune": "zerolatency"}
    frames = list[bytes]()
    for number in range(round(5 * seconds)):
        picture = av.VideoFrame.from_ndarray(draws(SCENE)["room"](1_700_000_000.0 + number / 5), format="yuv420p")
        picture.pts = number
        frames += [bytes(packet) for packet in context.encode(picture.reformat(format=context.pix_fmt))]
    return frames + [bytes(packet) for packet in context.encode(None)]


@pytest.mark.parametrize(("codec", "encoder"), [("h264", "libx264"), ("h265", "libx265"), ("mjpeg", "mjpeg")])
async def test_of_a_film_the_last_frames_leave_their_imprints(decoder: Decoder, codec: str, encoder: str) -> None:
    frames = film(encoder)
    developed = await decoder.film(codec, frames, 3, NOTHING)
    seen = developed.frames
    assert len(seen) == 3
    assert 0 < developed.seconds < 5
    assert (await decoder.film(codec, frames[:-1], 2, NOTHING)).frames[1].imprint.tobytes() == seen[1].imprint.tobytes()
    assert len({item.imprint.tobytes() for item in seen}) == 3
    assert {item.offset for item in seen} == {None}


async def test_a_look_leaves_the_imprint_that_the_same_frame_has_in_a_film(decoder: Decoder) -> None:
    frames = film("libx264", 0.4)
    looked = await decoder.look("gate", "h264", frames[0])
    assert looked.imprint is not None
    (seen,) = (await decoder.film("h264", frames[:1], 1, looked.imprint)).frames
    assert seen.imprint.tobytes() == looked.imprint.tobytes()
    assert seen.offset is not None
    assert math.hypot(seen.offset.right, seen.offset.down) < 0.05


async def test_a_film_of_which_a_frame_is_missing_or_damaged_says_so_and_the_next_look_works(decoder: Decoder) -> None:
    frames = film("libx264")
    for bad in (frames[1:], [b""], [b"\xff" * 50]):
        with pytest.raises(DecodeError):
            await decoder.film("h264", bad, 2, NOTHING)
    with pytest.raises(DecodeError):
        await decoder.film("vp8", frames, 2, NOTHING)
    await works(decoder)
    chance = random.Random(3)
    for _ in range(30):
        spoilt = [bytearray(frame) for frame in frames]
        for frame in chance.sample(spoilt, 3):
            frame[chance.randrange(len(frame))] ^= 1 << chance.randrange(8)
        with contextlib.suppress(DecodeError):
            assert len((await decoder.film("h264", [bytes(frame) for frame in spoilt], 3, NOTHING)).frames) <= 3
    await works(decoder)
