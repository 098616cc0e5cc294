"""Routes for agents: enrolment, reports, assignment, keys.

Annotations are values here: FastAPI reads them, and some are made inside a function.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from monitor.api.body import MAX_BATCH_BYTES, MAX_FORM_BYTES, MAX_SENT_BYTES, Expanded, read_body, said_size
from monitor.api.context import Context
from monitor.api.limit import FailureLimit, who_comes
from monitor.api.load import LITTLE_BYTES, Held, Load
from monitor.api.metrics import Counters
from monitor.api.problems import Problem
from monitor.api.together import AT_ONCE, Together
from monitor.collector.allowance import WAIT_SECONDS, Allowance, TooMuchError
from monitor.collector.arrival import NotProved, check_first
from monitor.collector.assignment import assignment
from monitor.collector.enrolment import Enrolled, EnrolmentError, Offer, WrongInstitution, enrol, rotate
from monitor.collector.ingest import ingest_together
from monitor.collector.nonce import new_nonce
from monitor.collector.opening import first_error
from monitor.collector.own_keys import handovers
from monitor.collector.settings import SettingsError
from monitor.collector.signed_request import Asked, who_asks
from monitor.model.envelope import MEDIA_TYPE, unframe, where_framed
from monitor.model.handover import Handovers
from monitor.model.inventory import Identifier
from monitor.model.jws import SignatureError
from monitor.model.report import Receipts
from monitor.model.signed import NONCE_HEADER, SCHEME, SIGNATURE_HEADER, request_text, sign_answer
from monitor.model.span import isoformat
from monitor.regulations.problem import PackError
from monitor.store.engine import reading

log = structlog.get_logger(__name__)

M = TypeVar("M", bound=BaseModel)

HEAD_BYTES = 4096
"""More than an envelope's header and the length before it."""

_STATUS = {"size": HTTPStatus.REQUEST_ENTITY_TOO_LARGE}


class KeyForm(BaseModel):
    """A public key and the proof that the sender has the private one. A newer agent may say more."""

    model_config = ConfigDict(extra="ignore")

    key: Annotated[dict[str, str], Field(max_length=10)]
    proof: Annotated[str, StringConstraints(max_length=2000)]


class EnrolmentForm(KeyForm):
    """What an agent sends with its one-time code."""

    code: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    agent: Identifier
    institution: Identifier | None = None
    """Of the agent's site: a code of another one is refused, and stays good."""


class EnrolmentGrant(BaseModel):
    """What an agent gets: who it is, the collector's public key, and the first nonce."""

    institution: str
    agent: str
    key: dict[str, str]
    nonce: str
    replaces_heard_at: str | None = None
    """When an agent of the same name was heard last whose key this one replaces: null when there was none."""


def _body_schema(model: type[BaseModel]) -> dict[str, Any]:
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


