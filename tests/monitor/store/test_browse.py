"""What only pages ask, on SQLite and on PostgreSQL."""

from __future__ import annotations

from sqlalchemy import Engine, event

from monitor.collector.context import Context
from monitor.model.inventory import Institution, Jurisdiction, Level
from monitor.model.span import HOUR
from monitor.store.browse import Totals, inventories, packs_in_use, search_institutions, summaries, totals
from monitor.store.engine import reading, writing
from monitor.store.registry import add_institution, add_jurisdiction, approve_inventory, count_views_waiting
from monitor.store.tables import InstitutionRow
from support import seeded


def context_of(engine: Engine) -> Context:
    return Context(engine, seeded.manual_clock())


def register(context: Context, **names: str) -> None:
    with writing(context.engine) as session:
        for institution_id, name in names.items():
            add_institution(session, Institution(id=institution_id, name=name), seeded.PACK, context.now())


def test_search_by_name_or_id_in_either_case_signs_as_signs(engine: Engine) -> None:
    register(context_of(engine), a="100% Kids", b="1000 Kids", c="a_b", d="示范托育园")
    with reading(engine) as session:
        for text, ids in (
            ("100%", ["a"]),
            ("A_B", ["c"]),
            ("kids", ["a", "b"]),
            ("托育", ["d"]),
            ("D", ["a", "b", "d"]),
        ):
            assert [row.id for row in search_institutions(session, text)] == ids
        assert [row.id for row in search_institutions(session, "kids", offset=1, limit=1)] == ["b"]
        assert search_institutions(session, "\\") == []
        assert packs_in_use(session) == [seeded.PACK]


def test_many_institutions_are_one_query(engine: Engine) -> None:
    register(context_of(engine), **{f"i{number:02}": "园" for number in range(40)})
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
    with reading(engine) as session:
        assert len(summaries(session, [f"i{number:02}" for number in range(60)])) == 40
    assert len([statement for statement in asked if statement.startswith("SELECT")]) == 1


def test_names_come_from_the_approved_inventory_else_from_the_newest_declaration(engine: Engine) -> None:
    context = context_of(engine)
    institution = Institution(id="wj-0001", name="园")
    identity = seeded.enrolled(context, institution)
    seeded.enrolled(context, Institution(id="wj-0002", name="新园"))
    older, newer = (
        seeded.inventory_of(institution, [seeded.CAMERAS[0].model_copy(update={"name": name})]) for name in ("旧", "新")
    )
    now = context.now()
    seeded.report(context, identity, [seeded.declared(newer, now - 1000), seeded.declared(older, now - 5000)])
    with reading(engine) as session:
        found = inventories(session, ["wj-0001", "wj-0002", "nobody"])
        assert {key: item.cameras[0].name for key, item in found.items()} == {"wj-0001": "新"}
    with writing(engine) as session:
        approve_inventory(session, older)
    with reading(engine) as session:
        assert inventories(session, ["wj-0001"])["wj-0001"].cameras[0].name == "旧"
        assert inventories(session, []) == {}


def test_a_district_is_counted_each_institution_once_and_as_the_worst_of_it(engine: Engine) -> None:
    context = context_of(engine)
    now = context.now()
    stand = {
        "finding": {"open_findings": 2, "breached": 3, "met": 1}, "silent": {"silent": True, "met": 1},
        "breached": {"breached": 1, "undetermined": 1, "met": 1}, "unknown": {"undetermined": 1, "met": 5},
        "nothing": {}, "stale": {"met": 5, "evaluated_at": now - HOUR}, "sound": {"met": 5}, "elsewhere": {"met": 5, "views_waiting": 1},
    }  # fmt: skip
    with writing(engine) as session:
        assert totals(session, now) == Totals(0, 0, 0, 0)
        add_jurisdiction(session, Jurisdiction(code="320509", name="吴江区", level=Level.DISTRICT))
        for code in ("a", "b"):
            add_jurisdiction(session, Jurisdiction(code=code, name=code, level=Level.TOWN, parent="320509"))
        for name, columns in stand.items():
            area = "b" if name == "elsewhere" else "a"
            add_institution(session, Institution(id=name, name=name), seeded.PACK, now, area)
            row = session.get(InstitutionRow, name)
            assert row is not None
            row.evaluated_at = now
            for column, value in columns.items():
                setattr(row, column, value)
    with reading(engine) as session:
        found = totals(session, now - HOUR // 2)
        assert (found, found.in_order) == (Totals(8, 2, 1, 3), 2)
        assert totals(session, now - HOUR // 2, "320509") == found
        assert totals(session, now - HOUR // 2, "b") == Totals(1, 0, 0, 0)
        assert [count_views_waiting(session, area) for area in (None, "a", "b")] == [1, 0, 1]
        assert [row.id for row in search_institutions(session, "e", jurisdiction="b")] == ["elsewhere"]
