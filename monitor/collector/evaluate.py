"""Evaluates an institution: from its ledger to verdicts, runs of looks, findings and notices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial

import structlog
from sqlalchemy.orm import Session

from monitor.collector.clocks import NOTED_FOR
from monitor.collector.context import Context
from monitor.collector.judged_by import judged_by
from monitor.collector.packs import Packs
from monitor.evaluation.cases import Move, moves
from monitor.evaluation.judge import judge, of_silence_alone
from monitor.model.finding import Known, Look, Run, Stage, extend, finding_id, undetermined_since
from monitor.model.inventory import Institution, Inventory
from monitor.model.kept import KeptIndexes
from monitor.model.ledger import Facts, fold, with_approvals
from monitor.model.observation import Kind, Subject
from monitor.model.regulation import Regulation
from monitor.model.span import Millis, isoformat
from monitor.model.verdict import Episode, Outcome, Verdict, citation_json, evidence_json
from monitor.store import agents, evaluations, registry, reports, views
from monitor.store.clocks import disputed_at
from monitor.store.engine import snapshot, writing
from monitor.store.evaluated import Evaluated, digest_of_rows, keep_evaluated
from monitor.store.findings import FindingRow, Reading, add_finding, change_finding, count_open, known_findings
from monitor.store.indexes import load_indexes
from monitor.store.instants import has_instants, put_together
from monitor.store.kept_packs import keep_pack
from monitor.store.keys import enrolled_by, revoked_agents
from monitor.store.listening import listening_since
from monitor.store.notices import owe_notices
from monitor.store.stored import unreadable
from monitor.store.told import load_told
from monitor.store.verdicts import Key, load_runs, replace_verdicts, save_runs, verdict_rows

log = structlog.get_logger(__name__)

NOTIFIED = frozenset({"retention", "view"})
"""The requirements whose findings are told to somebody when they open."""


@dataclass(frozen=True)
class Told:
    """What the judge is told beside ledger, register and pack: it is another a moment later."""

    heard: Mapping[str, Millis]
    """For each agent that is expected to report, since when it would be silent."""
    undetermined_since: Mapping[Key, Millis]
    listening_since: Millis | None
    clocks_disputed: bool


@dataclass(frozen=True)
class Assessment:
    """What one evaluation found, before it is written."""

    institution: str
    as_of: Millis
    regulation: Regulation
    pack: str
    """Its digest."""
    facts: Facts | None
    verdicts: tuple[Verdict, ...]
    runs_before: Mapping[Key, tuple[Run, ...]]
    runs: Mapping[Key, tuple[Run, ...]]
    known: Mapping[Key, list[Known]]
    number: int
    revoked: Mapping[str, Millis]
    """Agents whose keys were all revoked, and when."""
    waiting: int
    """Proposed views that wait for an officer."""
    told: Told
    reports: Mapping[str, int]
    """How many reports of each agent were there."""
    journal: int
    """How many entries the journal had."""

    @cached_property
    def standing(self) -> evaluations.Standing:
        """How the institution stands by the verdicts; its open findings aren't counted here."""
        return standing_of(self.verdicts, 0, self.waiting)

    @property
    def moves(self) -> list[Move]:
        """What is to be done with the findings, causes before their consequences."""
        told = [
            move
            for verdict in self.verdicts
            for move in moves(verdict, self.runs[verdict.key], self.known.get(verdict.key, []), self.as_of)
        ]
        return told + list(self._ended_silences())

    def _ended_silences(self) -> Iterator[Move]:
        """End the silence of agents that nobody expects to report any more: the revocation is what says so."""
        requirement = self.regulation.requirements.agent_silence
        if requirement is None:
            return
        for agent, at in self.revoked.items():
            subject = Subject(kind="agent", id=agent)
            for item in self.known.get(("agent_silence", subject), []):
                if item.ended is None:
                    reason = f"Its keys were revoked at {isoformat(at)}."
                    verdict = Verdict(requirement, subject, Outcome.UNDETERMINED, "unknown", reason, self.as_of)
                    yield Move(verdict, item, Episode(item.state, item.began, max(item.began, at)))


