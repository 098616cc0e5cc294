"""What is to be done again and again: evaluations and silences that are due, notices. Any number of processes may."""

from __future__ import annotations

from functools import partial

import structlog

from monitor.collector.clocks import is_settled, note_clocks
from monitor.collector.context import Context
from monitor.collector.evaluate import evaluate
from monitor.collector.notify import LONGEST_WAIT, send_notices
from monitor.model.span import MINUTE, SECOND, Millis
from monitor.regulations.problem import PackError
from monitor.store import agents, evaluations, notices
from monitor.store.engine import reading, writing
from monitor.store.evaluated import CLOCK_SET, void_evaluated
from monitor.store.findings import began_by
from monitor.store.ledger import told_until
from monitor.store.listening import listens
from monitor.store.verdicts import looked_by

__all__ = ["bring_back", "evaluate_due", "note_clocks", "note_listening", "send_notices", "wake_silent"]

log = structlog.get_logger(__name__)

AFTER_FAILURE: Millis = 5 * MINUTE
"""When an evaluation that failed is tried again."""


LONG_SECONDS = 1.0
SHARE = 50
LONGEST_REST = 5
WAITED_SHARE = 0.1
"""Evaluations that take a second of a processor or more take a fiftieth of one, however much was told of an institution: they are made less often,
so that the others are judged in time. Of the time that one takes by the clock a tenth counts at least: what it waits for may be the database, which is at it alone, and
the others wait as long; a machine that is busy with other things is nobody's fault. But they are made at least as often as those that fail are
tried, and at each fifth interval where that is sooner, so that nobody is lost sight of: who judges each two seconds (the demo) looks at what happens within a minute, on a machine that may be busy."""


APART: Millis = MINUTE
"""So far may the clocks of the collector's machines be apart."""


def bring_back(context: Context) -> int:
    """Bring back what a clock that was ahead, and has been set back since, put into the future; return how much.

    Else nothing would be judged, nobody be silent and nobody be told until then, and what is seen now would be dropped
    beside what was seen later. But a clock that is wrong since it was set back, as that of a machine whose battery is dead,
    moves nothing: what it would move is right, and would be another case once the clock is set.
    """
    now = context.now()
    due_latest = now + max(context.settings.evaluate_every, AFTER_FAILURE) + APART
    owed_latest = now + LONGEST_WAIT + APART
    # Whoever was evaluated is due again, be it then: where nobody is, nothing is scanned for nothing.
    with reading(context.engine) as session:
        if not evaluations.is_any_due_after(session, due_latest) and not notices.is_any_due_after(session, owed_latest):
            return 0
    with writing(context.engine) as session:
        if not is_settled(session, now):
            return 0
    with writing(context.engine) as session:
        due = evaluations.due_by(session, now, due_latest)
        for institution_id in due:
            if by := looked_by(session, institution_id, now, now + APART):
                began_by(session, institution_id, now, now + APART, by, told_until(session, institution_id))
                void_evaluated(session, institution_id, CLOCK_SET)
        heard = agents.heard_by(session, now, now + APART)
        owed = notices.tried_by(session, now, owed_latest)
    log.warning("the collector's clock was set back", evaluations=len(due), agents=heard, notices=owed)
    return len(due) + heard + owed


def evaluate_due(context: Context, limit: int = 100) -> int:
    """Evaluate the institutions that are due, the longest due first; return how many were.

    Each is claimed by moving its due date, so that processes side by side share the work. A failure (a pack that
    can't be read, facts that nobody foresaw) is logged and keeps nobody else waiting.
    """
    with reading(context.engine) as session:
        due = evaluations.due_evaluations(session, context.now(), limit)
    return sum(_evaluate(context, institution_id, at) for institution_id, at in due)


def _evaluate(context: Context, institution_id: str, due: Millis) -> bool:
    began, worked = context.clock.monotonic(), context.clock.worked()
    until = context.now() + context.settings.evaluate_every
    claim = partial(evaluations.claim, institution_id=institution_id, due=due, until=until)
    try:
        evaluated = evaluate(context, institution_id, hold=claim) is not None
    except PackError as error:
        log.warning("institution not evaluated: its pack can't be read", institution=institution_id, reason=str(error))
    except Exception:
        log.exception("institution not evaluated", institution=institution_id)
    else:
        took = context.clock.monotonic() - began
        _rest(context, institution_id, until, max(context.clock.worked() - worked, WAITED_SHARE * took))
        return evaluated
    again = max(until, context.now() + AFTER_FAILURE)
    with writing(context.engine) as session:
        if not evaluations.claim(session, institution_id, until, again):
            evaluations.claim(session, institution_id, due, again)  # it failed while it was being taken on
    return False


def _rest(context: Context, institution_id: str, due: Millis, took: float) -> None:
    """Put off an institution's next evaluation where the last one took so many seconds that they would take more than their share."""
    if took < LONG_SECONDS:
        return
    longest = min(AFTER_FAILURE, LONGEST_REST * context.settings.evaluate_every)
    again = context.now() + min(round(SHARE * took * SECOND), longest)
    if again <= due:
        return
    with writing(context.engine) as session:
        evaluations.claim(session, institution_id, due, again)
    log.warning(
        "an evaluation took long, and the next one is put off: is far more told of this institution than of others?",
        institution=institution_id,
        seconds=round(took, 1),
    )


def wake_silent(context: Context) -> int:
    """Make the evaluation due of every institution with an agent whose silence is due; return how many agents."""
    now = context.now()
    with reading(context.engine) as session:
        due = agents.due_silences(session, now)
    woken = 0
    for institution_id, agent_id, at in due:
        with writing(context.engine) as session:
            woken += agents.fall_silent(session, institution_id, agent_id, at, now)
    return woken


def note_listening(context: Context) -> int:
    """Note that the collector can be reached now: its own absence must not look like everybody's silence."""
    with writing(context.engine) as session:
        listens(session, context.now())
    return 1
