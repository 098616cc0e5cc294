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


class Expanded:
    """A body without its Content-Encoding, expanded no further than it is asked for.

    Raises Problem at each step: 413 beyond `limit` bytes, 415, 422. No more than `limit` bytes are ever expanded, whatever
    the body says of itself.
    """

    def __init__(self, body: bytes, encoding: str, limit: int) -> None:
        """Expand nothing yet."""
        name = encoding.strip().lower()
        if name not in {"", "identity", "gzip", "x-gzip"}:
            headers = {"Accept-Encoding": "gzip"}
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body may be compressed by gzip alone", headers)
        self._limit = limit
        self._inflater = None if name in {"", "identity"} else zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        self._rest, self._found = (body, bytearray()) if self._inflater else (b"", bytearray(body))

    def upto(self, size: int) -> bytes:
        """Return its first `size` bytes, all where it has no more."""
        more = min(size, self._limit + 1) - len(self._found)
        if self._inflater is not None and more > 0 and not self._inflater.eof:
            try:
                self._found += self._inflater.decompress(self._rest, more)
            except zlib.error:
                raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the body is no gzip") from None
            self._rest = self._inflater.unconsumed_tail
        return bytes(memoryview(self._found)[:size])

    def whole(self) -> bytes:
        """Return all of it."""
        found = self.upto(self._limit + 1)
        if len(found) > self._limit:
            detail = f"the body is longer than {self._limit} bytes when it is expanded"
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
        if self._inflater is not None and (not self._inflater.eof or self._inflater.unused_data):
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the body is no whole gzip")
        return found
