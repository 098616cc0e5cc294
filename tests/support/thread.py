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

from support.commands import run_commands

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
        # Kept: to make a client anew for each question costs more than the question.
        self._http = httpx2.Client(base_url=self.url, timeout=5, trust_env=False)
        self._browser = httpx2.Client(base_url=self.url, timeout=5, trust_env=False, follow_redirects=True)
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
        config = "--config collector.yaml"
        *_, token, code = self._run(
            f"collector migrate {config}",
            f"collector institution add wj-0001 --name 示范托育园 --regulation {PACK} {config}",
            f"collector user add inspector --password-file user {config}",
            f"collector user token inspector {config}",
            f"collector enrolment create --institution wj-0001 {config}",
        )
        self._http.headers["Authorization"] = f"Bearer {token.split()[-1]}"
        self.code = code.split()[-1]

    def enroll(self) -> None:
        """Exchange the code for a token; the collector runs. Somebody walked both zones."""
        self._run(
            f"agent enroll --config site.yaml --collector {self.url} --code {self.code}",
            *(f"agent attest coverage_walk --config site.yaml --subject zone/{z} --by 王老师" for z in ("z1", "z2")),
        )

    def _run(self, *commands: str) -> list[str]:
        found = run_commands([command.split() for command in commands], self.folder, self.env)
        for command, ended in zip(commands, found, strict=True):
            assert ended.status == 0, f"{command}: {ended.err}"
        return [ended.out for ended in found]

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
            return self._http.get("/health/ready", timeout=2).status_code == 200
        except httpx2.HTTPError:
            return False

    def get(self, path: str) -> Any:
        """Ask the API as a script does; None when the collector doesn't answer."""
        try:
            answer = self._http.get(path)
        except httpx2.HTTPError:
            return None
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return json.loads(answer.text)

    def page(self, path: str) -> str:
        """Return a page as a browser gets it that has signed in; empty when the collector doesn't answer."""
        if not self._browser.cookies:
            token = re.search(r'name="csrf" value="([^"]+)"', self._browser.get("/sign-in").text)
            assert token is not None
            form = {"name": "inspector", "password": PASSWORD, "csrf": token[1]}
            assert self._browser.post("/sign-in", data=form).status_code == 200
        try:
            answer = self._browser.get(path)
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
        self._http.close()
        self._browser.close()
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
