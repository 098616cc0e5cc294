"""Routes for the views that sites propose: what there is, and an officer's word on it.

Annotations are values here: FastAPI reads them.
"""

import re
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from monitor.api.auth import Officer, reader
from monitor.api.body import MAX_FORM_BYTES, read_body
from monitor.api.context import Context
from monitor.api.problems import Problem
from monitor.collector.opening import first_error
from monitor.collector.views import NoSuchViewError, ViewMove, ViewMoveError, decide_view
from monitor.model.span import isoformat
from monitor.store import registry, views
from monitor.store.engine import reading

_PROPOSAL = re.compile(r"sha256:[0-9a-f]{64}")
_INSTITUTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class ViewMoveForm(BaseModel):
    """What an officer decides on a proposed view."""

    model_config = ConfigDict(extra="forbid")

    move: ViewMove
    settles: Annotated[bool, Field(description="With confirm: faults found against earlier views are over.")] = False


def view_routes(context: Context) -> APIRouter:
    """Return the routes for views."""
    router = APIRouter(prefix="/api/v1/institutions/{institution_id}/views", tags=["views"])

    @router.get("", dependencies=[Depends(reader)])
    def listed(institution_id: str) -> dict[str, Any]:
        """Return the views in force and those that wait for an officer: sketches, never pictures."""
        with reading(context.engine) as session:
            known = _INSTITUTION.fullmatch(institution_id) and registry.institution(session, institution_id)
            if not known:
                raise Problem(HTTPStatus.NOT_FOUND, "there is no such institution")
            items = [item.to_json() for item in views.listed(session, institution_id)]
        return {
            "schema": "cradlewatch.views/1",
            "as_of": isoformat(context.now()),
            "institution": institution_id,
            "items": items,
            "next": None,
        }

    @router.post(
        "/{proposal_id}/moves",
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": ViewMoveForm.model_json_schema()}},
            }
        },
    )
    async def decided(institution_id: str, proposal_id: str, request: Request, officer: Officer) -> dict[str, Any]:
        """Confirm or reject a proposed view, or say that a confirmed one settles what was found against earlier ones."""
        try:
            form = ViewMoveForm.model_validate_json(await read_body(request, MAX_FORM_BYTES))
        except ValidationError as error:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, first_error(error)) from None
        if not _INSTITUTION.fullmatch(institution_id) or not _PROPOSAL.fullmatch(proposal_id):
            raise Problem(HTTPStatus.NOT_FOUND, "there is no such proposed view")
        try:
            view = await run_in_threadpool(
                decide_view, context, institution_id, proposal_id, form.move, officer, settles=form.settles
            )
        except NoSuchViewError as error:
            raise Problem(HTTPStatus.NOT_FOUND, str(error)) from None
        except ViewMoveError as error:
            raise Problem(HTTPStatus.CONFLICT, str(error)) from None
        return view.to_json()

    return router
