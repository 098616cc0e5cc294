"""A copy of the database while it is used, and what is said of one that was put in its place beside the old one's log."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine

from monitor.collector.verify import verify_institution
from monitor.store.backup import BackupError, back_up, check_whole
from monitor.store.engine import open_engine
from monitor.store.schema import migrate
from support.centre import NOW, Centre, declared, make_centre, span

CRASHES = """
import os, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from monitor.store.engine import open_engine
from support.centre import make_centre, span, declared, NOW
from support.signing import SigningAgent
from monitor.store.schema import migrate
from monitor.store.backup import back_up
folder = Path(sys.argv[1])
engine = open_engine(f"sqlite:///{folder}/centre.db")
migrate(engine)
centre = make_centre(engine)
centre.add()
centre.see(declared(NOW))
for number in range(120):
    centre.clock.advance(60)
    now = centre.context.now()
    centre.see(*(span(f"camera/{camera}", "up", now - 60_000, now) for camera in ("gate", "room1")))
    if number == 20:
        back_up(engine, folder / "backup.db")
os._exit(9)  # as by a power cut: the log stays
"""


def centre_over(path: Path) -> Centre:
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    return make_centre(engine)


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    code = [sys.executable, "-c", CRASHES, str(tmp_path), *sys.path]
    assert subprocess.run(code, check=False, capture_output=True).returncode == 9
    assert (tmp_path / "centre.db-wal").stat().st_size > 0
    return tmp_path


def test_a_copy_has_what_was_committed_and_nothing_beside_it(tmp_path: Path) -> None:
    centre = centre_over(tmp_path / "centre.db")
    centre.add()
    centre.see(declared(NOW), span("camera/gate", "up", NOW - 1000, NOW))
    back_up(centre.context.engine, tmp_path / "copy.db")
    centre.see(span("camera/gate", "up", NOW, NOW + 1000))
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    assert sorted(item.name for item in tmp_path.glob("copy.db*")) == ["copy.db"]
    copy = make_centre(open_engine(f"sqlite:///{tmp_path}/copy.db"))
    found = verify_institution(copy.context, "wj-0001")
    assert (found.problems, [item.reports for item in found.agents]) == ([], [1])
    with pytest.raises(BackupError, match="is there already"):
        back_up(centre.context.engine, tmp_path / "copy.db")
    with pytest.raises(BackupError, match="can't be written"):
        back_up(centre.context.engine, tmp_path / "nowhere" / "copy.db")


def test_a_postgresql_database_has_tools_of_its_own(engine: Engine, tmp_path: Path) -> None:
    if engine.dialect.name == "postgresql":
        with pytest.raises(BackupError, match="pg_dump"):
            back_up(engine, tmp_path / "copy.db")
    check_whole(engine)


def test_after_a_crash_the_database_is_whole(crashed: Path) -> None:
    centre = make_centre(open_engine(f"sqlite:///{crashed}/centre.db"))
    check_whole(centre.context.engine)
    found = verify_institution(centre.context, "wj-0001")
    assert (found.problems, [item.reports for item in found.agents]) == ([], [121])


def test_a_backup_beside_the_log_of_the_file_of_before_is_refused_and_left_as_it_is(crashed: Path) -> None:
    """SQLite would put the two together: a database that is neither, into which reports would be acknowledged."""
    path = crashed / "centre.db"
    shutil.copy(crashed / "backup.db", path)
    before = path.read_bytes()
    engine = open_engine(f"sqlite:///{path}")
    with pytest.raises(BackupError, match=r"is damaged .*without a centre.db-wal and a centre.db-shm beside it"):
        check_whole(engine)
    assert path.read_bytes() == before
    for name in ("centre.db-wal", "centre.db-shm"):
        (crashed / name).unlink()
    check_whole(engine)
    found = verify_institution(make_centre(engine).context, "wj-0001")
    assert (found.problems, [item.reports for item in found.agents]) == ([], [22])


def test_a_damaged_database_is_not_copied(tmp_path: Path) -> None:
    centre = centre_over(tmp_path / "centre.db")
    centre.context.engine.dispose()
    size = (tmp_path / "centre.db").stat().st_size
    with (tmp_path / "centre.db").open("r+b") as file:
        file.seek(size // 2 // 4096 * 4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(BackupError):
        back_up(centre.context.engine, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
    with closing(sqlite3.connect(tmp_path / "centre.db")) as connection:
        assert connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",)
