"""Asking a recorder over HTTP: digest login through the breaker, hard deadlines, capped answers, no other host."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx2

from agents.breaker import LoginHeld
from agents.device_tls import device_tls
from agents.recorders.base import MAX_EXCHANGES, Exchange, RecorderError
from agents.recorders.digest import DigestAnswer, KeptAnswer, digest_answer
from agents.recorders.http_failure import failure
from agents.recorders.login_words import is_locked_out, is_stale, tell
from agents.recorders.menus import menus_of
from agents.recorders.settings import Attempt, OptionsError, RecorderSettings, Reply
from agents.rtsp.errors import StreamError
from monitor.model.observation import StreamCause

MAX_BODY_BYTES = 4 * 1024 * 1024
CONNECT_SECONDS = 5.0
WEB_PORTS = frozenset({80, 443})
"""A web server's own; further ones of a recorder only where site.yaml writes them."""
XML = "application/xml"
JSON = "application/json"
SHOWN_CHARACTERS = 2000
"""How much of an answer an exchange keeps for people."""

_UNAUTHORIZED = 401
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CLOSED = (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError)
_HOST = re.compile(r"[\w.-]+|[0-9A-Fa-f:.]+")
_USERINFO = re.compile(r"(?<=://)[^/\s<>@]*@")
_SECRET = re.compile(r"((?:password|passwd|pwd)\w{0,20}\"?\s{0,3}[=:>]\s{0,3}\"?)[^\"<\r\n]+", re.IGNORECASE)
"""Logins of other devices in an answer: a recorder's list of cameras may hold their passwords."""


@dataclass(frozen=True)
class Answer:
    """A status, its whole body, and the agent's clock in the middle of the request."""

    status: int
    body: bytes
    middle: datetime
    headers: httpx2.Headers
    logged_in: bool = False
    """Whether credentials were sent for it, and taken by the web server."""


class NoSafeLogin(RecorderError):
    """The recorder asks for a login and offers none by HTTP that hides the password."""


@dataclass(frozen=True)
class _Message:
    """What is asked."""

    method: str
    path: str
    content: bytes | None
    content_type: str


