"""The command `cradlewatch collector`: what an operator does by hand, and what is said when it goes wrong."""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import structlog
from sqlalchemy import text
from typer.testing import CliRunner, Result

from dashboards.cli import app
from monitor.collector.context import Context
from monitor.collector.enrolment import enrol
from monitor.collector.evaluate import evaluate
from monitor.model.inventory import Institution
from monitor.model.suite import PrivateKey
from monitor.regulations.loader import load
from monitor.store import evaluations
from monitor.store.accounts import token_user, verify_user
from monitor.store.engine import open_engine, reading, writing
from support import seeded
from support.centre import NOW, declared, make_centre
from support.dashboard import new_district
from support.planted import plant
from support.signing import offer

PROGRAM = Path(sys.executable).with_name("cradlewatch")


class Shell:
    """Runs the command against one database."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = f"sqlite:///{directory}/cradlewatch.db"

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> Result:
        env = {"CRADLEWATCH_DATABASE_URL": self.url, **environment}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("dashboards.cli._somebody_is_there", lambda: bool(stdin))  # who types has a terminal
            done = CliRunner().invoke(app, arguments, input=stdin, env=env)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    def good(self, *arguments: str, stdin: str = "") -> str:
        done = self.run(*arguments, stdin=stdin)
        assert done.exit_code == 0, done.stderr
        return done.stdout

    def bad(self, *arguments: str, stdin: str = "", **environment: str) -> str:
        done = self.run(*arguments, stdin=stdin, **environment)
        assert done.exit_code == 2, (done.exit_code, done.stdout, done.stderr)
        assert done.stderr.count("\n") == 1 or "Usage:" in done.stderr  # one sentence
        return done.stderr

    def context(self) -> Context:
        return Context(open_engine(self.url))


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Undo what `serve` does to the logs of the whole process."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path)


def test_a_backup_is_made_and_a_damaged_database_not_served(shell: Shell) -> None:
    """One that was not closed is looked through: as after a crash, or where a backup was put beside another file's log."""
    assert "there is no database here" in shell.bad("backup", "copy.db")
    shell.good("migrate")
    assert shell.good("backup", "copy.db") == "copy.db: a copy of the database as it is now\n"
    assert "copy.db is there already" in shell.bad("backup", "copy.db")
    with closing(sqlite3.connect("cradlewatch.db")) as connection:  # it has a log as long as it is open
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("CREATE TABLE other (a)")
        for name in ("cradlewatch.db", "cradlewatch.db-wal"):
            shutil.copy(name, f"left-{name}")
    path = Path("left-cradlewatch.db")
    whole = path.read_bytes()
    middle = len(whole) // 2 // 4096 * 4096
    path.write_bytes(whole[:middle] + b"\xff" * 4096 + whole[middle + 4096 :])
    said = shell.bad("serve", "--listen", "192.0.2.1:1", CRADLEWATCH_DATABASE_URL="sqlite:///left-cradlewatch.db")
    assert "left-cradlewatch.db is damaged (" in said
    assert "without a left-cradlewatch.db-wal" in said


