"""What an institution's newest evaluation stood on and wrote: one row each, by which `verify` makes it again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from monitor.model.observation import digest_of_text
from monitor.model.span import Millis
from monitor.store.tables import EvaluationRow
from monitor.store.upsert import upsert

CLOCK_SET = "clock_set"
"""Why an evaluation can't be made again: what it wrote was moved, since the centre's clock had been ahead."""


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation stood on beside ledger and register, and what it wrote."""

    as_of: Millis
    judged_by: str
    """The digest of the code that judged."""
    pack: str
    """The digest of the pack, which is kept."""
    reports: dict[str, int]
    """How many reports of each agent it had."""
    journal: int
    """How many entries the journal had."""
    heard: dict[str, Millis]
    """For each agent that was expected to report, since when it would have been silent."""
    undetermined_since: list[tuple[str, str, str, Millis]]
    """Since when (requirement, kind and id of the subject) had been undetermined."""
    listening_since: Millis | None
    clocks_disputed: bool
    standing: dict[str, Any]
    """The institution's counts, as they were written."""
    verdicts: str
    """The digest of the verdicts' rows."""
    looks: str
    """The digest of the last look of each subject's newest run."""
    other_looks: list[tuple[str, str, str, Millis]] = field(default_factory=list)
    """Those of them that aren't what the verdict looked at: (requirement, kind and id of the subject, the last look)."""


@dataclass(frozen=True)
class Kept:
    """The row as it is stored."""

    number: int
    is_whole: bool
    """It is what was written, as its digest says."""
    evaluated: Evaluated | None = None
    """None where the evaluation can't be made again."""
    void: str | None = None
    """Why it can't be made again: migrated, clock_set."""


def keep_evaluated(session: Session, institution_id: str, number: int, item: Evaluated) -> None:
    """Keep what the newest evaluation stood on."""
    _keep(session, institution_id, number, item.__dict__)


def void_evaluated(session: Session, institution_id: str, why: str) -> None:
    """Note that what the newest evaluation wrote was changed since, so that it can't be made again."""
    row = EvaluationRow
    number = session.scalars(select(row.number).where(row.institution_id == institution_id)).one_or_none()
    if number is not None:
        _keep(session, institution_id, number, {"void": why})


def kept_evaluated(session: Session, institution_id: str) -> Kept | None:
    """Return what is kept of an institution's newest evaluation, None where nothing is."""
    row = EvaluationRow
    query = select(row.number, row.body, row.digest).where(row.institution_id == institution_id)
    found = session.execute(query).one_or_none()
    if found is None:
        return None
    number, body, digest = found
    if digest != _digest(institution_id, number, body):
        return Kept(number, is_whole=False)
    try:
        value = json.loads(body)
        if "void" in value:
            return Kept(number, is_whole=True, void=str(value["void"]))
        for name in ("undetermined_since", "other_looks"):
            value[name] = [tuple(item) for item in value[name]]
        return Kept(number, is_whole=True, evaluated=Evaluated(**value))
    except (ValueError, KeyError, TypeError):  # another version wrote it, which keeps something else
        return Kept(number, is_whole=True)


def digest_of_rows(value: object) -> str:
    """Return the digest of JSON values."""
    return digest_of_text(json.dumps(value, sort_keys=True))


def _keep(session: Session, institution_id: str, number: int, value: dict[str, Any]) -> None:
    body = json.dumps(value)
    digest = _digest(institution_id, number, body)
    row = {"institution_id": institution_id, "number": number, "body": body, "digest": digest}
    upsert(session, EvaluationRow, [row], last=True)


def _digest(institution_id: str, number: int, body: str) -> str:
    return digest_of_text(json.dumps([institution_id, number, body]))
