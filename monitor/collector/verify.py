"""Checks what is stored against itself: every signature, every link, every row of the ledger and every verdict, from the stored bytes."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import itemgetter

from sqlalchemy.orm import Session

from monitor.collector.context import Context
from monitor.collector.nonce import nonce_moment
from monitor.collector.own_keys import stored_nonce_key
from monitor.collector.verify_chain import ChainBeside
from monitor.collector.verify_findings import FindingsChecked, check_findings
from monitor.collector.verify_journal import JournalChecked, check_journal
from monitor.collector.verify_verdicts import VerdictsChecked, check_verdicts
from monitor.model.envelope import Envelope, Place
from monitor.model.jws import SignatureError
from monitor.model.numbers import Numbers
from monitor.model.report import Report, is_misdated
from monitor.model.span import isoformat
from monitor.store import registry
from monitor.store.agents import AgentSummary, agents_of
from monitor.store.engine import snapshot
from monitor.store.evaluated import kept_evaluated
from monitor.store.keys import AgentKey, proved, readable_keys
from monitor.store.ledger import Entry
from monitor.store.rebuilt import Difference, Rebuilt, moment, rebuilding
from monitor.store.reports import (
    DisputedReport,
    Position,
    StoredReport,
    arrivals,
    disputed_reports,
    reporting_agents,
    stored_reports,
)

MOST_NAMED = 100
"""So many rows of one ledger are named; all are counted."""
_REPORTS_AT_ONCE = 200
_FEW = 5


@dataclass
class Checked:
    """How an agent's stored reports were found."""

    institution: str
    agent: str
    reports: int = 0
    unsigned: int = 0
    """They came before there were signatures: nothing can be checked of them."""
    problems: list[str] = field(default_factory=list)
    """One sentence each, naming the row."""


@dataclass
class LedgerChecked:
    """How an institution's ledger was found, beside what its stored reports say."""

    rows: int = 0
    differing: int = 0
    """Rows that are not what the reports say, added ones and dropped ones too."""
    problems: list[str] = field(default_factory=list)
    """One sentence each, naming the row and the report, for the first of them."""


@dataclass
class Verified:
    """How what is stored of an institution was found."""

    institution: str
    agents: list[Checked]
    ledger: LedgerChecked
    findings: FindingsChecked
    journal: JournalChecked
    verdicts: VerdictsChecked

    @property
    def problems(self) -> list[str]:
        """All sentences."""
        agents = [text for item in self.agents for text in item.problems]
        rest = self.findings.problems + self.journal.problems + self.verdicts.problems
        return agents + self.ledger.problems + rest


Progress = Callable[[str], None]
"""Is told, again and again, how far a check is."""


def _silent(_said: str) -> None: ...


def verify_institution(context: Context, institution: str, progress: Progress = _silent) -> Verified:
    """Check the stored reports of an institution's agents, and its ledger and its newest evaluation by them. Nothing is changed.

    The ledger is made again in a temporary file: memory doesn't grow with it.
    """
    with snapshot(context.engine) as session, rebuilding(institution) as rebuilt:
        found: list[Checked] = []
        nonce_key = stored_nonce_key(session)
        enrolled = agents_of(session, institution)
        kept = kept_evaluated(session, institution)
        had = None if kept is None or kept.evaluated is None else kept.evaluated.reports
        far = _Far(progress, institution, sum(agent.reports for agent in enrolled))
        for name in sorted(reporting_agents(session, institution) - {agent.id for agent in enrolled}):
            text = f"agent {name} is gone: reports of it are stored"
            found.append(Checked(institution, name, problems=[text]))
        for agent in enrolled:
            keys, others = readable_keys(session, institution, agent.id)
            rows = stored_reports(session, institution, agent.id)
            telling = _Telling(rebuilt, agent.id, None if had is None else had.get(agent.id, 0), far)
            found.append(_verify(agent, keys, rows, nonce_key, telling))
            found[-1].problems += _arrival_problems(session, found[-1], telling.arrivals)
            found[-1].problems += [f"its key {item} is not what its id says: it was edited" for item in others]
            found[-1].problems += _disputed_problems(agent, keys, disputed_reports(session, institution, agent.id))
        journal = check_journal(session, institution)
        far.say("its newest evaluation is made again")
        whole = not any(item.problems for item in found) and not journal.problems
        for checked, agent in zip(found[-len(enrolled) :], enrolled, strict=False):
            checked.problems += _lost_chain_problems(agent)  # no report is another one for it, and no verdict
        verdicts = check_verdicts(session, rebuilt, institution, kept, enrolled, whole=whole)
        rebuilt.add_late()
        far.say("its ledger is compared")
        ledger = LedgerChecked(rebuilt.hold(session))
        for item in rebuilt.differences():
            ledger.differing += 1
            if ledger.differing <= MOST_NAMED:
                ledger.problems.append(_sentence(institution, item))
        findings = check_findings(session, institution, context.packs)
        if not registry.is_known(session, institution):
            findings.problems.append(f"{institution} is gone from the register: what was stored of it is there")
    return Verified(institution, found, ledger, findings, journal, verdicts)


