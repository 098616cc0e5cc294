"""How the chain of each agent's reports stands, in words."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from dashboards.web.figures import Words
from monitor.collector.restored import left_here
from monitor.model.chain import Gap
from monitor.model.span import Millis
from monitor.store.agents import AgentSummary

MOST_GAPS = 10
"""So many holes are told one by one."""


@dataclass(frozen=True)
class ChainLine:
    """One agent: what is wrong with its chain, nothing where it is whole."""

    id: str
    outcome: str
    text: str
    troubles: tuple[str, ...]


def chain_lines(
    agents: Iterable[AgentSummary], words: Words, forgotten: Collection[Millis] = frozenset()
) -> list[ChainLine]:
    """Return a line for each agent that has reported signed; `forgotten` as `forgotten_moments` returns it."""
    return [_line(agent, words, forgotten) for agent in agents if agent.chain.segments or agent.chain_lost]


def forgotten_moments(agents: Iterable[AgentSummary], listened: Callable[[Millis], bool]) -> frozenset[Millis]:
    """Return at which moments the collector gave its word, which reports carry, and knows nothing of having been there.

    Nobody else can make that word: its database was restored from a backup of before.
    """
    gaps = (gap for agent in agents for gap in _told(agent) if left_here(gap, listened))
    return frozenset(gap.nonce_at for gap in gaps if gap.nonce_at is not None)


def _told(agent: AgentSummary) -> list[Gap]:
    """Return the holes that are told one by one, the newest first."""
    return sorted(agent.chain.gaps, key=lambda gap: gap.before_at, reverse=True)[:MOST_GAPS]


def _line(agent: AgentSummary, words: Words, forgotten: Collection[Millis]) -> ChainLine:
    troubles = tuple(_troubles(agent, words, forgotten))
    outcome = "breached" if agent.state in {"forked", "disputed", "misdated"} else "undetermined" if troubles else "met"
    text = words.plural("%(count)s signed report", "%(count)s signed reports", agent.reports) % {"count": agent.reports}
    return ChainLine(agent.id, outcome, text, troubles)


def _troubles(agent: AgentSummary, words: Words, forgotten: Collection[Millis]) -> Iterable[str]:
    times = words.times
    if agent.forked_at is not None:
        text = words.translate(
            "Since %(instant)s two series of reports continue the same one: a backup of the agent was restored, or a copy of"
            " it runs. Enrol it again when it is clear which one counts."
        )
        yield text % {"instant": times.instant(agent.forked_at)}
    if agent.disputed:
        text = words.plural(
            "%(count)s report came in a second time with other content; it is kept as evidence and not counted.",
            "%(count)s reports came in a second time with other content; they are kept as evidence and not counted.",
            agent.disputed,
        )
        yield text % {"count": agent.disputed}
    if agent.misdated:
        text = words.plural(
            "%(count)s report says a time before the collector's word that it carries, or one that has not come yet: the agent's clock is wrong, or somebody dates it back. It is kept as evidence and not counted.",
            "%(count)s reports say a time before the collector's word that they carry, or one that has not come yet: the agent's clock is wrong, or somebody dates them back. They are kept as evidence and not counted.",
            agent.misdated,
        )
        yield text % {"count": agent.misdated}
    if agent.chain_lost:
        yield words.translate(
            "What the collector keeps of the series of these reports can't be read: which are missing isn't known. No report is"
            " lost by it; the operator makes it again with “cradlewatch collector agent mend”."
        )
        return
    gaps = _told(agent)
    for gap in gaps:
        values = {"count": gap.count, "until": times.instant(gap.before_at)}
        if gap.after_at is None:
            text = words.plural(
                "%(count)s report is missing before %(until)s.",
                "%(count)s reports are missing before %(until)s.",
                gap.count,
            )
        else:
            values["since"] = times.instant(gap.after_at)
            text = words.plural(
                "%(count)s report is missing from %(since)s to %(until)s.",
                "%(count)s reports are missing from %(since)s to %(until)s.",
                gap.count,
            )
        yield text % values
        if gap.nonce_at is not None and gap.nonce_at in forgotten:
            text = words.translate(
                "The next one carries what the collector told the agent at %(instant)s, and the collector knows nothing of that"
                " moment: its database was restored from a backup, and it may have lost these reports itself."
            )
            yield text % {"instant": times.instant(gap.nonce_at)}
    rest = agent.missing - sum(gap.count for gap in gaps)
    if rest > 0:
        text = words.plural("%(count)s further report is missing.", "%(count)s further reports are missing.", rest)
        yield text % {"count": rest}
    if agent.chain.dropped:
        text = words.plural(
            "%(count)s of them was given up by the agent itself: its store of unsent reports was full or damaged, or they had been refused.",
            "%(count)s of them were given up by the agent itself: its store of unsent reports was full or damaged, or they had been refused.",
            agent.chain.dropped,
        )
        yield text % {"count": agent.chain.dropped}
    if agent.chain.beginnings > 1:
        text = words.translate("The series of reports began %(count)s times: the agent lost its state in between.")
        yield text % {"count": agent.chain.beginnings}
