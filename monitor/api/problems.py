"""Errors of the API: RFC 9457 problem details, each with one sentence for a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, cast

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic_core import ErrorDetails
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from monitor.collector.own_keys import OwnKeyError
from monitor.regulations.messages import quoted, said
from monitor.store.engine import in_its_words, is_away

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 10
KEY_SECONDS = 600
"""Only a person can put a key back."""

PageError = Callable[[Request, int, str], Response]
"""Answers an error outside the API: (request, status, sentence) to a page."""

_TITLES = {status.value: status.phrase for status in HTTPStatus}
_OURS = ("/api/", "/metrics", "/health/", "/openapi.json")


class Problem(Exception):
    """An error that the caller is told of."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


def problem_response(status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any) -> JSONResponse:
    """Return a problem as a response; `more` are its extension members."""
    body = {"type": "about:blank", "title": _TITLES.get(status, "Error"), "status": status, "detail": detail, **more}
    return JSONResponse(body, status, dict(headers or {}), MEDIA_TYPE)


def is_ours(path: str) -> bool:
    """Tell whether a path belongs to the API, whose errors are problems, not pages."""
    return path.startswith(_OURS)


_ABSENT = "the database does not answer or takes nothing now; nothing is acknowledged, try again later"
_NO_KEY = "one of the collector's own keys can't be read: its operator has to put it back, its log says how"
_FAILED = "the server failed; it is in its log"


def response_to(path: str, error: Exception) -> JSONResponse:
    """Return what a request for a path of the API is answered when its work raises.

    A Problem as it says, 503 where the database does not answer or takes nothing or a key of the collector's can't be read,
    else 500; these are logged.
    """
    if isinstance(error, Problem):
        return problem_response(error.status, error.detail, error.headers)
    if isinstance(error, OwnKeyError):
        log.error("one of the collector's own keys can't be read", path=path, reason=str(error))
        return problem_response(HTTPStatus.SERVICE_UNAVAILABLE, _NO_KEY, {"Retry-After": str(KEY_SECONDS)})
    if is_away(error):
        log.error("the database did not answer, or takes nothing", path=path, reason=in_its_words(error))
        return problem_response(HTTPStatus.SERVICE_UNAVAILABLE, _ABSENT, {"Retry-After": str(RETRY_SECONDS)})
    log.error("a request failed", path=path, exc_info=error)
    return problem_response(HTTPStatus.INTERNAL_SERVER_ERROR, _FAILED)


def install_problems(app: FastAPI, page_error: PageError | None = None) -> None:
    """Answer every error in problem details; outside the API with `page_error`, where it is given."""

    def answer(
        request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any
    ) -> Response:
        if page_error is not None and not is_ours(request.url.path):
            return page_error(request, status, detail)
        return problem_response(status, detail, headers, **more)

    def of_http(request: Request, error: Exception) -> Response:
        refusal = cast("HTTPException", error)
        return answer(request, refusal.status_code, _sentence(refusal, request), refusal.headers)

    def of_validation(request: Request, error: Exception) -> Response:
        found = cast("RequestValidationError", error).errors()
        errors = [{"at": ".".join(map(str, item["loc"])), "message": _message(item)} for item in found]
        detail = f"{errors[0]['at']}: {errors[0]['message']}" if errors else "the request can't be read"
        return answer(request, HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors[:20])

    def of_any(request: Request, error: Exception) -> Response:
        found = response_to(request.url.path, error)
        if page_error is None or is_ours(request.url.path):
            return found
        detail = error.detail if isinstance(error, Problem) else _ABSENT if is_away(error) else _FAILED
        return page_error(request, found.status_code, detail)

    app.add_exception_handler(Problem, of_any)
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(RequestValidationError, of_validation)
    app.add_exception_handler(DBAPIError, of_any)
    app.add_exception_handler(PoolTimeout, of_any)
    app.add_exception_handler(Exception, of_any)


def _message(detail: ErrorDetails) -> str:
    """Say what is wrong with a part of a request; what a body said is not repeated, for it may be secret."""
    if detail["type"] == "string_pattern_mismatch":
        return f"{quoted(detail['input'])} doesn't match {detail['ctx']['pattern']}"
    return said(detail, show=detail["loc"][0] in {"path", "query"})


def _sentence(error: HTTPException, request: Request) -> str:
    if error.status_code == HTTPStatus.NOT_FOUND:
        return "there is nothing at this address"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{request.method} is not possible here"
    return str(error.detail)