@dataclass
class _Far:
    """How many of an institution's reports have been checked."""

    progress: Progress
    institution: str
    reports: int
    """All of them."""
    done: int = 0

    def checked(self, count: int) -> None:
        """Note that so many more have been."""
        self.done += count
        self.say(f"{self.done:,} of {self.reports:,} reports are checked")

    def say(self, said: str) -> None:
        """Say how far it is."""
        self.progress(f"{self.institution}: {said}")


@dataclass
class _Telling:
    """Hands on what an agent's reports tell, some reports at a time."""

    rebuilt: Rebuilt
    agent: str
    had: int | None
    """So many of its reports had come in when its institution was evaluated last; None: that isn't known."""
    far: _Far
    arrivals: array[int] = field(default_factory=lambda: array("q"))
    """The how-many-eth each report was."""
    _links: list[tuple[Position, str, Place | None]] = field(default_factory=list)
    _entries: list[tuple[Position, list[Entry]]] = field(default_factory=list)
    _late: list[tuple[Position, list[Entry]]] = field(default_factory=list)
    _count: int = 0

    def take(self, row: StoredReport) -> None:
        """Note that a report is checked now."""
        self.arrivals.append(row.arrival)
        self._count += 1
        if self._count >= _REPORTS_AT_ONCE:
            self.hand_on()

    def link(self, row: StoredReport, after: Place | None) -> None:
        """Take where a report stands, and what it follows."""
        self._links.append((row.position, row.digest, after))

    def tell(self, row: StoredReport, report: Report) -> None:
        """Take a report that counts. Raises ValueError when it can't be written down."""
        is_late = self.had is not None and row.arrival > self.had
        told = self._late if is_late else self._entries
        told.append((row.position, [Entry.of(item) for item in report.observations]))

    def hand_on(self) -> None:
        """Hand on what waits."""
        self.rebuilt.link(self.agent, self._links)
        self.rebuilt.add(self.agent, self._entries)
        self.rebuilt.put_off(self.agent, self._late)
        self.far.checked(self._count)
        self._links, self._entries, self._late, self._count = [], [], [], 0


def _sentence(institution: str, item: Difference) -> str:
    by = "no stored report"
    if item.told_by is not None:
        agent, position = item.told_by
        by = f"{_name(position)} of agent {agent}"
    if item.what == "dropped":
        return f"{institution}: {item.row} is gone: {by} tells it"
    if item.what == "added":
        return f"{institution}: {item.row} was added: {by} tells it" + (" so" if item.told_by else "")
    return f"{institution}: {item.row} has another {' and another '.join(item.columns)} than {by} tells"


