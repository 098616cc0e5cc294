"""Runs many `cradlewatch` commands in one process: its start costs far more than most of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


def run_commands(
    commands: Sequence[Sequence[str | Path]], cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> list[Ended]:
    """Run commands one after the other to their ends, each the installed command itself, as the demo does."""
    lines = (json.dumps({"arguments": [str(word) for word in words]}) + "\n" for words in commands)
    done = subprocess.run(
        [sys.executable, "-m", "agents.demo.commands"],
        input="".join(lines), cwd=cwd, env={**os.environ, **(environment or {})}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    found = [Ended(**json.loads(line)) for line in done.stdout.splitlines()]
    assert len(found) == len(commands)
    return found
