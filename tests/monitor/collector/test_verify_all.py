"""Many institutions are checked by several processes: what is told, and in which order, is the same; nothing is left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from monitor.collector.context import Context
from monitor.collector.evaluate import evaluate
from monitor.collector.settings import Settings
from monitor.collector.verify_all import CheckError, Found, verify_all
from monitor.store.engine import open_engine
from monitor.store.schema import migrate
from support.centre import INVENTORY, Centre, declared, index, make_centre, span
from support.standing import plant

PROGRAM = Path(sys.executable).with_name("cradlewatch")
SITES = [f"wj-000{number}" for number in range(1, 6)]


def fill(engine: Engine, reports: int) -> Context:
    """Give each institution other reports, and a row that was edited to one of them."""
    centre = make_centre(engine)
    for number, site in enumerate(SITES):
        centre.add(site)
        centre.see(
            declared(centre.context.now(), {**INVENTORY, "institution": {"id": site, "name": site}}), institution=site
        )
        report(centre, site, reports * (number + 1))
        evaluate(centre.context, site)
    with engine.begin() as connection:
        connection.execute(text("UPDATE span SET end_at = end_at + 1 WHERE institution_id = 'wj-0002'"))
    url = engine.url.render_as_string(hide_password=False)
    return replace(centre.context, settings=Settings(database_url=url))


def report(centre: Centre, site: str, count: int) -> None:
    for _ in range(count):
        centre.clock.advance(60)
        at = centre.context.now()
        centre.see(span("camera/gate", "up", at - 30_000, at), index("gate", at, 36), institution=site)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where scratch files are made."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def test_the_same_is_found_in_the_same_order(engine: Engine, scratch: Path) -> None:
    context = fill(engine, 2)
    said: list[str] = []
    alone = list(verify_all(context, SITES, 1, said.append))
    together: list[Found] = []
    heard: list[str] = []
    with closing(verify_all(context, SITES, 3, heard.append)) as found:
        together += found
    assert [item.verified.institution for item in together] == SITES
    assert together == alone
    assert [bool(item.verified.ledger.differing) for item in together] == [False, True, False, False, False]
    assert sorted(heard) == sorted(said)
    assert (multiprocessing.active_children(), list(scratch.iterdir())) == ([], [])


def test_who_stops_leaves_no_process_and_no_file(engine: Engine, scratch: Path) -> None:
    context = fill(engine, 2)
    with closing(verify_all(context, SITES, 2, lambda _said: None)) as found:
        assert next(found).verified.institution == SITES[0]
        assert len(multiprocessing.active_children()) == 2
    assert (multiprocessing.active_children(), list(scratch.iterdir())) == ([], [])

    def interrupted(_said: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), closing(verify_all(context, SITES, 2, interrupted)) as found:
        list(found)
    assert (multiprocessing.active_children(), list(scratch.iterdir())) == ([], [])


def test_processes_run_nothing_that_lies_where_the_command_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'cradlewatch.db'}"
    engine = open_engine(url)
    migrate(engine)
    fill(engine, 2)
    engine.dispose()
    plant(tmp_path, "multiprocessing", monkeypatch)
    done = subprocess.run(
        [PROGRAM, "collector", "verify", "--jobs", "2"],
        env={**os.environ, "CRADLEWATCH_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, SITES[-1] in done.stdout) == (1, True), done.stderr  # one row was edited


def test_a_process_that_is_killed_is_told(engine: Engine) -> None:
    """As by a machine that has no memory left."""
    context = fill(engine, 2)

    def kill(_said: str) -> None:
        for child in multiprocessing.active_children():
            child.kill()

    with (
        pytest.raises(CheckError, match=r"^wj-000\d: the process that checked it ended \(signal 9\).*--jobs 1"),
        closing(verify_all(context, SITES, 2, kill)) as found,
    ):
        list(found)
    assert multiprocessing.active_children() == []


def test_a_database_that_fails_is_told_in_its_words(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    context = Context(open_engine(url), settings=Settings(database_url=url))
    with (
        pytest.raises(CheckError, match=r"wj-000\d: the database can't be used: no such table"),
        closing(verify_all(context, SITES, 2, lambda _said: None)) as found,
    ):
        list(found)
    assert multiprocessing.active_children() == []


def full_pipe() -> tuple[int, int]:
    """Return a pipe's two ends; nothing more can be written until somebody reads."""
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with suppress(BlockingIOError):
        while True:
            os.write(theirs, b"\n" * 4096)
    os.set_blocking(theirs, True)
    return ours, theirs


@pytest.mark.parametrize(
    ("number", "jobs", "status"),
    [
        (signal.SIGINT, 2, 130),
        (signal.SIGTERM, 1, -signal.SIGTERM),
        (signal.SIGTERM, 2, -signal.SIGTERM),
        (signal.SIGHUP, 1, -signal.SIGHUP),
    ],
)
def test_a_signal_ends_all_of_them_and_leaves_nothing(
    tmp_path: Path, scratch: Path, number: signal.Signals, jobs: int, status: int
) -> None:
    url = f"sqlite:///{tmp_path / 'cradlewatch.db'}"
    engine = open_engine(url)
    migrate(engine)
    fill(engine, 25)
    engine.dispose()
    # Whoever runs the suite in the background of a script has it ignore Ctrl-C, and so has whatever it starts.
    command = ["env", "--default-signal=INT,HUP", str(PROGRAM), "collector", "verify", "--jobs", str(jobs)]
    environment = {**os.environ, "CRADLEWATCH_DATABASE_URL": url, "TMPDIR": str(scratch)}
    ours, theirs = full_pipe()
    with (
        os.fdopen(ours, "rb") as told,
        subprocess.Popen(
            command, env=environment, stdout=theirs, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as process,
    ):
        os.close(theirs)
        deadline = time.monotonic() + 60
        while not list(scratch.iterdir()):  # one of them is at work; it can't end, for nobody reads what it says
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, number)
        told.read()  # to its end: all of them have closed it
        _, said = process.communicate(timeout=60)
    assert process.returncode == status, said
    assert "Traceback" not in said
    assert list(scratch.iterdir()) == []
