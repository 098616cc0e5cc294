"""A hand-written RTSP device for tests: right by default, and wrong in any way that a test asks for."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

SPS = bytes.fromhex("6742c01eda0280f6840000030004000003007a3c58ba80")
"""640x480, Baseline."""
PPS = bytes.fromhex("68ce3c80")
TICKS = 6000

SDP = (
    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=camera\r\nt=0 0\r\n"
    "m=audio 0 RTP/AVP 8\r\na=control:track1\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={base64.b64encode(SPS).decode()},{base64.b64encode(PPS).decode()}\r\n"
    "a=control:track2\r\n"
)


@dataclass
class Asked:
    """One request as it came."""

    method: str
    url: str
    headers: dict[str, str]


Answer = Callable[["Device", Asked, asyncio.StreamWriter], Awaitable[bool]]
"""Answers one request in a test's own way; returns whether the device's usual answer is still to be sent."""


@dataclass
class Device:
    """What it serves, what was asked of it, and how often a login failed."""

    username: str = ""
    password: str = ""
    algorithm: str = "MD5"
    qop: str = "auth"
    basic: bool = False
    sdp: str = SDP
    session: str = "42;timeout=60"
    statuses: dict[str, int] = field(default_factory=dict)
    """Method to the status that it gets after the login."""
    override: Answer | None = None
    frames: int | None = None
    """How many frames before it falls silent; None is for ever."""
    interval: float = 0.01
    ticks: int = TICKS
    packets: Callable[[int], list[bytes]] | None = None
    """Frame number to interleaved packets, instead of plain ones."""
    failed_logins: int = 0
    logins: int = 0
    asked: list[Asked] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    """What the client answered to the device's own requests."""
    nonce: str = "n0"
    stale_nonces: set[str] = field(default_factory=set)
    port: int = 0

    def methods(self) -> list[str]:
        return [asked.method for asked in self.asked]

    def url(self, path: str = "/live/1", scheme: str = "rtsp") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"