class DeviceHttp:
    """One recorder's web interface: one request at a time, each with a deadline.

    The first request of a round goes without credentials and its challenge is answered; the others of the next minute
    count on from its nonce. A 401 to a used nonce may mean anything, so it is no refusal: the request begins anew, and
    a 401 to the answer of its own fresh challenge is one. A password that is changed between two requests so costs at
    most two failed logins; then it is held.
    """

    def __init__(self, settings: RecorderSettings, timeout_seconds: float) -> None:
        """Take the address and login of `settings`; each request may take `timeout_seconds`. Raises OptionsError."""
        self.exchanges: deque[Exchange] = deque(maxlen=MAX_EXCHANGES)
        self._settings = settings
        self._timeout_seconds = timeout_seconds
        self._connect_seconds = min(CONNECT_SECONDS, timeout_seconds / 2)
        self._written = self._base = _base(settings)
        self._fingerprint = settings.tls_fingerprint and settings.tls_fingerprint.replace(":", "").lower()
        self._one_at_a_time = asyncio.Lock()
        self._login = KeptAnswer(settings.clock)
        self._password = settings.password
        self._client: httpx2.AsyncClient | None = None

    @property
    def host(self) -> str:
        """The recorder's host, as the site names it."""
        return self._base.host

    @property
    def shown_host(self) -> str:
        """The host as it stands in addresses."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def rtsp(self) -> str:
        """Where the same recorder's streams begin: rtsp://HOST:PORT."""
        return f"rtsp://{self.shown_host}:{self._settings.rtsp_port}"

    def password(self) -> str:
        """Return the password as it is by now; what was answered with an earlier one is not used again."""
        now = self._settings.password if self._settings.password_now is None else self._settings.password_now()
        if now != self._password:
            self._password = now
            self._login.forget()
        return now

    async def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def fetch(
        self, method: str, path: str, *, content: bytes | None = None, content_type: str = XML, note: str = ""
    ) -> Answer:
        """Return the recorder's final answer to one request, whatever its status but 401.

        `note` says for people what `content` asks for. Raises RecorderError when there is no answer, or it is refused,
        too late or too large.
        """
        asked = f"{method} {path}{f' ({note})' if note else ''}"
        message = _Message(method, path, content, content_type)
        async with self._one_at_a_time:
            try:
                answer = await self._converse(message)
            except RecorderError as error:
                error.asked = asked
                self._note(asked, f"{error.cause}: {error.detail}")
                raise
        self._keep(asked, message, answer)
        return answer

    async def fetch_signed(
        self,
        path: str,
        *,
        content: bytes,
        content_type: str,
        note: str,
        refuses: Callable[[Answer], bool | None],
    ) -> Answer:
        """POST a body that itself carries the login: one login under the breaker, never repeated.

        `refuses` says whether an answer is a refusal of that login; None when it doesn't tell. Raises RecorderError as
        `fetch` does.
        """
        asked = f"POST {path} ({note})"
        message = _Message("POST", path, content, content_type)
        async with self._one_at_a_time:
            try:
                async with self._attempt() as attempt:
                    answer = await self._send(message)
                    refused = answer.status == _UNAUTHORIZED or refuses(answer)
                    if refused is None:
                        attempt.unclear()
                    elif refused:
                        attempt.refused()
                    else:
                        tell(attempt, answer.status, answer.body)
                if refused:
                    raise RecorderError(StreamCause.UNAUTHORIZED, self._refusal(answer))
            except RecorderError as error:
                error.asked = asked
                self._note(asked, f"{error.cause}: {error.detail}")
                raise
        self._keep(asked, message, answer)
        return replace(answer, logged_in=True)

    def _keep(self, asked: str, message: _Message, answer: Answer) -> None:
        """Note what was answered, and tell it whole to whoever records the device."""
        self._note(asked, _shown(answer))
        if self._settings.tap is not None:
            kind = answer.headers.get("content-type", "")
            reply = Reply(message.method, message.path, message.content, answer.status, kind, answer.body)
            self._settings.tap(reply)

    def _note(self, asked: str, answered: str) -> None:
        self.exchanges.append(Exchange(self._scrubbed(asked), self._scrubbed(answered)[:SHOWN_CHARACTERS]))

    def _scrubbed(self, text: str) -> str:
        text = _SECRET.sub(r"\1***", _USERINFO.sub("***@", text))
        password = self._password
        for secret in {password, quote(password, safe="")} - {""}:
            text = text.replace(secret, "***")
        return text

    async def _converse(self, message: _Message) -> Answer:
        self.password()
        kept = self._login.get()
        if kept is None:
            return await self._from_the_start(message, self._attempt)
        async with self._attempt() as attempt:
            answer = await self._go_on(message, kept)
            if answer is None:
                answer = await self._from_the_start(message, lambda: nullcontext(attempt))
                if not answer.logged_in:
                    attempt.unclear()
                return answer
            self._conclude(attempt, answer)
            return replace(answer, logged_in=True)

    async def _go_on(self, message: _Message, login: DigestAnswer) -> Answer | None:
        """Send with the nonce of the last login; None when that settles nothing."""
        try:
            answer = await self._send(message, login)
        except RecorderError as error:
            self._login.forget()
            if isinstance(error.__cause__, _CLOSED):
                return None
            raise
        if answer.status == _UNAUTHORIZED and not is_locked_out(answer.body):
            self._login.refused(stale=is_stale(answer.headers.get_list("www-authenticate")))
            return None
        if answer.status in _REDIRECTS:
            self._login.forget()
            return None
        return answer

    async def _from_the_start(
        self, message: _Message, open_attempt: Callable[[], AbstractAsyncContextManager[Attempt]]
    ) -> Answer:
        """Ask without credentials, and log in when the recorder wants that."""
        answer = await self._send_first(message)
        if answer.status in _REDIRECTS:
            self._base = self._redirected(answer.headers.get("location", ""))
            answer = await self._send(message)
            if answer.status in _REDIRECTS:
                self._redirected(answer.headers.get("location", ""))
        if answer.status != _UNAUTHORIZED:
            return answer
        return await self._log_in(message, answer, open_attempt)

    async def _send_first(self, message: _Message) -> Answer:
        """Send without credentials; once more when a kept connection turns out to have been closed by the recorder."""
        kept = self._client is not None
        try:
            return await self._send(message)
        except RecorderError as error:
            if not (kept and isinstance(error.__cause__, _CLOSED)):
                raise
        return await self._send(message)

    async def _log_in(
        self, message: _Message, challenge: Answer, open_attempt: Callable[[], AbstractAsyncContextManager[Attempt]]
    ) -> Answer:
        login = self._answer_to(challenge) if self._settings.username else None
        async with open_attempt() as attempt:
            answer = await self._send(message, login)
            if answer.status == _UNAUTHORIZED and is_stale(answer.headers.get_list("www-authenticate")):
                login = self._answer_to(answer)
                answer = await self._send(message, login)
            self._conclude(attempt, answer)
        if isinstance(login, DigestAnswer):
            self._login.keep(login)
        return replace(answer, logged_in=True)

    def _conclude(self, attempt: Attempt, answer: Answer) -> None:
        """Tell the breaker how a login ended. Raises RecorderError for one that was refused."""
        tell(attempt, answer.status, answer.body)
        if answer.status == _UNAUTHORIZED:
            self._login.forget()
            raise RecorderError(StreamCause.UNAUTHORIZED, self._refusal(answer))

    @asynccontextmanager
    async def _attempt(self) -> AsyncIterator[Attempt]:
        """Open one login under the breaker. Raises RecorderError when there is none to try, or it may not be tried."""
        settings = self._settings
        if not settings.username:
            detail = f"{self.host} asks for a login: give recorder {settings.id} a `username` and a `password_file`."
            raise RecorderError(StreamCause.UNAUTHORIZED, detail)
        address = await self._address()
        try:
            async with settings.breaker.attempt(address, settings.username, self._password) as attempt:
                yield attempt
        except LoginHeld as held:
            detail = f"{str(held)[:1].upper()}{str(held)[1:]}."
            raise RecorderError(StreamCause.CREDENTIALS_HELD, detail) from held

    def _refusal(self, answer: Answer) -> str:
        locked = " and says that the user is locked for now" if is_locked_out(answer.body) else ""
        return (
            f"{self.host} refused the login of {self._settings.username}{locked}: check the user name and password, and "
            "that this user may log in remotely; it isn't tried again by itself before tomorrow."
        )

    def _answer_to(self, challenge: Answer) -> httpx2.Auth:
        """Return what answers the challenge: Digest, the strongest offered; Basic only where TLS hides it."""
        offers = challenge.headers.get_list("www-authenticate")
        settings = self._settings
        digest = digest_answer(offers, settings.username, self._password)
        if digest is not None:
            return digest
        if any(offer.lower().startswith("basic") for offer in offers) and self._base.scheme == "https":
            return httpx2.BasicAuth(settings.username, self._password)
        detail = (
            f"{self.host} offers no safe login (digest with MD5 or SHA-256): "
            f"choose digest {menus_of(settings.driver).digest}."
        )
        raise NoSafeLogin(StreamCause.RECORDER, detail)

    async def _send(self, message: _Message, login: httpx2.Auth | None = None) -> Answer:
        clock = self._settings.clock
        try:
            request = await self._request(message)
            async with asyncio.timeout(self._timeout_seconds):
                before = clock.now()
                response = await self._open().send(request, stream=True, auth=login)
                try:
                    middle = before + (clock.now() - before) / 2
                    body = await self._body(response)
                finally:
                    await response.aclose()
        except RecorderError:
            raise
        except (TimeoutError, httpx2.TimeoutException) as error:
            seconds = self._connect_seconds if isinstance(error, httpx2.ConnectTimeout) else self._timeout_seconds
            detail = f"{self.host} didn't answer within {seconds:g} s: check that it is switched on and reachable."
            raise RecorderError(StreamCause.TIMEOUT, detail) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, NotImplementedError) as error:
            if isinstance(error, httpx2.NetworkError):
                self._base = self._written  # what it redirected to may be switched off by now
            raise failure(error, self.host, old_tls=self._settings.old_tls) from error
        return Answer(response.status_code, body, middle, response.headers)

    @property
    def _port(self) -> int:
        return self._base.port or (443 if self._base.scheme == "https" else 80)

    async def _address(self) -> str:
        try:
            return await self._settings.addresses.resolve(self.host, self._port)
        except StreamError as error:
            raise RecorderError(error.cause, f"{error.detail}.") from error

    async def _request(self, message: _Message) -> httpx2.Request:
        """Build the request to the pinned address; the host's own name stays in Host and in TLS."""
        base, port, address = self._base, self._port, await self._address()
        shown = f"[{address}]" if ":" in address else address
        headers = {
            "Host": base.netloc.decode("ascii"),
            "Accept-Encoding": "identity",
            "User-Agent": "cradlewatch",
        }
        # Shorter than the whole deadline: a handshake that ends by itself is cleaned up by the library.
        if message.content is not None:
            headers["Content-Type"] = message.content_type
        return httpx2.Request(
            message.method,
            f"{base.scheme}://{shown}:{port}{message.path}",
            headers=headers,
            content=message.content,
            extensions={
                "sni_hostname": base.host,
                "timeout": httpx2.Timeout(self._timeout_seconds, connect=self._connect_seconds).as_dict(),
                "trace": self._on_event,
            },
        )

    def _open(self) -> httpx2.AsyncClient:
        if self._client is None:
            self._client = httpx2.AsyncClient(
                verify=device_tls(old=self._settings.old_tls),
                trust_env=False,
                follow_redirects=False,
                limits=httpx2.Limits(max_connections=2, max_keepalive_connections=1, keepalive_expiry=5),
            )
        self._client.cookies.clear()
        return self._client

    async def _body(self, response: httpx2.Response) -> bytes:
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise RecorderError(StreamCause.RECORDER, f"{self.host} sent a compressed answer, which wasn't asked for.")
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise RecorderError(
                    StreamCause.RECORDER, f"{self.host} sent more than {MAX_BODY_BYTES} bytes in one answer."
                )
        return bytes(body)

    async def _on_event(self, event: str, info: dict[str, Any]) -> None:
        """Hold each new connection's certificate against the pin, before a word is said on it: logins go out with questions."""
        if event != "connection.start_tls.complete":
            return
        stream = info["return_value"]
        try:
            self._check_certificate(stream.get_extra_info("ssl_object").getpeercert(binary_form=True))
        except RecorderError:
            await stream.aclose()
            raise

    def _check_certificate(self, certificate: bytes | None) -> None:
        """Pin the certificate on first use; recorders sign their own, so no authority can vouch for them."""
        if not certificate:
            raise RecorderError(StreamCause.RECORDER, f"{self.host} showed no certificate.")
        seen = hashlib.sha256(certificate).hexdigest()
        if self._fingerprint is None:
            self._fingerprint = seen
            if self._settings.fingerprint_seen is not None:
                self._settings.fingerprint_seen(seen)
        elif seen != self._fingerprint:
            detail = (
                f"The certificate of {self.host} is not the known one: if the recorder was exchanged or its certificate "
                f"renewed, set tls_fingerprint of recorder {self._settings.id} to {seen}."
            )
            raise RecorderError(StreamCause.RECORDER, detail)

    def _redirected(self, location: str) -> httpx2.URL:
        """Return the https address that the same host points to; nothing else is followed. Raises RecorderError."""
        try:
            target = self._base.join(location)
        except (httpx2.InvalidURL, ValueError):
            target = self._base
        if target.scheme == "https" and target.host == self._base.host:
            port = target.port or 443
            if port not in self._settings.ports | WEB_PORTS:
                detail = (
                    f"{self.host} redirects to its port {port}, which site.yaml doesn't write: if its own page is there, "
                    f"write https://{self.shown_host}:{port} as `url` of recorder {self._settings.id}."
                )
                raise RecorderError(StreamCause.NOT_ALLOWED, detail)
            if self._base.scheme == "http":
                return target.copy_with(username=None, password=None, raw_path=b"/")
            detail = (
                f"{self.host} redirects in circles by https: look up in a browser where its own page is, and write that "
                "address as `url` of the recorder."
            )
            raise RecorderError(StreamCause.RECORDER, detail)
        detail = f"{self.host} redirects to another place than its own https address: correct `url` of the recorder."
        raise RecorderError(StreamCause.RECORDER, detail)


def _shown(answer: Answer) -> str:
    shown = answer.body[: 32 * SHOWN_CHARACTERS].decode("utf-8", "replace").strip()
    return f"HTTP {answer.status}, {len(answer.body)} bytes: {shown}"


def _base(settings: RecorderSettings) -> httpx2.URL:
    try:
        url = httpx2.URL(settings.url)
    except (httpx2.InvalidURL, ValueError):
        url = httpx2.URL("")
    if url.scheme not in {"http", "https"} or not _HOST.fullmatch(url.host):
        msg = f"recorder {settings.id}: `url` must be like http://192.0.2.10"
        raise OptionsError(msg)
    if url.userinfo:
        msg = f"recorder {settings.id}: `url` must not hold a password; use `username` and `password_file`"
        raise OptionsError(msg)
    return url.copy_with(raw_path=b"/", fragment=None)
