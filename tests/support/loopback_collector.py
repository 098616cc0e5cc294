"""A collector on loopback for tests of the agent's side: keeps what it is sent, and misbehaves as told."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from support import raw_jws

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
        self.key = Ed25519PrivateKey.generate()
        self.keys: dict[str, Ed25519PublicKey] = {}
        """Keys of agents, by their thumbprint."""
        self.headers: list[dict[str, Any]] = []
        """Of the envelopes that were stored, in order."""
        self.digests: list[str] = []
        self.nonces = 0
        self.faults: list[Reply] = []
        self.requests: list[Request] = []
        self.reports: dict[tuple[str, str, str, int], dict[str, Any]] = {}
        self.arrivals: list[int] = []
        """The number of each report that came in signed, each time that it did."""
        self.copies = 0
        self.largest_body = 2**30
        self.stored = asyncio.Event()
        self.reject: Callable[[dict[str, Any]], str | None] = lambda report: None
        self.word = "content"
        """The reason that goes with it."""
        self.doubt: Callable[[dict[str, Any]], str | None] = lambda report: None
        """Why what is stored counts for nothing."""
        self.leave: Callable[[dict[str, Any]], bool] = lambda report: False
        """Which reports are left without an answer, for later."""
        self.other: Callable[[Request], Reply] = lambda request: Reply(404, {"title": "nothing here"}, PROBLEM)

    @property
    def jwk(self) -> dict[str, str]:
        """The collector's public key."""
        return {"crv": "Ed25519", "kty": "OKP", "x": raw_jws.encode(self.key.public_key().public_bytes_raw()).decode()}

    def know(self, jwk: dict[str, str]) -> None:
        """Register an agent's key; its name is computed here from RFC 7638."""
        text = json.dumps({name: jwk[name] for name in ("crv", "kty", "x")}, separators=(",", ":"))
        name = raw_jws.encode(hashlib.sha256(text.encode()).digest()).decode()
        self.keys[name] = Ed25519PublicKey.from_public_bytes(raw_jws.decode(jwk["x"].encode()))

    def answer(self, request: Request) -> Reply:
        if self.faults:
            fault = self.faults.pop(0)
            if fault.after_storing:
                self._store(request)
            return fault
        if request.path == "/api/v1/reports":
            return self._store(request)
        reply = self.other(request)
        return self.signed(request, reply) if "authorization" in request.headers else reply

    def asked_by(self, request: Request) -> dict[str, Any] | None:
        """Return the header of a request's signature, None when it isn't good."""
        text = request.headers["authorization"].removeprefix("Cradlewatch ").encode()
        header = raw_jws.header_of(text)
        signed = f"{request.method} {request.path}\n".encode() + request.body
        try:
            raw_jws.check(text, signed, self.keys[header["kid"]])
        except (InvalidSignature, KeyError):
            return None
        return header

    def signed(self, request: Request, reply: Reply) -> Reply:
        """Sign an answer for whoever asked."""
        asked = self.asked_by(request)
        if asked is None:
            return Reply(401, {"title": "who are you"}, PROBLEM)
        body = (
            b""
            if reply.body is None
            else reply.body
            if isinstance(reply.body, bytes)
            else json.dumps(reply.body).encode()
        )
        header = {
            "alg": "Ed25519", "b64": False, "crit": ["b64"], "dig": "sha256", "typ": "cradlewatch-answer", "kid": "k" * 43,
            "institution": asked["institution"], "agent": asked["agent"], "nonce": asked["nonce"],
            "etag": reply.headers.get("ETag", ""),
        }  # fmt: skip
        signature = raw_jws.signed(header, body, self.key).decode()
        return Reply(reply.status, reply.body, {**reply.headers, "Cradlewatch-Signature": signature})

    def _store(self, request: Request) -> Reply:
        if len(request.body) > self.largest_body:
            return Reply(413, {"title": "too large"}, PROBLEM)
        assert request.headers["content-type"] == "application/vnd.cradlewatch.envelopes"
        body = gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body
        envelopes = list(_netstrings(body))
        if any(raw_jws.header_of(item)["kid"] not in self.keys for item in envelopes):
            return Reply(401, {"title": "who are you"}, PROBLEM)
        receipts: list[dict[str, str]] = []
        for envelope in envelopes:
            if not self._is_signed(envelope):  # what comes after it is left unanswered
                digest = "sha256:" + hashlib.sha256(envelope).hexdigest()
                said = {"status": "rejected", "digest": digest, "error": "a bad signature", "reason": "signature"}
                receipts.append(said)
                break
            report = json.loads(envelope.partition(b"\n")[2])
            self.arrivals.append(report["sequence"])
            if not self.leave(report):
                receipts.append(self._receipt(envelope))
        if receipts and all(item["status"] == "rejected" and item["reason"] == "signature" for item in receipts):
            return Reply(401, {"title": "who are you"}, PROBLEM)
        self.nonces += 1
        nonce = f"nonce-{self.nonces:020d}"
        return Reply(200, {"receipts": receipts, "server_time": "2026-11-23T04:00:00Z", "nonce": nonce})

    def _is_signed(self, envelope: bytes) -> bool:
        line, _, payload = envelope.partition(b"\n")
        try:
            raw_jws.check(line, payload, self.keys[raw_jws.header_of(envelope)["kid"]])
        except InvalidSignature:
            return False
        return True

    def _receipt(self, envelope: bytes) -> dict[str, str]:
        header, (_, _, payload) = raw_jws.header_of(envelope), envelope.partition(b"\n")
        digest, report = "sha256:" + hashlib.sha256(envelope).hexdigest(), json.loads(payload)
        reason = self.reject(report)
        if reason is not None:
            return {"status": "rejected", "digest": digest, "error": reason, "reason": self.word}
        key = (report["institution"], report["agent"], report["boot"], report["sequence"])
        assert key == tuple(header[name] for name in ("institution", "agent", "boot", "sequence"))
        had = key in self.reports
        self.copies += had
        if not had:
            self.headers.append(header)
            self.digests.append(digest)
        self.reports[key] = report
        self.stored.set()
        doubt = self.doubt(report)
        told = {} if doubt is None else {"error": doubt, "reason": "ahead"}
        return {"status": "already have it" if had else "stored", "digest": digest, **told}

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
    async def running(cls, tls: ssl.SSLContext | None = None) -> AsyncIterator[LoopbackCollector]:
        """Run on a free port of loopback."""
        collector = cls()
        serving: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # Held here: one that hangs is referred to by nobody else once its caller has gone, and would be swept away.
            serving.add(asyncio.ensure_future(collector._serve(reader, writer)))

        server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**24, ssl=tls)
        scheme = "http" if tls is None else "https"
        collector.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield collector
        finally:
            server.close()
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)


def _netstrings(body: bytes) -> Iterator[bytes]:
    while body:
        length, _, rest = body.partition(b":")
        yield rest[: int(length)]
        assert rest[int(length) : int(length) + 1] == b","
        body = rest[int(length) + 1 :]


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
