"""Routes for scripts and pages that read: institutions, their ledger, findings."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime
from sqlalchemy.orm import Session

from monitor.api.auth import reader
from monitor.api.context import Context
from monitor.api.problems import Problem
from monitor.collector.evaluate import facts_of
from monitor.evaluation.retention import DayHeld, day_ledger
from monitor.model.observation import Kind
from monitor.model.span import Millis, isoformat, to_millis
from monitor.regulations.problem import PackError
from monitor.store import agents, findings, registry
from monitor.store.browse import changed_thresholds
from monitor.store.cursor import CursorError
from monitor.store.engine import reading
from monitor.store.ledger import ledger_page

_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_IDENTIFIER = re.compile(_ID)
_FINDING = re.compile(r"[0-9a-f]{32}")

Limit = Annotated[int, Query(ge=1, le=500, description="How many items a page has at most.")]
After = Annotated[str | None, Query(max_length=400, description="The cursor `next` of the page before.")]
Language = Annotated[Literal["en", "zh"], Query(description="The language of citations.")]
MOST_DAYS = 400
"""A calendar goes back no further, whatever a pack asks for."""

Instant = Annotated[AwareDatetime | None, Query(description="RFC 3339, with its time zone.")]


def reading_routes(context: Context) -> APIRouter:
    """Return the routes that read. All of them need an API token or a signed-in session."""
    router = APIRouter(prefix="/api/v1", tags=["reading"], dependencies=[Depends(reader)])

    @router.get("/institutions")
    def institutions(
        jurisdiction: Annotated[str | None, Query(pattern=r"^[0-9A-Za-z-]{1,16}$")] = None,
        views_wait: Annotated[bool, Query(description="Only those with proposed views that wait.")] = False,
        after: After = None,
        limit: Limit = 50,
    ) -> dict[str, Any]:
        """List institutions, the worst first."""
        with reading(context.engine) as session:
            try:
                rows = registry.institution_rows(
                    session, jurisdiction=jurisdiction, views_wait=views_wait, after=after, limit=limit + 1
                )
            except CursorError as error:
                raise _bad_cursor(error) from None
        following = registry.cursor_of(rows[limit - 1]) if len(rows) > limit else None
        return _list("institutions", context, [row.to_json() for row in rows[:limit]], following)

    @router.get("/institutions/{institution_id}")
    def institution(institution_id: str, language: Language = "en") -> dict[str, Any]:
        """Return one institution: how it stands, its verdicts, its agents, what is approved."""
        with reading(context.engine) as session:
            summary = _institution(session, institution_id)
            verdicts = [row.to_json(language) for row in findings.current_verdicts(session, institution_id)]
            approved = registry.approved_inventory(session, institution_id)
            return {
                "schema": "cradlewatch.institution/1",
                "as_of": isoformat(context.now()),
                **summary.to_json(),
                "agents": [agent.to_json() for agent in agents.agents_of(session, institution_id)],
                "inventory": None if approved is None else approved.model_dump(mode="json", by_alias=True),
                "thresholds": [item.model_dump(mode="json") for item in changed_thresholds(session, institution_id)],
                "verdicts": verdicts,
                "contradictions": _contradictions(verdicts),
            }

    @router.get("/institutions/{institution_id}/cameras/{camera_id}/days")
    def days(institution_id: str, camera_id: str) -> dict[str, Any]:
        """Return a camera's calendar: of each required day up to yesterday what was due and what is held of it."""
        return _days(context, institution_id, camera_id)

    @router.get("/institutions/{institution_id}/ledger")
    def ledger(
        institution_id: str,
        start: Annotated[Instant, Query(alias="from")] = None,
        to: Instant = None,
        kind: Kind | None = None,
        after: After = None,
        limit: Limit = 200,
    ) -> dict[str, Any]:
        """Return what was seen of an institution in [from, to): spans, then instants, in order of time."""
        with reading(context.engine) as session:
            _institution(session, institution_id)
            bounds = {"start": _millis("from", start), "end": _millis("to", to)}
            try:
                page = ledger_page(session, institution_id, **bounds, kind=kind, after=after, limit=limit)
            except CursorError as error:
                raise _bad_cursor(error) from None
        return {**_list("ledger", context, page.items, page.next), "institution": institution_id}

    @router.get("/findings")
    def finding_list(
        institution: Annotated[str | None, Query(pattern=_ID)] = None,
        requirement: Annotated[str | None, Query(pattern=r"^[a-z_]{1,40}$")] = None,
        open_only: Annotated[bool, Query(alias="open", description="Only those that have not ended.")] = False,
        after: After = None,
        limit: Limit = 100,
        language: Language = "en",
    ) -> dict[str, Any]:
        """List findings, the newest opened first."""
        with reading(context.engine) as session:
            try:
                rows = findings.finding_rows(
                    session,
                    institution=institution,
                    requirement=requirement,
                    open_only=open_only,
                    after=after,
                    limit=limit + 1,
                )
            except CursorError as error:
                raise _bad_cursor(error) from None
        following = findings.cursor_of(rows[limit - 1]) if len(rows) > limit else None
        return _list("findings", context, [row.to_json(language) for row in rows[:limit]], following)

    @router.get("/findings/{finding_id}")
    def finding(finding_id: str, language: Language = "en") -> dict[str, Any]:
        """Return one finding with every reading that moved it."""
        with reading(context.engine) as session:
            row = findings.finding(session, finding_id) if _FINDING.fullmatch(finding_id) else None
            if row is None:
                raise Problem(HTTPStatus.NOT_FOUND, "there is no such finding")
            changes = [item.to_json() for item in findings.told_changes(session, row.institution, row.id)]
        regulation = {"id": row.regulation, "version": row.regulation_version}
        return {**row.to_json(language), "regulation": regulation, "changes": changes}

    return router