_ENVELOPES = {
    "requestBody": {
        "required": True,
        "description": "Envelopes as netstrings, each HEADER..SIGNATURE (RFC 7515, RFC 7797), a newline, the report.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


Take = Callable[[Request], Awaitable[Response]]


def agent_routes(context: Context, counters: Counters) -> tuple[APIRouter, Take]:
    """Return the routes that agents use, and apart from them what takes reports in."""
    router = APIRouter(prefix="/api/v1", tags=["agents"])
    _enrolment_routes(router, context, counters)
    take = _report_route(router, context, counters)
    _signed_routes(router, context, counters)
    return router, take


def _enrolment_routes(router: APIRouter, context: Context, counters: Counters) -> None:
    limit, one_at_a_time = FailureLimit(), asyncio.Lock()

    def ask_to_wait(client: str) -> None:
        if wait := limit.blocked_seconds(client, context.clock.monotonic()):
            detail = "too many codes that were not accepted; wait a minute"
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, detail, {"Retry-After": str(wait)})

    async def try_code(client: str, form: EnrolmentForm) -> Enrolled:
        ask_to_wait(client)
        try:
            return await run_in_threadpool(
                enrol, context, form.code, form.agent, Offer(form.key, form.proof), form.institution
            )
        except EnrolmentError as error:
            limit.failed(client, context.clock.monotonic())
            counters.refuse("code")
            status = HTTPStatus.CONFLICT if isinstance(error, WrongInstitution) else HTTPStatus.FORBIDDEN
            raise Problem(status, str(error)) from None

    @router.get("/ca", response_model=None)
    def ca() -> Response:
        """Return the certificate that agents pin: by its fingerprint, which the operator gives with the code."""
        try:
            found = context.settings.certificate_authority()
        except SettingsError as error:
            log.warning("ca_file can't be read", reason=str(error))
            found = None
        if found is None:
            raise Problem(HTTPStatus.NOT_FOUND, "this collector names no certificate authority of its own")
        return Response(found.pem, media_type="application/x-pem-file")

    @router.get("/handovers")
    def key_handovers() -> Handovers:
        """Return by which steps the collector's key was replaced: agents follow them from the key that they pinned."""
        with reading(context.engine) as session:
            return Handovers(handovers=handovers(session))

    @router.post(
        "/enrolments", status_code=201, response_model=EnrolmentGrant, openapi_extra=_body_schema(EnrolmentForm)
    )
    async def enrolments(request: Request) -> Any:
        """Register an agent's key by a one-time code."""
        client = who_comes(request.client.host) if request.client else ""
        ask_to_wait(client)
        form = _read(EnrolmentForm, await _form_of(request, counters.load))
        async with one_at_a_time:  # else all that guess side by side would be let in before the first one has failed
            enrolled = await try_code(client, form)
        return _grant(enrolled)


def _report_route(router: APIRouter, context: Context, counters: Counters) -> Take:
    load = counters.load
    take = partial(ingest_together, context, allowance=Allowance())
    together = Together(take, AT_ONCE[context.engine.dialect.name])

    @router.post("/reports", response_model=Receipts, openapi_extra=_ENVELOPES)
    async def reports(request: Request) -> Response:
        """Store reports; each is answered by itself, after it was stored."""
        load.ask(said_size(request))
        with load.request() as held:
            bodies = await _envelopes(context, request, counters, held)
            with load.work():
                try:
                    receipts = await together.give(bodies)
                except NotProved as error:
                    raise _refused(counters, error) from None
                except TooMuchError as error:
                    counters.refuse("flood")
                    later = {"Retry-After": str(WAIT_SECONDS)}
                    raise Problem(HTTPStatus.TOO_MANY_REQUESTS, str(error), later) from None
        counters.answered(receipts, len(bodies))
        return Response(receipts.model_dump_json(), media_type="application/json")

    return reports


def _signed_routes(router: APIRouter, context: Context, counters: Counters) -> None:
    async def asked(request: Request, body: bytes = b"") -> Asked:
        text = request_text(request.method, request.url.path, body)
        try:
            return await run_in_threadpool(who_asks, context, request.headers.get("authorization", ""), text)
        except NotProved as error:
            raise _refused(counters, error) from None

    @router.get("/agents/self/assignment", response_model=None)
    async def assigned(request: Request) -> Response:
        """Return by what the agent is judged, signed; 304 when it has it already."""
        who = await asked(request)
        try:
            found = await run_in_threadpool(assignment, context, who.identity)
        except PackError as error:
            log.warning(
                "no assignment: the pack can't be read", institution=who.identity.institution, reason=str(error)
            )
            detail = "the institution's regulation pack can't be read; the operator has to repair it"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "600"}) from None
        known = found.etag in _tags(request.headers.get("if-none-match", ""))
        body = b"" if known else json.dumps(found.body, ensure_ascii=False, separators=(",", ":")).encode()
        headers = await run_in_threadpool(_signed, context, who, found.etag, body)
        if known:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(body, headers=headers, media_type="application/json")

    @router.post(
        "/agents/self/keys", status_code=201, response_model=EnrolmentGrant, openapi_extra=_body_schema(KeyForm)
    )
    async def keys(request: Request) -> Any:
        """Register the agent's next key; the request is signed by the one before."""
        body = await _form_of(request, counters.load)
        who = await asked(request, body)
        form = _read(KeyForm, body)
        try:
            enrolled = await run_in_threadpool(
                rotate, context, who.identity, who.header.kid, Offer(form.key, form.proof)
            )
        except EnrolmentError as error:
            counters.refuse("code")
            raise Problem(HTTPStatus.FORBIDDEN, str(error)) from None
        return _grant(enrolled)


