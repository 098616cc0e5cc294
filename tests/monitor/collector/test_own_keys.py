"""The collector's signing key is replaced: each process signs with the new one at once, and nothing of before is lost."""

from __future__ import annotations

from pathlib import Path
from threading import Barrier, Thread

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from dashboards.cli import app
from monitor.api.routes import build_api
from monitor.collector import own_keys
from monitor.collector.context import Context
from monitor.collector.own_keys import OwnKeyError, RotationError, handovers, rotate_signing_key, unreadable_keys
from monitor.collector.verify import verify_institution
from monitor.model.envelope import MEDIA_TYPE, frame
from monitor.model.handover import follow
from monitor.store.engine import open_engine, reading
from monitor.store.schema import migrate
from support.centre import NOW, make_centre, span


def test_a_replaced_key_signs_the_next_one_and_is_gone(engine: Engine) -> None:
    centre = make_centre(engine)
    other = Context(engine, centre.clock)  # as another process has it, which has read the keys before
    centre.add()
    centre.see(span("camera/gate", "up", NOW, NOW + 1))
    first, nonce_key = other.signing(), other.keys().nonce
    old, second = rotate_signing_key(engine, NOW)
    _, third = rotate_signing_key(engine, NOW + 1)
    assert (old.id, other.signing().public.id) == (first.public.id, third.id)
    with reading(engine) as session:
        steps = handovers(session)
        kept = "".join(session.execute(text("SELECT value FROM collector_key")).scalars())
    assert [follow(key, steps).id for key in (first.public, second, third)] == [third.id] * 3
    assert first.pem().decode() not in kept
    assert other.keys().nonce == Context(engine, centre.clock).keys().nonce == nonce_key
    centre.see(span("camera/gate", "up", NOW + 1, NOW + 2))  # by a nonce that was given before
    assert verify_institution(centre.context, "wj-0001").problems == []


def test_of_two_at_once_one_follows_the_other(engine: Engine) -> None:
    first = make_centre(engine).context.signing().public
    together = Barrier(2)

    def rotate() -> None:
        together.wait()
        rotate_signing_key(engine, NOW)

    threads = [Thread(target=rotate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with reading(engine) as session:
        steps = handovers(session)
    assert len(steps) == 2
    assert follow(first, steps).id == make_centre(engine).context.signing().public.id


def test_there_is_an_end_to_it(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_keys, "MOST", 1)
    rotate_signing_key(engine, NOW)
    with pytest.raises(RotationError, match="1 times"):
        rotate_signing_key(engine, NOW)


def spoil(engine: Engine, name: str, value: str) -> None:
    """Edit a row by hand."""
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE collector_key SET value = :value WHERE name = :name"), {"name": name, "value": value}
        )


@pytest.mark.parametrize("value", ["", "no key", "00", "ö" * 64, "ab" * 31])
def test_a_key_of_nonces_that_cannot_be_read_is_named_and_takes_no_report_in(engine: Engine, value: str) -> None:
    """An empty or a short one could be guessed; who has read the good one goes on by it."""
    centre = make_centre(engine)
    centre.add()
    centre.see(span("camera/gate", "up", NOW, NOW + 1))
    spoil(engine, "nonce", value)
    again = Context(engine, centre.clock, centre.context.settings, centre.context.packs)
    with pytest.raises(
        OwnKeyError, match=r"^the row nonce of the table collector_key can't be read: .* backup"
    ) as raised:
        again.keys()
    assert value == "" or value not in str(raised.value)
    with reading(engine) as session:
        assert [item.name for item in unreadable_keys(session)] == ["nonce"]
    assert verify_institution(again, "wj-0001").problems == [], "no report is another one for it"
    with TestClient(build_api(again), raise_server_exceptions=False) as client:
        body = frame([centre.agents["wj-0001"].envelope(centre.report().to_bytes())])
        answer = client.post("/api/v1/reports", content=body, headers={"Content-Type": MEDIA_TYPE})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "600")
        assert "own keys can't be read" in answer.json()["detail"]
        ready = client.get("/health/ready")
        assert (ready.status_code, "key of nonces" in ready.json()["detail"]) == (503, True)
        assert "cradlewatch_collector_keys_unreadable 1.0" in client.get("/metrics").text
    centre.see(span("camera/gate", "up", NOW + 1, NOW + 2))


@pytest.mark.parametrize("value", ["", "no key", "ö", "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n"])
def test_without_a_signing_key_reports_go_on_and_sites_are_told_to_come_again(engine: Engine, value: str) -> None:
    centre = make_centre(engine)
    agent = centre.add()
    spoil(engine, "signing", value)
    path = "/api/v1/agents/self/assignment"
    with TestClient(build_api(centre.context), raise_server_exceptions=False) as client:
        answer = client.get(path, headers=agent.authorization("GET", path))
        assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "600")
        assert client.get("/health/ready").status_code == 200
    centre.see(span("camera/gate", "up", NOW, NOW + 1))
    with pytest.raises(OwnKeyError, match=r"row signing of the table collector_key .* enrolled again"):
        rotate_signing_key(engine, NOW)


def test_a_hand_over_that_cannot_be_read_is_left_out_of_those_that_are_told(engine: Engine) -> None:
    centre = make_centre(engine)
    for at in range(3):
        rotate_signing_key(engine, NOW + at)
    spoil(engine, "handover-0002", "{}")
    with reading(engine) as session:
        assert len(handovers(session)) == 2
        assert [item.name for item in unreadable_keys(session)] == ["handover-0002"]
    with TestClient(build_api(centre.context)) as client:
        assert len(client.get("/api/v1/handovers").json()["handovers"]) == 2


def test_commands_say_it_in_one_sentence(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/cradlewatch.db")
    migrate(engine)
    make_centre(engine).add()
    spoil(engine, "signing", "no key")
    engine.dispose()
    run = CliRunner()
    environment = {"CRADLEWATCH_DATABASE_URL": f"sqlite:///{tmp_path}/cradlewatch.db"}
    rotated = run.invoke(app, ["key", "rotate"], env=environment)
    assert (rotated.exit_code, rotated.stderr.count("\n")) == (2, 1), rotated.stderr
    checked = run.invoke(app, ["verify"], env=environment)
    assert checked.exit_code == 1
    assert checked.stdout.startswith(
        "the collector's own keys: 1 problem\n  the row signing of the table collector_key"
    )
