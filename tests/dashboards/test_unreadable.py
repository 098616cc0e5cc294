"""Rows edited by hand that can't be read: the institution's page says so and shows the rest, and so do API and metrics."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from monitor.collector.evaluate import evaluate
from monitor.store.engine import reading, writing
from monitor.store.tables import Base, FindingChange, FindingRecord, InstantRow, SpanRow, VerdictRow
from support import seeded
from support.dashboard import District, new_district
from support.databases import Engines

SITE = "wj-0002"
PAGE = f"/institutions/{SITE}"
NOTE = "1 verdict can&#39;t be read as it is stored"
LINE = "What is stored of this verdict can&#39;t be read"
HERE = (VerdictRow.institution_id == SITE, VerdictRow.requirement == "retention", VerdictRow.subject_id == "gate")


@pytest.fixture(scope="session")
def trouble(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, datetime]:
    """The database of a district whose institution is troubled, for copies, and when it was last judged."""
    folder = tmp_path_factory.mktemp("trouble")
    found = new_district(folder)
    seeded.troubled(found.context, found.clock)
    found.context.engine.dispose()
    return folder / "cradlewatch.db", found.clock.now()


@pytest.fixture
def troubled(tmp_path: Path, engines: Engines, trouble: tuple[Path, datetime]) -> Iterator[District]:
    database, now = trouble
    with engines.of_file(Path(shutil.copy(database, tmp_path / "cradlewatch.db"))) as engine:
        found = District.at_noon(engine)
        found.clock.advance((now - found.clock.now()).total_seconds())
        yield found


def body_of(district: District) -> dict[str, Any]:
    with reading(district.context.engine) as session:
        found: dict[str, Any] = json.loads(session.scalars(select(VerdictRow.body).where(*HERE)).one())
    return found


def edit(district: District, **values: Any) -> None:
    with writing(district.context.engine) as session:
        session.execute(update(VerdictRow).where(*HERE).values(**values))


@pytest.mark.parametrize(
    "values",
    [
        {"body": "nonsense"},
        {"body": "[" * 5000},
        {"body": "{}"},
        {"body": "[]"},
        {"citation_zh": "nonsense"},
        {"citation_zh": "{}"},
        {"outcome": "fine"},
        {"outcome": "met", "state": "ok"},  # beside a body that says otherwise
    ],
)
def test_the_page_says_so_and_shows_the_rest(troubled: District, values: dict[str, Any]) -> None:
    client = troubled.signed_in()
    before = client.get(PAGE, headers={"Accept-Language": "en"}).text
    assert NOTE not in before
    edit(troubled, **values)
    page = client.get(PAGE, headers={"Accept-Language": "en"})
    assert page.status_code == 200
    assert NOTE in page.text
    assert page.text.count(LINE) == 1
    assert page.text.count('class="camera"') == before.count('class="camera"')
    assert "有 1 项判定的存储内容无法读取" in client.get(PAGE, headers={"Accept-Language": "zh"}).text
    answer = client.get(f"/api/v1{PAGE}").json()
    verdict = next(
        item for item in answer["verdicts"] if (item["requirement"], item["subject"]["id"]) == ("retention", "gate")
    )
    assert (verdict["outcome"], verdict["state"]) == ("undetermined", "unknown")
    assert "can't be read" in verdict["reason"]
    metrics = client.get("/metrics")
    assert metrics.status_code == 200
    assert 'cradlewatch_retention_held_days{camera="gate"' not in metrics.text
    evaluate(troubled.context, SITE)
    assert NOTE not in client.get(PAGE, headers={"Accept-Language": "en"}).text


WRONG: tuple[Any, ...] = (None, 7, -1, 1e308, True, "x", "", "9999-12-31T23:59:59-23:00", "0001-01-01", [], [7], ["x"], {}, {"a": 7}, [{}], [{"start_at": 7, "id": [], "cause": []}])  # fmt: skip


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the way to each part of a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield (*path, key)
        yield from leaves(part, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    found = json.loads(json.dumps(value))
    at = found
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = new
    return found


def test_no_figure_edited_by_hand_fails_a_page_or_the_metrics(troubled: District) -> None:
    """Each figure of each kind of verdict, in turn something that it never is."""
    client = troubled.signed_in()
    with reading(troubled.context.engine) as session:
        kept = session.execute(
            select(VerdictRow.requirement, VerdictRow.subject_kind, VerdictRow.subject_id, VerdictRow.body).where(
                VerdictRow.institution_id == SITE
            )
        ).all()
    failed = []
    for wrong, depth in product(WRONG, (2, 3, 4)):
        with writing(troubled.context.engine) as session:
            for requirement, kind, subject_id, text in kept:
                body = {**json.loads(text), "began_at": wrong, "because_of": wrong}
                for way in leaves(json.loads(text)["measured"], ("measured",)):
                    body = changed(body, way, wrong) if len(way) == depth else body
                here = (VerdictRow.institution_id == SITE, VerdictRow.requirement == requirement)
                there = (VerdictRow.subject_kind == kind, VerdictRow.subject_id == subject_id)
                session.execute(update(VerdictRow).where(*here, *there).values(body=json.dumps(body)))
        paths = (PAGE, f"/api/v1{PAGE}", "/metrics", "/")
        failed += [(wrong, depth, path) for path in paths if client.get(path).status_code != 200]
    assert failed == []


@pytest.mark.parametrize("text", ["nonsense", "{}", "[]", '{"facts": 7}'])
@pytest.mark.parametrize("path", [PAGE, "/", "/findings", f"/api/v1{PAGE}", f"/api/v1{PAGE}/ledger"])
def test_what_was_declared_or_seen_and_cannot_be_read_fails_nothing(troubled: District, text: str, path: str) -> None:
    with writing(troubled.context.engine) as session:
        session.execute(update(InstantRow).where(InstantRow.institution_id == SITE).values(body=text))
        session.execute(update(SpanRow).where(SpanRow.institution_id == SITE).values(newest=text, lasting=text))
    assert troubled.signed_in().get(path).status_code == 200


@pytest.mark.parametrize("table", [FindingRecord, FindingChange])
def test_no_figure_of_a_finding_edited_by_hand_fails_a_page(troubled: District, table: type[Base]) -> None:
    """Of no institution: they stand in one list. What can't be read is left out, and a check names it."""
    client = troubled.signed_in()
    key = list(table.__table__.primary_key)
    names = ("measured", "evidence") if table is FindingChange else ("measured", "evidence", "citation", "citation_zh")
    times = [name for name in ("at", "began_at", "opened_at", "ended_at") if name in table.__table__.columns]
    with reading(troubled.context.engine) as session:
        kept = [dict(row) for row in session.execute(select(table.__table__)).mappings()]
        findings = list(session.scalars(select(FindingRecord.id)))
    failed = []
    for wrong, depth in product(WRONG, (1, 2, 3)):
        with writing(troubled.context.engine) as session:
            for row in kept:
                values: dict[str, Any] = {name: json.loads(row[name]) for name in names}
                for way in leaves(json.loads(json.dumps(values))):
                    values = changed(values, way, wrong) if len(way) == depth else values
                texts = {name: json.dumps(value) for name, value in values.items()}
                instants = dict.fromkeys(times, 2**60) if depth == 1 and wrong is None else {}
                session.execute(
                    update(table).where(*(column == row[column.name] for column in key)).values(**texts, **instants)
                )
        paths = ["/findings?all=1", PAGE, "/api/v1/findings", "/metrics"]
        paths += [f"{where}/{findings[0]}" for where in ("/findings", "/api/v1/findings")]
        answers = {path: client.get(path).status_code for path in paths}
        failed += [(wrong, depth, path) for path, status in answers.items() if status not in {200, 404}]
        with writing(troubled.context.engine) as session:
            for row in kept:
                session.execute(update(table).where(*(column == row[column.name] for column in key)).values(**row))
    assert failed == []
