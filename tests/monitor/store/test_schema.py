"""Migrations: up and down on both databases, and equal to the tables that the code speaks of."""

import json
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, String, inspect, text

from dashboards.prepare import prepare
from monitor.model.chain import read_chain
from monitor.store import schema
from monitor.store.engine import open_engine
from monitor.store.tables import Base


def test_up_and_down_again(empty_database_url: str) -> None:
    engine = open_engine(empty_database_url)
    with engine.connect() as connection:
        assert schema.current(connection) is None
        assert not schema.is_current(connection)
    for _ in range(2):
        schema.migrate(engine)
        schema.migrate(engine)
        with engine.connect() as connection:
            assert schema.is_current(connection)
        assert set(inspect(engine).get_table_names()) == {*Base.metadata.tables, "alembic_version"}
        schema.downgrade(engine, "base")
        assert inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()


def test_a_schema_of_a_newer_program_is_left_alone(empty_database_url: str) -> None:
    """As when a new version is taken back after it has migrated."""
    engine = open_engine(empty_database_url)
    schema.migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    with pytest.raises(schema.SchemaError, match="0999 of a newer version"):
        schema.migrate(engine)
    with pytest.raises(schema.SchemaError, match="0999 of a newer version"):
        prepare(engine, may_migrate=False)
    engine.dispose()


def _other_type(context: MigrationContext, _: object, __: object, there: object, here: object) -> bool | None:
    """Compare types but for the length of a text in SQLite, which holds none to it: there it stays as it was made."""
    texts = isinstance(there, String) and isinstance(here, String)
    return False if texts and context.dialect.name == "sqlite" else None


def test_the_migrations_make_the_tables_that_the_code_speaks_of(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": _other_type})
        assert compare_metadata(context, Base.metadata) == []


def test_chains_of_before_know_by_number_what_came_in(empty_database_url: str) -> None:
    """What was counted wrong where segments had been joined, or boots took turns, is counted anew."""
    engine = open_engine(empty_database_url)
    schema.migrate(engine, "0005")
    boot = "a" * 32
    mark = {"place": {"boot": boot, "sequence": 9, "digest": "sha256:" + "0" * 64}, "nonce_at": 1, "written_at": 1}
    segment = {"after": None, "first": mark, "last": mark, "count": 5, "forked": False}
    told = [{"boot": boot, "first": 2, "last": 3}]
    chain = json.dumps({"segments": [segment], "settled": 70, "told": told, "settled_told": 1})
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO institution (id, name, timezone, regulation, created_at, evaluation, open_findings, breached, undetermined, met, silent) VALUES ('i', 'i', 'UTC', 'r', 1, 0, 0, 0, 0, 0, false)"
            )
        )
        row = "('i', 'box', 1, 5, 0, 70, :chain)"
        connection.execute(
            text(
                f"INSERT INTO agent (institution_id, id, enrolled_at, reports, disputed, missing, chain) VALUES {row}"
            ),
            {"chain": chain},
        )
        for number in (1, 4, 5, 8, 9):
            values = {"boot": boot, "number": number, "bytes": b"x"}
            connection.execute(
                text(
                    "INSERT INTO report (institution_id, agent_id, boot, sequence, digest, envelope, key_id, written_at, received_at)"
                    " VALUES ('i', 'box', :boot, :number, 'd', :bytes, 'k', 1, 1)"
                ),
                values,
            )
    schema.migrate(engine)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT chain, missing FROM agent")).one()
    kept = read_chain(found.chain)
    assert (found.missing, kept.missing, kept.dropped, kept.joined) == (4, 4, 2, 70)
    schema.downgrade(engine, "0005")
    with engine.connect() as connection:
        before = json.loads(connection.execute(text("SELECT chain FROM agent")).scalar_one())
    assert (before["told"], "boots" in before) == (told, False)
    engine.dispose()


def test_large_tables_begin_with_the_institution() -> None:
    small = {
        "jurisdiction",
        "institution",
        "enrolment",
        "collector_key",
        "pack",
        "user_account",
        "user_session",
        "api_token",
        "listening",
        "clock_dispute",
        "clock_wait",
    }
    for name, table in Base.metadata.tables.items():
        if name not in small:
            assert next(iter(table.primary_key.columns)).name == "institution_id", name


def test_the_database_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "centre.db"
    engine = open_engine(f"sqlite:///{path}")
    schema.migrate(engine)
    engine.dispose()
    assert path.stat().st_mode & 0o777 == 0o600
