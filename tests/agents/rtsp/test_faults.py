"""The client against every fault that a device can show: each ends within its deadline, with its own cause."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from contextlib import closing

import pytest

from agents.rtsp import AddressBook, Deadlines, FrameEvent, Login, Stream, StreamError, StreamRequest, open_stream
from agents.rtsp.connection import Connection
from monitor.model.clock import SystemClock
from monitor.model.observation import StreamCause
from support.rtsp_device import Asked, Device, interleaved, plain_frame, rtp, serve
from support.rtsp_opening import LOGIN, LOOPBACK, PATIENT, STALLING, cause_of, raw_server


async def test_a_closed_port_is_refused() -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        error = await cause_of(f"rtsp://127.0.0.1:{port}/")
    assert (error.cause, error.stage) == (StreamCause.REFUSED, "connect")
    assert error.detail == f"127.0.0.1:{port} refuses connections"


@pytest.mark.parametrize(
    ("host", "age", "said"),
    [
        (
            "localhost",
            -1.0,
            "; the agent keeps the address of localhost while it runs: start it anew if that has changed",
        ),
        ("localhost", 300.0, ""),
        ("127.0.0.1", 0.0, ""),
    ],
)
async def test_the_address_of_a_name_is_said_to_be_kept_once_it_was_for_a_while(
    monkeypatch: pytest.MonkeyPatch, host: str, age: float, said: str
) -> None:
    """Where a camera has another one since, nothing but a start of the agent helps; in a check, which asked just now, it doesn't."""
    monkeypatch.setattr("agents.rtsp.client.KEPT_SECONDS", age)
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        error = await cause_of(f"rtsp://{host}:{port}/")
    assert error.detail == f"127.0.0.1:{port} refuses connections{said}"


async def test_a_full_backlog_is_no_connection() -> None:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            fillers.append(filler)
        try:
            error = await cause_of(f"rtsp://127.0.0.1:{address[1]}/")
        finally:
            for filler in fillers:
                filler.close()
    assert (error.cause, error.stage) == (StreamCause.NO_CONNECTION, "connect")


async def test_silence_is_a_timeout() -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass

    async with raw_server(silent) as url:
        error = await cause_of(url)
    assert (error.cause, error.stage, error.detail) == (
        StreamCause.TIMEOUT,
        "options",
        "no answer to OPTIONS within 0.4 s",
    )