def _verify(
    agent: AgentSummary,
    keys: Mapping[str, AgentKey],
    rows: Iterable[StoredReport],
    secret: bytes | None,
    telling: _Telling,
) -> Checked:
    checked = Checked(agent.institution, agent.id)
    beside = ChainBeside(agent)
    misdated = 0
    for row in rows:
        checked.reports += 1
        telling.take(row)
        misdated += row.doubt is not None
        if row.key_id is None:
            checked.unsigned += 1
            checked.problems += _tell(telling, row, row.envelope, ChainBeside(agent))
            continue
        try:
            envelope = proved(row.envelope, keys)
        except SignatureError as error:
            checked.problems.append(f"{_name(row.position)}: {error}")
            telling.link(row, None)
            continue
        telling.link(row, envelope.protected.after)
        beside.link(row, envelope)
        checked.problems += [f"{_name(row.position)}: {text}" for text in _row_problems(row, envelope, agent, secret)]
        if (envelope.protected.institution, envelope.protected.agent) == (agent.institution, agent.id):
            checked.problems += _tell(telling, row, envelope.payload, beside)
    telling.hand_on()
    checked.problems += _link_problems(agent, telling.rebuilt)
    if not agent.chain_lost:
        checked.problems += _chain_problems(agent, checked.reports - checked.unsigned, telling.rebuilt)
    if checked.reports != agent.reports:
        checked.problems.append(f"{agent.reports} reports were taken in, and {checked.reports} are stored")
    if misdated != agent.misdated:
        checked.problems.append(f"{agent.misdated} reports counted as misdated, and {misdated} are marked so")
    # A row that is gone or changed is named above; what follows from it for the chain need not be.
    if not checked.problems and not agent.chain_lost:
        checked.problems = [*beside.problems, *beside.compare(telling.rebuilt, keys.values())]
    return checked


def _arrival_problems(session: Session, checked: Checked, found: array[int]) -> Iterator[str]:
    """Say which reports aren't numbered one after the other as they came in."""
    numbers = sorted(found)
    before, count = numbers.count(0), len(numbers)
    if checked.problems or numbers[before:] == list(range(before + 1, count + 1)):
        return
    rows = arrivals(session, checked.institution, checked.agent)
    for number, group in groupby(rows, key=itemgetter(0)):
        names = [_name(position) for _, position in islice(group, _FEW)]
        if number == 0 and numbers[before] > before:
            continue  # they came before there were numbers
        if number == 0 or len(names) > 1:
            yield f"{', '.join(names)} came in as number {number} by what stands there: each has a number of its own"
        elif not 0 < number <= count:
            yield f"{names[0]} came in as number {number} by what stands there: {count} came in"


def _tell(telling: _Telling, row: StoredReport, payload: bytes, beside: ChainBeside) -> Iterator[str]:
    """Hand on what counts of a report; say so when it can't be read."""
    try:
        report = Report.from_bytes(payload)
        beside.read(report)
        if row.doubt is None:
            telling.tell(row, report)
    except ValueError:
        yield f"{_name(row.position)}: its content can't be read"


def _row_problems(row: StoredReport, envelope: Envelope, agent: AgentSummary, secret: bytes | None) -> Iterator[str]:
    """Say where a row's columns differ from the signed bytes beside them; without `secret` nobody can tell a nonce's moment."""
    header = envelope.protected
    if (header.institution, header.agent, header.boot, header.sequence) != (agent.institution, agent.id, *row.position):
        said = f"{header.institution}/{header.agent}, {header.sequence} of boot {header.boot}"
        yield f"the signed bytes in this place are those of {said}"
    if envelope.digest != row.digest or header.kid != row.key_id or header.written_at != row.written_at:
        yield "digest, key or time beside the signed bytes are not theirs"
    if secret is not None and nonce_moment(secret, header.institution, header.agent, header.nonce) != row.nonce_at:
        yield "the moment beside the signed bytes is not that of their nonce"
    elif row.nonce_at is not None and row.received_at < row.nonce_at:
        yield f"it is said to have come in at {isoformat(row.received_at)}, before its nonce was given"
    elif row.nonce_at is not None and row.doubt is not None and not _says_misdated(row, envelope):
        yield f"it is marked {row.doubt}, and says no time that can't be"


