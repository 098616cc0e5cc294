"""The server's process, as a benchmark sees it: addresses, commands, how far it is behind."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.watch.clips import Units
from support.parts import DEBIAN_PYTHON

SCRIPT = Path(__file__).with_name("server.py")


@dataclass(frozen=True)
class Served:
    """A server that runs."""

    process: subprocess.Popen[str]
    port: int
    cameras: int

    @property
    def streams(self) -> dict[str, str]:
        """Return each camera's name and address."""
        return {str(number): f"rtsp://127.0.0.1:{self.port}/{number}" for number in range(self.cameras)}

    def tell(self, do: str, **more: Any) -> dict[str, Any]:
        """Give a command and return its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def behind(self) -> float:
        """Return by how many seconds the slowest camera is behind its own clock; one that nobody watches isn't."""
        return float(self.tell("stats")["behind"])


@contextmanager
def serving(clips: Sequence[Units], cameras: int, port: int = 0) -> Iterator[Served]:
    """Serve so many cameras, each with the next one of the clips."""
    plays = [number % len(clips) for number in range(cameras)]
    spec = json.dumps({"port": port, "clips": [clip.spec() for clip in clips], "cameras": plays})
    command = [DEBIAN_PYTHON, str(SCRIPT), spec]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            with suppress(PermissionError):  # a server that waits for the machine would be no steady camera
                os.setpriority(os.PRIO_PROCESS, process.pid, -10)
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("GStreamer's RTSP server did not start")
            yield Served(process, int(json.loads(line)["port"]), cameras)
        finally:
            process.kill()
