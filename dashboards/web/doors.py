"""Signing in and out."""

from __future__ import annotations

import asyncio
import secrets

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dashboards.web.guard import FORM_COOKIE, Attempts, form_token, local_path, read_form, token_fits
from dashboards.web.i18n import translations
from dashboards.web.visit import Visit
from monitor.api.auth import SESSION_COOKIE
from monitor.api.limit import who_comes
from monitor.collector.context import Context
from monitor.store.accounts import create_session, delete_session, user_names, verify_user
from monitor.store.engine import reading, writing

log = structlog.get_logger(__name__)

CHECKS_AT_ONCE = 2
"""A password's hash takes memory and time on purpose: a flood of sign-ins must not take all of either."""


class Doors:
    """The sign-in page and what its forms do."""

    def __init__(self, context: Context) -> None:
        """Open the doors of a collector."""
        self._context = context
        self._attempts = Attempts(context.clock)
        self._checks = asyncio.Semaphore(CHECKS_AT_ONCE)

    def show(self, request: Request) -> Response:
        """GET /sign-in."""
        visit = Visit.of(self._context, request)
        path = local_path(request.query_params.get("next", "/"))
        if visit.user is not None:
            return visit.remember(RedirectResponse(path, 303))
        return self._form(visit, path)

    def _form(self, visit: Visit, path: str, *, name: str = "", error: str = "", status: int = 200) -> Response:
        secret = visit.request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(24)
        with reading(self._context.engine) as session:
            nobody = not user_names(session)
        values = {"next": path, "name": name, "error": error, "nobody": nobody, "csrf": form_token(secret)}
        response = visit.page("sign_in.html", values, status=status)
        response.set_cookie(FORM_COOKIE, secret, httponly=True, samesite="lax", secure=visit.secure)
        return response

    async def sign_in(self, request: Request) -> Response:
        """POST /sign-in."""
        form = await read_form(request)
        name, path = form.get("name", "")[:64], local_path(form.get("next", "/"))
        visit = await run_in_threadpool(Visit.of, self._context, request)
        say = translations(visit.language).gettext
        address = request.client.host if request.client else ""
        who = who_comes(address)
        if not token_fits(request.cookies.get(FORM_COOKIE, ""), form.get("csrf", "")):
            error = say("This form has expired. Please sign in again.")
            return await run_in_threadpool(self._form, visit, path, name=name, error=error, status=403)
        wait = self._attempts.wait_seconds(who, name)
        if wait:
            minutes = int(wait // 60) + 1
            error = translations(visit.language).ngettext(
                "Too many failed sign-ins. Please wait %(minutes)s minute.",
                "Too many failed sign-ins. Please wait %(minutes)s minutes.",
                minutes,
            ) % {"minutes": minutes}
            response = await run_in_threadpool(self._form, visit, path, name=name, error=error, status=429)
            response.headers["Retry-After"] = str(int(wait) + 1)
            return response
        self._attempts.failed(who, name)  # counted before the check: those that run side by side count too
        async with self._checks:
            secret = await run_in_threadpool(self._verified, visit, name, form.get("password", ""))
        if secret is None:
            log.warning("sign-in refused", user=name, address=address)
            error = say("Name or password is wrong.")
            return await run_in_threadpool(self._form, visit, path, name=name, error=error, status=403)
        self._attempts.succeeded(who, name)
        log.info("signed in", user=name, address=address)
        response = RedirectResponse(path, 303)
        seconds = self._context.settings.session_lifetime // 1000
        response.set_cookie(SESSION_COOKIE, secret, max_age=seconds, httponly=True, samesite="lax", secure=visit.secure)
        response.delete_cookie(FORM_COOKIE)
        return response

    def _verified(self, visit: Visit, name: str, password: str) -> str | None:
        """Return a new session's secret, None when name or password is wrong."""
        with reading(self._context.engine) as session:
            right = verify_user(session, name, password)
        if not right:
            return None
        with writing(self._context.engine) as session:
            if visit.secret:
                delete_session(session, visit.secret)
            return create_session(session, name, self._context.now(), self._context.settings.session_lifetime)

    async def sign_out(self, request: Request) -> Response:
        """POST /sign-out."""
        form = await read_form(request)
        secret = request.cookies.get(SESSION_COOKIE, "")
        if not token_fits(secret, form.get("csrf", "")):
            raise HTTPException(403)
        await run_in_threadpool(self._forget, secret)
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(SESSION_COOKIE)
        return response

    def _forget(self, secret: str) -> None:
        with writing(self._context.engine) as session:
            delete_session(session, secret)
