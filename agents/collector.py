"""Talking to the collector: one bounded request at a time, and what its answer means."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx2
from pydantic import ValidationError

from agents.identity import Identity
from monitor.model.envelope import is_nonce
from monitor.model.handover import PATH as HANDOVERS
from monitor.model.handover import Handovers, follow
from monitor.model.jws import SignatureError
from monitor.model.signed import NONCE_HEADER, SIGNATURE_HEADER, check_answer, request_text, sign_request
from monitor.model.suite import PublicKey

MAX_ANSWER_BYTES = 8 * 1024 * 1024
REQUEST_SECONDS = 60.0
"""A request with its answer, from the connection to the last byte."""
LONGEST_WAIT_SECONDS = 3600.0
"""No Retry-After makes the agent wait longer."""


_BROKE_OFF = "the connection broke off"
_CHECK = "check its address and the network"
_ADVICE = {
    "not yet valid": "set this machine's clock",
    "has expired": "its certificate has to be renewed, or this machine's clock to be set",
    "is not valid for": "write its address with a name that its certificate has",
    "CERTIFICATE_VERIFY_FAILED": "its certificate comes from no authority that this agent trusts: somebody may stand between;"
    " ask whoever runs the collector, and enrol the agent with the right one (--ca)",
}
"""What to do by what OpenSSL says of a certificate; the first that is said counts."""


class CollectorError(Exception):
    """The collector could not be asked, or did not answer usably; the text is one sentence. Trying again may help."""


class NotAccepted(CollectorError):
    """The collector doesn't accept this agent's key (401, 403)."""

    def __init__(self, text: str, nonce: str | None = None) -> None:
        """Keep the sentence, and the nonce that came with it when a fresh one is all that is missing."""
        super().__init__(text)
        self.nonce = nonce


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


@dataclass(frozen=True)
class Pinned:
    """What was pinned at enrolment."""

    ca: str | None = None
    """The one certificate (PEM) from which the collector's must come; None: the system's trust store decides."""
    key: PublicKey | None = None
    """The collector's key, which signs what the agent is told."""
    client: tuple[str, str] | None = None
    """Files of the certificate and the key (PEM) that this agent shows where the collector asks for one."""


