"""Puts the API together: its routes and its errors, into an application or as one of its own."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from monitor.api.agents import agent_routes
from monitor.api.context import Context
from monitor.api.metrics import Counters
from monitor.api.problems import PageError, install_problems
from monitor.api.reading import reading_routes
from monitor.api.service import service_routes
from monitor.api.views import view_routes


def new_app() -> FastAPI:
    """Return an application without routes. FastAPI's own pages of documentation load scripts from afar: they are off."""
    return FastAPI(
        title="Cradlewatch",
        version=version("cradlewatch"),
        summary="CCTV compliance of childcare institutions: reports in, findings out",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )


def install(app: FastAPI, context: Context, page_error: PageError | None = None) -> None:
    """Add the API to an application. Errors outside the API are answered by `page_error`, where it is given."""
    app.state.context = context
    metrics = CollectorRegistry()
    counters = app.state.counters = Counters(metrics)
    routers = (
        agent_routes(context, counters),
        reading_routes(context),
        view_routes(context),
        service_routes(context, metrics),
    )
    for router in routers:
        app.include_router(router)
    install_problems(app, page_error)


def build_api(context: Context) -> FastAPI:
    """Return the API as an application of its own."""
    app = new_app()
    install(app, context)
    return app
