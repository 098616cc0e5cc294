"""What the forms on an institution's page do: an officer confirms or rejects a proposed view, or lets one settle a finding."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dashboards.web.guard import read_form, token_fits
from dashboards.web.visit import Visit
from monitor.collector.context import Context
from monitor.collector.views import NoSuchViewError, ViewMove, ViewMoveError, decide_view


class ViewMoves:
    """The address that the forms post to."""

    def __init__(self, context: Context) -> None:
        """Decide at a collector."""
        self._context = context

    async def decide(self, request: Request) -> Response:
        """POST /institutions/ID/views: the form names the proposal and the move."""
        form = await read_form(request)
        visit = await run_in_threadpool(Visit.signed_in, self._context, request)
        if visit.user is None or not token_fits(visit.secret, form.get("csrf", "")):
            raise HTTPException(403)
        try:
            move = ViewMove(form.get("move", ""))
        except ValueError:
            raise HTTPException(400) from None
        institution_id, proposal = request.path_params["id"], form.get("proposal", "")
        if "\0" in institution_id or not proposal.isascii() or not proposal.isprintable():
            raise HTTPException(400)
        try:
            view = await run_in_threadpool(
                decide_view, self._context, institution_id, proposal, move, visit.user, settles="settles" in form
            )
        except NoSuchViewError:
            raise HTTPException(404) from None
        except ViewMoveError:
            raise HTTPException(409) from None
        return RedirectResponse(f"/institutions/{institution_id}#camera-{view.camera}", 303)
