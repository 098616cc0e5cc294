"""Makes an agent's chain again from its stored reports, which are signed: what is kept of it is a row that can be spoilt."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from monitor.collector.context import Context
from monitor.collector.nonce import nonce_moment
from monitor.collector.opening import given_up
from monitor.collector.own_keys import stored_nonce_key
from monitor.model.chain import Chain, ChainError, Link, Mark
from monitor.model.jws import SignatureError
from monitor.model.observation import Kind
from monitor.model.report import Report
from monitor.model.span import Millis
from monitor.store.agents import AgentSummary, agents_of, hold_agent, replace_chain
from monitor.store.engine import snapshot, writing
from monitor.store.keys import proved, readable_keys
from monitor.store.listening import order_of_moments
from monitor.store.reports import Position, StoredReport, Turn, came_before, in_turn

_DROPPED = f'"{Kind.DROPPED.value}"'.encode()
"""What stands in each report that says what the agent had to give up: the others needn't be read for it."""


class MendError(ValueError):
    """A chain that can't be made again; the sentence says why."""


@dataclass(frozen=True)
class Mended:
    """How an agent stands after its chain was made again."""

    agent: AgentSummary
    reports: int
    """So many are in the chain."""
    left_out: int
    """So many aren't, for their signature doesn't hold: a check names them."""
    out_of_order: tuple[Position, ...] = ()
    """Their nonces don't fit between those of the reports beside them: one of these was dated back while nobody could tell."""


def mend_chain(context: Context, institution: str, agent: str) -> Mended:
    """Make an agent's chain again from the reports whose signatures hold, in the order in which they came in.

    Most of it is done while others go on coming in; what came in meanwhile is added while nobody else adds to them. A fork
    since the agent was enrolled is noted where it isn't yet, and so is a report that is out of order. Raises MendError.
    """
    again = _Again(institution, agent)
    with snapshot(context.engine) as session:
        _agent(session, institution, agent)
        again.follow(session)
    with writing(context.engine) as session:
        hold_agent(session, institution, agent)
        before = _agent(session, institution, agent)
        again.follow(session)
        replace_chain(session, institution, agent, again.chain, again.forked_since(before.enrolled_at))
        found = _agent(session, institution, agent)
    return Mended(found, again.linked, again.left_out, tuple(again.out_of_order))


def _agent(session: Session, institution: str, agent: str) -> AgentSummary:
    found = next((item for item in agents_of(session, institution) if item.id == agent), None)
    if found is None:
        raise MendError(f"{institution} has no agent {agent}")
    return found


@dataclass
class _Again:
    """A chain that is made again, up to one of the agent's reports."""

    institution: str
    agent: str
    chain: Chain = field(default_factory=Chain)
    linked: int = 0
    left_out: int = 0
    out_of_order: list[Position] = field(default_factory=list)
    _upto: Turn | None = None
    _forked: list[Millis] = field(default_factory=list)
    """When reports came in that follow what another one follows, or are out of order."""

    def follow(self, session: Session) -> None:
        """Add what came in since."""
        keys, _ = readable_keys(session, self.institution, self.agent)
        secret, precedes = stored_nonce_key(session), order_of_moments(session)
        for row in in_turn(session, self.institution, self.agent, self._upto):
            self._upto = row.turn
            if row.key_id is None:
                continue  # it came before there were signatures, and says nothing of a chain
            try:
                envelope = proved(row.envelope, keys)
            except SignatureError:
                self.left_out += 1
                continue
            header = envelope.protected
            if (header.institution, header.agent, header.boot, header.sequence) != (
                self.institution, self.agent, *row.position,
            ):  # fmt: skip
                self.left_out += 1
                continue
            nonce_at = None if secret is None else nonce_moment(secret, self.institution, self.agent, header.nonce)
            mark = Mark(
                place=envelope.place,
                nonce_at=(row.nonce_at or 0) if nonce_at is None else nonce_at,
                written_at=header.written_at,
            )
            self._add(session, row, Link(header.after, mark, row.received_at, precedes), envelope.payload)

    def _add(self, session: Session, row: StoredReport, link: Link, payload: bytes) -> None:
        forks = self.chain.fork_count

        def stored(boot: str, sequence: int) -> str | None:
            return came_before(session, self.institution, self.agent, (boot, sequence), row.turn)

        try:
            self.chain.check_order(link)
        except ChainError:
            self.out_of_order.append(row.position)
            self._forked.append(row.received_at)
        self.chain = self.chain.add(link, stored, taken=True)
        self.linked += 1
        if self.chain.fork_count > forks:
            self._forked.append(row.received_at)
        if _DROPPED in payload:
            try:
                self.chain = self.chain.tell(given_up(Report.from_bytes(payload)))
            except ValueError:
                return  # its bytes are the agent's, and this version can't read them: a check says so

    def forked_since(self, enrolled_at: Millis) -> Millis | None:
        """Return when it forked first since the agent was enrolled last; None where it didn't."""
        return next((at for at in self._forked if at > enrolled_at), None)
