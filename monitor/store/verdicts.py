"""The newest verdicts of an institution, and the runs of looks that findings are folded from."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import bindparam, delete, select, tuple_
from sqlalchemy.orm import Session

from monitor.model.finding import Run
from monitor.model.observation import Subject
from monitor.model.span import Millis
from monitor.model.verdict import Cause, Outcome, Verdict, cause_json, citation_json
from monitor.store.journal import note, note_gone
from monitor.store.stored import note_unreadable
from monitor.store.tables import RunRow, VerdictRow
from monitor.store.upsert import table_of, upsert

_VERDICT, _RUN = table_of(VerdictRow), table_of(RunRow)
_STORED = select(*_VERDICT.columns).where(_VERDICT.c.institution_id == bindparam("who"))
_COLUMNS = tuple(map(str, _VERDICT.columns.keys()))
_VERDICT_KEY = tuple_(VerdictRow.requirement, VerdictRow.subject_kind, VerdictRow.subject_id)
_RUN_KEY = tuple_(RunRow.requirement, RunRow.subject_kind, RunRow.subject_id, RunRow.first_at)
_RUNS = (
    select(
        _RUN.c.requirement, _RUN.c.subject_kind, _RUN.c.subject_id, _RUN.c.first_at, _RUN.c.last_at, _RUN.c.outcome,
        _RUN.c.state, _RUN.c.began_at, _RUN.c.because_of,
    )
    .where(_RUN.c.institution_id == bindparam("who"))
    .order_by(_RUN.c.first_at)
)  # fmt: skip
_RUNS_UNTIL = _RUNS.where(_RUN.c.first_at <= bindparam("until"))

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
    readable: bool = True
    """What is stored is what an evaluation wrote, by its form; else it is not known how it stands."""

    def to_json(self, language: str = "en") -> dict[str, Any]:
        """Return the contract's form, the citation in `language` (en or zh)."""
        return {**self.json, "citation": self.citation_zh} if language == "zh" else self.json


def current_verdicts(session: Session, institution_id: str) -> list[CurrentVerdict]:
    """Return an institution's newest verdicts, by requirement and subject."""
    order = (VerdictRow.requirement, VerdictRow.subject_kind, VerdictRow.subject_id)
    rows = session.scalars(select(VerdictRow).where(VerdictRow.institution_id == institution_id).order_by(*order))
    return [_current(session, row) for row in rows]


def verdicts_of_requirement(session: Session, requirement: str) -> list[CurrentVerdict]:
    """Return the newest verdicts on one requirement, of all institutions; without those that can't be read."""
    rows = session.scalars(select(VerdictRow).where(VerdictRow.requirement == requirement))
    return [found for row in rows if (found := _current(session, row)).readable]


def _current(session: Session, row: VerdictRow) -> CurrentVerdict:
    who = (row.institution_id, row.requirement, row.subject_kind, row.subject_id)
    try:
        body, citation_zh = json.loads(row.body), json.loads(row.citation_zh)
    except (ValueError, TypeError, RecursionError):
        body = citation_zh = None
    if _has_its_form(row, body) and _is_citation(body["citation"]) and _is_citation(citation_zh):
        return CurrentVerdict(*who, row.outcome, row.state, body, citation_zh)
    note_unreadable(session)
    return _unreadable(*who)


def _has_its_form(row: VerdictRow, body: Any) -> bool:
    """Tell whether a body is what was written there, not just any JSON, and says what the columns beside it say."""
    if not isinstance(body, dict) or row.outcome not in set(Outcome):
        return False
    subject = {"kind": row.subject_kind, "id": row.subject_id}
    said = (body.get("requirement"), body.get("subject"), body.get("outcome"), body.get("state"))
    kinds = {"citation": dict, "measured": dict, "evidence": list, "reason": str}
    is_formed = all(isinstance(body.get(key), kind) for key, kind in kinds.items())
    return is_formed and said == (row.requirement, subject, row.outcome, row.state)


_NO_CITATION = dict.fromkeys(("title", "clause", "strength", "status"), "")


def _is_citation(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(key), str) for key in _NO_CITATION)


