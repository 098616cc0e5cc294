"""Reads a request's body within bounds, as it was sent and as it is when it is expanded."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from http import HTTPStatus

from fastapi import Request
from starlette.requests import ClientDisconnect

from monitor.api.problems import Problem

MAX_SENT_BYTES = 8 * 1024 * 1024
"""Of a request with reports, as it is sent."""
MAX_BATCH_BYTES = 16 * 1024 * 1024
"""Of the same, expanded."""
MAX_FORM_BYTES = 64 * 1024


def _free(_size: int) -> None:
    """Count nothing."""


def said_size(request: Request) -> int | None:
    """Return how many bytes a request says that its body has; None where it doesn't say."""
    said = request.headers.get("content-length", "")
    return int(said[:20]) if said.isascii() and said.isdigit() else None


async def read_body(request: Request, limit: int, count: Callable[[int], None] = _free) -> bytes:
    """Return the body, its bytes counted as they come. Raises Problem (413) beyond `limit` bytes, said or sent."""
    said = said_size(request)
    if said is not None and said > limit:
        raise _too_large(limit)
    body = bytearray()
    try:
        async for part in request.stream():
            count(len(part))
            body += part
            if len(body) > limit:
                raise _too_large(limit)
    except ClientDisconnect:
        raise Problem(HTTPStatus.BAD_REQUEST, "the request broke off") from None
    return bytes(body)


def _too_large(limit: int) -> Problem:
    # The rest of the body is not read: the connection can't be used again.
    headers = {"Connection": "close"}
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is longer than {limit} bytes", headers)


def expand(body: bytes, encoding: str, limit: int) -> bytes:
    """Return a body without its Content-Encoding. Raises Problem: 413 beyond `limit` bytes, 415, 422.

    No more than `limit` bytes are ever expanded, whatever the body says of itself.
    """
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return body
    if name not in {"gzip", "x-gzip"}:
        headers = {"Accept-Encoding": "gzip"}
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body may be compressed by gzip alone", headers)
    inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        found = inflater.decompress(body, limit + 1)
    except zlib.error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the body is no gzip") from None
    if len(found) > limit:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is longer than {limit} bytes when it is expanded")
    if not inflater.eof or inflater.unused_data:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the body is no whole gzip")
    return found
