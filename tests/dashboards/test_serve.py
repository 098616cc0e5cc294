"""The collector's process: starts from nothing, answers, judges what comes in, and stops."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import delete

from agents.enroll import enroll
from agents.state import State
from benchmarks.agent_process import until
from dashboards.prepare import prepare
from dashboards.serve import address_of, configure, jobs, listen
from dashboards.serve_error import ServeError
from dashboards.workers import note_that_it_answers
from monitor.collector.context import Context
from monitor.collector.enrolment import create_code
from monitor.collector.own_keys import rotate_signing_key
from monitor.collector.settings import TlsSettings
from monitor.model.clock import SystemClock
from monitor.model.envelope import MEDIA_TYPE, frame
from monitor.model.inventory import Institution
from monitor.model.observation import Kind
from monitor.model.report import Report
from monitor.model.suite import PrivateKey
from monitor.store.engine import open_engine, reading, writing
from monitor.store.findings import finding_rows
from monitor.store.listening import listening_since
from monitor.store.registry import add_institution
from monitor.store.schema import is_current
from monitor.store.tables import ListeningRow
from support import seeded
from support.authority import Authority
from support.databases import PostgresServer
from support.enrolled import pull
from support.served import PROGRAM, command_of, serving, workers_of
from support.signing import SigningAgent, offer


def test_from_the_first_start_to_a_finding_on_a_page(tmp_path: Path) -> None:
    with serving(tmp_path) as (address, process), httpx2.Client(base_url=address, timeout=20) as client:
        assert client.get("/health/ready").status_code == 200  # SQLite's schema was made by the start
        assert client.get("/").headers["location"] == "/sign-in?next=%2F"
        assert "collector user add" in client.get("/sign-in").text
        context = Context(open_engine(f"sqlite:///{tmp_path}/cradlewatch.db"))
        institution = Institution(id="wj-0001", name="示范托育园")
        with writing(context.engine) as session:
            add_institution(session, institution, seeded.PACK, context.now())
        code = create_code(context, "wj-0001")
        key = PrivateKey.make()
        offered = offer(key, code)
        form = {"code": code, "agent": "nvr-box", "key": offered.key, "proof": offered.proof}
        enrolled = client.post("/api/v1/enrolments", json=form).json()
        sender = SigningAgent("wj-0001", enrolled["agent"], key, enrolled["nonce"])
        batch = frame([sender.envelope(_report(institution, enrolled["agent"], context))])
        answer = client.post("/api/v1/reports", content=batch, headers={"Content-Type": MEDIA_TYPE})
        assert [item["status"] for item in answer.json()["receipts"]] == ["stored"], answer.text
        _until_judged(context)
        context.engine.dispose()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
    log = (tmp_path / "log").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert any(item.get("path") == "/api/v1/enrolments" and item["status"] == 201 for item in lines)
    assert not [item for item in lines if item.get("path") == "/api/v1/reports"], "a line for each report is a flood"
    assert code not in log
    assert not [item for item in lines if item["level"] in {"error", "critical"}]


def _report(institution: Institution, agent: str, context: Context) -> bytes:
    now = context.now()
    seen = seeded.healthy(seeded.inventory_of(institution, seeded.CAMERAS), agent, now)
    seen = seeded.without(seen, Kind.VIEW, seeded.camera("gate"))
    seen.append(seeded.span(seeded.camera("gate"), Kind.VIEW, now - 600_000, now, "black"))
    body = Report(
        schema_="cradlewatch.report/1",
        institution=institution.id,
        agent=agent,
        boot=seeded.BOOT,
        sequence=1,
        written_at=SystemClock().now(),
        monotonic_seconds=1.0,
        version="0.1.0",
        observations=tuple(seen),
    )
    return body.to_bytes()


def _until_judged(context: Context) -> None:
    """Wait for the process's own jobs to open the finding."""
    pause = threading.Event()
    for _ in range(200):
        with reading(context.engine) as session:
            rows = finding_rows(session)
        if rows:
            assert [(row.requirement, row.state) for row in rows] == [("view", "black")]
            return
        pause.wait(0.05)
    pytest.fail("nothing was judged within ten seconds")


def test_it_speaks_tls_itself_and_asks_agents_for_a_certificate(tmp_path: Path) -> None:
    district, agents = Authority(tmp_path, "district"), Authority(tmp_path, "agents")
    tls = "{certificate: district-leaf.pem, key: district-leaf.key, client_ca: agents.pem}"
    with serving(tmp_path, more=f"tls: {tls}\n") as (address, _):
        assert address.startswith("https://")
        trusting = ssl.create_default_context(cafile=district.file)
        with httpx2.Client(base_url=address, timeout=20, verify=trusting) as nobody, pytest.raises(httpx2.HTTPError):
            nobody.get("/health/ready")
        trusting.load_cert_chain(agents.leaf, agents.leaf_key)
        with httpx2.Client(base_url=address, timeout=20, verify=trusting) as client:
            assert client.get("/health/ready").status_code == 200
            assert "secure" in client.get("/sign-in").headers["set-cookie"].lower()
        old = ssl.create_default_context(cafile=district.file)
        old.load_cert_chain(agents.leaf, agents.leaf_key)
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSVersion"):
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        with httpx2.Client(base_url=address, timeout=20, verify=old) as client, pytest.raises(httpx2.HTTPError):
            client.get("/health/ready")


