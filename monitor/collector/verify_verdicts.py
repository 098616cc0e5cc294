"""Holds verdicts, looks and an institution's counts against its newest evaluation, made again from the reports that it had."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import structlog
from sqlalchemy.orm import Session

from monitor.collector.evaluate import judge_again
from monitor.collector.judged_by import judged_by
from monitor.model.regulation import Regulation, pack_digest
from monitor.model.span import Millis
from monitor.model.verdict import Verdict
from monitor.store import evaluations, journal, registry
from monitor.store.agents import AgentSummary
from monitor.store.evaluated import Evaluated, Kept, digest_of_rows
from monitor.store.evaluations import Standing
from monitor.store.kept_packs import kept_pack
from monitor.store.rebuilt import Rebuilt, moment
from monitor.store.tables import InstitutionRow, ViewDecisionRow, WaiverRow
from monitor.store.verdicts import last_looks, stored_verdicts, verdict_key, verdict_rows

log = structlog.get_logger(__name__)

_Words = tuple[str, str, str]
"""Requirement, kind and id of the subject."""

_VOID = {
    "migrated": "it was evaluated before what is needed for it was kept; the next evaluation can be",
    "clock_set": "the collector's clock was set back since; the next evaluation can be",
}
_DECIDED = "something was decided since (register, waiver, view); the next evaluation can be"
_OTHER_CODE = "another version of this program judged it; the next evaluation can be"
_NOT_WHOLE = "its reports or its journal aren't whole"


@dataclass
class VerdictsChecked:
    """How an institution's verdicts, looks and counts were found."""

    verdicts: int = 0
    evaluations: int = 0
    """So many were written of it."""
    unjudged: str | None = None
    """Why its newest evaluation couldn't be made again: then only what was changed since it is found, and a verdict isn't named."""
    problems: list[str] = field(default_factory=list)
    """One sentence each, naming the row."""


def check_verdicts(
    session: Session,
    rebuilt: Rebuilt,
    institution: str,
    kept: Kept | None,
    agents: Sequence[AgentSummary],
    *,
    whole: bool,
) -> VerdictsChecked:
    """Make the newest evaluation again from a ledger that has the reports that it had, and compare what it wrote.

    `whole` says that nothing is wrong with reports and journal: with other reports or another register it comes to
    something else, and what is wrong with them is said already.
    """
    rows = stored_verdicts(session, institution)
    checked = VerdictsChecked(len(rows))
    state = evaluations.stands(session, institution)
    if state is None:
        return checked  # it is gone from the register, which is said elsewhere
    checked.evaluations, at, standing = state
    if kept is None:
        checked.problems += _never_evaluated(checked.evaluations, at, standing, rows)
    elif not kept.is_whole:
        checked.problems.append("what is kept of its newest evaluation was edited")
    elif kept.number != checked.evaluations:
        checked.problems.append(
            f"{checked.evaluations} evaluations are said to have been written, and {kept.number} were"
        )
    elif kept.evaluated is None:
        checked.unjudged = _VOID.get(kept.void or "", _OTHER_CODE)
    else:
        found = _Held(session, rebuilt, institution, kept.evaluated)
        checked.problems += found.reports(agents)
        checked.unjudged = _NOT_WHOLE if not whole or checked.problems else found.judge()
        checked.problems += [*found.counts(at, standing), *found.verdicts(rows), *found.looks()]
    checked.problems = [f"{institution}: {text}" for text in checked.problems]
    return checked


def _never_evaluated(
    number: int, at: Millis | None, standing: Standing, rows: Sequence[Mapping[str, str]]
) -> Iterator[str]:
    if number:
        yield f"what is kept of its newest evaluation is gone: {number} were written"
    elif at is not None or any(asdict(standing).values()):
        yield "its counts were edited: it was never evaluated"
    for row in rows:
        if not number:
            yield f"verdict {_name(verdict_key(row))} was added: it was never evaluated"


