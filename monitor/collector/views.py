"""An officer's word on the views that sites propose: confirmed, rejected, or settling what was found against older ones."""

from __future__ import annotations

from enum import StrEnum

import structlog

from monitor.collector.context import Context
from monitor.store import evaluations, registry, views
from monitor.store.engine import writing
from monitor.store.views import Decision, ProposedView

log = structlog.get_logger(__name__)


class ViewMove(StrEnum):
    """What can be decided on a view."""

    CONFIRM = "confirm"
    REJECT = "reject"
    SETTLE = "settle"
    """The faults that were found against earlier views are over by this one, which is confirmed."""


class ViewMoveError(ValueError):
    """A decision that can't be made; the sentence says why."""


class NoSuchViewError(ViewMoveError):
    """There is no such proposal."""


def decide_view(
    context: Context, institution_id: str, proposal_id: str, move: ViewMove, by: str, *, settles: bool = False
) -> ProposedView:
    """Decide on a proposed view in the name of `by`; return it with the decision. The agent hears of it in time.

    Confirming alone closes no finding: `settles` (or the move `settle`, later) says that what was found against the
    view before is over. Raises ViewMoveError; NoSuchViewError when there is nothing to decide on.
    """
    now = context.now()
    with writing(context.engine) as session:
        if registry.institution(session, institution_id) is None:
            raise NoSuchViewError("there is no such institution")
        evaluations.make_due(session, institution_id, now)  # holds its row: nobody else decides meanwhile
        found = views.proposed(session, institution_id, [proposal_id])
        if not found:
            raise NoSuchViewError("there is no such proposed view")
        view = found[0]
        if move is ViewMove.SETTLE:
            if not views.settle(session, institution_id, view.id, now, by):
                raise ViewMoveError("only a confirmed view settles anything, and only once")
        elif view.decision is not None:
            raise ViewMoveError("somebody has decided on this view already: a newer one can be proposed on site")
        else:
            confirmed = move is ViewMove.CONFIRM
            settled = (now, by) if confirmed and settles else (None, None)
            proposal = view.proposal
            decision = Decision(view.camera, proposal.light, proposal.view, confirmed, now, by, *settled)
            views.decide(session, institution_id, view.id, decision)
        (after,) = views.proposed(session, institution_id, [proposal_id])
    log.info("view decided", institution=institution_id, camera=view.camera, move=move.value, by=by, settles=settles)
    return after