def test_sighup_gives_a_single_process_a_new_certificate_and_one_that_can_not_be_used_changes_nothing(
    tmp_path: Path,
) -> None:
    old = Authority(tmp_path, "district")
    files = (tmp_path / "leaf.pem", tmp_path / "leaf.key")
    _put(old, files)
    with serving(tmp_path, more="tls: {certificate: leaf.pem, key: leaf.key}\n") as (address, process):
        before = _certificate_at(address)
        new = Authority(tmp_path, "province")
        _put(new, files)
        process.send_signal(signal.SIGHUP)
        until(lambda: _certificate_at(address) != before, 20, "connections get the new certificate")
        after = _certificate_at(address)
        files[1].write_bytes(old.leaf_key.read_bytes())  # of another certificate
        process.send_signal(signal.SIGHUP)
        sentence = "the new certificate can't be used, connections get the one of before"
        until(lambda: sentence in (tmp_path / "log").read_text(), 20, "it says so")
        assert _certificate_at(address) == after
        trusting = ssl.create_default_context(cafile=new.file)
        with httpx2.Client(base_url=address, timeout=20, verify=trusting) as client:
            assert client.get("/health/ready").status_code == 200


def test_sighup_leaves_a_single_process_without_tls_as_it_is(tmp_path: Path) -> None:
    with serving(tmp_path) as (address, process):
        assert httpx2.get(f"{address}/health/ready", timeout=20).status_code == 200
        process.send_signal(signal.SIGHUP)
        until(lambda: "SIGHUP" in (tmp_path / "log").read_text(), 20, "it was heard")
        assert httpx2.get(f"{address}/health/ready", timeout=20).status_code == 200


def _put(authority: Authority, files: tuple[Path, Path]) -> None:
    for source, file in zip((authority.leaf, authority.leaf_key), files, strict=True):
        file.write_bytes(source.read_bytes())
        file.chmod(0o600)


def _certificate_at(address: str) -> str:
    host, port = address.removeprefix("https://").split(":")
    return ssl.get_server_certificate((host, int(port)), timeout=20)


async def test_agents_follow_the_collectors_key_also_those_that_were_away(tmp_path: Path) -> None:
    with serving(tmp_path) as (address, _):
        context = Context(open_engine(f"sqlite:///{tmp_path}/cradlewatch.db"))
        with writing(context.engine) as session:
            add_institution(session, Institution(id="wj-0001"), seeded.PACK, context.now())
        states = [State(tmp_path / name, "wj-0001") for name in ("here", "away")]
        for state in states:
            await enroll(state, "wj-0001", address, create_code(context, "wj-0001"), state.directory.name)
            assert await pull(state) == ""
        _rotate(tmp_path)
        assert await pull(states[0]) == ""
        rotate_signing_key(context.engine, context.now())
        for state in states:
            assert await pull(state) == ""
            enrolment = state.enrolment()
            assert enrolment is not None
            assert enrolment.collector_key == context.signing().public.jwk
            state.close()
        context.engine.dispose()


def _rotate(directory: Path) -> None:
    """Replace the key as an operator does, beside the running collector."""
    env = {**os.environ, "CRADLEWATCH_DATABASE_URL": f"sqlite:///{directory}/cradlewatch.db"}
    command = [str(PROGRAM), "collector", "key", "rotate", "--config", "collector.yaml"]
    done = subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "was replaced by" in done.stdout


async def _nothing(*_: object) -> None:
    """Stand for an application."""


def test_certificates_that_cannot_be_used_are_one_sentence(tmp_path: Path) -> None:
    mine, other = Authority(tmp_path, "mine"), Authority(tmp_path, "other")
    with pytest.raises(ServeError, match=r"tls.certificate .*none can't be read: No such file"):
        configure(_nothing, TlsSettings(certificate=tmp_path / "none", key=mine.leaf_key))
    with pytest.raises(ServeError, match="give a PEM certificate and the key that belongs to it"):
        configure(_nothing, TlsSettings(certificate=mine.leaf, key=other.leaf_key))
    (tmp_path / "empty").write_text("nothing")
    with pytest.raises(ServeError, match=r"tls.client_ca .*empty holds no certificate in PEM"):
        configure(_nothing, TlsSettings(certificate=mine.leaf, key=mine.leaf_key, client_ca=tmp_path / "empty"))
    mine.leaf_key.chmod(0o644)
    with pytest.raises(ServeError, match="can be read by everybody on this machine: chmod 600"):
        configure(_nothing, TlsSettings(certificate=mine.leaf, key=mine.leaf_key))


