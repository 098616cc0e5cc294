"""Who asks: a script by its API token, or a person by the session's cookie. Agents sign what they send."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from monitor.api.context import Context
from monitor.api.problems import Problem
from monitor.store.accounts import session_user, token_user
from monitor.store.engine import reading

SESSION_COOKIE = "cradlewatch_session"

_LONGEST = 400
"""No token of ours is longer."""

_reader_scheme = HTTPBearer(auto_error=False, scheme_name="reader", description="An API token of a user.")

ReaderCredentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_reader_scheme)]


def _unauthorized(detail: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, detail, {"WWW-Authenticate": "Bearer"})


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def reader(request: Request, credentials: ReaderCredentials) -> str:
    """Return in whose name is read; anybody else gets 401."""
    user = who_reads(_context(request), request, credentials.credentials if credentials else None)
    if user is None:
        raise _unauthorized("sign in, or send an API token: Authorization: Bearer TOKEN")
    return user


def officer(request: Request, credentials: ReaderCredentials) -> str:
    """Return in whose name something is decided: by an API token alone, for other sites can make a browser send cookies."""
    token = credentials.credentials if credentials else ""
    user = who_reads(_context(request), request, token)
    if user is None:
        raise _unauthorized("an API token is needed: Authorization: Bearer TOKEN")
    return user


Officer = Annotated[str, Depends(officer)]
"""Who decides."""


def who_reads(context: Context, request: Request, token: str | None) -> str | None:
    """Return whose token or session this is, None when it is nobody's. A token that is sent decides alone."""
    cookie = request.cookies.get(SESSION_COOKIE)
    secret = cookie if token is None else token
    if not secret or len(secret) > _LONGEST:
        return None
    with reading(context.engine) as session:
        ask = session_user if token is None else token_user
        return ask(session, secret, context.now())
