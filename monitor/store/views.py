"""Views that sites propose, and what officers decided on them. A decision is made once; a newer view replaces an older."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from monitor.model.observation import Kind, Observation
from monitor.model.span import Millis, isoformat
from monitor.model.view import Approval, Proposal
from monitor.store.journal import note
from monitor.store.tables import InstantRow, ViewDecisionRow
from monitor.store.upsert import table_of

_DECISION, _INSTANT = table_of(ViewDecisionRow), table_of(InstantRow)
_DECISIONS = (
    select(
        _DECISION.c.proposal, _DECISION.c.camera_id, _DECISION.c.light, _DECISION.c.view, _DECISION.c.confirmed,
        _DECISION.c.decided_at, _DECISION.c.decided_by, _DECISION.c.settled_at, _DECISION.c.settled_by,
    )
    .where(_DECISION.c.institution_id == bindparam("who"))
    .order_by(_DECISION.c.decided_at, _DECISION.c.proposal)
)  # fmt: skip
_NEWEST = (
    select(_INSTANT.c.digest)
    .where(_INSTANT.c.institution_id == bindparam("who"), _INSTANT.c.kind == Kind.BASELINE.value)
    .order_by(_INSTANT.c.at.desc(), _INSTANT.c.digest)
    .limit(bindparam("most"))
)

MOST_OPEN = 200
"""Proposals that are read at once; a site that sends more has the newest looked at first."""


@dataclass(frozen=True)
class Decision:
    """What an officer decided on a proposed view."""

    camera: str
    light: str
    view: str
    confirmed: bool
    at: Millis
    by: str
    settled_at: Millis | None = None
    settled_by: str | None = None


@dataclass(frozen=True)
class ProposedView:
    """A view that somebody on site proposes, and what was decided on it, if anything was."""

    id: str
    """The digest of its observation."""
    camera: str
    at: Millis
    proposal: Proposal
    decision: Decision | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the API's form: all but the fingerprint, which only agents read."""
        proposal, decision = self.proposal, self.decision
        return {
            "id": self.id,
            "camera": self.camera,
            "light": proposal.light,
            "view": proposal.view,
            "proposed_at": isoformat(self.at),
            "proposed_by": proposal.by,
            "looks": proposal.looks,
            "overlap": proposal.overlap,
            "state": proposal.state,
            "second_look": proposal.second_look,
            "left_ratio": proposal.left_ratio,
            "sketch": list(proposal.sketch.rows),
            "decision": None if decision is None else ("confirmed" if decision.confirmed else "rejected"),
            "decided_at": None if decision is None else isoformat(decision.at),
            "decided_by": None if decision is None else decision.by,
            "settled_at": None if decision is None or decision.settled_at is None else isoformat(decision.settled_at),
        }


def decisions(session: Session, institution_id: str) -> dict[str, Decision]:
    """Return every decision on an institution's views, by proposal, the oldest first."""
    rows = session.execute(_DECISIONS, {"who": institution_id}).all()
    return {proposal: Decision(*said) for proposal, *said in rows}


def approvals(session: Session, institution_id: str) -> dict[str, list[Approval]]:
    """Return the confirmed views of each camera in order of time: what the judge is told."""
    return approved(decisions(session, institution_id))


def approved(known: Mapping[str, Decision]) -> dict[str, list[Approval]]:
    """Return the same of decisions that were read already."""
    found: dict[str, list[Approval]] = defaultdict(list)
    for item in known.values():
        if item.confirmed:
            found[item.camera].append(Approval(item.light, item.view, item.at, item.by, item.settled_at))
    return dict(found)


def in_force(known: dict[str, Decision]) -> dict[tuple[str, str], str]:
    """Return, for each (camera, light), the proposal that was confirmed last."""
    return {(item.camera, item.light): proposal for proposal, item in known.items() if item.confirmed}


def open_proposals(
    session: Session, institution_id: str, known: dict[str, Decision] | None = None
) -> list[ProposedView]:
    """Return the newest proposal of each camera and light that nobody has decided on and no decision has overtaken.

    The decisions are those in the same database, unless they are given.
    """
    known = decisions(session, institution_id) if known is None else known
    decided = {key: known[proposal].at for key, proposal in in_force(known).items()}
    newest = session.execute(_NEWEST, {"who": institution_id, "most": MOST_OPEN + len(known)}).scalars().all()
    found: dict[tuple[str, str], ProposedView] = {}
    undecided = [digest for digest in newest if digest not in known][:MOST_OPEN]
    for item in proposed(session, institution_id, undecided, known):
        key = (item.camera, item.proposal.light)
        if item.at > decided.get(key, -1) and (key not in found or item.at > found[key].at):
            found[key] = item
    return sorted(found.values(), key=lambda item: (item.camera, item.proposal.light))


