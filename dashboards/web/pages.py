"""The pages as a web application: which address shows what."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import urlencode

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dashboards.web.doors import Doors
from dashboards.web.finding_pages import show_finding, show_findings
from dashboards.web.i18n import mark as _n
from dashboards.web.i18n import translations
from dashboards.web.institution_pages import show_institution, show_institutions
from dashboards.web.regulation_pages import show_regulation, show_regulations
from dashboards.web.render import static_files
from dashboards.web.view_moves import ViewMoves
from dashboards.web.visit import SignInRequired, Visit
from monitor.collector.context import Context
from monitor.store.cursor import CursorError

log = structlog.get_logger(__name__)

PAGES: dict[str, Callable[[Visit], Response]] = {
    "/": show_institutions,
    "/institutions/{id}": show_institution,
    "/findings": show_findings,
    "/findings/{id}": show_finding,
    "/regulations": show_regulations,
    "/regulations/{id}": show_regulation,
}
"""Every page that asks for a sign-in."""

_FAILURES: dict[int, tuple[str, str]] = {
    400: (_n("This address can't be understood"), _n("Go back to the list and follow a link from there.")),
    403: (_n("This form has expired"), _n("Go back, load the page again, and try once more.")),
    404: (_n("There is no such page"), _n("It may have been removed, or the address is not complete.")),
    405: (_n("There is no such page"), _n("It may have been removed, or the address is not complete.")),
    408: (_n("This form has expired"), _n("Go back, load the page again, and try once more.")),
    409: (_n("This has been decided already"), _n("Go back and load the page again: it shows what was decided.")),
    413: (_n("This form is too large"), _n("Go back, load the page again, and try once more.")),
    500: (_n("This page can't be shown"), _n("The collector has written why to its log. Please tell its operator.")),
    503: (_n("The database can't be reached"), _n("Please try again in a minute, or tell the collector's operator.")),
}


def build_pages(context: Context) -> Starlette:
    """Return the pages of a collector."""
    doors = Doors(context)
    return Starlette(
        routes=[
            Route("/sign-in", doors.show, methods=["GET"]),
            Route("/sign-in", doors.sign_in, methods=["POST"]),
            Route("/sign-out", doors.sign_out, methods=["POST"]),
            Route("/static/{name}", _static, methods=["GET"]),
            Route("/institutions/{id}/views", ViewMoves(context).decide, methods=["POST"]),
            *(Route(path, _page(context, show), methods=["GET"]) for path, show in PAGES.items()),
        ],
        middleware=[Middleware(GZipMiddleware, minimum_size=1000, compresslevel=6)],
        exception_handlers={
            SignInRequired: _sign_in_first,
            HTTPException: partial(_failed, context),
            CursorError: partial(_wrong_cursor, context),
            SQLAlchemyError: partial(_no_database, context),
            Exception: partial(_fault, context),
        },
    )


def _page(context: Context, show: Callable[[Visit], Response]) -> Callable[[Request], Response]:
    def handle(request: Request) -> Response:
        if any("\0" in text for text in (request.url.path, *request.query_params.values())):
            raise HTTPException(400)  # no name of ours holds it, and PostgreSQL can't even be asked
        return show(Visit.signed_in(context, request))

    return handle


def _static(request: Request) -> Response:
    found = static_files().get(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    body, media_type = found
    return Response(body, media_type=media_type, headers={"Cache-Control": "public, max-age=31536000, immutable"})


def _sign_in_first(request: Request, _: Exception) -> Response:
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse("/sign-in?" + urlencode({"next": path}), 303)


def _message(context: Context, request: Request, status: int) -> Response:
    """Return a page that says why there is no other. It asks nothing of the database, which may be what is missing."""
    visit = Visit.plain(context, request)
    say = translations(visit.language).gettext
    heading, text = _FAILURES.get(status, _FAILURES[400])
    return visit.page("message.html", {"heading": say(heading), "text": say(text)}, status=status)


def _failed(context: Context, request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):  # Starlette calls this for no other
        raise error
    response = _message(context, request, error.status_code)
    response.headers.update(error.headers or {})
    return response


def _wrong_cursor(context: Context, request: Request, _: Exception) -> Response:
    return _message(context, request, 400)


def _no_database(context: Context, request: Request, error: Exception) -> Response:
    log.error("the database can't be reached", path=request.url.path, error=type(error).__name__)
    return _message(context, request, 503)


def _fault(context: Context, request: Request, error: Exception) -> Response:
    log.error("a page failed", path=request.url.path, error=type(error).__name__, exc_info=error)
    return _message(context, request, 500)
