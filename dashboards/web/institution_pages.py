"""Institutions, the worst first; and one institution's page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from dashboards.web.cases import case
from dashboards.web.chains import chain_lines, forgotten_moments
from dashboards.web.charts import DAY_STATES, bar_swatch, defs, swatch, unlit_swatch
from dashboards.web.figures import Words
from dashboards.web.regulation_pages import pack_of
from dashboards.web.site import site_view
from dashboards.web.standing import is_stale, stale_after, standing
from dashboards.web.views import Pictures, camera_views
from dashboards.web.visit import Visit
from dashboards.web.words import DAYS
from monitor.collector.evaluate import facts_of
from monitor.model.inventory import Jurisdiction
from monitor.store.agents import agents_of
from monitor.store.browse import changed_thresholds, search_institutions, totals
from monitor.store.engine import reading
from monitor.store.findings import finding_rows
from monitor.store.listening import listened
from monitor.store.registry import (
    InstitutionSummary,
    count_views_waiting,
    cursor_of,
    institution,
    institution_rows,
    jurisdictions,
)
from monitor.store.verdicts import current_verdicts
from monitor.store.views import standing as standing_views

PAGE_SIZE = 50
MOST_FINDINGS = 200
"""Open findings that an institution's own page lists."""


def show_institutions(visit: Visit) -> Response:
    """GET /: the worst first, by name if asked for."""
    query = visit.request.query_params.get("q", "").strip()[:100]
    views_wait = visit.request.query_params.get("views") == "wait"
    with reading(visit.context.engine) as session:
        areas = jurisdictions(session)
        asked = visit.request.query_params.get("area")
        area = asked if asked in {item.code for item in areas} else None
        waiting = count_views_waiting(session, area)
        stand = totals(session, visit.now - stale_after(visit.context.settings.evaluate_every), area)
    rows, next_url = _search(visit, query, area) if query else _list(visit, area, views_wait=views_wait)
    lines = [standing(row, visit.words(row.timezone), stale=_stale(visit, row)) for row in rows[:PAGE_SIZE]]
    paged = {"after", "from"} & set(visit.request.query_params)
    values = {
        "rows": lines,
        "query": query,
        "next_url": next_url,
        "paged": bool(paged),
        "waiting": waiting,
        "views_wait": views_wait,
        "areas": _tree(areas),
        "area": area or "",
        "wait_url": visit.url(after=None, views="wait", **{"from": None}),
        "first_url": visit.url(after=None, **{"from": None}) if paged else None,
        "stand": None if query or views_wait or paged else stand,
    }
    return visit.page("institutions.html", values, section="institutions")


def _tree(areas: Sequence[Jurisdiction]) -> list[tuple[str, str]]:
    """Return code and name of each area, those below one behind it, and further in."""
    below: dict[str | None, list[Jurisdiction]] = defaultdict(list)
    for item in areas:
        below[item.parent].append(item)

    def under(parent: str | None, depth: int) -> Iterator[tuple[str, str]]:
        for item in below[parent]:
            yield item.code, "\u3000" * depth + item.name
            yield from under(item.code, depth + 1)

    return list(under(None, 0))


def _list(visit: Visit, area: str | None, *, views_wait: bool) -> tuple[Sequence[InstitutionSummary], str | None]:
    with reading(visit.context.engine) as session:
        after = visit.request.query_params.get("after")
        rows = institution_rows(session, jurisdiction=area, views_wait=views_wait, after=after, limit=PAGE_SIZE + 1)
    more = visit.url(after=cursor_of(rows[PAGE_SIZE - 1])) if len(rows) > PAGE_SIZE else None
    return rows, more


def _search(visit: Visit, query: str, area: str | None) -> tuple[Sequence[InstitutionSummary], str | None]:
    start = visit.request.query_params.get("from", "0")
    offset = int(start) if start.isascii() and start.isdigit() and len(start) < 7 else 0
    with reading(visit.context.engine) as session:
        rows = search_institutions(session, query, jurisdiction=area, offset=offset, limit=PAGE_SIZE + 1)
    more = visit.url(**{"from": str(offset + PAGE_SIZE)}) if len(rows) > PAGE_SIZE else None
    return rows, more


def show_institution(visit: Visit) -> Response:
    """GET /institutions/ID."""
    institution_id = visit.request.path_params["id"]
    with reading(visit.context.engine) as session:
        summary = institution(session, institution_id)
        if summary is None:
            raise HTTPException(404)
        as_of = summary.evaluated_at or visit.now
        facts = facts_of(session, institution_id, as_of, visit.context.kept)
        verdicts = current_verdicts(session, institution_id)
        rows = finding_rows(session, institution=institution_id, open_only=True, limit=MOST_FINDINGS)
        proposals = standing_views(session, institution_id)
        thresholds = changed_thresholds(session, institution_id)
        agents = agents_of(session, institution_id)
        forgotten = forgotten_moments(agents, listened(session))
    inventory = facts.inventory if facts else None
    words = visit.words(inventory.institution.timezone if inventory else summary.timezone, inventory)
    name = summary.name or summary.id
    pack = pack_of(visit, summary.regulation)
    view = site_view(
        summary,
        facts,
        pack,
        verdicts,
        [case(row, name, words, as_of) for row in rows],
        words,
        stale=_stale(visit, summary),
        pictures=Pictures(camera_views(proposals, rows, words), thresholds),
    )
    chains = chain_lines(agents, words, forgotten)
    values = {"view": view, "chains": chains, "defs": defs(), "zone_name": words.times.name(), **_legends(words)}
    return visit.page("institution.html", values, section="institutions")


def _stale(visit: Visit, summary: InstitutionSummary) -> bool:
    return is_stale(summary, visit.now, visit.context.settings.evaluate_every)


def _legends(words: Words) -> dict[str, Any]:
    return {
        "day_legend": [{"swatch": swatch(state), "text": words.translate(DAYS[state])} for state in DAY_STATES],
        "bar_legend": [
            {"swatch": bar_swatch(state), "text": words.state(state)} for state in ("up", "down", "unknown")
        ],
        "unlit_legend": {"swatch": unlit_swatch(), "text": words.translate("dark when it may be")},
    }