def _unreadable(institution: str, requirement: str, subject_kind: str, subject_id: str) -> CurrentVerdict:
    """Return a verdict that can't be read: how it stands isn't known until it is judged anew."""
    body: dict[str, Any] = {
        "requirement": requirement,
        "subject": {"kind": subject_kind, "id": subject_id},
        "outcome": Outcome.UNDETERMINED.value,
        "state": "unknown",
        "because_of": None,
        "reason": "What is stored of this verdict can't be read; the next evaluation judges anew.",
        "citation": dict(_NO_CITATION),
        "measured": {},
        "evidence": [],
        "began_at": None,
    }
    return CurrentVerdict(
        institution,
        requirement,
        subject_kind,
        subject_id,
        Outcome.UNDETERMINED.value,
        "unknown",
        body,
        dict(_NO_CITATION),
        readable=False,
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def verdict_rows(institution_id: str, verdicts: Iterable[Verdict]) -> list[dict[str, str]]:
    """Return verdicts as rows, by requirement and subject."""
    rows = {}
    citations: dict[str, str] = {}
    for verdict in verdicts:
        kind = verdict.requirement.kind
        if kind not in citations:
            citations[kind] = _json(citation_json(verdict.requirement, "zh"))
        key = (kind, verdict.subject.kind, verdict.subject.id)
        rows[key] = {
            "institution_id": institution_id,
            "requirement": key[0],
            "subject_kind": key[1],
            "subject_id": key[2],
            "outcome": verdict.outcome.value,
            "state": verdict.state,
            "body": _json(verdict.to_json()),
            "citation_zh": citations[kind],
        }
    return [rows[key] for key in sorted(rows)]


def stored_verdicts(session: Session, institution_id: str) -> list[dict[str, str]]:
    """Return the rows as they are stored, by requirement and subject."""
    found = session.execute(_STORED, {"who": institution_id}).all()
    return sorted((dict(zip(_COLUMNS, row, strict=True)) for row in found), key=verdict_key)


def verdict_key(row: Mapping[str, str]) -> tuple[str, str, str]:
    """Return what a row of a verdict is of: requirement, kind and id of the subject."""
    return row["requirement"], row["subject_kind"], row["subject_id"]


def replace_verdicts(session: Session, institution_id: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Make these rows the institution's newest verdicts; what is not among them is no longer judged."""
    stored = {verdict_key(row): row for row in stored_verdicts(session, institution_id)}
    upsert(session, VerdictRow, [row for row in rows if stored.pop(verdict_key(row), None) != row], last=True)
    gone = list(stored)
    for index in range(0, len(gone), 100):
        here = _VERDICT_KEY.in_(gone[index : index + 100])
        session.execute(delete(VerdictRow).where(VerdictRow.institution_id == institution_id, here))


def load_runs(session: Session, institution_id: str, until: Millis | None = None) -> dict[Key, tuple[Run, ...]]:
    """Return the runs of looks by (requirement, subject), in order of time; as they stood at `until`.

    Without those that can't be read.
    """
    found: dict[Key, list[Run]] = defaultdict(list)
    if until is None:
        rows = session.execute(_RUNS, {"who": institution_id}).all()
    else:
        rows = session.execute(_RUNS_UNTIL, {"who": institution_id, "until": until}).all()
    for requirement, kind, subject_id, first, newest, outcome, state, began, because_of in rows:
        last = newest if until is None else min(newest, until)
        try:
            key = (requirement, Subject.model_validate({"kind": kind, "id": subject_id}))
            run = Run(first, last, Outcome(outcome), state, began, _cause(because_of))
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


def last_looks(session: Session, institution_id: str) -> dict[tuple[str, str, str], Millis]:
    """Return the last look of each newest run, by requirement, kind and id of the subject, as it is stored."""
    row = RunRow
    query = select(row.requirement, row.subject_kind, row.subject_id, row.last_at)
    rows = session.execute(query.where(row.institution_id == institution_id).order_by(row.first_at))
    return {(requirement, kind, subject_id): last for requirement, kind, subject_id, last in rows}


def save_runs(session: Session, institution_id: str, before: RunsByKey, after: RunsByKey) -> None:
    """Store what changed from `before` to `after`, and write it down in the journal."""
    gone: list[tuple[str, str, str, Millis]] = []
    replaced: list[tuple[str, str, str, Millis]] = []
    changed: list[dict[str, Any]] = []
    told: list[tuple[object, ...]] = []
    for key, runs in after.items():
        who = (key[0], key[1].kind, key[1].id)
        stood, now = {run.first: run for run in before.get(key, ())}, {run.first: run for run in runs}
        gone += [(*who, first) for first in stood if first not in now]
        replaced += [(*who, first) for first, run in stood.items() if first in now and not run.agrees(now[first])]
        changed += [_run_row(institution_id, key, run) for run in runs if stood.get(run.first) != run]
        known = set(_lasting(before.get(key, ())))
        told += [(*who, said[0]) for said in _lasting(runs) if said not in known]
    own = RunRow.institution_id == institution_id
    for index in range(0, len(gone), 100):
        session.execute(delete(RunRow).where(own, _RUN_KEY.in_(gone[index : index + 100])))
    upsert(session, RunRow, changed)
    note_gone(session, institution_id, RunRow, [(institution_id, *key) for key in gone + replaced])
    for index in range(0, len(told), 100):
        note(session, institution_id, RunRow, own, _RUN_KEY.in_(told[index : index + 100]))


def _lasting(runs: Sequence[Run]) -> Iterator[tuple[object, ...]]:
    """Give what the journal tells of runs, the first look before all: the newest one's last look moves with each evaluation."""
    for number, run in enumerate(runs, 1):
        last = None if number == len(runs) else run.last
        yield run.first, last, run.outcome, run.state, run.began, run.because_of


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