def test_from_nothing_to_an_enrolled_agent(shell: Shell) -> None:
    (shell.directory / "password").write_text("correct horse battery\n")
    assert shell.good("user", "add", "inspector", "--password-file", "password") == "inspector can sign in now.\n"
    token = shell.good("user", "token", "inspector", "--label", "report", "--valid", "30d").strip()
    shell.good("jurisdiction", "add", "320500", "--name", "苏州市", "--level", "city")
    shell.good("jurisdiction", "add", "320509", "--name", "吴江区", "--level", "district", "--parent", "320500")
    assert shell.good("jurisdiction", "list") == "320500\t苏州市\tcity\t-\n320509\t吴江区\tdistrict\t320500\n"
    assert json.loads(shell.good("jurisdiction", "list", "--json"))[1] == {
        "code": "320509", "name": "吴江区", "level": "district", "parent": "320500"
    }  # fmt: skip
    circle = ("jurisdiction", "add", "320500", "--name", "苏州市", "--level", "city", "--parent", "320509")
    assert "jurisdiction 320509 (district) can't stand above 320500 (city)" in shell.bad(*circle)
    added = shell.good(
        "institution", "add", "wj-0001", "--name", "示范托育园", "--regulation", seeded.PACK, "--jurisdiction", "320509"
    )
    assert added == "wj-0001 is in the register.\n"
    code = shell.good("enrolment", "create", "--institution", "wj-0001", "--agent", "nvr-box").strip()
    context = shell.context()
    with reading(context.engine) as session:
        assert verify_user(session, "inspector", "correct horse battery")  # the newline is no part of it
        assert token_user(session, token, context.now()) == "inspector"
    assert enrol(context, code, "nvr-box", offer(PrivateKey.make(), code)).agent == "nvr-box"
    context.engine.dispose()
    assert shell.good("agent", "list", "--institution", "wj-0001") == "nvr-box\tnone\t0 reports, 0 missing\n"
    listed = json.loads(shell.good("agent", "keys", "--institution", "wj-0001", "--json"))
    ((name, key, said),) = [
        item.split("\t") for item in shell.good("agent", "keys", "--institution", "wj-0001").splitlines()
    ]
    assert (name, key, said.partition(" ")[0]) == ("nvr-box", listed[0]["id"], "registered")
    assert (listed[0]["agent"], listed[0]["replaced_at"], listed[0]["revoked_at"]) == ("nvr-box", None, None)
    assert (
        shell.good("agent", "revoke", "nvr-box", "--institution", "wj-0001") == "nvr-box of wj-0001: 1 key revoked.\n"
    )
    assert "has no agent other with a key" in shell.bad("agent", "revoke", "other", "--institution", "wj-0001")
    assert shell.good("institution", "list").split("\t")[:2] == ["wj-0001", "示范托育园"]
    (listed,) = json.loads(shell.good("institution", "list", "--json"))
    assert (listed["id"], listed["jurisdiction"], listed["open_findings"]) == ("wj-0001", "320509", 0)
    assert shell.good("user", "list") == "inspector\n"
    shell.good("user", "password", "inspector", stdin="another horse\nanother horse\n")
    assert shell.good("migrate") == "The database was up to date.\n"


def test_migrate_makes_the_schema(shell: Shell) -> None:
    assert shell.good("migrate") == "The database is up to date now.\n"