class Collector:
    """The collector's HTTP API, for one agent. Follows no redirect: it speaks to the enrolled address alone."""

    def __init__(
        self,
        url: str,
        identity: Identity | None = None,
        pinned: Pinned | None = None,
        seconds: float = REQUEST_SECONDS,
        *,
        verify: bool = True,
        keep_key: Callable[[PublicKey], None] | None = None,
    ) -> None:
        """Take an address as collector_url returned it. A request with its answer may take `seconds`.

        Without `verify` anybody may answer: only for what is checked by other means. `keep_key` is told the collector's
        next key, once the pinned one was handed over to it and it signed an answer. Raises CollectorError.
        """
        self._keep_key = keep_key
        self.url = url
        self.identity = identity
        self._pinned = pinned or Pinned()
        self._seconds = seconds
        self._nonce = identity.nonce if identity is not None else ""
        trust = _trust(url, self._pinned) if verify else False
        self._client = httpx2.AsyncClient(verify=trust, timeout=seconds, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET, signed; return a 200 or 304 that the collector's key signed. Raises CollectorError and its kinds."""
        answer, nonce = await self._signed("GET", path, b"", dict(headers or {}))
        await self._check(answer, nonce)
        return answer

    async def post(self, path: str, body: bytes, media_type: str = "application/json", encoding: str = "") -> Answer:
        """POST what vouches for itself; return a 200 or 201. Raises CollectorError and its kinds."""
        headers = {"Content-Type": media_type} | ({"Content-Encoding": encoding} if encoding else {})
        return await self._ask("POST", path, body, headers)

    async def post_signed(self, path: str, body: bytes) -> Answer:
        """POST JSON, signed; return a 200 or 201. Raises CollectorError and its kinds."""
        answer, _ = await self._signed("POST", path, body, {"Content-Type": "application/json"})
        return answer

    async def fetch(self, path: str) -> Answer:
        """GET without a signature. Raises CollectorError and its kinds."""
        return await self._ask("GET", path, None, {})

    def use_nonce(self, nonce: str) -> None:
        """Sign the next requests with this nonce."""
        self._nonce = nonce

    async def _signed(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[Answer, str]:
        """Ask with a signature, and once more with the nonce that the collector gives when ours is too old."""
        if self.identity is None:
            raise NotAccepted("the agent is not enrolled")
        text = request_text(method, path, body)
        for again in (True, False):
            nonce, who = self._nonce, self.identity
            headers["Authorization"] = sign_request(who.key, who.institution, who.agent, nonce, text)
            try:
                answer = await self._ask(method, path, body or None, headers)
            except NotAccepted as error:
                if error.nonce is None or not again:
                    raise
                self._nonce = error.nonce
            else:
                fresh = answer.headers.get(NONCE_HEADER)
                self._nonce = fresh if fresh is not None and is_nonce(fresh) else nonce
                return answer, nonce
        raise AssertionError("the second turn returns or raises")

    async def _check(self, answer: Answer, nonce: str) -> None:
        """Check who signed an answer: the pinned key, or one that it was handed over to, which is pinned from then on."""
        if self._pinned.key is None or self.identity is None:
            raise CollectorError("no key of the collector is pinned: enrol the agent again")
        request = (self.identity.institution, self.identity.agent, nonce)
        signature, etag = answer.headers.get(SIGNATURE_HEADER, ""), answer.headers.get("etag", "")
        try:
            check_answer(signature, answer.body, self._pinned.key, request, etag)
        except SignatureError as error:
            key = await self._handed_over(self._pinned.key, error)
            try:
                check_answer(signature, answer.body, key, request, etag)
            except SignatureError as again:
                raise self._not_its_key(again) from None
            self._pinned = replace(self._pinned, key=key)
            if self._keep_key is not None:
                await asyncio.to_thread(self._keep_key, key)

    async def _handed_over(self, pinned: PublicKey, why: SignatureError) -> PublicKey:
        """Return the key that the pinned one was handed over to. Raises CollectorError where it was to none."""
        if why.reason != "signature":
            raise self._not_its_key(why)
        try:
            said = Handovers.model_validate_json((await self.fetch(HANDOVERS)).body)
            key = follow(pinned, said.handovers)
        except (Refused, ValidationError):
            raise self._not_its_key(why) from None
        except SignatureError as error:
            raise self._not_its_key(error) from None
        if key.id == pinned.id:
            raise self._not_its_key(why)
        return key

    def _not_its_key(self, error: SignatureError) -> CollectorError:
        return CollectorError(
            f"the answer of {self.url} is not signed by the collector of the enrolment ({error}); enrol again if its key has changed"
        )

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
            reason = str(error) or _BROKE_OFF
            raise CollectorError(
                f"the collector {self.url} can't be reached: {reason}; {self._advice(reason)}"
            ) from None
        return self._judge(Answer(response.status_code, response.headers, content))

    def _advice(self, reason: str) -> str:
        """Return what to do where the collector can't be reached: a box whose clock was lost finds every certificate too new."""
        for said, advice in _ADVICE.items():
            if said in reason:
                return advice
        if self.url.startswith("https://") and (reason == _BROKE_OFF or "Server disconnected" in reason):
            # What TLS 1.3 says of a client's certificate comes after the handshake, and is lost with the connection.
            return f"{_CHECK}; where it asks agents for a certificate, enrol this one with it (--client-certificate)"
        return _CHECK

    def _judge(self, answer: Answer) -> Answer:
        """Return a good answer, raise what a bad one means."""
        said = f"the collector {self.url} answered {answer.status}"
        if answer.status in {200, 201, 304}:
            return answer
        if answer.status in {401, 403}:
            nonce = answer.headers.get(NONCE_HEADER)
            raise NotAccepted(
                f"{said}: it does not accept this agent; enrol it again with `cradlewatch agent enroll`",
                nonce if nonce is not None and is_nonce(nonce) else None,
            )
        detail = _problem(answer)
        if answer.status in {429, 503}:
            raise Busy(f"{said}: {detail or 'it is busy'}", _retry_after(answer.headers))
        if detail is not None and 400 <= answer.status < 500:
            raise Refused(f"{said}: {detail}", answer.status)
        raise CollectorError(f"{said}: is this the collector's address?" if answer.status < 500 else said)


def _trust(url: str, pinned: Pinned) -> ssl.SSLContext | bool:
    """Return whom to trust: the pinned certificate alone, or the system's own store, where operators add theirs."""
    if not url.startswith("https://"):
        return False
    try:
        context = ssl.create_default_context(cadata=pinned.ca)
    except (ssl.SSLError, ValueError):
        raise CollectorError("the pinned certificate can't be read: enrol the agent again") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if pinned.ca is not None:
        # What is pinned is trusted by itself, an intermediate authority too: newer versions of Python say so by default.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if pinned.client is not None:
        certificate, key = pinned.client
        try:
            context.load_cert_chain(certificate, key, password="")
        except (OSError, ValueError) as error:
            raise CollectorError(
                f"the client certificate {certificate} with the key {key} can't be used"
                f" ({error.strerror if isinstance(error, OSError) and error.strerror else error})"
            ) from None
    return context


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
