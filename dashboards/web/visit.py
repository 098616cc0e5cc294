"""One request for a page: who asks, in which language; and the answer as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from dashboards.web.figures import Words
from dashboards.web.guard import form_token
from dashboards.web.i18n import COOKIE, Language, negotiate, parse_language
from dashboards.web.render import render
from dashboards.web.times import Times
from monitor.api.auth import SESSION_COOKIE
from monitor.collector.context import Context
from monitor.model.inventory import Institution, Inventory
from monitor.store.accounts import session_user
from monitor.store.engine import reading

YEAR_SECONDS = 366 * 86_400


class SignInRequired(Exception):
    """The page is for those who have signed in."""


@dataclass(frozen=True)
class Visit:
    """A request, with what every page needs of it."""

    context: Context
    request: Request
    language: Language
    user: str | None
    secret: str
    """The session's secret; empty when nobody is signed in."""

    @classmethod
    def of(cls, context: Context, request: Request) -> Visit:
        """Read a request's cookies and language."""
        secret = request.cookies.get(SESSION_COOKIE, "")
        user = None
        if secret:
            with reading(context.engine) as session:
                user = session_user(session, secret, context.now())
        return cls(context, request, _language(request), user, secret if user else "")

    @classmethod
    def plain(cls, context: Context, request: Request) -> Visit:
        """Read a request without asking the database: for pages that say what went wrong."""
        return cls(context, request, _language(request), None, "")

    @classmethod
    def signed_in(cls, context: Context, request: Request) -> Visit:
        """Read a request that must come from somebody who has signed in. Raises SignInRequired."""
        visit = cls.of(context, request)
        if visit.user is None:
            raise SignInRequired
        return visit

    @property
    def now(self) -> int:
        """The instant of the request, UTC milliseconds."""
        return self.context.now()

    def words(self, timezone: str, inventory: Inventory | None = None) -> Words:
        """Return how things are written for an institution in `timezone`."""
        return Words(Times(_zone(timezone), self.language), inventory)

    def page(self, template: str, values: Mapping[str, Any], *, status: int = 200, section: str = "") -> Response:
        """Return a page."""
        other = Language.EN if self.language is Language.ZH else Language.ZH
        common = {
            "language": self.language,
            "other_language": other,
            "other_language_url": self.url(lang=other.value),
            "user": self.user,
            "csrf": form_token(self.secret) if self.secret else "",
            "section": section,
        }
        response = HTMLResponse(render(template, self.language, {**common, **values}), status)
        return self.remember(response)

    def remember(self, response: Response) -> Response:
        """Keep the language that the visitor chose."""
        if parse_language(self.request.query_params.get("lang")) is not None:
            response.set_cookie(
                COOKIE, self.language.value, max_age=YEAR_SECONDS, httponly=True, samesite="lax", secure=self.secure
            )
        return response

    @property
    def secure(self) -> bool:
        """Tell whether the visitor came by HTTPS: then cookies never travel without it."""
        return self.request.url.scheme == "https"

    def url(self, **changes: str | None) -> str:
        """Return this page's own address with another query; a path that begins with // would be another host. None: without it."""
        query = {key: value for key, value in self.request.query_params.items() if key not in changes}
        path = "/" + self.request.url.path.lstrip("/\\")
        asked = {key: value for key, value in {**query, **changes}.items() if value is not None}
        return f"{path}?{urlencode(asked)}" if asked else path


def _language(request: Request) -> Language:
    chosen = parse_language(request.query_params.get("lang")) or parse_language(request.cookies.get(COOKIE))
    return chosen or negotiate(request.headers.get("accept-language", ""))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return Institution(id="x").zone_info  # the register was filled by another version: its default zone
