"""What keeps the pages safe: headers, the session's cookie, tokens in forms, a limit on sign-ins."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections import deque
from hashlib import sha256
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.model.clock import Clock

FORM_COOKIE = "cradlewatch_form"
"""A random word of a browser that is not signed in: what the token in the sign-in form belongs to."""

MOST_FORM_BYTES = 16_384
MOST_FORM_SECONDS = 30.0
"""A browser sends a form at once; who doesn't holds a connection for nothing."""
WINDOW_SECONDS = 300.0
TRIES_PER_NAME = 5
TRIES_PER_ADDRESS = 30
_MOST_KEYS = 20_000

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""On every answer. `Cache-Control: no-store` is set where an answer sets nothing else."""

_RAW = {name.lower().encode(): value.encode() for name, value in HEADERS.items()}


class SafeHeaders:
    """Sets the headers above on every answer of an application."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with safe headers."""

        async def safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = [header for header in message.get("headers", ()) if header[0] not in _RAW]
                if not any(name == b"cache-control" for name, _ in given):
                    given.append((b"cache-control", b"no-store"))
                message["headers"] = [*given, *_RAW.items()]
            await send(message)

        await self.app(scope, receive, safely)


def form_token(secret: str) -> str:
    """Return a token for a form of whoever holds `secret`: another one each time, so that compression tells nothing."""
    nonce = secrets.token_hex(12)
    return f"{nonce}.{_sign(secret, nonce)}"


def token_fits(secret: str, token: str) -> bool:
    """Tell whether the token was made for `secret`."""
    nonce, _, signature = token.partition(".")
    return bool(secret) and hmac.compare_digest(_sign(secret, nonce).encode(), signature.encode())


def _sign(secret: str, nonce: str) -> str:
    return hmac.new(secret.encode(), b"form:" + nonce.encode(), sha256).hexdigest()


async def read_form(request: Request) -> dict[str, str]:
    """Return a posted form. Raises HTTPException: 413 when it is larger than any form of ours, 408 when it doesn't come."""
    body = b""
    try:
        async with asyncio.timeout(MOST_FORM_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > MOST_FORM_BYTES:
                    raise HTTPException(413)
    except TimeoutError:
        raise HTTPException(408, headers={"Connection": "close"}) from None
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20))


def local_path(text: str) -> str:
    """Return `text` when it is a path on this server, else the first page: a sign-in never leads elsewhere."""
    if not text.isprintable() or "\\" in text or not text.startswith("/") or text.startswith("//"):
        return "/"
    return text


class Attempts:
    """Counts failed sign-ins of the last minutes, by address and name and by address alone; kept in this process."""

    def __init__(self, clock: Clock) -> None:
        """Count by the clock's monotonic time."""
        self._clock = clock
        self._failed: dict[tuple[str, str], deque[float]] = {}

    def wait_seconds(self, address: str, name: str) -> float:
        """Return how long this address must wait before it may try this name again; 0 when it needn't."""
        by_name = self._wait((address, name), TRIES_PER_NAME)
        return max(by_name, self._wait((address, ""), TRIES_PER_ADDRESS))

    def failed(self, address: str, name: str) -> None:
        """Count one failure."""
        if len(self._failed) > _MOST_KEYS:
            self._forget()
        for key in {(address, name), (address, "")}:
            self._failed.setdefault(key, deque(maxlen=TRIES_PER_ADDRESS)).append(self._clock.monotonic())

    def succeeded(self, address: str, name: str) -> None:
        """Forget the failures of this name from this address."""
        self._failed.pop((address, name), None)

    def _wait(self, key: tuple[str, str], most: int) -> float:
        times, now = self._failed.get(key), self._clock.monotonic()
        while times and times[0] <= now - WINDOW_SECONDS:
            times.popleft()
        return times[len(times) - most] + WINDOW_SECONDS - now if times and len(times) >= most else 0.0

    def _forget(self) -> None:
        now = self._clock.monotonic()
        old = [key for key, times in self._failed.items() if not times or times[-1] <= now - WINDOW_SECONDS]
        for key in old or list(self._failed)[: _MOST_KEYS // 2]:
            del self._failed[key]
