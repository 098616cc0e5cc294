"""A disk that is read-only or full, files that are damaged: the agent watches on, says so, and keeps what it saw."""

from __future__ import annotations

import asyncio
import signal
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agents.database import DatabaseError
from agents.enduring import Enduring
from agents.journal import Journal
from agents.run import Service
from agents.simulators.hikvision import HikvisionSimulator
from agents.site import load_site
from agents.state import State, StateError
from monitor.model.clock import SystemClock
from monitor.model.observation import Kind, Observation
from monitor.model.span import SECOND, Spans, to_millis
from monitor.regulations.loader import load
from support.disks import small_disk
from support.enrolled import enrol_at
from support.loopback_collector import LoopbackCollector
from support.parts import require
from support.ports import closed_port
from support.site import behind, nvr, recorder, service, site_of, until, write_site

RHYTHM = dict.fromkeys(
    ("look_every", "reach_every", "recorder_every", "index_every", "report_every", "reconnect_most"), "1s"
)
SCHEMA = "CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID"


def prepare(folder: Path, simulator: HikvisionSimulator) -> Path:
    return write_site(folder, behind(simulator), [nvr(simulator)], rhythm=RHYTHM, state_dir="state")


def metrics(port: int) -> dict[str, float]:
    """Return the samples of one site's agent without their institution; none while it doesn't answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return {}
    return {
        name.replace('institution="wj-0001"', "").replace("{,", "{").replace(",}", "}"): float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
    }


def failing(port: int, file: str) -> float | None:
    return metrics(port).get(f'cradlewatch_agent_storage_failing{{file="{file}"}}')


def up(port: int) -> bool:
    return metrics(port).get('cradlewatch_stream_up{camera="c1"}') == 1.0


def storage(collector: LoopbackCollector) -> list[dict[str, Any]]:
    """Return what the collector was told of the agent's files, in order."""
    reports = collector.reports.values()
    return [item for report in reports for item in report["observations"] if item["kind"] == Kind.STORAGE]


@pytest.mark.timeout(180)
async def test_the_service_watches_through_a_disk_that_is_read_only_at_the_start_and_full_later(tmp_path: Path) -> None:
    """From the first frame on, without a hole: what was seen meanwhile is in the journal and at the collector afterwards."""
    port = closed_port()
    async with recorder(1) as simulator, LoopbackCollector.running() as collector:
        config = prepare(tmp_path, simulator)
        with small_disk(tmp_path / "state", kib=16_384) as disk:
            state = State(load_site(config).state_dir, "wj-0001")
            enrol_at(state, collector)
            state.close()
            disk.read_only(on=True)
            async with service(config, "--metrics", f"127.0.0.1:{port}") as running:
                await until(lambda: up(port) and failing(port, "outbox") == 1.0, running)
                began = to_millis(SystemClock().now())
                assert {failing(port, name) for name in ("state", "journal", "breaker", "pins")} == {1.0}
                assert not collector.reports
                disk.read_only(on=False)
                await until(lambda: failing(port, "journal") == failing(port, "outbox") == 0.0, running)
                await until(lambda: "failing" in [item["state"] for item in storage(collector)], running)

                disk.fill()
                await until(lambda: failing(port, "journal") == failing(port, "outbox") == 1.0, running)
                filled = to_millis(SystemClock().now())
                await until(lambda: to_millis(SystemClock().now()) > filled + 3 * SECOND and up(port), running)
                disk.free()
                await until(lambda: failing(port, "journal") == failing(port, "outbox") == 0.0, running)
                freed = to_millis(SystemClock().now())
                await until(lambda: [item["state"] for item in storage(collector)][-1:] == ["ok"], running)
                await until(lambda: to_millis(SystemClock().now()) > freed + 2 * SECOND, running)
                assert await running.stop() == 0
            assert not any("Traceback" in line for line in running.log)
            assert any("it is kept in memory and tried again" in line for line in running.log)
            journal = Journal(load_site(config).state_dir / "journal.sqlite")
            watched = spans_up(journal.all(to_millis(SystemClock().now())))
            journal.close()
        told = [item for report in collector.reports.values() for item in report["observations"]]
        sent = spans_up([Observation.model_validate(item) for item in told])
    window = Spans.window(began, freed)
    for seen in (watched, sent):
        assert not window.subtract(seen), "no hole"
    words = storage(collector)
    assert [item["state"] for item in words if item["state"] == "failing"][:1] == ["failing"]
    assert all(str(tmp_path) not in str(item) for item in words), "where it lies is nobody's business"
    assert words[-1]["facts"]["lost"] == 0


def databases(folder: Path) -> list[Path]:
    """Return the files of the agent's databases, their logs too."""
    return [path for path in folder.iterdir() if ".sqlite" in path.name]


