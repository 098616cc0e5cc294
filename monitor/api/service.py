"""Routes for the machine room: health and metrics."""

from __future__ import annotations

from http import HTTPStatus

import structlog
from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from sqlalchemy.exc import SQLAlchemyError

from monitor.api.auth import reader
from monitor.api.context import Context
from monitor.api.metrics import StoreCollector, counted
from monitor.api.problems import Problem
from monitor.collector.own_keys import NONCE, unreadable_keys
from monitor.store import schema
from monitor.store.engine import is_full, only_reads, reading

log = structlog.get_logger(__name__)


def service_routes(context: Context, registry: CollectorRegistry) -> APIRouter:
    """Return the routes for health and metrics."""
    router = APIRouter(tags=["service"])
    registry = counted(registry)
    registry.register(StoreCollector(context))
    guard = [Depends(reader)] if context.settings.metrics == "token" else []

    @router.get("/metrics", dependencies=guard, response_class=Response)
    def metrics() -> Response:
        """Return the metrics in Prometheus' text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    @router.get("/health/live")
    async def live() -> dict[str, str]:
        """Tell that the process answers: without a thread, for all of them may wait for a database that is gone."""
        return {"status": "ok"}

    @router.get("/health/ready")
    def ready() -> dict[str, str]:
        """Tell whether the database answers, takes what is stored, and has this program's schema."""
        try:
            with context.engine.connect() as connection:
                current, closed = schema.is_current(connection), only_reads(connection)
            full = is_full(context.engine)
            keyless = current and not context.keyring.is_read and _has_no_nonce_key(context)
        except (SQLAlchemyError, OSError):
            raise _not_ready("the database does not answer") from None
        if not current:
            raise _not_ready("the database has another schema: run `cradlewatch collector migrate`")
        if closed:
            raise _not_ready("the database only reads now (a standby, or set so): nothing can be stored")
        if full:
            raise _not_ready("the disk of the database is full or is only read: nothing can be stored; make room on it")
        if keyless:
            raise _not_ready(
                "the collector's key of nonces can't be read: no report can be taken in; its log says what to do"
            )
        return {"status": "ok"}

    return router


def _has_no_nonce_key(context: Context) -> bool:
    with reading(context.engine) as session:
        wrong = [error for error in unreadable_keys(session) if error.name == NONCE]
    for error in wrong:
        log.error("one of the collector's own keys can't be read", reason=str(error))
    return bool(wrong)


def _not_ready(detail: str) -> Problem:
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "10"})