def test_sqlite_is_migrated_by_the_start(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/x.db")
    prepare(engine, may_migrate=False)
    with engine.connect() as connection:
        assert is_current(connection)
    engine.dispose()


@pytest.mark.postgres
def test_postgres_is_migrated_only_when_told_to(postgres_server: PostgresServer) -> None:
    postgres_server.execute("CREATE DATABASE served TEMPLATE template0")
    engine = open_engine(postgres_server.url("served"))
    with pytest.raises(ServeError, match="run `cradlewatch collector migrate`"):
        prepare(engine, may_migrate=False)
    prepare(engine, may_migrate=True)
    prepare(engine, may_migrate=False)
    engine.dispose()


def test_where_to_listen() -> None:
    with listen("127.0.0.1:0") as first:
        address = address_of(first)
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
        with pytest.raises(ServeError, match="Address already in use; choose another with --listen"):
            listen(address.removeprefix("http://"))
    for wrong in ("", "8420", "host:", ":80", "127.0.0.1:99999", "127.0.0.1:x"):
        with pytest.raises(ServeError, match="write HOST:PORT"):
            listen(wrong)


def test_a_socket_that_was_handed_down_is_listened_at() -> None:
    with listen("127.0.0.1:0") as opened:
        with listen(f"fd:{os.dup(opened.fileno())}") as taken:
            assert taken.getsockname() == opened.getsockname()
        with socket.socket() as silent, pytest.raises(ServeError, match="does not listen; write HOST:PORT"):
            listen(f"fd:{silent.fileno()}")
        with socket.socket(socket.AF_UNIX) as local, pytest.raises(ServeError, match="is no TCP socket"):
            listen(f"fd:{local.fileno()}")
    for wrong in ("fd:", "fd:x", "fd:-1", "fd:99999"):
        with pytest.raises(ServeError, match="no socket was handed down under this number"):
            listen(wrong)


async def test_who_answers_notes_that_agents_are_heard_and_nobody_else_does(tmp_path: Path) -> None:
    context = Context(open_engine(f"sqlite:///{tmp_path}/x.db"))
    prepare(context.engine, may_migrate=False)
    with jobs(context, answers=False) as first, jobs(context) as alone:
        assert (first.get_job("note_listening"), bool(alone.get_job("note_listening"))) == (None, True)
    with writing(context.engine) as session:
        session.execute(delete(ListeningRow))
    noting = asyncio.create_task(note_that_it_answers(context))
    while not _is_noted(context):
        assert not noting.done()
        await asyncio.sleep(0.01)
    noting.cancel()
    context.engine.dispose()


def _is_noted(context: Context) -> bool:
    with reading(context.engine) as session:
        return listening_since(session, context.now()) is not None


def _refused(address: str) -> float | None:
    """Return how many requests without the right form /metrics shows; None while nobody answers."""
    with suppress(httpx2.TransportError):
        text = httpx2.get(f"{address}/metrics", timeout=20).text
        return float(re.findall(r'^cradlewatch_refused_total\{reason="form"\} (\S+)', text, re.MULTILINE)[0])
    return None


@pytest.mark.postgres
def test_workers_share_a_socket_and_count_together_and_one_that_dies_is_replaced(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    postgres_server.execute("CREATE DATABASE shared_socket TEMPLATE template0")
    url = postgres_server.url("shared_socket")
    with serving(tmp_path, "--migrate", more="workers: 2\n", url=url) as (address, process):
        until(lambda: _refused(address) == 0, 40, "a worker answers")
        workers = workers_of(process.pid)
        assert len(workers) == 2
        for _ in range(10):  # each by a connection of its own: whoever is free takes it
            assert httpx2.post(f"{address}/api/v1/reports", content=b"{}", timeout=20).status_code == 415
        assert {_refused(address) for _ in range(10)} == {10}
        os.kill(min(workers), signal.SIGKILL)
        until(lambda: len(workers_of(process.pid)) == 2 and workers_of(process.pid) != workers, 40, "it is replaced")
        until(lambda: _refused(address) == 10, 40, "what the dead one had counted stays counted")
        workers |= workers_of(process.pid)
        process.kill()
        until(
            lambda: not any(command_of(str(pid)) for pid in workers),
            40,
            "the workers have ended with the first process",
        )
    assert _refused(address) is None
    postgres_server.execute("DROP DATABASE shared_socket WITH (FORCE)")