@asynccontextmanager
async def failing_disk(process: int, folder: Path) -> AsyncIterator[None]:
    """Let each write and sync of a process's databases in a folder answer EIO until the block ends, as a dying disk does."""
    require("strace")
    calls = "pwrite64,fdatasync,fsync,ftruncate"
    options = [
        *("-f", "-p", str(process), "-e", f"inject={calls}:error=EIO"),
        *(f"-P{path}" for path in databases(folder)),
    ]
    strace = await asyncio.create_subprocess_exec(
        "strace", *options, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    assert strace.stderr is not None
    lines = [await strace.stderr.readline()]
    while b"attached" not in lines[-1]:  # before it come the paths that it knows under two names
        lines.append(await strace.stderr.readline())
        assert lines[-1], lines
    drained = asyncio.create_task(strace.stderr.read())
    try:
        yield
    finally:
        strace.send_signal(signal.SIGINT)
        await strace.wait()
        await drained


@pytest.mark.timeout(180)
async def test_the_service_watches_through_a_disk_whose_writes_and_syncs_fail(tmp_path: Path) -> None:
    """A dying disk: nothing can be written or synced any more, then it goes again. No start anew, no hole."""
    port = closed_port()
    async with recorder(1) as simulator, LoopbackCollector.running() as collector:
        config = prepare(tmp_path, simulator)
        state = State(load_site(config).state_dir, "wj-0001")
        enrol_at(state, collector)
        state.close()
        async with service(config, "--metrics", f"127.0.0.1:{port}") as running:
            await until(lambda: up(port) and collector.reports, running)
            began = to_millis(SystemClock().now())
            async with failing_disk(running.process.pid, tmp_path / "state"):
                await until(lambda: failing(port, "journal") == failing(port, "outbox") == 1.0, running)
                failed = to_millis(SystemClock().now())
                await until(lambda: to_millis(SystemClock().now()) > failed + 3 * SECOND and up(port), running)
            await until(lambda: failing(port, "journal") == failing(port, "outbox") == 0.0, running)
            healed = to_millis(SystemClock().now())
            await until(lambda: [item["state"] for item in storage(collector)][-1:] == ["ok"], running)
            await until(lambda: to_millis(SystemClock().now()) > healed + 2 * SECOND, running)
            assert await running.stop() == 0
        assert not any("Traceback" in line for line in running.log)
        assert any("I/O error" in line and "tried again" in line for line in running.log), running.log
        told = [item for report in collector.reports.values() for item in report["observations"]]
        sent = spans_up([Observation.model_validate(item) for item in told])
        sequences = sorted(report["sequence"] for report in collector.reports.values())
    assert not Spans.window(began, healed).subtract(sent), "no hole"
    assert sequences == list(range(1, len(sequences) + 1)), "no report is missing, none is double"
    assert "failing" in [item["state"] for item in storage(collector)]


def spans_up(seen: list[Observation]) -> Spans:
    return Spans.of((item.start, item.end) for item in seen if item.kind is Kind.STREAM and item.state == "up")


def kept(database: Enduring, key: str) -> str | None:
    row = database.run(lambda connection: connection.execute("SELECT value FROM kept WHERE key = ?", (key,)).fetchone())
    return row[0] if row else None


def keep(database: Enduring, key: str, value: str) -> None:
    database.run(lambda connection: connection.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (key, value)))


def test_what_is_known_is_known_while_the_disk_refuses_and_afterwards(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        path = disk.path / "state.sqlite"
        first = Enduring(path, SCHEMA)
        keep(first, "before", "1")
        first.close()
        disk.read_only(on=True)
        database = Enduring(path, SCHEMA)
        assert (kept(database, "before"), database.problem) == ("1", f"{path} can't be made: Read-only file system")
        keep(database, "meanwhile", "2")
        assert kept(database, "meanwhile") == "2"
        disk.read_only(on=False)
        database.try_again()
        assert database.problem is None
        keep(database, "after", "3")
        database.close()
        again = Enduring(path, SCHEMA)
        assert [kept(again, key) for key in ("before", "meanwhile", "after")] == ["1", "2", "3"]
        disk.fill()
        keep(again, "full", "x" * 100_000)
        assert again.problem is not None
        assert "full" in again.problem
        disk.free()
        again.close()
        last = Enduring(path, SCHEMA)
        assert kept(last, "full") == "x" * 100_000, "brought back at the end"
        last.close()


def test_a_person_is_told_at_once(tmp_path: Path) -> None:
    """Only the service goes on: who attests something has to know that it isn't kept."""
    with small_disk(tmp_path / "state") as disk:
        State(disk.path, "a").close()
        disk.read_only(on=True)
        with pytest.raises(
            StateError, match=r"state can't be used: .*state\.sqlite can't be made: Read-only file system"
        ):
            State(disk.path, "a")
        state = State(disk.path, "a", enduring=True)
        with state.lock():
            state.put("budgets", {"nvr": 4})
            assert state.learnt_budgets() == {"nvr": 4}
        outbox = state.outbox()
        with pytest.raises(DatabaseError, match="Read-only file system"):
            outbox.put("0" * 32, lambda slot: b"x")
        refused = outbox.problem
        assert refused is not None
        disk.read_only(on=False)
        assert outbox.put("0" * 32, lambda slot: b"x") == 1
        assert outbox.problem is None
        state.close()


async def test_what_could_not_be_stored_is_in_the_metrics_at_once(tmp_path: Path) -> None:
    site = site_of(write_site(tmp_path, []))
    state = State(site.state_dir, site.institution.id, enduring=True)
    async with LoopbackCollector.running() as collector:
        enrol_at(state, collector)
    service = Service(site, load("demo-nursery"), state, SystemClock())
    service._declare()
    for file in (service.journal, service.outbox):
        file._database._live().execute("PRAGMA query_only = 1")  # as a disk that is read-only
    service._keep(to_millis(service.clock.now()))
    failing = {file.name for file in service.storage.files if file.problem is not None}
    assert failing == {"journal", "outbox"}
    await service._last_words()
    state.close()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b'{"institution": "a"'])
async def test_a_damaged_enrolment_stops_reports_and_nothing_else(tmp_path: Path, content: bytes) -> None:
    """The next start doesn't end in a loop: the last word of the collector holds, and the journal goes on."""
    async with LoopbackCollector.running() as collector:
        enrol_at(State(tmp_path / "state", "a"), collector)
    (tmp_path / "state" / "agent.json").write_bytes(content)
    state = State(tmp_path / "state", "a", enduring=True)
    assert (state.agent, state.has_enrolment(), state.is_enrolled()) == ("box", True, False)
    with pytest.raises(StateError, match="enrol the agent again"):
        state.enrolment()
    state.close()
