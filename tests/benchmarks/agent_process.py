"""The real `cradlewatch agent run` over a site.yaml of a benchmark, and what its metrics say."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

COMMAND = Path(sys.executable).with_name("cradlewatch")


def write_site(folder: Path, streams: Mapping[str, str], gateway: str, rhythm: Mapping[str, str] | None = None) -> Path:
    """Write the site.yaml of cameras that are reached directly; return its path."""
    content: dict[str, Any] = {
        "institution": {"id": "bench", "name": "bench"},
        "regulation": "cn-nursery-wujiang-2021",
        "networks": ["127.0.0.0/8"],
        "gateway": gateway,
        "zones": [{"id": "room", "room": "play"}],
        "recorders": [],
        "cameras": [{"id": name, "zones": ["room"], "stream": url} for name, url in streams.items()],
    }
    if rhythm:
        content["rhythm"] = dict(rhythm)
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Agent:
    """A service that runs."""

    process: subprocess.Popen[bytes]
    config: Path
    metrics_port: int

    @property
    def journal(self) -> Path:
        """Return where it writes what it saw."""
        return self.config.with_suffix(".state") / "journal.sqlite"

    def metrics(self) -> dict[str, dict[str, float]]:
        """Return its metrics: name to camera to value."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        found: dict[str, dict[str, float]] = defaultdict(dict)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if "state" not in sample.labels:
                    found[sample.name][sample.labels.get("camera", "")] = sample.value
        return found

    def cameras_up(self) -> set[str]:
        """Return the cameras that it says are up; none while it can't be asked."""
        try:
            return {name for name, value in self.metrics()["cradlewatch_stream_up"].items() if value == 1.0}
        except OSError:
            return set()

    def stop(self) -> None:
        """Ask it to end: it writes down what it has seen."""
        self.process.terminate()
        self.process.wait(30)


def approve_views(config: Path) -> None:
    """Take and approve every camera's view. Raises subprocess.CalledProcessError when one has none."""
    command = [str(COMMAND), "agent", "baseline", "--config", str(config), "--once", "--approve", "--by", "bench"]
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def agent(config: Path) -> Iterator[Agent]:
    """Run the service beside the block; its log lies beside the configuration."""
    port = free_port()
    command = [str(COMMAND), "agent", "run", "--config", str(config), "--metrics", f"127.0.0.1:{port}"]
    with (config.parent / "agent.log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            yield Agent(process, config, port)
        finally:
            process.kill()


def until(condition: Callable[[], bool], within: float, what: str) -> None:
    """Wait for a condition. Raises TimeoutError that names it."""
    end = time.monotonic() + within
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {within:g} s: {what}")
        time.sleep(0.1)
