"""The real `collector serve` as a process, on a free port."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("cradlewatch")


@contextmanager
def serving(
    directory: Path, *arguments: str, more: str = "", url: str = "", evaluate_every: str = "100ms"
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `collector serve` on a free port; give its address. Its log is in the file `log`."""
    (directory / "collector.yaml").write_text(f"evaluate_every: {evaluate_every}\nlisten: 127.0.0.1:0\n{more}")
    command: list[str | Path] = [PROGRAM, "collector", "serve", "--config", "collector.yaml", *arguments]
    env = {**os.environ, "CRADLEWATCH_DATABASE_URL": url or f"sqlite:///{directory}/cradlewatch.db"}
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=directory, env=env)
    timer = threading.Timer(50, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        found = re.search(r"https?://\S+", process.stdout.readline())
        assert found is not None, (directory / "log").read_text()
        yield found[0], process
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def workers_of(first: int) -> set[int]:
    """Return the processes that a collector has begun to answer for it."""
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    return {int(pid) for pid in children if "spawn_main" in command_of(pid)}


def command_of(pid: str) -> str:
    """Return what a process runs; nothing once it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""
