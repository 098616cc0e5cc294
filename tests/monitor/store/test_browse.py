"""What only pages ask, on SQLite and on PostgreSQL."""

from __future__ import annotations

from sqlalchemy import Engine, event

from monitor.collector.context import Context
from monitor.model.inventory import Institution
from monitor.store.browse import inventories, packs_in_use, search_institutions, summaries
from monitor.store.engine import reading, writing
from monitor.store.registry import add_institution, approve_inventory
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
