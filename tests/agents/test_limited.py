"""A command that reads what strangers wrote is limited as long as it does, and holds no secret then."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from agents.limited import MEMORY_BYTES, kept_small


def test_memory_and_secrets_are_kept_from_what_is_read_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVR_PASSWORD", "planted")
    before, environment = resource.getrlimit(resource.RLIMIT_AS), dict(os.environ)
    with kept_small():
        assert resource.getrlimit(resource.RLIMIT_AS) == (MEMORY_BYTES, before[1])
        assert "NVR_PASSWORD" not in os.environ
        assert os.environ["PATH"] == environment["PATH"]
    assert (resource.getrlimit(resource.RLIMIT_AS), dict(os.environ)) == (before, environment)


_GREEDY = """
import sys
from pathlib import Path
from agents import cli, diagnose_cli

def greedy(*_):
    assert "NVR_PASSWORD" not in __import__("os").environ
    return bytearray(3 << 30)

diagnose_cli.diagnose = greedy
sys.argv = ["cradlewatch", "diagnose", "/recordings/odd.mp4"]
cli.app()
"""


def test_a_file_that_takes_too_much_memory_is_one_sentence(tmp_path: Path) -> None:
    told = {**os.environ, "NVR_PASSWORD": "planted"}
    done = subprocess.run(
        [sys.executable, "-c", _GREEDY], check=False, capture_output=True, text=True, env=told, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == "/recordings/odd.mp4: it takes more than 2 GiB of memory to look through: no camera's recording does\n"
    )
