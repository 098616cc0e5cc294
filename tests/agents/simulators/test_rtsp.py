"""The RTSP server, read by ffmpeg and spoken to by hand."""

import asyncio
import contextlib
import hashlib
import itertools
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC
from pathlib import Path

import cv2
import numpy as np
import pytest

from agents.simulators.account import Account
from agents.simulators.camera import Camera, Fault, Format
from agents.simulators.encoder import AccessUnit
from agents.simulators.rtsp import Manners, RtspServer
from agents.simulators.seats import WhenFull
from support.parts import require

PATH = "Streaming/Channels/102"
FAST = Format(176, 144, 10, gop_seconds=0.5)


class Wire:
    """A raw RTSP conversation."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: str) -> None:
        self.reader, self.writer, self.url, self.sequence = reader, writer, url, 0

    @classmethod
    async def open(cls, server: RtspServer, path: str = PATH) -> "Wire":
        return cls(*await asyncio.open_connection(server.host, server.port), server.url(path))

    def send(self, method: str, *headers: str, url: str = "") -> None:
        self.sequence += 1
        lines = [f"{method} {url or self.url} RTSP/1.0", f"CSeq: {self.sequence}", *headers, "", ""]
        self.writer.write("\r\n".join(lines).encode())

    async def reply(self) -> tuple[int, str, bytes]:
        async with asyncio.timeout(5):
            while (first := await self.reader.readexactly(1)) == b"$":
                await self.packet_body()
            head = (first + await self.reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"Content-Length: (\d+)", head)
            body = await self.reader.readexactly(int(length[1])) if length else b""
        return int(head.split(" ")[1]), head, body

    async def ask(self, method: str, *headers: str, url: str = "") -> tuple[int, str, bytes]:
        self.send(method, *headers, url=url)
        return await self.reply()

    async def packet_body(self) -> tuple[int, bytes]:
        channel, high, low = await self.reader.readexactly(3)
        return channel, await self.reader.readexactly(high << 8 | low)

    async def packet(self) -> tuple[int, bytes]:
        async with asyncio.timeout(5):
            assert await self.reader.readexactly(1) == b"$"
            return await self.packet_body()

    async def play(self) -> None:
        assert (await self.setup())[0] == 200
        assert (await self.ask("PLAY", f"Session: {self.session}"))[0] == 200

    async def setup(self) -> tuple[int, str, bytes]:
        reply = await self.ask("SETUP", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1", url=f"{self.url}/trackID=1")
        found = re.search(r"Session: (\w+)", reply[1])
        self.session = found[1] if found else ""
        return reply


Serve = Callable[..., Awaitable[tuple[RtspServer, Camera]]]
Dial = Callable[[RtspServer], Awaitable[Wire]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    servers: list[RtspServer] = []

    async def make(account: Account | None = None, **manners: object) -> tuple[RtspServer, Camera]:
        server = RtspServer(account, manners=Manners(**manners))  # type: ignore[arg-type]
        camera = Camera("gate", name="Camera 01")
        server.publish(PATH, camera.add_stream(FAST))
        await server.start()
        servers.append(server)
        return server, camera

    yield make
    for server in servers:
        await server.close()


@pytest.fixture
async def dial() -> AsyncIterator[Dial]:
    wires: list[Wire] = []

    async def make(server: RtspServer) -> Wire:
        wires.append(await Wire.open(server))
        return wires[-1]

    yield make
    for wire in wires:
        wire.writer.close()
        with contextlib.suppress(OSError):
            await wire.writer.wait_closed()


async def run(*command: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110  (a condition with a deadline)
            await asyncio.sleep(0)


def with_login(url: str, login: str) -> str:
    return url.replace("rtsp://", f"rtsp://{login}@")


@pytest.mark.parametrize(("scheme", "in_sdp"), [("Digest", True), ("Basic", True), ("Digest", False)])
async def test_ffmpeg_logs_in_and_decodes(serve: Serve, tmp_path: Path, scheme: str, in_sdp: bool) -> None:
    require("ffmpeg")
    account = Account("admin", "p@ss word")
    server, _ = await serve(account, schemes=(scheme,), parameter_sets_in_sdp=in_sdp)
    url = with_login(server.url(PATH), "admin:p%40ss%20word")
    code, _, errors = await run(
        "ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-analyzeduration", "1000000", "-i", url,
        "-frames:v", "12", "-fps_mode", "passthrough", str(tmp_path / "%02d.png"),
    )  # fmt: skip
    assert (code, errors) == (0, "")
    pictures = [cv2.imread(str(path)) for path in sorted(tmp_path.glob("*.png"))]  # noqa: ASYNC240
    assert [picture.shape for picture in pictures if picture is not None] == [(144, 176, 3)] * 12
    assert account.failed_logins == 0
    assert account.good_logins > 0
    assert server.seats.peak_sessions == 1


async def test_ffprobe_sees_the_stream_as_described(serve: Serve) -> None:
    require("ffmpeg")
    server, _ = await serve()
    code, out, errors = await run(
        "ffprobe", "-v", "error", "-rtsp_transport", "tcp", "-analyzeduration", "1000000", "-of", "json",
        "-show_streams", "-show_packets", "-read_intervals", "%+1.5", server.url(PATH),
    )  # fmt: skip
    assert (code, errors) == (0, "")
    probe = json.loads(out)
    stream = probe["streams"][0]
    assert (stream["codec_name"], stream["width"], stream["height"], stream["has_b_frames"]) == ("h264", 176, 144, 0)
    times = [int(packet["pts"]) for packet in probe["packets"] if "pts" in packet]
    assert times == sorted(set(times))
    assert {late - early for early, late in itertools.pairwise(times)} == {9000}


async def test_ffmpeg_with_a_wrong_password_is_refused_and_counted(serve: Serve) -> None:
    require("ffmpeg")
    account = Account("admin", "right")
    server, _ = await serve(account)
    code, _, errors = await run(
        "ffprobe", "-v", "error", "-rtsp_transport", "tcp", with_login(server.url(PATH), "admin:wrong")
    )
    assert code != 0
    assert "401" in errors
    assert account.failed_logins >= 1


async def test_a_digest_may_be_sha_256_and_a_stale_nonce_is_no_failed_login(serve: Serve, dial: Dial) -> None:
    account = Account("admin", "secret")
    server, _ = await serve(account, algorithm="SHA-256")
    wire = await dial(server)

    def credentials(challenge: str) -> str:
        nonce = re.search(r'nonce="(\w+)"', challenge)
        assert nonce is not None
        first, second = (
            hashlib.sha256(text.encode()).hexdigest() for text in ("admin:IP Camera:secret", f"DESCRIBE:{wire.url}")
        )
        response = hashlib.sha256(f"{first}:{nonce[1]}:{second}".encode()).hexdigest()
        return (
            f'Authorization: Digest username="admin", realm="IP Camera", nonce="{nonce[1]}", uri="{wire.url}", '
            f'response="{response}", algorithm=SHA-256'
        )

    challenge = (await wire.ask("DESCRIBE"))[1]
    assert "algorithm=SHA-256" in challenge
    server.authenticator.expire_nonces()
    status, stale, _ = await wire.ask("DESCRIBE", credentials(challenge))
    assert (status, 'stale="TRUE"' in stale) == (401, True)
    assert (await wire.ask("DESCRIBE", credentials(stale)))[0] == 200
    assert (account.failed_logins, account.good_logins) == (0, 1)


async def test_requests_are_answered_as_the_rfc_says(serve: Serve, dial: Dial) -> None:
    server, _ = await serve()
    wire = await dial(server)
    assert "DESCRIBE" in (await wire.ask("OPTIONS"))[1]
    status, _, sdp = await wire.ask("DESCRIBE", url=server.url(PATH) + "?transportmode=unicast")
    assert status == 200
    assert f"a=control:{server.url(PATH)}/trackID=1".encode() in sdp
    assert b"sprop-parameter-sets=" in sdp
    assert (await wire.ask("DESCRIBE", url=server.url("nothing")))[0] == 404
    assert (await wire.ask("PLAY", "Session: 1"))[0] == 454
    assert (await wire.ask("RECORD"))[0] == 405
    assert (await wire.ask("SETUP", "Transport: RTP/AVP;unicast;client_port=5000-5001"))[0] == 461
    await wire.play()
    assert (await wire.setup())[0] == 455
    assert (await wire.ask("GET_PARAMETER", "Session: 0"))[0] == 454
    assert server.seats.sessions == 1


async def test_packets_carry_a_report_then_parameter_sets_and_moving_timestamps(serve: Serve, dial: Dial) -> None:
    server, camera = await serve()
    wire = await dial(server)
    await wire.play()
    channel, report = await wire.packet()
    assert (channel, report[1]) == (1, 200)
    rtp = [await wire.packet() for _ in range(20)]
    assert {channel for channel, _ in rtp} == {0}
    assert rtp[0][1][12] & 0x1F == 24
    numbers = [int.from_bytes(packet[2:4], "big") for _, packet in rtp]
    assert [(number - numbers[0]) % 65536 for number in numbers] == list(range(20))
    assert len({packet[4:8] for _, packet in rtp}) > 2
    wire.send("TEARDOWN", f"Session: {wire.session}")
    assert (await wire.reply())[0] == 200
    assert server.seats.sessions == 0
    assert camera.streams[0]._pump is None


async def test_a_dead_camera_ends_its_sessions_and_is_not_found_until_it_returns(serve: Serve, dial: Dial) -> None:
    server, camera = await serve()
    wire = await dial(server)
    await wire.play()
    camera.set_fault(Fault.DEAD)
    async with asyncio.timeout(5):
        while await wire.reader.read(65536):
            pass
    again = await dial(server)
    assert (await again.ask("DESCRIBE"))[0] == 404
    camera.set_fault(Fault.NONE)
    assert (await again.ask("DESCRIBE"))[0] == 200


async def test_a_stalled_camera_keeps_its_connection_and_sends_nothing(serve: Serve, dial: Dial) -> None:
    server, camera = await serve()
    wire = await dial(server)
    await wire.play()
    await wire.packet()
    camera.set_fault(Fault.STALLED)
    frames = camera.streams[0].frames_encoded
    assert (await wire.ask("GET_PARAMETER", f"Session: {wire.session}"))[0] == 200
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await wire.reader.readexactly(1)
    assert camera.streams[0].frames_encoded == frames
    camera.set_fault(Fault.NONE)
    assert (await wire.packet())[1]


@pytest.mark.parametrize(
    "when_full", [WhenFull.NOT_ENOUGH_BANDWIDTH, WhenFull.INTERNAL_ERROR, WhenFull.SERVICE_UNAVAILABLE]
)
async def test_one_session_too_many_is_refused_and_people_keep_theirs(
    serve: Serve, dial: Dial, when_full: WhenFull
) -> None:
    server, _ = await serve(max_sessions=4, when_full=when_full)
    assert server.seats.people_come(2) == 2
    wires = [await dial(server) for _ in range(3)]
    assert [(await wire.setup())[0] for wire in wires] == [200, 200, int(when_full.value)]
    assert server.seats.people_come(1) == 0
    wires[0].writer.close()
    await wires[0].writer.wait_closed()
    await until(lambda: server.seats.sessions == 3)
    assert (await wires[2].setup())[0] == 200
    stats = server.stats()
    assert (stats["peak_sessions"], stats["refused_sessions"], stats["people_refused"], stats["people"]) == (4, 2, 1, 2)


async def test_a_full_recorder_may_say_nothing_or_throw_out_whoever_came_first(serve: Serve, dial: Dial) -> None:
    silent, _ = await serve(max_sessions=0, when_full=WhenFull.SILENCE)
    wire = await dial(silent)
    wire.send("SETUP", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
    assert (await wire.ask("OPTIONS"))[1].splitlines()[1] == "CSeq: 2"
    rude, _ = await serve(max_sessions=1, when_full=WhenFull.KICK_OLDEST)
    rude.seats.people_come(1)
    wire = await dial(rude)
    await wire.play()
    assert (rude.seats.people_kicked, rude.seats.people, rude.seats.sessions) == (1, 0, 1)


async def test_an_idle_session_is_ended(serve: Serve, dial: Dial) -> None:
    server, _ = await serve(session_timeout_seconds=0.3)
    wire = await dial(server)
    await wire.play()
    async with asyncio.timeout(5):
        while await wire.reader.read(65536):
            pass
    assert server.seats.sessions == 0


async def test_a_server_that_dies_resets_connections_and_returns_on_its_port(serve: Serve, dial: Dial) -> None:
    server, _ = await serve()
    wire = await dial(server)
    await wire.play()
    port = server.port
    await server.die()
    with pytest.raises(OSError):  # noqa: PT012  (what was sent before the reset may still be read)
        async with asyncio.timeout(5):
            while True:
                assert await wire.reader.read(65536), "a reset, not an orderly end"
    with pytest.raises(ConnectionRefusedError):
        await dial(server)
    await server.start()
    assert server.port == port
    assert (await (await dial(server)).ask("DESCRIBE"))[0] == 200


def test_scenes_differ_by_camera_and_faults_look_like_what_they_are() -> None:
    from agents.simulators.scenes import Scene

    gate, room, same = (Scene(seed, width=176, height=144) for seed in ("gate", "room1", "gate"))
    at = 1_800_000_000.0
    luma = {name: picture[15:144].astype(float) for name, picture in {
        "gate": gate.room(at, UTC), "room": room.room(at, UTC), "same": same.room(at, UTC), "next": same.room(at, UTC),
        "dark": gate.dark(at, UTC), "black": gate.black(at, UTC), "lost": gate.placeholder(),
        "hand": gate.covered(at, UTC), "turned": gate.moved(at, UTC), "blurred": gate.blurred(at, UTC),
    }.items()}  # fmt: skip
    assert np.array_equal(luma["gate"], luma["same"])
    assert not np.array_equal(luma["same"], luma["next"]), "sensor noise never repeats"
    assert np.abs(luma["gate"] - luma["room"]).mean() > 10
    assert luma["black"].mean() < 18 < luma["dark"].mean() < 50
    assert luma["black"].std() < 2 < luma["dark"].std()
    assert (luma["lost"] == 41).mean() > 0.9
    usual = np.abs(luma["same"] - luma["gate"]).mean() + 4
    changed = {name: np.abs(luma[name] - luma["gate"]) > usual for name in ("hand", "turned", "blurred")}
    assert changed["hand"].mean() > 0.4
    assert changed["turned"].mean() > 0.4
    assert np.abs(np.diff(luma["blurred"])).max() < np.abs(np.diff(luma["gate"])).max() / 2, "no edge is left sharp"


class Recorded:
    """A watcher that keeps what it is shown."""

    def __init__(self) -> None:
        self.units: list[AccessUnit] = []
        self.ticks: list[int] = []

    def show(self, unit: AccessUnit, ticks: int, extension: bytes = b"") -> None:
        self.units.append(unit)
        self.ticks.append(ticks)

    def end(self) -> None:
        """A camera that is looped isn't dead."""