@dataclass(frozen=True)
class Evaluation:
    """What one evaluation wrote."""

    institution: str
    as_of: Millis
    verdicts: tuple[Verdict, ...]
    opened: tuple[str, ...] = field(default=())
    changed: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Registered:
    """What the register says of an institution, read once for all who need it."""

    entry: registry.Entry | None
    decisions: dict[str, views.Decision]

    @classmethod
    def read(cls, session: Session, institution_id: str) -> Registered:
        """Read it."""
        return cls(registry.entry(session, institution_id), views.decisions(session, institution_id))


def facts_of(
    session: Session,
    institution_id: str,
    as_of: Millis,
    kept: KeptIndexes | None = None,
    ledger: Session | None = None,
    told: Registered | None = None,
) -> Facts | None:
    """Return all that is known of an institution as of an instant; None while nothing is declared.

    What is `kept` of its cameras' indexes isn't read again, nor what is `told` of its register. The `ledger` may lie in a
    database of its own.
    """
    ledger, told = ledger or session, told or Registered.read(session, institution_id)
    inventory = None if told.entry is None else told.entry.inventory(session)
    if inventory is None and not has_instants(ledger, institution_id, Kind.INVENTORY):
        return None  # as the fold would say of whatever was seen: it isn't read for that
    seen = load_told(ledger, institution_id, as_of)
    facts = fold(
        seen.observations,
        as_of,
        stretches=seen.stretches,
        twice=seen.twice,
        inventory=inventory,
        waivers=registry.waivers(session, institution_id, as_of),
        indexes=load_indexes(ledger, institution_id, as_of, kept or KeptIndexes()),
    )
    return None if facts is None else with_approvals(facts, views.approved(told.decisions))


def assess(
    session: Session, entry: registry.Entry, as_of: Millis, packs: Packs, kept: KeptIndexes | None = None
) -> Assessment:
    """Judge an institution as of now; nothing is written. Raises PackError when its pack can't be read."""
    institution_id, regulation, pack = entry.id, packs.get(entry.regulation), packs.digest(entry.regulation)
    registered = Registered(entry, views.decisions(session, institution_id))
    facts = facts_of(session, institution_id, as_of, kept, told=registered)
    before = load_runs(session, institution_id)
    revoked = revoked_agents(session, institution_id, as_of)
    enrolled = agents.agents_of(session, institution_id)
    told = _told(session, as_of, _expected({agent.id: agent.heard_at for agent in enrolled}, revoked), before)
    verdicts = judge_as_told(facts, regulation, entry, as_of, told)
    runs = {item.key: extend(before.get(item.key, ()), Look.of(item)) for item in verdicts}
    return Assessment(
        institution_id, as_of, regulation, pack, facts, verdicts, before, runs,
        known=known_findings(session, institution_id),
        number=entry.evaluation,
        revoked=revoked,
        waiting=len(views.open_proposals(session, institution_id, registered.decisions)),
        told=told,
        reports={agent.id: agent.reports for agent in enrolled},
        journal=entry.journal,
    )  # fmt: skip


def verdicts_as_of(session: Session, institution_id: str, as_of: Millis, packs: Packs) -> tuple[Verdict, ...]:
    """Judge an institution as of an instant in the past, from the ledger; nothing is written.

    Raises PackError when its pack can't be read, RegisterError when it is not in the register.
    """
    entry = registry.known_entry(session, institution_id)
    facts = facts_of(session, institution_id, as_of)
    runs = load_runs(session, institution_id, until=as_of)
    told = _told(session, as_of, expected_reports(session, institution_id, as_of), runs)
    return judge_as_told(facts, packs.get(entry.regulation), entry, as_of, told)


def expected_reports(
    session: Session, institution_id: str, as_of: Millis, had: Mapping[str, int] | None = None
) -> dict[str, Millis]:
    """Return, for each agent that was expected to report at an instant, since when it would have been silent.

    How many reports of each agent `had` come in by then tells it better than their times, where it is known: the collector's clock may have been set back.
    """
    heard = reports.last_reports(session, institution_id, as_of, had)
    enrolled = enrolled_by(session, institution_id, as_of)
    for agent in agents.agents_of(session, institution_id):
        # An agent that was enrolled again since had been enrolled before: what it is now is not what it was then.
        at = agent.enrolled_at if agent.enrolled_at <= as_of else enrolled.get(agent.id)
        if at is not None:
            heard[agent.id] = max(at, heard.get(agent.id, at))
    return _expected(heard, revoked_agents(session, institution_id, as_of))


