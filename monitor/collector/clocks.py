"""The centre's clock beside those of its agents: it has no better one to go by, so that of many decides."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from statistics import median

import structlog
from sqlalchemy.orm import Session

from monitor.collector.context import Context
from monitor.model.span import MINUTE, SECOND, Millis
from monitor.store import clocks
from monitor.store.engine import reading, writing

log = structlog.get_logger(__name__)

FRESH: Millis = 10 * MINUTE
"""A report whose nonce is older says too little of when it was written, and a comparison that is older too little of now."""
ENOUGH = 3
"""So many agents decide; fewer can't outvote the centre."""
DISAGREES: Millis = MINUTE
"""By so much the median may be off."""
NOTED_FOR: Millis = 2 * MINUTE
"""A note that the clocks disagree holds for so long unless it is repeated."""
PATIENCE: Millis = 2 * FRESH
"""So long a report waits for other agents to be heard. Whoever is there has been by then, also after an outage in which all drew back."""


class Standing(Enum):
    """How the centre's clock stands."""

    CONFIRMED = "confirmed"
    """Its agents agree with it, or they are too few to say anything else."""
    DISPUTED = "disputed"
    """The median of its agents is another time."""
    UNSURE = "unsure"
    """Enough agents are there, and too few have been heard lately."""


@dataclass(frozen=True)
class Comparison:
    """The agents' clocks minus the centre's, by those heard lately."""

    agents: int
    offset: Millis | None
    """The median; None with too few of them."""
    standing: Standing


def offset_of(nonce_at: Millis, written_at: Millis, now: Millis) -> Millis | None:
    """Return by how much at least an agent's clock is off, 0 when it may be right; None where a report can't tell."""
    if now < nonce_at:
        # The centre's own clock went back: it gave that nonce at a later moment, and who wrote since may be behind by anything.
        return written_at - now if written_at > now else None
    if now - nonce_at > FRESH:
        return None
    return max(0, written_at - now) + min(0, written_at - nonce_at)


def compare(session: Session, now: Millis) -> Comparison:
    """Compare the centre's clock with its agents'."""
    offsets = clocks.offsets_since(session, now - FRESH, now)
    if len(offsets) < ENOUGH:
        few = clocks.count_agents(session) < ENOUGH
        return Comparison(len(offsets), None, Standing.CONFIRMED if few else Standing.UNSURE)
    middle = round(median(offsets))
    return Comparison(len(offsets), middle, Standing.DISPUTED if abs(middle) > DISAGREES else Standing.CONFIRMED)


def has_waited(session: Session, now: Millis) -> bool:
    """Note that a report waits for other agents to be heard; tell whether that has lasted so long that none will be.

    Those who are silent for good don't outvote the centre: it is believed as where there are fewer than three.
    """
    return now - clocks.note_wait(session, now, FRESH) >= PATIENCE


def agree(session: Session, now: Millis) -> bool:
    """Tell whether those of the agents that were heard lately agree with the centre's clock, and are enough, or all there will be."""
    offsets = clocks.offsets_since(session, now - FRESH, now)
    if not offsets or abs(median(offsets)) > DISAGREES:
        return False
    return len(offsets) >= min(ENOUGH, clocks.count_agents(session)) or has_waited(session, now)


def is_settled(session: Session, now: Millis) -> bool:
    """Tell whether the centre's clock, which lies behind what it had shown, is the one to go by now.

    Its agents say so. Where nobody can tell it is believed once that has lasted: a clock that comes up behind, and is set by
    a server of time some minutes later, was not set right when it went back.
    """
    if not clocks.count_agents(session) or agree(session, now):
        return True
    return compare(session, now).standing is not Standing.DISPUTED and has_waited(session, now)


def note_clocks(context: Context) -> int:
    """Note whether the clocks disagree now; return 1 when they do. A job."""
    now = context.now()
    with reading(context.engine) as session:
        found = compare(session, now)
        lapsed = clocks.is_any_dispute_after(session, now)
    if found.offset is None:
        return 0
    if found.standing is not Standing.DISPUTED:
        if lapsed:
            with writing(context.engine) as session:
                clocks.forget_disputes_after(session, now)
        return 0
    log.error(
        "the collector's clock and the median of its agents' disagree: set it; findings about clocks wait",
        seconds=found.offset / SECOND,
        agents=found.agents,
    )
    with writing(context.engine) as session:
        clocks.note_dispute(session, now, NOTED_FOR)
    return 1
