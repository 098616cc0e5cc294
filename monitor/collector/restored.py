"""Holes in agents' chains that a restored database of the collector's left, told from those that a site left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from sqlalchemy.orm import Session

from monitor.model.chain import Chain, Gap
from monitor.model.span import Millis, isoformat
from monitor.store.agents import AgentSummary
from monitor.store.listening import listened, listened_at

Listened = Callable[[Millis], bool]


def left_here(gap: Gap, told: Listened) -> bool:
    """Tell whether the report after a hole carries the collector's word of a moment of which its database knows nothing.

    Nobody else can give that word: the database was restored from a backup of before, and may have lost these itself.
    """
    return gap.nonce_at is not None and not told(gap.nonce_at)


def lost_here(session: Session, agents: Iterable[AgentSummary]) -> Iterator[tuple[AgentSummary, list[Gap]]]:
    """Give the agents of whose reports a restored database lost some, with those holes."""
    told = listened(session)
    for agent in agents:
        gaps = [gap for gap in agent.chain.gaps if left_here(gap, told)] if agent.missing else []
        if gaps:
            yield agent, gaps


def lost_before(session: Session, chain: Chain, moments: Collection[Millis]) -> list[Gap]:
    """Return such holes before reports that have just come in, by the moments of the words that these carry."""
    return [
        gap for gap in chain.gaps if gap.nonce_at in moments and left_here(gap, lambda at: listened_at(session, at))
    ]


def sentence(gap: Gap) -> str:
    """Say what an operator has to know of such a hole."""
    word = "" if gap.nonce_at is None else isoformat(gap.nonce_at)
    return (
        f"the next report carries what this collector told the agent at {word}, and its database knows nothing of that moment:"
        " it was restored from a backup, and may have lost these reports itself"
    )