def _expected(heard: Mapping[str, Millis], revoked: Mapping[str, Millis]) -> dict[str, Millis]:
    return {agent: at for agent, at in heard.items() if agent not in revoked}


def _told(session: Session, as_of: Millis, heard: Mapping[str, Millis], runs: Mapping[Key, tuple[Run, ...]]) -> Told:
    since = {key: at for key, items in runs.items() if (at := undetermined_since(items)) is not None}
    return Told(heard, since, listening_since(session, as_of), disputed_at(session, as_of, NOTED_FOR))


def judge_as_told(
    facts: Facts | None, regulation: Regulation, entry: registry.Entry, as_of: Millis, told: Told
) -> tuple[Verdict, ...]:
    """Judge what is known of an institution, and its agents' silence alone while nothing is declared. Nothing is read."""
    if facts is None:
        facts, regulation = Facts(as_of, nothing_declared(entry)), of_silence_alone(regulation)
    return judge(
        facts, regulation, last_reports=told.heard, undetermined_since=told.undetermined_since,
        listening_since=told.listening_since, clocks_disputed=told.clocks_disputed,
    )  # fmt: skip


def judge_again(
    session: Session, ledger: Session, institution_id: str, regulation: Regulation, item: Evaluated
) -> tuple[tuple[Verdict, ...], evaluations.Standing]:
    """Make an evaluation again, from another ledger and the register as it is; return its verdicts and how the institution stood."""
    registered = Registered.read(session, institution_id)
    if registered.entry is None:
        raise registry.unknown(institution_id)
    facts = facts_of(session, institution_id, item.as_of, ledger=ledger, told=registered)
    since = {_key(*words): at for *words, at in item.undetermined_since}
    told = Told(item.heard, since, item.listening_since, item.clocks_disputed)
    verdicts = judge_as_told(facts, regulation, registered.entry, item.as_of, told)
    waiting = views.open_proposals(ledger, institution_id, registered.decisions)
    return verdicts, standing_of(verdicts, count_open(session, institution_id), len(waiting))


def nothing_declared(entry: registry.Entry | registry.InstitutionSummary) -> Inventory:
    """Return an institution as it stands while nothing is declared of it."""
    institution = Institution(id=entry.id, name=entry.name, timezone=entry.timezone)
    return Inventory(institution=institution, zones=(), cameras=())


Hold = Callable[[Session], bool]
"""Takes an institution's row until the transaction ends; False where it is not to be had."""


def evaluate(
    context: Context, institution_id: str, as_of: Millis | None = None, hold: Hold | None = None
) -> Evaluation | None:
    """Judge an institution now and write what was found. Returns None when it is not in the register, or not `hold` any more.

    What was read and what is written are two transactions, so that no report waits for a judgement; when another
    process wrote an evaluation in between, this one is dropped (`verdicts` is empty then): the other is as good.
    Raises PackError when the institution's pack can't be read.
    """
    with snapshot(context.engine) as session:
        hold = hold or partial(evaluations.hold, institution_id=institution_id)
        entry, now = _begin(context, session, institution_id, hold, as_of)
        if entry is None:
            return None
        assessment = assess(session, entry, now, context.packs, context.kept)
        rows = unreadable(session)
        if rows:
            log.warning("stored rows can't be read: what they said is unknown", institution=institution_id, rows=rows)
    with writing(context.engine) as session:
        found = evaluations.finish(session, institution_id, assessment.number, now, assessment.standing, rows)
        if found is None:
            log.info("evaluation dropped: another one was written meanwhile", institution=institution_id)
            return Evaluation(institution_id, now, ())
        return _write(session, assessment, found, notify=_notifies(context))


def _begin(
    context: Context, session: Session, institution_id: str, hold: Hold, as_of: Millis | None
) -> tuple[registry.Entry | None, Millis]:
    """Begin the snapshot with the institution's entry; return it, and the instant as of which it is: it has what came in by then, and nothing else.

    Reports get their instant while they hold the institution, so here it is taken while this does: who computes the
    verdict again goes by these instants, and one report more or less makes other figures.
    """
    if as_of is not None:
        return registry.entry(session, institution_id), as_of
    with writing(context.engine) as held:
        entry = registry.entry(session, institution_id) if hold(held) else None
        return entry, context.now()


def _notifies(context: Context) -> bool:
    return context.settings.notices.configured