def _says_misdated(row: StoredReport, envelope: Envelope) -> bool:
    try:
        return is_misdated(Report.from_bytes(envelope.payload), row.nonce_at or 0, row.received_at)
    except ValueError:
        return False


def _lost_chain_problems(agent: AgentSummary) -> Iterator[str]:
    """Say so where what is kept of an agent's chain can't be held against its reports."""
    if agent.chain_lost:
        since = "" if agent.chain_lost_at is None else f", and lacks reports since {moment(agent.chain_lost_at)}"
        yield (
            f"what is kept of its chain can't be read{since}: which reports are missing isn't known;"
            f" `cradlewatch collector agent mend {agent.id} --institution {agent.institution}` makes it again from those that are stored"
        )


def _link_problems(agent: AgentSummary, rebuilt: Rebuilt) -> Iterator[str]:
    """Say which reports are gone or exchanged: what another one follows, and what the chain ended with when it came.

    Where the chain can't be read, those alone that were exchanged: one that isn't there may be known to be missing.
    """
    chain = agent.chain
    holes = {item.after for item in chain.segments}
    untold = 0
    for item in rebuilt.unfollowed(agent.id):
        if item.after in holes:
            continue
        untold += 1
        before, here = _name((item.after.boot, item.after.sequence)), _name(item.position)
        if item.here is not None:
            yield f"{before} is not the one that {here} follows"
        elif untold > chain.joined and not agent.chain_lost:
            yield f"{before} is gone: {here} follows it"
    for segment in chain.segments:
        for end in (segment.first.place, segment.last.place):
            if not rebuilt.has(agent.id, (end.boot, end.sequence)):
                yield f"{_name((end.boot, end.sequence))} is gone: it is an end of the agent's chain"


def _chain_problems(agent: AgentSummary, signed: int, rebuilt: Rebuilt) -> Iterator[str]:
    """Say where what is kept of the agent's chain isn't what the reports come to."""
    for boot, known in agent.chain.boots.items():
        kept = Numbers.parse(known.seen)
        stored = rebuilt.numbers(agent.id, boot) - Numbers.of([(1, known.since)])
        if kept != stored:
            yield f"the agent's chain says that reports {_few(kept)} of boot {boot} came in, and {_few(stored)} are stored"
    linked = sum(item.count for item in agent.chain.segments)
    if linked != signed:
        yield f"{linked} reports are in the agent's chain, and {signed} are stored"
    if agent.missing != agent.chain.missing:
        yield f"{agent.missing} reports are noted as missing, and the agent's chain says {agent.chain.missing}"
    for item in agent.chain.segments:
        if item.after is not None and not item.forked and rebuilt.has(agent.id, (item.after.boot, item.after.sequence)):
            yield f"{_name((item.after.boot, item.after.sequence))} is missing by the agent's chain, and is stored"


def _few(numbers: Numbers) -> str:
    text = str(numbers)
    return text if len(text) <= 60 else f"{text[:60].rpartition(',')[0]},..."


def _disputed_problems(
    agent: AgentSummary, keys: Mapping[str, AgentKey], rows: Iterable[DisputedReport]
) -> Iterator[str]:
    kept = 0
    for row in rows:
        kept += 1
        name = f"the other {_name(row.position)}"
        try:
            envelope = proved(row.envelope, keys)
        except SignatureError as error:
            yield f"{name}: {error}"
            continue
        header = envelope.protected
        said = (header.institution, header.agent, header.boot, header.sequence, envelope.digest)
        if said != (agent.institution, agent.id, *row.position, row.digest):
            yield f"{name}: the signed bytes are those of another"
    if kept != agent.disputed:
        yield f"{agent.disputed} reports came in a second time with other bytes, and {kept} of them are kept"


def _name(position: Position) -> str:
    boot, sequence = position
    return f"report {sequence} of boot {boot}"
