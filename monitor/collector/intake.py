"""Reports on their way into the store, apart by agent: each counts once, and its agent's chain grows by it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy.orm import Session

from monitor.collector.arrival import Identity, Rejected
from monitor.model.chain import Chain, ChainError, Link, Precedes, Told, check_moments
from monitor.model.span import Millis
from monitor.store.agents import KnownChain, chains_of_agents, dispute
from monitor.store.listening import order_of_moments
from monitor.store.reports import Position, Received, add_disputed, known_digests, moments_beside


def begin(session: Session, reports: Mapping[Identity, Iterable[Position]]) -> dict[Identity, Intake]:
    """Read what is known of agents and of the reports that they send; their institutions' rows are locked."""
    wanted = [
        (who.institution, who.agent, boot, sequence)
        for who, positions in reports.items()
        for boot, sequence in positions
    ]
    known: dict[Identity, dict[Position, str]] = {who: {} for who in reports}
    for (institution, agent, boot, sequence), digest in known_digests(session, wanted).items():
        known[Identity(institution, agent)][boot, sequence] = digest
    chains = chains_of_agents(session, [(who.institution, who.agent) for who in reports])
    nothing, precedes = KnownChain(Chain(), 0, None), order_of_moments(session)
    return {
        who: Intake.of(session, who, known[who], chains.get((who.institution, who.agent), nothing), precedes)
        for who in reports
    }


@dataclass
class Intake:
    """What a transaction knows of the agent, and learns from one report after the other."""

    session: Session
    identity: Identity
    known: dict[Position, str]
    """The digests of what is stored already, of what was asked for."""
    chain: Chain | None
    """None: what is kept of it can't be read. Reports are taken in all the same, and are held against each other when it is made again."""
    reports: int
    """So many of them came in before."""
    precedes: Precedes
    """By the collector's clock as it was set."""
    newly_lost: bool = False
    """These are the first reports that come in while the chain can't be read."""
    forked: bool = False
    """One of these reports continues what had been continued already."""
    disputed: list[Received] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        session: Session,
        identity: Identity,
        known: dict[Position, str],
        kept: KnownChain,
        precedes: Precedes,
    ) -> Intake:
        """Begin with what is kept of the agent's chain."""
        newly_lost = kept.chain is None and kept.lost_at is None
        return cls(session, identity, known, kept.chain, kept.reports, precedes, newly_lost)

    def take(self, received: Received, link: Link) -> Rejected | str:
        """Return "stored" for a report that is new, "had" for a copy, or why it is refused."""
        before = self.known.get(received.position)
        if before is not None:
            return self._again(received, before)
        try:
            self._grow(link)
        except ChainError as error:
            return Rejected(error.reason, str(error))
        self.known[received.position] = received.digest
        return "stored"

    def tell(self, told: Iterable[Told]) -> None:
        """Note what the agent says it had to give up: it is missing, and nobody took it."""
        ranges = list(told)
        if ranges and self.chain is not None:
            self.chain = self.chain.tell(ranges)

    def keep_disputed(self, now: Millis) -> list[Received]:
        """Keep other bytes for what is stored already, and count them; return those that weren't kept before."""
        added = add_disputed(self.session, self.disputed, now)
        if added:
            dispute(self.session, self.identity.institution, self.identity.agent, len(added))
        return added

    def _grow(self, link: Link) -> None:
        """Let the chain grow by a report. Raises ChainError."""
        link = replace(link, precedes=self.precedes)
        if self.chain is None:
            Chain().add(link, lambda _boot, _sequence: None)  # what the report alone tells of its place
            place, who = link.mark.place, self.identity
            beside = moments_beside(
                self.session, who.institution, who.agent, (place.boot, place.sequence), link.after
            )  # and what is stored beside it: else a report might be dated back that ends a chain
            check_moments(link, *beside)
            return
        grown = self.chain.add(link, self._stored)
        self.forked = self.forked or grown.fork_count > self.chain.fork_count
        self.chain = grown

    def _again(self, received: Received, before: str) -> Rejected | str:
        if before == received.digest:
            return "had"
        self.disputed.append(received)
        boot, sequence = received.position
        return Rejected("equivocation", f"report {sequence} of boot {boot} differs from the one already stored")

    def _stored(self, boot: str, sequence: int) -> str | None:
        found = self.known.get((boot, sequence))
        if found is not None:
            return found
        key = (self.identity.institution, self.identity.agent, boot, sequence)
        return known_digests(self.session, [key]).get(key)
