"""No process of a command leaves its memory in a file when it crashes: passwords are in it."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.served import serving


@pytest.fixture(autouse=True)
def cores_allowed() -> Iterator[None]:
    """Have what is started from here leave as large an image as this machine lets it."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


def leaves_a_core(process: subprocess.Popen[str]) -> bool:
    """Wait for the end of a process that crashed; tell whether the kernel wrote its image."""
    _, status = os.waitpid(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode < 0, "by a signal"
    return os.WCOREDUMP(status)


def test_a_process_that_is_none_of_ours_would_leave_one(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import os; os.abort()"], cwd=tmp_path, text=True)
    left = leaves_a_core(process)
    assert left or resource.getrlimit(resource.RLIMIT_CORE)[0] == 0, "so that the next test proves something"


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV])
def test_a_collector_that_crashes_leaves_no_core(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path, "--migrate") as (_, process):
        # Zero is heeded for files alone: a pattern that pipes to a program would still be handed the image.
        assert resource.prlimit(process.pid, resource.RLIMIT_CORE)[1] <= 1
        assert Path(f"/proc/{process.pid}/environ").stat().st_uid == os.getuid(), "its owner may still measure it"
        process.send_signal(number)
        assert not leaves_a_core(process)
    assert not list(tmp_path.glob("*core*"))


def test_it_holds_for_what_a_command_starts_too_and_where_none_is_allowed_anyhow(tmp_path: Path) -> None:
    code = (
        "import resource, subprocess, sys; from monitor.command import leave_no_core\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (int(sys.argv[1]),) * 2); leave_no_core()\n"
        "subprocess.run([sys.executable, '-c', 'import resource; print(*resource.getrlimit(resource.RLIMIT_CORE))'])"
    )
    for given in ("0", "1"):
        run = subprocess.run([sys.executable, "-c", code, given], capture_output=True, text=True, check=True)
        assert {int(word) for word in run.stdout.split()} <= {0, 1}
