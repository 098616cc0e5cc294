"""A collector on loopback for tests of the agent's side: keeps what it is sent, and misbehaves as told."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

PROBLEM = {"Content-Type": "application/problem+json"}


@dataclass
class Reply:
    """An answer; `raw` bytes go out instead and the line is cut, `hang` leaves it open, `drip` sends a byte at a time."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    hang: bool = False
    drip: bool = False
    after_storing: bool = False


@dataclass
class Request:
    """What came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class LoopbackCollector:
    """Stores reports by (institution, agent, boot, sequence); `faults` are given as answers before it behaves."""

    def __init__(self) -> None:
        self.url = ""
        self.token = "token-of-the-agent"
        self.faults: list[Reply] = []
        self.requests: list[Request] = []
        self.reports: dict[tuple[str, str, str, int], dict[str, Any]] = {}
        self.copies = 0
        self.largest_body = 2**30
        self.stored = asyncio.Event()
        self.reject: Callable[[dict[str, Any]], str | None] = lambda report: None
        self.other: Callable[[Request], Reply] = lambda request: Reply(404, {"title": "nothing here"}, PROBLEM)

    def answer(self, request: Request) -> Reply:
        if self.faults:
            fault = self.faults.pop(0)
            if fault.after_storing:
                self._store(request)
            return fault
        if request.path != "/api/v1/reports":
            return self.other(request)
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return Reply(401, {"title": "who are you"}, PROBLEM)
        return self._store(request)

    def _store(self, request: Request) -> Reply:
        if len(request.body) > self.largest_body:
            return Reply(413, {"title": "too large"}, PROBLEM)
        receipts = [self._receipt(envelope) for envelope in json.loads(request.body)["envelopes"]]
        return Reply(200, {"receipts": receipts, "server_time": "2026-11-23T04:00:00Z"})

    def _receipt(self, envelope: dict[str, str]) -> dict[str, str]:
        payload = base64.urlsafe_b64decode(envelope["payload"] + "===")
        assert envelope["digest"] == "sha256:" + hashlib.sha256(payload).hexdigest()
        report = json.loads(payload)
        reason = self.reject(report)
        if reason is not None:
            return {"status": "rejected", "digest": envelope["digest"], "error": reason}
        key = (report["institution"], report["agent"], report["boot"], report["sequence"])
        had = key in self.reports
        self.copies += had
        self.reports[key] = report
        self.stored.set()
        return {"status": "already have it" if had else "stored", "digest": envelope["digest"]}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read(reader)) is not None:
                self.requests.append(request)
                if not await _write(writer, self.answer(request)):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[LoopbackCollector]:
        """Run on a free port of loopback."""
        collector = cls()
        server = await asyncio.start_server(collector._serve, "127.0.0.1", 0, limit=2**24)
        collector.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield collector
        finally:
            server.close()


async def _read(reader: asyncio.StreamReader) -> Request | None:
    head = b""
    with contextlib.suppress(asyncio.IncompleteReadError):
        head = await reader.readuntil(b"\r\n\r\n")
    if not head:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body)


async def _write(writer: asyncio.StreamWriter, reply: Reply) -> bool:
    """Write an answer; tell whether the line stays open."""
    if reply.raw is not None:
        writer.write(reply.raw)
        await writer.drain()
        return False
    if reply.hang:
        await asyncio.Event().wait()
    body = (
        b"" if reply.body is None else reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
    )
    headers = {"Content-Type": "application/json", **reply.headers, "Content-Length": str(len(body))}
    text = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    data = f"HTTP/1.1 {reply.status} X\r\n{text}\r\n".encode() + body
    if reply.drip:
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)
    writer.write(data)
    await writer.drain()
    return True
