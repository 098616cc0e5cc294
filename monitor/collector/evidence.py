"""Puts together what a finding stands on: for somebody who has neither this database nor reason to believe it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from monitor.collector.clocks import NOTED_FOR
from monitor.collector.context import Context
from monitor.collector.evaluate import expected_reports, nothing_declared
from monitor.evidence.bundle import as_json, write_bundle
from monitor.model.chain import write_chain
from monitor.model.envelope import Envelope, frame
from monitor.model.finding import undetermined_since
from monitor.model.jws import SignatureError
from monitor.model.regulation import pack_json
from monitor.model.span import isoformat
from monitor.model.verdict import cause_json
from monitor.store import registry, views
from monitor.store.agents import AgentSummary, agents_of
from monitor.store.clocks import disputed_at
from monitor.store.engine import snapshot
from monitor.store.findings import FindingRow, Reading, changes_of, finding
from monitor.store.kept_packs import kept_pack
from monitor.store.keys import agent_keys
from monitor.store.listening import listening_since
from monitor.store.reports import Position, StoredReport, stored_reports
from monitor.store.verdicts import load_runs


class ExportError(Exception):
    """A finding that can't be exported; the text is one sentence."""


def export_evidence(context: Context, finding_id: str, path: Path) -> int:
    """Write the bundle of a finding as it stands at one moment; return how many reports it holds.

    What comes in or is judged meanwhile would make the parts say different things: the finding other than its readings, a
    report missing that is there. Raises ExportError, BundleError, PackError.
    """
    with snapshot(context.engine) as session:
        row = finding(session, finding_id)
        if row is None:
            raise ExportError(f"there is no finding {finding_id}")
        changes = changes_of(session, row.institution, row.id)
        if not changes:
            raise ExportError(f"the readings of finding {finding_id} are gone: see `cradlewatch collector verify`")
        said = _reading(changes)
        files, agents, count = _reports(session, row.institution, said)
        files["agents.json"] = as_json(agents)
        files["finding.json"] = as_json(row.to_json())
        readings = [_said(item) for item in changes]
        files["computation.json"] = as_json(_computation(session, row, said) | {"readings": readings})
        files["regulation.json"] = as_json(_regulation(context, session, row, said))
    about = {"institution": row.institution, "finding": row.id, "made_at": isoformat(context.now())}
    write_bundle(path, files, about)
    return count


def _reading(changes: list[Reading]) -> Reading:
    """Return the newest reading that shows the breach, by the pack that opened the finding; the first one where none does.

    A finding cites the pack that opened it: what was judged later by another one (the institution's pack was changed, or
    updated), and what only set times right, is told with it, and not computed again.
    """
    first = changes[0]
    return next((item for item in reversed(changes) if item.ended is None and item.pack == first.pack), first)


def _said(item: Reading) -> dict[str, Any]:
    return item.to_json() | {"regulation": item.pack}


def _regulation(context: Context, session: Session, row: FindingRow, said: Reading) -> Any:
    """Return the pack by which a reading was made. Of findings of before none was kept: the installed one has to do."""
    if said.pack is None:
        return pack_json(context.packs.get(row.regulation))
    try:
        kept = kept_pack(session, said.pack)
    except ValueError:
        kept = None
    if kept is None:
        raise ExportError(
            f"the regulation by which finding {row.id} was judged is gone: see `cradlewatch collector verify`"
        )
    return kept


def _reports(session: Session, institution: str, said: Reading) -> tuple[dict[str, bytes], dict[str, Any], int]:
    files: dict[str, bytes] = {}
    about: dict[str, Any] = {}
    total = 0
    for agent in agents_of(session, institution):
        if agent.chain_lost:
            raise ExportError(
                f"what is kept of the chain of agent {agent.id} can't be read, and the bundle would say that reports are gone: "
                f"`cradlewatch collector agent mend {agent.id} --institution {institution}` makes it again"
            )
        stored = list(stored_reports(session, institution, agent.id))
        had = {row.position for row in stored if _had(row, agent.id, said)}
        rows = _followed(stored, had)
        signed = [row for row in rows if row.key_id is not None]
        file = f"reports/{agent.id}.envelopes"
        files[file] = frame(row.envelope for row in signed)
        received = [[row.position[0], row.position[1], row.nonce_at, row.received_at] for row in signed]
        files[f"received/{agent.id}.json"] = as_json(received)
        about[agent.id] = {
            "reports": {
                "file": file,
                "count": len(signed),
                "unsigned_left_out": len(rows) - len(signed),
                "misdated": [list(row.position) for row in signed if row.doubt is not None],
                "later": [list(row.position) for row in signed if row.position not in had],
            },
            **_of_agent(session, agent),
        }
        total += len(signed)
    return files, about, total


def _had(row: StoredReport, agent: str, said: Reading) -> bool:
    """Tell whether a report had come in when a reading was made.

    Their numbers tell it: their times may lie after it, or before, where the collector's clock was set back. Readings of
    before didn't count them.
    """
    return row.received_at <= said.at if said.reports is None else row.arrival <= said.reports.get(agent, 0)


def _followed(stored: Sequence[StoredReport], had: Collection[Position]) -> list[StoredReport]:
    """Return what had come in, and what that follows, whenever it came in: a backlog comes after newer reports."""
    places = {row.position: row for row in stored if row.key_id is not None}
    found = set(had)
    waiting = list(found)
    while waiting:
        row = places.get(waiting.pop())
        before = None if row is None else _before(row)
        if before is not None and before in places and before not in found:
            found.add(before)
            waiting.append(before)
    return [row for row in stored if row.position in found]


def _before(row: StoredReport) -> Position | None:
    try:
        after = Envelope.read(row.envelope).protected.after
    except SignatureError:
        return None  # the check of the bundle says so
    return None if after is None else (after.boot, after.sequence)


def _of_agent(session: Session, agent: AgentSummary) -> dict[str, Any]:
    keys = agent_keys(session, agent.institution, agent.id)
    return {
        "keys": {
            key_id: {
                "jwk": key.public.jwk,
                "registered_at": key.registered,
                "replaced_at": key.replaced,
                "revoked_at": key.revoked,
            }
            for key_id, key in keys.items()
        },
        "chain": write_chain(agent.chain),
        "missing": agent.missing,
        "forked_at": agent.forked_at,
    }


def _computation(session: Session, row: FindingRow, said: Reading) -> dict[str, Any]:
    """Return what the judge was told beside the reports."""
    approved = registry.approved_inventory(session, row.institution)
    runs = load_runs(session, row.institution, until=said.at)
    since = [(kind, str(subject), undetermined_since(items)) for (kind, subject), items in runs.items()]
    approvals = views.approvals(session, row.institution)
    looks = runs.get((row.requirement, row.subject), ())
    return {
        "as_of": said.at,
        "reading": _said(said),
        "regulation_version": row.regulation_version,
        "inventory": None if approved is None else approved.model_dump(mode="json", by_alias=True),
        "undeclared": nothing_declared(registry.known_institution(session, row.institution)).model_dump(
            mode="json", by_alias=True
        ),
        "waivers": [item.model_dump(mode="json") for item in registry.waivers(session, row.institution, said.at)],
        "approvals": {camera: [asdict(item) for item in items] for camera, items in approvals.items()},
        "last_reports": expected_reports(session, row.institution, said.at, said.reports),
        "undetermined_since": [item for item in since if item[2] is not None],
        "looks": [asdict(item) | {"because_of": cause_json(item.because_of)} for item in looks],
        "listening_since": listening_since(session, said.at),
        "clocks_disputed": disputed_at(session, said.at, NOTED_FOR),
    }
