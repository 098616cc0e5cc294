"""The demo's children: real commands, each with its log, none of which outlives the demo."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1
STOP_SECONDS = 6.0
LOG_TAIL_LINES = 8


class DemoError(Exception):
    """The demo can't go on; the text is a sentence for people."""


def command() -> str:
    """Return the installed command `cradlewatch`. Raises DemoError."""
    beside = Path(sys.executable).with_name("cradlewatch")
    found = str(beside) if beside.exists() else shutil.which("cradlewatch")
    if found is None:
        raise DemoError(f"the command cradlewatch is not beside {sys.executable}: install the distribution again")
    return found


def python() -> list[str]:
    """Return the interpreter, told not to look for modules where it stands."""
    return [sys.executable, "-P"]


def environment(directory: Path, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the children's environment: this one's, but nothing in it may lead them out of the demo's directory."""
    kept = {name: value for name, value in given.items() if not name.lower().endswith("_proxy")}
    kept |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    kept["CRADLEWATCH_DATABASE_URL"] = f"sqlite:///{directory / 'collector.sqlite'}"
    if kept.pop("PYTHONDONTWRITEBYTECODE", None):
        # A dozen interpreters would each compile everything again: they share what the first one compiled, in here.
        kept["PYTHONPYCACHEPREFIX"] = str(directory / "pycache")
    return kept


def _tie_to(parent: int) -> Callable[[], None]:
    """Return what a child does before it becomes the command: ask the kernel to be killed when the demo is."""
    library = ctypes.CDLL(None, use_errno=True)

    def tie() -> None:
        library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return tie


class Child:
    """One running child."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        """Take a process that runs."""
        self.name = name
        self.process = process
        self.log = log
        self.expected_to_end = False

    @property
    def runs(self) -> bool:
        """Tell whether it still runs."""
        return self.process.returncode is None

    def kill(self) -> None:
        """Kill it as a power cut would, with what it started."""
        self.expected_to_end = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.expected_to_end = True
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()

    def tail(self) -> str:
        """Return the last lines of its log."""
        try:
            lines = self.log.read_text("utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-LOG_TAIL_LINES:])

    def failure(self) -> DemoError:
        """Return what to say when it ended by itself."""
        return DemoError(f"{self.name} ended by itself (exit {self.process.returncode}):\n{self.tail()}")


class Children:
    """All children of one demo; leaving the context ends them."""

    def __init__(self, directory: Path, environ: Mapping[str, str]) -> None:
        """Let all work in `directory`; their logs go to `directory`/logs."""
        self.directory = directory
        self._environ = dict(environ)
        self._logs = directory / "logs"
        self._logs.mkdir(exist_ok=True)
        self.all: list[Child] = []

    async def start(
        self, name: str, arguments: Sequence[str], *, talks: bool = False, sockets: Sequence[int] = ()
    ) -> Child:
        """Start a command in a session of its own. One that `talks` has pipes; all others write into their log.

        `sockets` are handed down under their own numbers.
        """
        log = self._logs / f"{name}.log"
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        with log.open("ab") as stream:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=pipe if talks else null,
                stdout=pipe if talks else stream,
                stderr=stream,
                cwd=self.directory,
                env=self._environ,
                start_new_session=True,
                preexec_fn=_tie_to(os.getpid()),
                limit=2**22,
                pass_fds=sockets,
            )
        child = Child(name, process, log)
        self.all.append(child)
        return child

    async def run(self, name: str, arguments: Sequence[str]) -> None:
        """Run a command to its end. Raises DemoError with its last words when it fails."""
        child = await self.start(name, arguments)
        child.expected_to_end = True
        if await child.process.wait() != 0:
            raise child.failure()

    def check(self) -> None:
        """Raise DemoError when a child ended that should not have."""
        for child in self.all:
            if not child.runs and not child.expected_to_end:
                raise child.failure()

    async def stop(self) -> None:
        """End all: ask each, wait a little, then kill."""
        for child in self.all:
            child.terminate()
        waiting = [asyncio.create_task(child.process.wait()) for child in self.all]
        if waiting:
            await asyncio.wait(waiting, timeout=STOP_SECONDS)
        for child in self.all:
            child.kill()
        await asyncio.gather(*waiting)