@asynccontextmanager
async def serve(device: Device, tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[Device]:
    """Let the device listen on a free loopback port, or on this one."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
                await _converse(device, reader, writer)
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", port, ssl=tls)
    device.port = server.sockets[0].getsockname()[1]
    try:
        yield device
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def _converse(device: Device, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    playing: asyncio.Task[None] | None = None
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            if first.startswith("RTSP/"):
                device.answers.append(first)
                continue
            method, url, _ = first.split(" ")
            asked = Asked(method, url, dict(line.split(": ", 1) for line in lines))
            device.asked.append(asked)
            if device.override is not None and not await device.override(device, asked, writer):
                continue
            status, more, body = _usual(device, asked)
            writer.write(render(status, asked, more, body))
            if method == "PLAY" and status == 200:
                playing = asyncio.create_task(_play(device, writer))
            if method == "TEARDOWN" and playing is not None:
                playing.cancel()
    finally:
        if playing is not None:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)


def render(status: int, asked: Asked, more: dict[str, str] | None = None, body: str = "") -> bytes:
    """Return an answer's bytes."""
    headers = {"CSeq": asked.headers["CSeq"], **(more or {})}
    if body:
        headers["Content-Length"] = str(len(body))
    return (
        f"RTSP/1.0 {status} Words\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n" + body
    ).encode()


def _usual(device: Device, asked: Asked) -> tuple[int, dict[str, str], str]:
    if asked.method == "OPTIONS" and "Session" not in asked.headers:
        status = device.statuses.get("OPTIONS", 200)
        return status, {"Public": "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"}, ""
    if device.username and not _authorized(device, asked):
        return 401, {"WWW-Authenticate": _challenge(device, asked)}, ""
    status = device.statuses.get(asked.method, 200)
    if status != 200:
        return status, {"Location": "rtsp://192.0.2.99/elsewhere"} if 300 <= status < 400 else {}, ""
    if asked.method == "DESCRIBE":
        base = {"Content-Base": device.url() + "/", "Content-Type": "application/sdp", "Server": "test device"}
        return 200, base, device.sdp
    if asked.method == "SETUP":
        return 200, {"Session": device.session, "Transport": asked.headers["Transport"]}, ""
    return 200, {"Session": device.session.split(";")[0]}, ""


def _challenge(device: Device, asked: Asked) -> str:
    if device.basic:
        return 'Basic realm="device"'
    stale = ", stale=true" if _value(asked.headers.get("Authorization", ""), "nonce") in device.stale_nonces else ""
    qop = f', qop="{device.qop}"' if device.qop else ""
    return f'Digest realm="the device", nonce="{device.nonce}", algorithm={device.algorithm}{qop}{stale}'


def _authorized(device: Device, asked: Asked) -> bool:
    given = asked.headers.get("Authorization", "")
    if not given:
        return False
    if _value(given, "nonce") in device.stale_nonces:
        return False
    right = _basic_right(device, given) if device.basic else _digest_right(device, asked, given)
    device.logins += right
    device.failed_logins += not right
    return right


def _basic_right(device: Device, given: str) -> bool:
    return given == "Basic " + base64.b64encode(f"{device.username}:{device.password}".encode()).decode()


def _digest_right(device: Device, asked: Asked, given: str) -> bool:
    """Compute the response anew, by RFC 7616."""
    name = "sha256" if device.algorithm.startswith("SHA-256") else "md5"

    def hashed(*parts: str) -> str:
        return hashlib.new(name, ":".join(parts).encode()).hexdigest()

    nonce = _value(given, "nonce")
    secret = hashed(device.username, "the device", device.password)
    if device.algorithm.endswith("-sess"):
        secret = hashed(secret, nonce, _value(given, "cnonce"))
    middle = [_value(given, "nc"), _value(given, "cnonce"), "auth"] if device.qop else []
    expected = hashed(secret, nonce, *middle, hashed(asked.method, asked.url))
    return (
        nonce == device.nonce
        and _value(given, "username") == device.username
        and _value(given, "uri") == asked.url
        and _value(given, "response") == expected
    )


def _value(header: str, name: str) -> str:
    found = re.search(rf'\b{name}="?([^",]*)', header)
    return found[1] if found else ""


async def _play(device: Device, writer: asyncio.StreamWriter) -> None:
    make = device.packets or (lambda number: plain_frame(number, device.ticks))
    number = 0
    while device.frames is None or number < device.frames:
        for packet in make(number):
            writer.write(packet)
        await writer.drain()
        number += 1
        await asyncio.sleep(device.interval)


def plain_frame(number: int, ticks: int = TICKS) -> list[bytes]:
    """Return a frame of two packets; each tenth is an IDR picture."""
    nal = (b"\x65\x88" if number % 10 == 0 else b"\x41\x9a") + bytes([number % 251]) * 2000
    return [
        interleaved(0, rtp(2 * number, number * ticks, fragment(nal, start=True), marker=False)),
        interleaved(1, b"\x80\xc8\x00\x06" + bytes(24)),
        interleaved(0, rtp(2 * number + 1, number * ticks, fragment(nal, start=False), marker=True)),
    ]


def fragment(nal: bytes, *, start: bool) -> bytes:
    """Return the first or the second half of a NAL unit as FU-A."""
    middle = len(nal) // 2
    flags = (0x80 if start else 0x40) | (nal[0] & 0x1F)
    return bytes([(nal[0] & 0xE0) | 28, flags]) + (nal[1:middle] if start else nal[middle:])


def rtp(sequence: int, timestamp: int, payload: bytes, *, marker: bool = False, ssrc: int = 7) -> bytes:
    """Return an RTP packet with payload type 96."""
    second = 96 | (0x80 if marker else 0)
    return struct.pack(">BBHII", 0x80, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def interleaved(channel: int, packet: bytes) -> bytes:
    """Return a packet as it travels on the RTSP connection."""
    return struct.pack(">BBH", 0x24, channel, len(packet)) + packet