class _Held:
    """What is stored beside what an evaluation wrote, and what it comes to when it is made again."""

    def __init__(self, session: Session, rebuilt: Rebuilt, institution: str, item: Evaluated) -> None:
        self._session, self._rebuilt, self._institution, self._item = session, rebuilt, institution, item
        self._at = f"its evaluation at {moment(item.as_of)}"
        self._made: tuple[tuple[Verdict, ...], Standing] | None = None
        """What the evaluation comes to; None while, or where, it isn't made again."""

    def reports(self, agents: Sequence[AgentSummary]) -> Iterator[str]:
        """Say of which agents fewer reports are there than it had."""
        counts = {agent.id: agent.reports for agent in agents}
        for agent, count in self._item.reports.items():
            if counts.get(agent, 0) < count:
                yield f"{self._at} had {count} reports of agent {agent}, and {counts.get(agent, 0)} are there"

    def judge(self) -> str | None:
        """Make the evaluation again; return why that can't be done."""
        item = self._item
        decided = (InstitutionRow, WaiverRow, ViewDecisionRow)
        if item.judged_by != judged_by():
            return _OTHER_CODE
        if journal.tells_since(self._session, self._institution, item.journal, decided):
            return _DECIDED
        pack = self._pack()
        if isinstance(pack, str):
            return pack
        try:
            self._rebuilt.put_together(self._session, item.as_of)
            with self._rebuilt.reading() as ledger:
                self._made = judge_again(self._session, ledger, self._institution, pack, item)
        except Exception as error:
            # It went well when it was made: whatever this is, it accuses nobody, and the others are to be checked.
            log.exception("evaluation not made again", institution=self._institution)
            return f"that failed: {type(error).__name__}"
        return None

    def _pack(self) -> Regulation | str:
        """Return the pack by which it was judged, or what is wrong with it."""
        name = f"the regulation {self._item.pack} by which it was judged"
        try:
            value = kept_pack(self._session, self._item.pack)
            if value is None:
                return f"{name} is gone"
            if pack_digest(value) != self._item.pack:
                return f"{name} was edited"
            pack = Regulation.model_validate(value)
        except ValueError:
            return f"{name} was edited"
        said = registry.known_institution(self._session, self._institution).regulation
        return pack if pack.id == said else f"{name} is {pack.id}, and the institution's is {said}"

    def counts(self, at: Millis | None, standing: Standing) -> Iterator[str]:
        """Say which counts of the institution are others."""
        stored, wrote = asdict(standing), self._item.standing
        made = wrote if self._made is None else asdict(self._made[1])
        other = [name for name, value in stored.items() if not value == wrote.get(name) == made[name]]
        if at != self._item.as_of:
            other.append("evaluated_at")
        if other:
            yield f"the institution has another {' and another '.join(other)} than {self._at} comes to"

    def verdicts(self, rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
        """Say which verdicts are others; where it isn't made again, whether any is."""
        named = False
        if self._made is not None:
            made = {verdict_key(row): row for row in verdict_rows(self._institution, self._made[0])}
            for row in rows:
                wanted = made.pop(verdict_key(row), None)
                if wanted == row:
                    continue
                named, name = True, f"verdict {_name(verdict_key(row))}"
                if wanted is None:
                    yield f"{name} was added: {self._at} doesn't come to it"
                else:
                    other = [column for column in row if row[column] != wanted[column]]
                    yield f"{name} has another {' and another '.join(other)} than {self._at} comes to"
            for key in made:
                named = True
                yield f"verdict {_name(key)} is gone: {self._at} comes to it"
        if not named and digest_of_rows(rows) != self._item.verdicts:
            yield f"the verdicts are others than {self._at} wrote"

    def looks(self) -> Iterator[str]:
        """Say of which runs the last look is another. What else they say is in the journal."""
        stored, named = last_looks(self._session, self._institution), False
        if self._made is not None:
            wanted = {_words(item): item.looked for item in self._made[0]}
            wanted |= {(requirement, kind, name): last for requirement, kind, name, last in self._item.other_looks}
            for words, last in stored.items():
                if words in wanted and last != wanted[words]:
                    named = True
                    yield f"the newest run of {_name(words)} has another last_at than {self._at} comes to"
        if not named and digest_of_rows(sorted(stored.items())) != self._item.looks:
            yield f"the newest runs are others than {self._at} wrote"


def _words(verdict: Verdict) -> _Words:
    return verdict.requirement.kind, verdict.subject.kind, verdict.subject.id


def _name(words: _Words) -> str:
    requirement, kind, name = words
    return f"{requirement} of {kind}/{name}"
