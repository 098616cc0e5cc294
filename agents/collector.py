"""Talking to the collector: one bounded request at a time, and what its answer means."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx2

MAX_ANSWER_BYTES = 8 * 1024 * 1024
REQUEST_SECONDS = 60.0
"""A request with its answer, from the connection to the last byte."""
LONGEST_WAIT_SECONDS = 3600.0
"""No Retry-After makes the agent wait longer."""


class CollectorError(Exception):
    """The collector could not be asked, or did not answer usably; the text is one sentence. Trying again may help."""


class NotAccepted(CollectorError):
    """The collector doesn't accept this agent's token (401, 403)."""


class Busy(CollectorError):
    """The collector asks to come back later (429, 503)."""

    def __init__(self, text: str, wait_seconds: float | None) -> None:
        """Keep the sentence and for how many seconds to wait, when it said so."""
        super().__init__(text)
        self.wait_seconds = wait_seconds


class Refused(CollectorError):
    """The collector itself says that this request is wrong (problem+json); the same one again changes nothing."""

    def __init__(self, text: str, status: int) -> None:
        """Keep the sentence and the HTTP status."""
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Answer:
    """What came back: 200 with a body, or 304."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def collector_url(text: str) -> str:
    """Return the collector's address without a trailing slash.

    Raises ValueError with a sentence: it must be https, or http to this very machine.
    """
    try:
        parts = urlsplit(text.strip())
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if not host or parts.scheme not in {"http", "https"} or parts.query or parts.fragment:
        raise ValueError("the collector's address is no URL: write it like https://collector.example")
    if "@" in parts.netloc:
        raise ValueError("the collector's address holds a user name or password: remove it")
    if parts.scheme == "http" and not _is_this_machine(host):
        raise ValueError("the collector's address must begin with https:// (http:// only on this machine)")
    return text.strip().rstrip("/")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Collector:
    """The collector's HTTP API, for one agent. Follows no redirect: the token goes to the enrolled address alone."""

    def __init__(self, url: str, token: str | None = None, seconds: float = REQUEST_SECONDS) -> None:
        """Take an address as collector_url returned it. A request with its answer may take `seconds`."""
        self.url = url
        self._seconds = seconds
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        # The system's own trust store, so that an operator's certificate authority is added in the usual place.
        trust = ssl.create_default_context() if url.startswith("https://") else False
        self._client = httpx2.AsyncClient(headers=headers, verify=trust, timeout=seconds, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET; return a 200 or 304. Raises CollectorError and its kinds."""
        return await self._ask("GET", path, None, headers or {})

    async def post(self, path: str, body: bytes) -> Answer:
        """POST JSON; return a 200 or 201. Raises CollectorError and its kinds."""
        return await self._ask("POST", path, body, {"Content-Type": "application/json"})

    async def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._client.stream(method, self.url + path, content=body, headers=dict(headers)) as response,
            ):
                content = await _bounded(response)
        except TimeoutError:
            raise CollectorError(f"the collector {self.url} did not answer within {self._seconds:g} s") from None
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError) as error:
            reason = str(error) or type(error).__name__
            raise CollectorError(f"the collector {self.url} can't be reached: {reason}") from None
        return self._judge(Answer(response.status_code, response.headers, content))

    def _judge(self, answer: Answer) -> Answer:
        """Return a good answer, raise what a bad one means."""
        said = f"the collector {self.url} answered {answer.status}"
        if answer.status in {200, 201, 304}:
            return answer
        if answer.status in {401, 403}:
            raise NotAccepted(f"{said}: it does not accept this agent; enrol it again with `cradlewatch agent enroll`")
        if answer.status in {429, 503}:
            raise Busy(f"{said}: it is busy", _retry_after(answer.headers))
        detail = _problem(answer)
        if detail is not None and 400 <= answer.status < 500:
            raise Refused(f"{said}: {detail}", answer.status)
        raise CollectorError(f"{said}: is this the collector's address?" if answer.status < 500 else said)


async def _bounded(response: httpx2.Response) -> bytes:
    content = bytearray()
    async for part in response.aiter_bytes():
        content += part
        if len(content) > MAX_ANSWER_BYTES:
            raise CollectorError(f"the collector's answer is longer than {MAX_ANSWER_BYTES} bytes")
    return bytes(content)


def _problem(answer: Answer) -> str | None:
    """Return the sentence of a problem+json answer; None for any other (a proxy's page, say)."""
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return None
    try:
        value = httpx2.Response(200, content=answer.body).json()
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    text = str(value.get("detail") or value.get("title") or "no reason given")
    return "".join(char if char.isprintable() else " " for char in text)[:300]


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait (RFC 9110, 10.2.3: seconds or a date); None when it says nothing usable."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), LONGEST_WAIT_SECONDS)
    try:
        until = parsedate_to_datetime(text)
        # By the collector's own clock: this machine's may be wrong.
        now: datetime = parsedate_to_datetime(headers.get("date", ""))
        wait = (until - now).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(wait, 0.0), LONGEST_WAIT_SECONDS)