def _contradictions(verdicts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the verdicts measured that can't be true together, each once."""
    lists = (verdict["measured"].get("contradictions") for verdict in verdicts)
    found = [item for listed in lists if isinstance(listed, list) for item in listed]
    return [item for number, item in enumerate(found) if item not in found[:number]]


def _days(context: Context, institution_id: str, camera_id: str) -> dict[str, Any]:
    """Return a camera's calendar in the API's form. Raises Problem."""
    with reading(context.engine) as session:
        summary = _institution(session, institution_id)
        as_of = summary.evaluated_at or context.now()
        facts = facts_of(session, institution_id, as_of, context.kept)
    try:
        requirement = context.packs.get(summary.regulation).requirements.retention
    except PackError:
        detail = "the institution's regulation pack can't be read; the operator has to repair it"
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "600"}) from None
    if facts is None or facts.inventory.camera(camera_id) is None:
        raise Problem(HTTPStatus.NOT_FOUND, "the institution declares no such camera")
    if requirement is None:
        raise Problem(HTTPStatus.NOT_FOUND, "the institution's rule pack asks for no retention")
    listed = day_ledger(facts, requirement, camera_id, min(requirement.required_days, MOST_DAYS))
    return {
        "schema": "cradlewatch.days/1",
        "as_of": isoformat(as_of),
        "institution": institution_id,
        "camera": camera_id,
        "required_days": requirement.required_days,
        "items": [_day(item) for item in listed],
    }


def _day(item: DayHeld) -> dict[str, Any]:
    """Return a day in the API's form; what isn't known of it is null, never 0."""
    known = item.state != "unknown"
    return {
        "day": item.day.isoformat(),
        "state": item.state,
        "due_seconds": item.due // 1000 if known else None,
        "held_seconds": item.held // 1000 if known else None,
    }


def _list(name: str, context: Context, items: list[Any], following: str | None) -> dict[str, Any]:
    return {"schema": f"cradlewatch.{name}/1", "as_of": isoformat(context.now()), "items": items, "next": following}


def _institution(session: Session, institution_id: str) -> registry.InstitutionSummary:
    found = registry.institution(session, institution_id) if _IDENTIFIER.fullmatch(institution_id) else None
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, "there is no such institution")
    return found


def _millis(name: str, instant: AwareDatetime | None) -> Millis | None:
    try:
        return None if instant is None else to_millis(instant)
    except OverflowError:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"query.{name}: the instant is out of range") from None


def _bad_cursor(error: CursorError) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"query.after: {error}")
