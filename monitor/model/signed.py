"""Signed requests of an agent, and the signed answer that it gets: short-lived, unlike envelopes."""

from __future__ import annotations

from typing import Literal

from pydantic import ValidationError

from monitor.model import jws
from monitor.model.envelope import KeyId, Nonce
from monitor.model.inventory import Identifier, Strict
from monitor.model.jws import SignatureError, Signed
from monitor.model.suite import PrivateKey, PublicKey

SCHEME = "Cradlewatch"
"""The Authorization scheme of a signed request."""
NONCE_HEADER = "Cradlewatch-Nonce"
SIGNATURE_HEADER = "Cradlewatch-Signature"


class RequestHeader(Strict):
    """Who asks; the nonce is one that the collector gave, not long ago."""

    alg: str
    dig: str
    b64: Literal[False]
    crit: list[str]
    typ: Literal["cradlewatch-request"]
    kid: KeyId
    institution: Identifier
    agent: Identifier
    nonce: Nonce


class AnswerHeader(Strict):
    """Whom the answer is for; the nonce is the one of the request, so that no older answer can stand for it."""

    alg: str
    dig: str
    b64: Literal[False]
    crit: list[str]
    typ: Literal["cradlewatch-answer"]
    kid: KeyId
    institution: Identifier
    agent: Identifier
    nonce: Nonce
    etag: str


def request_text(method: str, path: str, body: bytes = b"") -> bytes:
    """Return what a request's signature is over."""
    return f"{method} {path}\n".encode() + body


def sign_request(key: PrivateKey, institution: str, agent: str, nonce: str, text: bytes) -> str:
    """Return the Authorization header of a request."""
    fields = {
        "typ": "cradlewatch-request", "kid": key.public.id, "institution": institution, "agent": agent, "nonce": nonce
    }  # fmt: skip
    return f"{SCHEME} {jws.sign(fields, text, key).decode('ascii')}"


def read_request(authorization: str, text: bytes) -> tuple[RequestHeader, Signed]:
    """Read an Authorization header; nothing is proved before `verify`. Raises SignatureError."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != SCHEME.lower() or not value.isascii():
        raise SignatureError("form", f"the request is not signed: Authorization: {SCHEME} HEADER..SIGNATURE is needed")
    signed = jws.read(value.strip().encode("ascii"), text)
    try:
        return RequestHeader.model_validate(signed.header), signed
    except ValidationError:
        raise SignatureError("form", "the request's signature has another header than is needed") from None


def sign_answer(key: PrivateKey, request: RequestHeader, etag: str, body: bytes) -> str:
    """Return the signature of an answer's exact bytes, for this request alone."""
    fields = {
        "typ": "cradlewatch-answer", "kid": key.public.id, "institution": request.institution,
        "agent": request.agent, "nonce": request.nonce, "etag": etag,
    }  # fmt: skip
    return jws.sign(fields, body, key).decode("ascii")


def check_answer(signature: str, body: bytes, key: PublicKey, request: tuple[str, str, str], etag: str) -> None:
    """Raises SignatureError unless the collector's key signed this body as the answer to (institution, agent, nonce)."""
    if not signature.isascii():
        raise SignatureError("form", "the answer's signature can't be read")
    signed = jws.read(signature.encode("ascii"), body)
    signed.verify(key)
    try:
        header = AnswerHeader.model_validate(signed.header)
    except ValidationError:
        raise SignatureError("form", "the answer's signature has another header than is needed") from None
    if (header.institution, header.agent, header.nonce) != request or header.etag != etag:
        raise SignatureError("nonce", "the answer is to another request")