def test_a_sensors_noise_hardly_ever_comes_again() -> None:
    """Of a recording it does; half an hour of looks is as many pictures."""
    from agents.simulators.scenes import Scene

    scene = Scene("gate", width=176, height=144)
    seen = {scene.black(0, UTC).tobytes() for _ in range(400)}
    assert len(seen) >= 397


async def test_a_looped_camera_plays_its_last_seconds_as_if_they_were_live() -> None:
    camera = Camera("gate")
    stream = camera.add_stream(Format(176, 144, 20, gop_seconds=0.25, loop_seconds=1.0))
    seen = Recorded()
    stream.watch(seen)
    try:
        await until(lambda: len(seen.units) >= 22)
        camera.set_fault(Fault.LOOPED)
        live = len(seen.units)
        await until(lambda: len(seen.units) >= live + 45)
        played = seen.units[live : live + 40]
        assert set(played) <= set(seen.units[:live]), "nothing new is shown"
        period = played.index(played[0], 1)
        assert 15 <= period <= 20, "from the first whole group of pictures on"
        assert played[:period] == played[period : 2 * period]
        assert all(a < b for a, b in itertools.pairwise(seen.ticks)), "its time runs on"
        stream.leave(seen)
        later = Recorded()
        stream.watch(later)
        await until(lambda: len(later.units) >= 3)
        assert set(later.units) <= set(seen.units), "whoever comes later is shown the same recording"
        stream.watch(seen)
        camera.set_fault(Fault.NONE)
        healed = len(seen.units)
        await until(lambda: len(seen.units) >= healed + 5)
        assert seen.units[healed].keyframe, "live again, from a keyframe on"
        again = set(seen.units[healed:]) & set(seen.units[:healed])
        assert not [unit for unit in again if sum(map(len, unit.nals)) > 16], (
            "but for pictures that say that nothing changed"
        )
    finally:
        await stream.close()