def proposed(
    session: Session, institution_id: str, ids: Iterable[str], known: dict[str, Decision] | None = None
) -> list[ProposedView]:
    """Return proposals by id, with what was decided (as `known`, where it is given); what is no readable proposal is left out."""
    wanted = sorted(set(ids))
    if known is None:
        known = decisions(session, institution_id) if wanted else {}
    found: list[ProposedView] = []
    for index in range(0, len(wanted), 100):
        row = InstantRow
        here = (row.institution_id == institution_id, row.digest.in_(wanted[index : index + 100]))
        rows = session.execute(select(row.digest, row.body).where(*here, row.kind == Kind.BASELINE.value))
        for digest, body in rows:
            try:
                observation = Observation.read_stored(body)
            except ValueError:
                continue
            proposal = Proposal.of(observation)
            if proposal is not None:
                found.append(
                    ProposedView(digest, observation.subject.id, observation.start, proposal, known.get(digest))
                )
    return found


def decide(session: Session, institution_id: str, proposal: str, decision: Decision) -> None:
    """Write a decision down. Whoever calls holds the institution's row, and has seen that none was made before."""
    session.add(
        ViewDecisionRow(
            institution_id=institution_id,
            proposal=proposal,
            camera_id=decision.camera,
            light=decision.light,
            view=decision.view,
            confirmed=decision.confirmed,
            decided_at=decision.at,
            decided_by=decision.by,
            settled_at=decision.settled_at,
            settled_by=decision.settled_by,
        )
    )
    row = ViewDecisionRow
    note(session, institution_id, row, row.institution_id == institution_id, row.proposal == proposal)


def settle(session: Session, institution_id: str, proposal: str, at: Millis, by: str) -> bool:
    """Note that a confirmed view settles the faults found against earlier ones; False when it can't, or did already."""
    row = ViewDecisionRow
    here = (row.institution_id == institution_id, row.proposal == proposal)
    open_ones = (row.confirmed.is_(True), row.settled_at.is_(None))
    changed = update(row).where(*here, *open_ones).values(settled_at=at, settled_by=by).returning(row.proposal)
    if session.execute(changed).first() is None:
        return False
    note(session, institution_id, row, *here)
    return True


def assigned(session: Session, institution_id: str) -> list[dict[str, Any]]:
    """Return the confirmed views as agents are told of them: those in force with their fingerprints."""
    known = decisions(session, institution_id)
    current = set(in_force(known).values())
    prints = {item.id: item.proposal.fingerprint for item in proposed(session, institution_id, current)}
    return [_assigned(item, prints.get(proposal)) for proposal, item in known.items() if item.confirmed]


def _assigned(item: Decision, fingerprint: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "camera": item.camera,
        "light": item.light,
        "view": item.view,
        "at": item.at,
        "by": item.by,
        "settled_at": item.settled_at,
        "fingerprint": fingerprint,
    }


def listed(session: Session, institution_id: str) -> Sequence[ProposedView]:
    """Return what is of interest now: the views in force, then the open proposals."""
    current = proposed(session, institution_id, in_force(decisions(session, institution_id)).values())
    ordered = sorted(current, key=lambda item: (item.camera, item.proposal.light))
    return [*ordered, *open_proposals(session, institution_id)]


@dataclass(frozen=True)
class Standing:
    """How an institution's views stand, for its page: what is in force is read whole only where it is compared."""

    in_force: dict[str, Decision]
    """By proposal, the oldest decision first."""
    waiting: Sequence[ProposedView]
    compared: dict[tuple[str, str], ProposedView]
    """The views in force, by (camera, light), where another one waits."""


def standing(session: Session, institution_id: str) -> Standing:
    """Return the views in force, those that wait for an officer, and what these are to be compared with."""
    known = decisions(session, institution_id)
    current = in_force(known)
    waiting = open_proposals(session, institution_id)
    beside = {current[key] for item in waiting if (key := (item.camera, item.proposal.light)) in current}
    compared = {(item.camera, item.proposal.light): item for item in proposed(session, institution_id, beside)}
    return Standing({proposal: known[proposal] for proposal in current.values()}, waiting, compared)