def test_mistakes_are_one_sentence(shell: Shell) -> None:
    shell.good("migrate")
    add = ("institution", "add", "wj-0001", "--name", "x", "--regulation")
    assert "there is no regulation pack 'nope'" in shell.bad(*add, "nope")
    assert "jurisdiction 999999 is not in the register" in shell.bad(*add, seeded.PACK, "--jurisdiction", "999999")
    assert "unknown time zone 'Mars/Base'" in shell.bad(*add, seeded.PACK, "--timezone", "Mars/Base")
    shell.good(*add, seeded.PACK)
    assert "change it with `collector institution set wj-0001`" in shell.bad(*add, seeded.PACK)
    change = ("institution", "set", "wj-0001")
    assert "nothing to change: give --name" in shell.bad(*change)
    assert "there is no regulation pack 'nope'" in shell.bad(*change, "--regulation", "nope")
    assert "unknown time zone 'Mars/Base'" in shell.bad(*change, "--timezone", "Mars/Base")
    assert "jurisdiction 999999 is not in the register" in shell.bad(*change, "--jurisdiction", "999999")
    assert "wj-0009 is not in the register" in shell.bad("institution", "set", "wj-0009", "--name", "y")
    assert shell.bad("institution", "add", "../x", "--name", "x", "--regulation", seeded.PACK).startswith("id: ")
    assert "nobody is not in the register" in shell.bad("enrolment", "create", "--institution", "nobody")
    code = ("enrolment", "create", "--institution", "wj-0001")
    assert "--agent: 'a b' is no id" in shell.bad(*code, "--agent", "a b")
    assert "--valid: 0s is no time at all" in shell.bad(*code, "--valid", "0s")
    assert "nothing lasts longer than 3660d here" in shell.bad(*code, "--valid", "99999999d")
    escape = ("institution", "add", "wj-0009", "--name", "\x1b[2Jevil", "--regulation", "kr-daycare-60")
    assert "name: holds a control character: write plain text" in shell.bad(*escape)
    for instant in ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "1969-12-31T23:59:59Z"):
        assert "is no instant that can be judged" in shell.bad("evaluate", "--as-of", instant)
    assert "write a whole number and a unit" in shell.bad(
        "enrolment", "create", "--institution", "wj-0001", "--valid", "week"
    )
    assert "there is no such user" in shell.bad("user", "token", "nobody")
    assert "there is nobody to ask for the password" in shell.bad("user", "add", "wang")
    assert "a/b" not in shell.bad("institution", "add", "a/b", "--regulation", "cn-nursery-wujiang-2021")
    assert "wj-typo is not in the register" in shell.bad("verify", "--institution", "wj-typo")
    assert "wj-typo is not in the register" in shell.bad("agent", "list", "--institution", "wj-typo")
    assert "nothing was checked" in shell.bad("verify")
    assert "a password has 8 to 200 characters" in shell.bad("user", "add", "wang", stdin="short\nshort\n")
    assert "missing: the password can't be read" in shell.bad("user", "add", "wang", "--password-file", "missing")
    assert "'yesterday' is no instant" in shell.bad("evaluate", "--as-of", "yesterday")
    assert "2026-11-23" in shell.bad("evaluate", "--as-of", "2026-11-23T04:00:00")  # no zone, no instant
    assert "nobody is not in the register" in shell.bad("evaluate", "--institution", "nobody")
    assert "can't listen at" in shell.bad("serve", "--listen", "192.0.2.1:1")
    assert "is no address to listen at" in shell.bad("serve", "--listen", "8420")


def test_an_institution_is_changed_and_due_where_it_is_judged_otherwise(shell: Shell) -> None:
    shell.good("institution", "add", "wj-0001", "--name", "x", "--regulation", seeded.PACK)
    context = shell.context()

    def entry() -> tuple[str, str, str]:
        (row,) = json.loads(shell.good("institution", "list", "--json"))
        return row["name"], row["regulation"], row["timezone"]

    def is_due() -> bool:
        with reading(context.engine) as session:
            return bool(evaluations.due_evaluations(session, context.now()))

    def settled() -> None:
        with writing(context.engine) as session:
            evaluations.make_due(session, "wj-0001", context.now() + 60_000)

    settled()
    shell.good("institution", "set", "wj-0001", "--name", "y")
    assert (entry(), is_due()) == (("y", seeded.PACK, "Asia/Shanghai"), False)
    shell.good("institution", "set", "wj-0001", "--timezone", "Asia/Seoul")
    assert (entry(), is_due()) == (("y", seeded.PACK, "Asia/Seoul"), True)
    settled()
    shell.good("institution", "set", "wj-0001", "--regulation", "kr-daycare-60")
    assert (entry(), is_due()) == (("y", "kr-daycare-60", "Asia/Seoul"), True)
    context.engine.dispose()


def test_a_database_that_cannot_be_used(shell: Shell) -> None:
    assert "is not supported" in shell.bad("migrate", CRADLEWATCH_DATABASE_URL="mysql://root:geheim@localhost/x")
    away = shell.bad("migrate", CRADLEWATCH_DATABASE_URL=f"postgresql://root:{plant('Geheim-2026-pg')}@127.0.0.1:1/x")
    assert "the database can't be used" in away
    assert "Geheim-2026-pg" not in away
    nowhere = shell.bad("migrate", CRADLEWATCH_DATABASE_URL=f"sqlite:///{shell.directory}/no/such/file.db")
    assert f"{shell.directory}/no/such: there is no such directory" in nowhere
    assert not (shell.directory / "no").exists()


