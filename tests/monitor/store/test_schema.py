"""Migrations: up and down on both databases, and equal to the tables that the code speaks of."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect

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


def test_the_migrations_make_the_tables_that_the_code_speaks_of(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_large_tables_begin_with_the_institution() -> None:
    small = {
        "jurisdiction",
        "institution",
        "enrolment",
        "collector_key",
        "user_account",
        "user_session",
        "api_token",
        "listening",
        "clock_dispute",
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
