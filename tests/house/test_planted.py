"""The net for secrets holds: a planted one is found wherever a test shows it, and nowhere else."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import pytest

from support.planted import leaks, leaky_files
from support.site import PASSWORD

ROOT = Path(__file__).parents[2]

LEAKY = """
import asyncio, logging, subprocess, sys
from pathlib import Path
import pytest, typer
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from typer.testing import CliRunner
from monitor.model.suite import PrivateKey
from support.planted import plant, plant_key
from support.site import PASSWORD

KEY = PrivateKey.make().pem()
OTHERS = {
    "code": "ABCD-EFGH-JKMN-PQRS", "token": "cw_9f8e7d6c5b4a39281706", "apprise": "json://h/T0k3n-of-a-hook",
    "database": "postgresql://centre:db-pa55-word@host/db",
}

def test_prints(): print("x", PASSWORD)
def test_logs(): logging.getLogger("a").warning("login with %s", PASSWORD)
def test_leaves(tmp_path: Path): (tmp_path / "agent.log").write_text(f"user:{PASSWORD}@host")
def test_catches_a_process():
    for where in ("stdout", "stderr"):
        command = [sys.executable, "-c", f"import sys; print({PASSWORD!r}, file=sys.{where})"]
        assert PASSWORD in str(subprocess.run(command, capture_output=True, text=True, check=True))
async def _waits():
    command = (sys.executable, "-c", f"print({PASSWORD!r})")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    await process.stdout.readline()
    await process.wait()
def test_waits_for_a_process(): asyncio.run(_waits())
def test_invokes_a_command():
    app = typer.Typer()
    app.command()(lambda: print(PASSWORD))
    assert CliRunner().invoke(app, []).exit_code == 0
def _app(headers=None):
    app = FastAPI()
    app.get("/")(lambda: PlainTextResponse("x" if headers else PASSWORD, headers=headers))
    return app
def test_asks():
    with TestClient(_app()) as client:
        client.get("/")
def test_asks_for_a_head():
    with TestClient(_app({"X-Said": PASSWORD})) as client:
        client.get("/")
async def _ask():
    async with AsyncClient(transport=ASGITransport(_app()), base_url="http://h") as client:
        await client.get("/")
def test_asks_slowly(): asyncio.run(_ask())
@pytest.mark.parametrize("name", OTHERS)
def test_shows(name): print("got", plant(OTHERS[name]))
def test_shows_a_key():
    plant_key(KEY)
    print(KEY.decode())
@pytest.mark.parametrize("name", OTHERS)
def test_is_clean_of_what_another_planted(name): print("got", OTHERS[name])
def test_is_clean(tmp_path: Path):
    plant_key(KEY)
    print("user:***@host", PrivateKey.make().pem())
    subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, check=True)
    (tmp_path / "password").write_text(PASSWORD)
"""
LEAKING = {
    "test_prints", "test_logs", "test_leaves", "test_catches_a_process", "test_waits_for_a_process", "test_invokes_a_command",
    "test_asks", "test_asks_for_a_head", "test_asks_slowly", "test_shows[code]", "test_shows[token]", "test_shows[apprise]",
    "test_shows[database]", "test_shows_a_key",
}  # fmt: skip


@pytest.mark.timeout(180)
def test_a_test_that_shows_a_secret_fails(tmp_path: Path) -> None:
    (tmp_path / "test_leaky.py").write_text(LEAKY)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--tb=no",
        "-rE",
        "-p",
        "conftest",
        "--rootdir",
        str(tmp_path),
        "-c",
        "/dev/null",
        str(tmp_path),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"PYTHONPATH": f"{ROOT}/tests:{ROOT}", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip
    failed = {line.split("::")[1].split()[0] for line in done.stdout.splitlines() if line.startswith("ERROR ")}
    assert failed == LEAKING, done.stdout
    assert f" {len(LEAKING)} error" in done.stdout, "and only these"


def test_a_secret_is_known_in_basic_authentication_too(tmp_path: Path) -> None:
    for user in ("a", "ab", "abc", "compliance"):
        assert leaks(base64.b64encode(f"{user}:{PASSWORD}".encode()))
        assert leaks(base64.b64encode(f"{user}:{PASSWORD}x".encode()))
    assert not leaks(base64.b64encode(b"compliance:another-one-2026"))
    (tmp_path / "a").write_bytes(PASSWORD.encode())
    (tmp_path / "password").write_bytes(PASSWORD.encode())
    assert leaky_files(tmp_path) == [tmp_path / "a"]
    (tmp_path / "a").unlink()