def _signed(context: Context, who: Asked, etag: str, body: bytes) -> dict[str, str]:
    """Return the headers of an answer that its reader can check, and a fresh nonce."""
    return {
        "ETag": etag,
        "Cache-Control": "private, no-cache",
        SIGNATURE_HEADER: sign_answer(context.signing(), who.header, etag, body),
        NONCE_HEADER: new_nonce(context.keys().nonce, who.identity.institution, who.identity.agent, context.now()),
    }


async def _form_of(request: Request, load: Load) -> bytes:
    """Return a form's body, from whoever it may be: within the bounds of size, time and room that hold for reports. Raises Problem."""
    with load.request() as held:
        async with held.coming():
            return await read_body(request, MAX_FORM_BYTES, held.take)


async def _check_first(context: Context, expanded: Expanded, held: Held) -> None:
    """Raises SignatureError, NotProved or Problem unless the first report of a large body is proved.

    Who is unknown is told so after the first bytes, whatever the rest would cost.
    """
    head = expanded.upto(HEAD_BYTES)
    begin, end = where_framed(head)
    held.take(end)
    await run_in_threadpool(check_first, context, head[begin:end], lambda: expanded.upto(end)[begin:])


async def _envelopes(context: Context, request: Request, counters: Counters, held: Held) -> list[bytes]:
    """Return the envelopes of a request's body, within all bounds. Raises Problem."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
        counters.refuse("form")
        detail = f"reports are sent signed, as {MEDIA_TYPE}: update the agent and enrol it again"
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, {"Accept": MEDIA_TYPE})
    try:
        async with held.coming():
            body = await read_body(request, MAX_SENT_BYTES, held.take)
        expanded = Expanded(body, request.headers.get("content-encoding", ""), MAX_BATCH_BYTES)
        if len(expanded.upto(LITTLE_BYTES + 1)) > LITTLE_BYTES:
            await _check_first(context, expanded, held)
        body = expanded.whole()
        held.take(len(body))
    except SignatureError as error:
        counters.refuse(error.reason)
        raise Problem(_STATUS.get(error.reason, HTTPStatus.UNPROCESSABLE_ENTITY), str(error)) from None
    except NotProved as error:
        raise _refused(counters, error) from None
    except Problem as error:
        if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
            raise
        counters.refuse("size" if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else "compression")
        raise
    try:
        return unframe(body)
    except SignatureError as error:
        counters.refuse(error.reason)
        raise Problem(_STATUS.get(error.reason, HTTPStatus.UNPROCESSABLE_ENTITY), str(error)) from None


def _refused(counters: Counters, error: NotProved) -> Problem:
    counters.refuse(error.reason)
    headers = {"WWW-Authenticate": SCHEME, **({} if error.nonce is None else {NONCE_HEADER: error.nonce})}
    return Problem(HTTPStatus.UNAUTHORIZED, str(error), headers)


def _grant(enrolled: Enrolled) -> EnrolmentGrant:
    return EnrolmentGrant(
        institution=enrolled.institution,
        agent=enrolled.agent,
        key=enrolled.key,
        nonce=enrolled.nonce,
        replaces_heard_at=None if enrolled.replaces_heard is None else isoformat(enrolled.replaces_heard),
    )


def _tags(header: str) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}


def _read(model: type[M], body: bytes) -> M:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        where = "" if error.errors()[0]["loc"] else "the body: "
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{where}{first_error(error)}") from None
