"""Puts the API together: its routes and its errors, into an application or as one of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry
from starlette.types import Receive, Scope, Send

from monitor.api.agents import Take, agent_routes
from monitor.api.context import Context
from monitor.api.metrics import Counters
from monitor.api.problems import PageError, install_problems, response_to
from monitor.api.reading import reading_routes
from monitor.api.service import service_routes
from monitor.api.views import view_routes

REPORTS = "/api/v1/reports"


class Api(FastAPI):
    """The application; reports go in by a door of their own, since the way to a route costs as much as storing one."""

    take_reports: Take | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        take = self.take_reports
        if take is None or scope["type"] != "http" or (scope["method"], scope["path"]) != ("POST", REPORTS):
            await super().__call__(scope, receive, send)
            return
        try:
            response = await take(Request(scope, receive))
        except Exception as error:  # noqa: BLE001  (the last one that can answer)
            response = response_to(REPORTS, error)
        await response(scope, receive, send)


@asynccontextmanager
async def _to_the_server(app: FastAPI) -> AsyncIterator[dict[str, object]]:
    """Show the server what is in the works, as the lifespan's state: it turns those away whom it need not even let in."""
    yield {"load": app.state.counters.load}


def new_app() -> Api:
    """Return an application without routes. FastAPI's own pages of documentation load scripts from afar: they are off."""
    return Api(
        title="Cradlewatch",
        version=version("cradlewatch"),
        summary="CCTV compliance of childcare institutions: reports in, findings out",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        lifespan=_to_the_server,
    )


def install(app: Api, context: Context, page_error: PageError | None = None) -> None:
    """Add the API to an application. Errors outside the API are answered by `page_error`, where it is given."""
    app.state.context = context
    metrics = CollectorRegistry()
    counters = app.state.counters = Counters(metrics)
    agents, app.take_reports = agent_routes(context, counters)
    routers = (
        agents,
        reading_routes(context),
        view_routes(context),
        service_routes(context, metrics),
    )
    for router in routers:
        app.include_router(router)
    install_problems(app, page_error)


def build_api(context: Context) -> Api:
    """Return the API as an application of its own."""
    app = new_app()
    install(app, context)
    return app
