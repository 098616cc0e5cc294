"""Findings, and one finding's page."""

from __future__ import annotations

from dataclasses import replace

from starlette.exceptions import HTTPException
from starlette.responses import Response

from dashboards.web.cases import case, details, history
from dashboards.web.figures import Words
from dashboards.web.visit import Visit
from dashboards.web.words import REQUIREMENTS
from monitor.model.inventory import Inventory
from monitor.model.regulation import Regulation
from monitor.regulations.problem import PackError
from monitor.store.browse import inventories, summaries
from monitor.store.engine import reading
from monitor.store.findings import FindingRow, cursor_of, finding, finding_rows, open_counts, told_changes
from monitor.store.registry import InstitutionSummary, institution

PAGE_SIZE = 50


def show_findings(visit: Visit) -> Response:
    """GET /findings: the newest first; open ones alone unless all are asked for."""
    query = visit.request.query_params
    requirement = query.get("requirement") if query.get("requirement") in REQUIREMENTS else None
    only, everything = query.get("institution") or None, query.get("all") == "1"
    with reading(visit.context.engine) as session:
        rows = finding_rows(
            session,
            institution=only,
            open_only=not everything,
            requirement=requirement,
            after=query.get("after"),
            limit=PAGE_SIZE + 1,
        )
        ids = {row.institution for row in rows[:PAGE_SIZE]} | ({only} if only else set())
        known = summaries(session, ids)
        counts = {} if everything or only else open_counts(session)
        declared = inventories(session, ids)
    items = []
    for row in rows[:PAGE_SIZE]:
        words = _words(visit, known.get(row.institution), declared.get(row.institution))
        items.append(case(row, _name(known.get(row.institution), row.institution), words, visit.now))
    words = visit.words("UTC")
    values = {
        "items": items,
        "requirements": [(kind, _counted(words.requirement(kind), counts.get(kind))) for kind in REQUIREMENTS],
        "open": sum(counts.values()),
        "requirement": requirement or "",
        "all": everything,
        "institution": only or "",
        "institution_name": _name(known.get(only), only) if only else "",
        "paged": "after" in query,
        "first_url": visit.url(after=None) if "after" in query else None,
        "next_url": visit.url(after=cursor_of(rows[PAGE_SIZE - 1])) if len(rows) > PAGE_SIZE else None,
    }
    return visit.page("findings.html", values, section="findings")


def _counted(label: str, count: int | None) -> str:
    return label if not count else f"{label} ({count})"


def _words(visit: Visit, summary: InstitutionSummary | None, inventory: Inventory | None) -> Words:
    if inventory is not None:
        return visit.words(inventory.institution.timezone, inventory)
    return visit.words(summary.timezone if summary else "UTC")


def _name(summary: InstitutionSummary | None, institution_id: str) -> str:
    return (summary.name if summary else "") or institution_id


def show_finding(visit: Visit) -> Response:
    """GET /findings/ID."""
    with reading(visit.context.engine) as session:
        row = finding(session, visit.request.path_params["id"])
        if row is None:
            raise HTTPException(404)
        summary = institution(session, row.institution)
        inventory = inventories(session, [row.institution]).get(row.institution)
        readings = told_changes(session, row.institution, row.id)
    words = _words(visit, summary, inventory)
    figures, evidence = details(row, words)
    item = replace(
        case(row, _name(summary, row.institution), words, visit.now, pack=_same_pack(visit, row)),
        figures=figures,
        evidence=evidence,
        history=history(row, readings, words),
    )
    return visit.page("finding.html", {"item": item, "zone_name": words.times.name()}, section="findings")


def _same_pack(visit: Visit, row: FindingRow) -> Regulation | None:
    """Return the pack that the finding was judged by, if it is still the one in force: its notes belong to it."""
    try:
        pack = visit.context.packs.get(row.regulation)
    except PackError:
        return None
    return pack if pack.version == row.regulation_version else None
