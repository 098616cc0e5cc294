"""Routes for agents: enrolment, reports, assignment.

Annotations are values here: FastAPI reads `Agent`, which is made inside a function.
"""

from http import HTTPStatus
from typing import Annotated, Any, TypeVar

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from monitor.api.auth import Agent
from monitor.api.body import MAX_BATCH_BYTES, MAX_FORM_BYTES, read_body
from monitor.api.context import Context
from monitor.api.limit import FailureLimit
from monitor.api.metrics import Counters
from monitor.api.problems import Problem
from monitor.collector.assignment import assignment
from monitor.collector.enrolment import Enrolled, EnrolmentError, exchange
from monitor.collector.ingest import first_error, ingest
from monitor.model.inventory import Identifier
from monitor.model.report import Batch, Receipts
from monitor.regulations.problem import PackError

log = structlog.get_logger(__name__)

M = TypeVar("M", bound=BaseModel)


class EnrolmentForm(BaseModel):
    """What an agent sends for its token. A newer agent may say more."""

    model_config = ConfigDict(extra="ignore")

    code: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    agent: Identifier


class EnrolmentGrant(BaseModel):
    """What an agent gets for its code."""

    institution: str
    agent: str
    token: str


def _body_schema(model: type[BaseModel]) -> dict[str, Any]:
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


def agent_routes(context: Context, counters: Counters) -> APIRouter:
    """Return the routes that agents use."""
    router = APIRouter(prefix="/api/v1", tags=["agents"])
    limit = FailureLimit()

    @router.post(
        "/enrolments", status_code=201, response_model=EnrolmentGrant, openapi_extra=_body_schema(EnrolmentForm)
    )
    async def enrol(request: Request) -> Any:
        """Exchange a one-time code for an agent's token."""
        client = request.client.host if request.client else ""
        now = context.clock.monotonic()
        if wait := limit.blocked_seconds(client, now):
            detail = "too many codes that were not accepted; wait a minute"
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, detail, {"Retry-After": str(wait)})
        form = _read(EnrolmentForm, await read_body(request, MAX_FORM_BYTES))
        try:
            enrolled: Enrolled = await run_in_threadpool(exchange, context, form.code, form.agent)
        except EnrolmentError as error:
            limit.failed(client, now)
            raise Problem(HTTPStatus.FORBIDDEN, str(error)) from None
        return EnrolmentGrant(**enrolled.__dict__)

    @router.post("/reports", response_model=Receipts, openapi_extra=_body_schema(Batch))
    async def reports(request: Request, agent: Agent) -> Any:
        """Store reports; each is answered by itself, after it was stored."""
        batch = _read(Batch, await read_body(request, MAX_BATCH_BYTES))
        receipts = await run_in_threadpool(ingest, context, agent, batch)
        counters.answered(receipts)
        return Response(receipts.model_dump_json(), media_type="application/json")

    @router.get("/agents/self/assignment", response_model=None)
    def assigned(request: Request, agent: Agent) -> Response:
        """Return by what the agent is judged; 304 when it has it already."""
        try:
            found = assignment(context, agent)
        except PackError as error:
            log.warning("no assignment: the pack can't be read", institution=agent.institution, reason=str(error))
            detail = "the institution's regulation pack can't be read; the operator has to repair it"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "600"}) from None
        headers = {"ETag": found.etag, "Cache-Control": "private, no-cache"}
        if found.etag in _tags(request.headers.get("if-none-match", "")):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return JSONResponse(found.body, headers=headers)

    return router


def _tags(header: str) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}


def _read(model: type[M], body: bytes) -> M:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, first_error(error)) from None