def test_settings_are_read_and_their_mistakes_named(shell: Shell) -> None:
    path = shell.directory / "collector.yaml"
    path.write_text("database_url: sqlite:///other.db\n")
    env = {"CRADLEWATCH_DATABASE_URL": ""}
    done = shell.run("migrate", "--config", "collector.yaml", **env)
    assert done.exit_code == 0
    assert (shell.directory / "other.db").exists()
    path.write_text("database_url: sqlite:///other.db\nlissten: 1\n")
    assert "lissten" in shell.bad("migrate", "--config", "collector.yaml", **env)
    path.write_text("ca_file: collector.yaml\n")
    assert "ca_file holds no certificate in PEM" in shell.bad(
        "serve", "--config", "collector.yaml", "--listen", "192.0.2.1:1"
    )
    path.write_text("pack_dirs: [nope]\n")
    assert "collector.yaml:1: pack_dirs[0]" in shell.bad(
        "serve", "--config", "collector.yaml", "--listen", "127.0.0.1:0"
    )
    path.write_text("notices: {urls_file: missing}\n")
    assert "missing" in shell.bad("serve", "--config", "collector.yaml", "--listen", "127.0.0.1:0")


def test_a_password_file_is_not_left_readable_by_us(shell: Shell) -> None:
    secret = shell.directory / "password"
    secret.write_text("correct horse battery")
    secret.chmod(0o400)
    shell.good("user", "add", "wang", "--password-file", "password")
    assert stat.S_IMODE(secret.stat().st_mode) == 0o400


def test_evaluate_recomputes_as_of_any_instant(tmp_path: Path) -> None:
    district = new_district(tmp_path)
    seeded.sound(district.context)
    seeded.troubled(district.context, district.clock)
    seeded.enrolled(district.context, Institution(id="wj-0003", name="新园"))
    now = district.clock.now().isoformat()
    district.context.engine.dispose()
    shell = Shell(tmp_path)
    found = json.loads(shell.good("evaluate", "--institution", "wj-0002", "--as-of", now, "--json"))
    assert (found["schema"], found["institution"], found["regulation"]) == (
        "cradlewatch.check/1",
        "wj-0002",
        seeded.PACK,
    )
    assert found["summary"] == {"met": 35, "breached": 10, "undetermined": 7}
    short = next(item for item in found["verdicts"] if item["state"] == "short")
    assert (short["subject"], short["measured"]["held_days"]) == ({"kind": "camera", "id": "gate"}, 35)
    before = json.loads(shell.good("evaluate", "--institution", "wj-0002", "--as-of", "2026-11-23T00:30:00Z", "--json"))
    nap = next(v for v in before["verdicts"] if v["subject"]["id"] == "nap" and v["requirement"] == "uptime")
    assert nap["state"] == "down"  # at half past eight it was: the refusal from seven to nine
    whole = json.loads(shell.good("evaluate", "--as-of", now, "--json"))
    assert [item["institution"] for item in whole["institutions"]] == ["wj-0001", "wj-0002", "wj-0003"]
    text = shell.good("evaluate", "--institution", "wj-0001", "--as-of", "2026-11-23T04:00:00Z")
    assert text.startswith("wj-0001\n  met ")


