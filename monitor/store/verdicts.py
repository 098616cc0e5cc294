"""The newest verdicts of an institution, and the runs of looks that findings are folded from."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import delete, select, tuple_
from sqlalchemy.orm import Session

from monitor.model.finding import Run
from monitor.model.observation import Subject
from monitor.model.span import Millis
from monitor.model.verdict import Cause, Outcome, Verdict, cause_json, citation_json
from monitor.store.stored import note_unreadable
from monitor.store.tables import RunRow, VerdictRow
from monitor.store.upsert import upsert

Key = tuple[str, Subject]
"""(requirement, subject)."""

RunsByKey = Mapping[Key, tuple[Run, ...]]


@dataclass(frozen=True)
class CurrentVerdict:
    """What the newest look showed of one requirement on one subject."""

    institution: str
    requirement: str
    subject_kind: str
    subject_id: str
    outcome: str
    state: str
    json: dict[str, Any]
    """The contract's form, the citation in English."""
    citation_zh: dict[str, str]

    def to_json(self, language: str = "en") -> dict[str, Any]:
        """Return the contract's form, the citation in `language` (en or zh)."""
        return {**self.json, "citation": self.citation_zh} if language == "zh" else self.json


def current_verdicts(session: Session, institution_id: str) -> list[CurrentVerdict]:
    """Return an institution's newest verdicts, by requirement and subject."""
    order = (VerdictRow.requirement, VerdictRow.subject_kind, VerdictRow.subject_id)
    rows = session.scalars(select(VerdictRow).where(VerdictRow.institution_id == institution_id).order_by(*order))
    return [_current(row) for row in rows]


def verdicts_of_requirement(session: Session, requirement: str) -> list[CurrentVerdict]:
    """Return the newest verdicts on one requirement, of all institutions."""
    rows = session.scalars(select(VerdictRow).where(VerdictRow.requirement == requirement))
    return [_current(row) for row in rows]


def _current(row: VerdictRow) -> CurrentVerdict:
    return CurrentVerdict(
        row.institution_id, row.requirement, row.subject_kind, row.subject_id, row.outcome, row.state,
        json.loads(row.body), json.loads(row.citation_zh),
    )  # fmt: skip


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def replace_verdicts(session: Session, institution_id: str, verdicts: Sequence[Verdict]) -> None:
    """Make `verdicts` the institution's newest ones; what is not among them is no longer judged."""
    stored = {
        (row.requirement, row.subject_kind, row.subject_id): (row.body, row.citation_zh)
        for row in session.scalars(select(VerdictRow).where(VerdictRow.institution_id == institution_id))
    }
    rows = {}
    for verdict in verdicts:
        key = (verdict.requirement.kind, verdict.subject.kind, verdict.subject.id)
        body, zh = _json(verdict.to_json()), _json(citation_json(verdict.requirement, "zh"))
        rows[key] = {
            "institution_id": institution_id,
            "requirement": key[0],
            "subject_kind": key[1],
            "subject_id": key[2],
            "outcome": verdict.outcome.value,
            "state": verdict.state,
            "body": body,
            "citation_zh": zh,
        }
    session.expunge_all()
    upsert(session, VerdictRow, [r for key, r in rows.items() if stored.get(key) != (r["body"], r["citation_zh"])])
    gone = [key for key in stored if key not in rows]
    columns = tuple_(VerdictRow.requirement, VerdictRow.subject_kind, VerdictRow.subject_id)
    for index in range(0, len(gone), 100):
        here = columns.in_(gone[index : index + 100])
        session.execute(delete(VerdictRow).where(VerdictRow.institution_id == institution_id, here))


def load_runs(session: Session, institution_id: str, until: Millis | None = None) -> dict[Key, tuple[Run, ...]]:
    """Return the runs of looks by (requirement, subject), in order of time; as they stood at `until`.

    Without those that can't be read.
    """
    query = select(RunRow).where(RunRow.institution_id == institution_id)
    if until is not None:
        query = query.where(RunRow.first_at <= until)
    found: dict[Key, list[Run]] = defaultdict(list)
    for row in session.scalars(query.order_by(RunRow.first_at)):
        last = row.last_at if until is None else min(row.last_at, until)
        try:
            key = (row.requirement, Subject.model_validate({"kind": row.subject_kind, "id": row.subject_id}))
            run = Run(row.first_at, last, Outcome(row.outcome), row.state, row.began_at, _cause(row.because_of))
        except (ValueError, LookupError, TypeError, RecursionError):
            note_unreadable(session)
            continue
        found[key].append(run)
    return {key: tuple(runs) for key, runs in found.items()}


def _cause(text: str | None) -> Cause | None:
    if text is None:
        return None
    value = json.loads(text)
    return Cause(value["requirement"], Subject.model_validate(value["subject"]))


def looked_by(session: Session, institution_id: str, now: Millis, latest: Millis) -> Millis:
    """Move looks after `latest`, by a clock that has been set back since, back so that the last was made now; return how far.

    Else what is seen from now on would lie inside a run that says otherwise, and be dropped.
    """
    before = load_runs(session, institution_id)
    newest = max((runs[-1].last for runs in before.values()), default=now)
    if newest <= latest:
        return 0
    after = {key: tuple(_moved(runs, latest, newest - now)) for key, runs in before.items()}
    save_runs(session, institution_id, before, after)
    return newest - now


def _moved(runs: Sequence[Run], latest: Millis, by: Millis) -> Iterator[Run]:
    """Move what lies after an instant back, as far as what was seen before it allows."""
    since = 0
    for run in runs:
        first = max(since, run.first - by if run.first > latest else run.first)
        last = max(first, run.last - by if run.last > latest else run.last)
        began = run.began if run.began is None or run.began <= latest else run.began - by
        yield replace(run, first=first, last=last, began=began)
        since = last + 1


def save_runs(session: Session, institution_id: str, before: RunsByKey, after: RunsByKey) -> None:
    """Store what changed from `before` to `after`."""
    gone: list[tuple[str, str, str, Millis]] = []
    changed: list[dict[str, Any]] = []
    for key, runs in after.items():
        requirement, subject = key
        old = before.get(key, ())
        starts = {run.first for run in runs}
        gone += [(requirement, subject.kind, subject.id, run.first) for run in old if run.first not in starts]
        changed += [_run_row(institution_id, key, run) for run in runs if run not in old]
    columns = tuple_(RunRow.requirement, RunRow.subject_kind, RunRow.subject_id, RunRow.first_at)
    for index in range(0, len(gone), 100):
        here = columns.in_(gone[index : index + 100])
        session.execute(delete(RunRow).where(RunRow.institution_id == institution_id, here))
    upsert(session, RunRow, changed)


def _run_row(institution_id: str, key: Key, run: Run) -> dict[str, Any]:
    requirement, subject = key
    return {
        "institution_id": institution_id,
        "requirement": requirement,
        "subject_kind": subject.kind,
        "subject_id": subject.id,
        "first_at": run.first,
        "last_at": run.last,
        "outcome": run.outcome.value,
        "state": run.state,
        "began_at": run.began,
        "because_of": None if run.because_of is None else _json(cause_json(run.because_of)),
    }
