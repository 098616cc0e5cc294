"""The demo's children: none outlives it, and what they are told leads nowhere else."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agents.demo import centre
from agents.demo.commands import run
from agents.demo.processes import Children, DemoError, environment

SLEEPER = [sys.executable, "-c", "import sys; sys.stdin.read(); import signal; signal.pause()"]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or before it was read
        return False


async def gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while alive(pid):  # noqa: ASYNC110  (the kernel tells nobody but the parent)
            await asyncio.sleep(0.02)


async def test_stopping_ends_all(tmp_path: Path) -> None:
    children = Children(tmp_path, dict(os.environ))
    started = [await children.start(f"child-{number}", SLEEPER) for number in range(3)]
    await children.stop()
    assert not any(child.runs for child in started)


async def test_a_child_that_ends_by_itself_is_told_with_its_last_words(tmp_path: Path) -> None:
    children = Children(tmp_path, dict(os.environ))
    child = await children.start("teller", [sys.executable, "-c", "print('the port is taken'); raise SystemExit(3)"])
    await child.process.wait()
    with pytest.raises(DemoError, match=r"teller ended by itself \(exit 3\):\nthe port is taken"):
        children.check()
    child.expected_to_end = True
    children.check()
    await children.stop()


async def test_children_die_with_a_demo_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import asyncio, os, pathlib, sys\n"
        "from agents.demo.processes import Children\n"
        "async def main():\n"
        f"    children = Children(pathlib.Path({str(tmp_path)!r}), dict(os.environ))\n"
        f"    child = await children.start('child', {SLEEPER!r})\n"
        "    print(child.process.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    demo = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=subprocess.PIPE)
    assert demo.stdout is not None
    pid = int(await demo.stdout.readline())
    assert alive(pid)
    demo.send_signal(signal.SIGKILL)
    await demo.wait()
    await gone(pid)


def test_the_environment_leads_nowhere_else(tmp_path: Path) -> None:
    given = {
        "PATH": "/bin",
        "https_proxy": "http://192.0.2.1",
        "HTTP_PROXY": "http://192.0.2.1",
        "CRADLEWATCH_DATABASE_URL": "postgresql://production",
    }
    made = environment(tmp_path, given)
    assert made["PATH"] == "/bin"
    assert made["CRADLEWATCH_DATABASE_URL"] == f"sqlite:///{tmp_path}/collector.sqlite"
    assert not [name for name in made if "proxy" in name.lower()]
    assert "PYTHONPYCACHEPREFIX" not in made
    assert environment(tmp_path, {"PYTHONDONTWRITEBYTECODE": "1"})["PYTHONPYCACHEPREFIX"] == f"{tmp_path}/pycache"


def test_commands_answer_with_status_and_words() -> None:
    def command() -> None:
        given = sys.stdin.read()
        sys.stdout.write(f"{sys.argv[1:]} {given}")
        sys.stderr.write("careful")
        raise SystemExit(2 if given else None)

    assert run(command, ["a", "b"], "x") == {"status": 2, "out": "['a', 'b'] x", "err": "careful"}
    assert run(command, [], "")["status"] == 0


def test_a_port_that_is_taken_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(DemoError, match=f"--port {taken}: .* in use"):
            centre.hold_port(taken)
        monkeypatch.setattr(centre, "USUAL_PORT", taken)
        with centre.hold_port(None) as held:
            mine = held.getsockname()[1]
            assert mine not in {0, taken}
            monkeypatch.setattr(centre, "USUAL_PORT", mine)
            with centre.hold_port(None) as another:
                assert another.getsockname()[1] not in {0, taken, mine}


def test_passwords_are_fresh_and_easy_to_type() -> None:
    made = {centre.new_password() for _ in range(50)}
    assert len(made) == 50
    assert all(len(text) == 14 and not set(text) & set("il1o0") for text in made)