async def test_an_answer_that_came_while_this_machine_stood_still_is_no_timeout() -> None:
    connection = Connection(SystemClock())
    asked = asyncio.create_task(connection.ask("OPTIONS", "rtsp://127.0.0.1/", {}, 0.05))
    await asyncio.sleep(0)
    # Read in the same turn of the loop in which the deadline is over, as when nothing ran for longer than that.
    asyncio.get_running_loop().call_soon(connection.wire.parser.feed, b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n")
    time.sleep(0.1)  # noqa: ASYNC251  (the machine stands still)
    assert (await asked).status == 200


async def test_a_trickle_is_too_slow_however_long_it_goes_on() -> None:
    async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n" + b"X-Long: " + b"a" * 1000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)

    async with raw_server(trickle) as url:
        error = await cause_of(url, within=2.0)
    assert error.cause == StreamCause.TOO_SLOW


async def test_one_byte_of_each_step_a_time_ends_with_the_total_deadline() -> None:
    async def slow(device: Device, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(0.3)
        return True

    deadlines = Deadlines(answer=0.5, total=0.7, teardown=0.2)
    async with serve(Device(override=slow)) as device:
        error = await cause_of(device.url(), deadlines=deadlines, within=2.0)
        assert error.cause == StreamCause.TIMEOUT
        assert error.stage in {"describe", "setup"}


@pytest.mark.parametrize(
    "greeting",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"<!DOCTYPE HTML><html>no status line for what is no HTTP</html>",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
    ],
)
async def test_another_protocol_on_the_port_is_not_rtsp(greeting: bytes) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(greeting)
        await reader.read(100)

    async with raw_server(other) as url:
        error = await cause_of(url, deadlines=PATIENT, within=30)
    assert (error.cause, error.stage) == (StreamCause.NOT_RTSP, "options")


async def test_a_closed_connection_is_closed() -> None:
    async def hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(100)

    async with raw_server(hang_up) as url:
        error = await cause_of(url, deadlines=PATIENT, within=30)
    assert error.cause == StreamCause.CLOSED


async def answer_with(what: bytes, device: Device, login: Login | None = None) -> StreamError:
    async def override(_: Device, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        if asked.method == "DESCRIBE":
            writer.write(what.replace(b"CSEQ", asked.headers["CSeq"].encode()))
            return False
        return True

    device.override = override
    async with serve(device):
        return await cause_of(device.url(), login, deadlines=PATIENT, within=30)


async def test_a_login_of_a_kind_that_cannot_be_answered_says_nothing_of_the_camera() -> None:
    challenge = b"RTSP/1.0 401 Unauthorized\r\nCSeq: CSEQ\r\nWWW-Authenticate: Negotiate\r\n\r\n"
    error = await answer_with(challenge, Device(), Login("compliance", "s3cret"))
    assert (error.cause, error.stage) == (StreamCause.UNAUTHORIZED, "describe")


async def test_a_description_that_claims_to_be_endless_is_refused() -> None:
    error = await answer_with(b"RTSP/1.0 200 OK\r\nCSeq: CSEQ\r\nContent-Length: 9999999999\r\n\r\nv=0\r\n", Device())
    assert (error.cause, error.detail) == (StreamCause.PROTOCOL_ERROR, "an answer's body is longer than 65536 bytes")


async def test_a_head_without_end_is_refused() -> None:
    error = await answer_with(b"RTSP/1.0 200 OK\r\nCSeq: CSEQ\r\n" + b"X: y\r\n" * 20_000, Device())
    assert (error.cause, error.detail) == (StreamCause.PROTOCOL_ERROR, "a message's head is longer than 16384 bytes")


async def test_a_flood_of_messages_is_refused() -> None:
    error = await answer_with(b"RTSP/1.0 100 Continue\r\n\r\n" * 1000, Device())
    assert error.cause == StreamCause.PROTOCOL_ERROR
    assert "not asked for" in error.detail


async def test_an_answer_without_description_is_a_protocol_error() -> None:
    error = await answer_with(b"RTSP/1.0 200 OK\r\nCSeq: CSEQ\r\n\r\n", Device())
    assert error.detail == "DESCRIBE was answered without a description"


async def test_garbage_after_play_is_a_protocol_error() -> None:
    async with serve(Device(packets=lambda _: [b"\x00garbage\xff" * 50])) as device:
        error = await cause_of(device.url(), deadlines=PATIENT, within=30)
    assert error.cause == StreamCause.PROTOCOL_ERROR
    assert error.stage in {"play", "media"}  # it may come with the answer to PLAY


async def test_play_without_any_frame_is_stalled() -> None:
    async with serve(Device(frames=0)) as device:
        error = await cause_of(device.url(), deadlines=STALLING, within=10)
    assert (error.cause, error.stage) == (StreamCause.STALLED, "media")
    assert error.detail == "no frame for 0.4 s since PLAY was answered: no packet arrives"


async def test_packets_on_another_channel_than_the_device_has_answered_are_said() -> None:
    async with serve(
        Device(packets=lambda number: [interleaved(6, part[4:]) for part in plain_frame(number)])
    ) as device:
        error = await cause_of(device.url(), deadlines=STALLING, within=10)
    assert error.cause is StreamCause.STALLED
    assert error.detail.endswith("packets arrive on another channel than the device has answered")


async def test_a_stream_that_stops_is_stalled() -> None:
    async with serve(Device(frames=5)) as device:
        error = await cause_of(device.url(), deadlines=STALLING, within=10)
    assert (error.cause, error.detail) == (StreamCause.STALLED, "no frame for 0.4 s: no packet arrives")


async def test_timestamps_that_do_not_move_are_stalled() -> None:
    async with serve(Device(ticks=0)) as device:
        error = await cause_of(device.url(), deadlines=STALLING, within=10)
    assert error.cause == StreamCause.STALLED
    assert "timestamps do not move" in error.detail


async def test_two_timestamps_in_turns_are_stalled() -> None:
    def frozen(number: int) -> list[bytes]:
        return [interleaved(0, rtp(number, number % 2 * 6000, b"\x41" + bytes(100), marker=True))]

    async with serve(Device(packets=frozen)) as device:
        error = await cause_of(device.url(), deadlines=STALLING, within=10)
    assert error.cause == StreamCause.STALLED


async def test_two_senders_in_turns_that_both_stand_still_are_stalled() -> None:
    def in_turns(number: int) -> list[bytes]:
        packet = bytearray(rtp(number, 1000 + number % 2, b"\x41" + bytes(100), marker=True))
        packet[8:12] = bytes([number % 2] * 4)
        return [interleaved(0, bytes(packet))]

    async with serve(Device(packets=in_turns)) as device:
        error = await cause_of(device.url(), deadlines=STALLING, within=10)
    assert error.cause == StreamCause.STALLED


async def test_a_device_that_hangs_up_in_mid_stream_is_closed_after_its_last_frame() -> None:
    def leave(number: int) -> list[bytes]:
        if number == 5:
            raise ConnectionError
        return plain_frame(number)

    async with serve(Device(packets=leave)) as device:
        stream = await open_stream(StreamRequest(device.url()), LOOPBACK, PATIENT, clock=SystemClock())
        for connection_task in [task for task in asyncio.all_tasks() if "connected" in repr(task)]:
            asyncio.get_running_loop().call_later(0.15, connection_task.cancel)
        seen: list[FrameEvent] = []
        with pytest.raises(StreamError) as caught:
            await gather_frames(stream, seen)
        await stream.close()
    assert caught.value.cause == StreamCause.CLOSED
    assert len(seen) == 5


async def test_a_refused_keep_alive_ends_the_stream_instead_of_repeating_the_login() -> None:
    async def change(device: Device, asked: Asked, _: asyncio.StreamWriter) -> bool:
        if asked.method == "GET_PARAMETER":
            device.password = "new"
        return True

    device = Device("viewer", "s3cret", session="7;timeout=1", override=change)
    async with serve(device):
        error = await cause_of(device.url(), LOGIN, PATIENT, within=30)
    assert error.cause == StreamCause.UNAUTHORIZED
    assert device.failed_logins == 1


async def test_an_address_outside_the_networks_is_never_contacted() -> None:
    async with serve(Device()) as device:
        with pytest.raises(StreamError) as caught:
            await open_stream(
                StreamRequest(device.url()), AddressBook([ipaddress.ip_network("192.0.2.0/24")]), clock=SystemClock()
            )
        assert caught.value.cause == StreamCause.NOT_ALLOWED
        assert device.asked == []


async def gather_frames(stream: Stream, seen: list[FrameEvent]) -> None:
    while events := await stream.batch():
        seen.extend(events)
