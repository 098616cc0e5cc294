"""Reads a request's body within bounds."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Request
from starlette.requests import ClientDisconnect

from monitor.api.problems import Problem

MAX_BATCH_BYTES = 16 * 1024 * 1024
MAX_FORM_BYTES = 64 * 1024


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body. Raises Problem (413) as soon as it is longer than `limit` bytes, said or sent."""
    said = request.headers.get("content-length", "")
    if said.isascii() and said.isdigit() and int(said[:20]) > limit:
        raise _too_large(limit)
    body = bytearray()
    try:
        async for part in request.stream():
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