def _write(session: Session, assessment: Assessment, open_findings: int, *, notify: bool) -> Evaluation:
    institution_id, now = assessment.institution, assessment.as_of
    put_together(session, institution_id)
    rows = verdict_rows(institution_id, assessment.verdicts)
    replace_verdicts(session, institution_id, rows)
    save_runs(session, institution_id, assessment.runs_before, assessment.runs)
    opened, changed = [], []
    owed = []
    told = assessment.moves
    pack, reports = assessment.pack, dict(assessment.reports)
    keep_pack(session, assessment.regulation, pack, now)
    for move in told:
        if move.known is None:
            row = _finding(assessment, move)
            add_finding(session, row, pack, reports)
            opened.append(row.id)
            if row.ended is None and row.requirement in NOTIFIED:
                owed.append(row.id)
        else:
            said = replace(_reading(move, now), pack=pack, reports=reports)
            change_finding(session, institution_id, move.known.id, said, retell=move.retells)
            changed.append(move.known.id)
    if notify:
        owe_notices(session, institution_id, owed, now)
    if told:
        open_findings = evaluations.recount(session, institution_id)
    evaluated = _evaluated(assessment, replace(assessment.standing, open_findings=open_findings), rows)
    keep_evaluated(session, institution_id, assessment.number + 1, evaluated)
    return Evaluation(institution_id, now, assessment.verdicts, tuple(opened), tuple(changed))


def _evaluated(assessment: Assessment, standing: evaluations.Standing, rows: Sequence[Mapping[str, str]]) -> Evaluated:
    """Return what the evaluation stood on and wrote, by which it can be made again."""
    told = assessment.told
    looks = {_words(key): items[-1].last for key, items in {**assessment.runs_before, **assessment.runs}.items()}
    looked = {_words(item.key): item.looked for item in assessment.verdicts}
    return Evaluated(
        as_of=assessment.as_of,
        judged_by=judged_by(),
        pack=assessment.pack,
        reports=dict(assessment.reports),
        journal=assessment.journal,
        heard=dict(told.heard),
        undetermined_since=sorted((*_words(key), at) for key, at in told.undetermined_since.items()),
        listening_since=told.listening_since,
        clocks_disputed=told.clocks_disputed,
        standing=asdict(standing),
        verdicts=digest_of_rows(rows),
        looks=digest_of_rows(sorted(looks.items())),
        other_looks=sorted((*words, last) for words, last in looks.items() if looked.get(words) != last),
    )


def _words(key: Key) -> tuple[str, str, str]:
    requirement, subject = key
    return requirement, subject.kind, subject.id


def _key(requirement: str, kind: str, subject_id: str) -> Key:
    return requirement, Subject.model_validate({"kind": kind, "id": subject_id})


def standing_of(verdicts: Iterable[Verdict], open_findings: int, waiting: int) -> evaluations.Standing:
    """Return how an institution stands by its verdicts."""
    items = list(verdicts)
    count = Counter(item.outcome for item in items)
    silent = any(item.requirement.kind == "agent_silence" and item.outcome is Outcome.BREACHED for item in items)
    return evaluations.Standing(
        open_findings, count[Outcome.BREACHED], count[Outcome.UNDETERMINED], count[Outcome.MET], silent, waiting
    )


def _reading(move: Move, now: Millis) -> Reading:
    episode, verdict = move.episode, move.verdict
    evidence = [evidence_json(item) for item in verdict.evidence]
    reason = move.reason.replace("\0", "\ufffd")  # a device's own words may hold what PostgreSQL can't
    return Reading(now, episode.state, episode.began, episode.ended, reason, dict(verdict.measured), evidence)


def _finding(assessment: Assessment, move: Move) -> FindingRow:
    first = _reading(move, assessment.as_of)
    verdict = move.verdict
    return FindingRow(
        id=finding_id(
            assessment.institution, verdict.requirement.kind, str(verdict.subject), first.state, first.began, first.at
        ),
        institution=assessment.institution,
        requirement=verdict.requirement.kind,
        subject=verdict.subject,
        state=first.state,
        stage=Stage.LEAD.value,
        began=first.began,
        opened=assessment.as_of,
        ended=first.ended,
        reason=first.reason,
        citation=citation_json(verdict.requirement, "en"),
        citation_zh=citation_json(verdict.requirement, "zh"),
        measured=first.measured,
        evidence=first.evidence,
        regulation=assessment.regulation.id,
        regulation_version=assessment.regulation.version,
    )