def test_verify_says_the_same_with_any_number_of_jobs(tmp_path: Path) -> None:
    district = new_district(tmp_path)
    seeded.sound(district.context)
    seeded.troubled(district.context, district.clock)
    seeded.enrolled(district.context, Institution(id="wj-0003", name="新园"))
    with writing(district.context.engine) as session:
        session.execute(text("UPDATE institution SET met = 99 WHERE id = 'wj-0002'"))
    district.context.engine.dispose()
    shell = Shell(tmp_path)
    alone, together, default = (shell.run("verify", *more) for more in (("--jobs", "1"), ("--jobs", "3"), ()))
    assert (together.stdout, default.stdout) == (alone.stdout, alone.stdout)
    assert (alone.exit_code, together.exit_code, default.exit_code) == (1, 1, 1)
    told = [line.partition("\t")[0] for line in together.stdout.splitlines() if "\tledger\t" in line]
    assert told == ["wj-0001", "wj-0002", "wj-0003"]
    shell.good("verify", "--institution", "wj-0001", "--jobs", "2")
    assert "'--jobs'" in shell.bad("verify", "--jobs", "0")


def test_the_installed_command_has_it() -> None:
    done = subprocess.run([PROGRAM, "collector", "--help"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0
    for name in ("serve", "migrate", "user", "institution", "enrolment", "evaluate"):
        assert f" {name} " in done.stdout


def test_who_only_reads_makes_no_database(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    for command in (["verify"], ["evaluate"], ["export", "--evidence", "x"], ["agent", "list", "--institution", "a"]):
        assert "there is no database here" in shell.bad(*command)
    assert list(tmp_path.iterdir()) == []


def test_a_chain_that_cannot_be_read_is_made_again(shell: Shell) -> None:
    shell.good("migrate")
    engine = open_engine(shell.url)
    centre = make_centre(engine, load(seeded.PACK))
    centre.add(regulation=seeded.PACK)
    centre.see(declared(NOW))
    assert shell.good("agent", "mend") == "nothing to mend: the chain of each agent can be read\n"
    with engine.begin() as connection:
        connection.execute(text("UPDATE agent SET chain = 'nonsense'"))
    said = shell.run("verify")
    assert said.exit_code == 1
    assert "`cradlewatch collector agent mend box --institution wj-0001` makes it again" in said.stdout
    assert "unreadable" in shell.good("agent", "list", "--institution", "wj-0001")
    assert "give --institution with the agent" in shell.bad("agent", "mend", "box")
    assert "wj-0001 has no agent other" in shell.bad("agent", "mend", "other", "--institution", "wj-0001")
    done = "wj-0001\tbox\tmade again from 1 report, 0 missing, whole\n"
    assert shell.good("agent", "mend") == done
    assert shell.good("agent", "mend", "box", "--institution", "wj-0001") == done
    shell.good("verify")
    engine.dispose()


def test_verify_judges_again_and_says_how_far_it_is(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.good("migrate")
    engine = open_engine(shell.url)
    centre = make_centre(engine, load(seeded.PACK))
    centre.add(regulation=seeded.PACK)
    centre.see(declared(NOW))
    monkeypatch.setattr("dashboards.cli._SAID_EVERY", 0.0)
    assert "wj-0001\tverdicts\t0: never evaluated\n" in shell.good("verify")
    found = evaluate(centre.context, "wj-0001")
    assert found is not None
    done = shell.run("verify")
    assert f"wj-0001\tverdicts\t{len(found.verdicts)}: as the reports come to\n" in done.stdout
    assert "wj-0001: 1 of 1 reports are checked\nwj-0001: its newest evaluation is made again\n" in done.stderr
    with engine.begin() as connection:
        connection.execute(text("UPDATE institution SET met = 99"))
    done = shell.run("verify")
    assert done.exit_code == 1
    assert (
        "1 problem\n  wj-0001: the institution has another met than its evaluation at 2026-11-23T04:00:00Z"
        in done.stdout
    )
    monkeypatch.setattr("monitor.collector.verify_verdicts.judged_by", lambda: "sha256:another")
    said = shell.run("verify").stdout
    assert "1 problem; not judged again: another version of this program judged it" in said
    engine.dispose()
