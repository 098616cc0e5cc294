"""The whole thread as processes: simulated devices, an agent and a collector, each started by its real command."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

CRADLEWATCH = (sys.executable, "-c", "from monitor.command import main; main()")
RHYTHM = (
    "{look_every: 1s, reach_every: 1s, recorder_every: 2s, index_every: 2s, report_every: 1s, reconnect_most: 1s,"
    " assignment_every: 2s}"
)

PACK = "thread-nursery"
PASSWORD = "a long enough password"


def _pack() -> str:
    """The demonstration's pack with room for a busy machine: what takes long here is not held against the site."""
    text = (Path(__file__).parents[2] / "config" / "regulations" / "demo-nursery.yaml").read_text(encoding="utf-8")
    for before, after in (
        (r"^id: .*$", f"id: {PACK}"),
        (r"max_undetermined_hours: [\d.]+", "max_undetermined_hours: 0.2"),
        (r"silent_after: \w+", "silent_after: 10m"),
    ):
        text, count = re.subn(before, after, text, flags=re.MULTILINE)
        assert count == 1, before
    return text


def cradlewatch(*words: str, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a command to its end and return its standard output."""
    done = subprocess.run(
        [*CRADLEWATCH, *words], cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


async def until(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Wait for a condition to be true and return its value. What is dear to ask is asked less often."""
    now = asyncio.get_running_loop().time
    deadline = now() + seconds
    while True:
        began = now()
        value = condition()
        if value:
            return value
        assert now() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(min(max(0.1, 5 * (now() - began)), 1.0))


class Thread:
    """One institution with two cameras on one simulated recorder, its agent, and a collector on `database_url`."""

    def __init__(self, folder: Path, recorder_url: str, streams: list[str], port: int, database_url: str) -> None:
        """Write the files; nothing is started yet."""
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self.env = {"CRADLEWATCH_DATABASE_URL": database_url}
        self._agent: subprocess.Popen[bytes] | None = None
        self._collector: subprocess.Popen[bytes] | None = None
        self._cookie: dict[str, str] | None = None
        (folder / "password").write_text("Cradle-2026\n")
        (folder / "password").chmod(0o600)
        (folder / "user").write_text(f"{PASSWORD}\n")
        (folder / "packs").mkdir()
        (folder / "packs" / f"{PACK}.yaml").write_text(_pack(), encoding="utf-8")
        # One process: three that start at once leave the cameras, which are played beside, without a core for seconds.
        settings = f"listen: 127.0.0.1:{port}\nworkers: 1\nevaluate_every: 1s\npack_dirs: [packs]\n"
        (folder / "collector.yaml").write_text(settings)
        cameras = "".join(
            f"  - {{id: c{n}, zones: [z{n}], recorder: nvr, channel: {n}, stream: '{url}'}}\n"
            for n, url in enumerate(streams, 1)
        )
        (folder / "site.yaml").write_text(
            "institution: {id: wj-0001, name: 示范托育园, timezone: Asia/Shanghai}\n"
            f"regulation: demo-nursery\nnetworks: [127.0.0.0/8]\nrhythm: {RHYTHM}\n"
            f"recorders:\n  - {{id: nvr, driver: hikvision, url: '{recorder_url}', username: compliance,"
            " password_file: password}\n"
            "zones:\n  - {id: z1, room: entrance}\n  - {id: z2, room: play}\n"
            f"cameras:\n{cameras}"
        )

    def register(self) -> None:
        """Enter institution, user and enrolment code at the collector."""
        config = ("--config", "collector.yaml")
        self._run("collector", "migrate", *config)
        words = ("--name", "示范托育园", "--regulation", PACK)
        self._run("collector", "institution", "add", "wj-0001", *words, *config)
        self._run("collector", "user", "add", "inspector", "--password-file", "user", *config)
        self.token = self._run("collector", "user", "token", "inspector", *config).split()[-1]
        self.code = self._run("collector", "enrolment", "create", "--institution", "wj-0001", *config).split()[-1]

    def enroll(self) -> None:
        """Exchange the code for a token; the collector runs."""
        words = ("--collector", self.url, "--code", self.code)
        self._run("agent", "enroll", "--config", "site.yaml", *words)

    def attest(self) -> None:
        """Somebody walked both zones."""
        for zone in ("z1", "z2"):
            words = ("--subject", f"zone/{zone}", "--by", "王老师")
            self._run("agent", "attest", "coverage_walk", "--config", "site.yaml", *words)

    def _run(self, *words: str) -> str:
        return cradlewatch(*words, cwd=self.folder, env=self.env)

    def start_collector(self) -> None:
        """Start the collector."""
        self._collector = self._start("collector", "serve", "--config", "collector.yaml")

    def start_agent(self) -> None:
        """Start the agent."""
        self._agent = self._start("agent", "run", "--config", "site.yaml")

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{words[0]}.log").open("ab")
        with log:
            return subprocess.Popen(
                [*CRADLEWATCH, *words], cwd=self.folder, env={**os.environ, **self.env}, stdout=log, stderr=log
            )

    def kill_agent(self) -> None:
        """Kill -9."""
        _end(self._agent, signal.SIGKILL)
        self._agent = None

    def kill_collector(self) -> None:
        """Kill -9."""
        _end(self._collector, signal.SIGKILL)
        self._collector = None

    def alive(self) -> bool:
        """Tell whether the collector answers."""
        try:
            return httpx2.get(f"{self.url}/health/ready", timeout=2).status_code == 200
        except httpx2.HTTPError:
            return False

    def get(self, path: str) -> Any:
        """Ask the API as a script does; None when the collector doesn't answer."""
        try:
            answer = httpx2.get(f"{self.url}{path}", headers={"Authorization": f"Bearer {self.token}"}, timeout=5)
        except httpx2.HTTPError:
            return None
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return json.loads(answer.text)

    def page(self, path: str) -> str:
        """Return a page as a browser gets it that has signed in; empty when the collector doesn't answer."""
        with httpx2.Client(base_url=self.url, timeout=5, follow_redirects=True) as browser:
            if self._cookie is None:
                token = re.search(r'name="csrf" value="([^"]+)"', browser.get("/sign-in").text)
                assert token is not None
                form = {"name": "inspector", "password": PASSWORD, "csrf": token[1]}
                assert browser.post("/sign-in", data=form).status_code == 200
                self._cookie = dict(browser.cookies)
            try:
                answer = browser.get(path, headers={"Cookie": "; ".join(f"{k}={v}" for k, v in self._cookie.items())})
            except httpx2.HTTPError:
                return ""
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        return answer.text

    def __enter__(self) -> Self:
        """Own the processes."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """End them all; show their logs when the test failed."""
        _end(self._agent, signal.SIGTERM)
        _end(self._collector, signal.SIGTERM)
        if error is not None:
            for name in ("agent", "collector"):
                path = self.folder / f"{name}.log"
                sys.stderr.write(f"--- {name}\n{path.read_text()[-40000:] if path.exists() else ''}\n")


def _end(process: subprocess.Popen[bytes] | None, number: signal.Signals) -> None:
    if process is not None:
        process.send_signal(number)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
