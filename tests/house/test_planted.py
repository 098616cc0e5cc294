"""The net for secrets holds: a planted one is found wherever a test shows it, and nowhere else."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

from support.planted import leaks, leaky_files
from support.site import PASSWORD

ROOT = Path(__file__).parents[2]

LEAKY = """
import logging
from pathlib import Path
from support.site import PASSWORD

def test_prints(): print("x", PASSWORD)
def test_logs(): logging.getLogger("a").warning("login with %s", PASSWORD)
def test_leaves(tmp_path: Path): (tmp_path / "agent.log").write_text(f"user:{PASSWORD}@host")
def test_is_clean(tmp_path: Path):
    print("user:***@host")
    (tmp_path / "password").write_text(PASSWORD)
"""


def test_a_test_that_shows_a_secret_fails(tmp_path: Path) -> None:
    (tmp_path / "test_leaky.py").write_text(LEAKY)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "conftest",
        "--rootdir",
        str(tmp_path),
        "-c",
        "/dev/null",
        str(tmp_path),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"PYTHONPATH": f"{ROOT}/tests:{ROOT}", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip
    failed = {line.split("::")[1].split()[0] for line in done.stdout.splitlines() if line.startswith("ERROR ")}
    assert failed == {"test_prints", "test_logs", "test_leaves"}, done.stdout


def test_a_secret_is_known_in_basic_authentication_too(tmp_path: Path) -> None:
    for user in ("a", "ab", "abc", "compliance"):
        assert leaks(base64.b64encode(f"{user}:{PASSWORD}".encode()))
        assert leaks(base64.b64encode(f"{user}:{PASSWORD}x".encode()))
    assert not leaks(base64.b64encode(b"compliance:another-one-2026"))
    (tmp_path / "a").write_bytes(PASSWORD.encode())
    (tmp_path / "password").write_bytes(PASSWORD.encode())
    assert leaky_files(tmp_path) == [tmp_path / "a"]
    (tmp_path / "a").unlink()
