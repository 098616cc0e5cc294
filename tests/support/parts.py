"""The real programs that tests drive: what they are, where Debian keeps them, and what happens when one is missing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pytest

DEBIAN_PYTHON = "/usr/bin/python3"
"""GStreamer's bindings belong to the system's Python, never to a venv's."""


@dataclass(frozen=True)
class Part:
    """One program (or set of fonts) that tests need for real."""

    purpose: str
    packages: tuple[str, ...]
    present: Callable[[], bool]


def _program(*names: str) -> bool:
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    return any(shutil.which(name, path=path) for name in names)


def _succeeds(*command: str) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


_GSTREAMER = """
import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
missing = [n for n in ("h264parse", "rtph264pay", "qtdemux", "x264enc") if Gst.ElementFactory.find(n) is None]
raise SystemExit(1 if missing else 0)
"""


def _cjk_fonts() -> bool:
    done = subprocess.run(["fc-list", ":lang=zh"], capture_output=True, check=False) if _program("fc-list") else None
    return bool(done and done.stdout.strip())


PARTS: dict[str, Part] = {
    "ffmpeg": Part("makes and reads real video", ("ffmpeg",), partial(_program, "ffmpeg")),
    "motion": Part("records a simulated camera as files", ("motion",), partial(_program, "motion")),
    "chromium": Part(
        "opens the pages", ("chromium",), partial(_program, "chromium", "chromium-browser", "google-chrome")
    ),
    "fonts": Part("Chinese text in the browser", ("fontconfig", "fonts-noto-cjk"), _cjk_fonts),
    "promtool": Part("tests the alert rules", ("prometheus",), partial(_program, "promtool")),
    "alertmanager": Part(
        "takes the alerts", ("prometheus-alertmanager",), partial(_program, "prometheus-alertmanager")
    ),
    "systemd": Part("checks the units of the services", ("systemd",), partial(_program, "systemd-analyze")),
    "strace": Part("makes a process's writes and syncs fail", ("strace",), partial(_program, "strace")),
    "gstreamer": Part(
        "an RTSP server that is not ours",
        (
            "gir1.2-gst-rtsp-server-1.0",
            "gstreamer1.0-plugins-base",
            "gstreamer1.0-plugins-good",
            "gstreamer1.0-plugins-bad",
            "gstreamer1.0-plugins-ugly",
            "python3-gi",
        ),
        partial(_succeeds, DEBIAN_PYTHON, "-c", _GSTREAMER),
    ),
}


@cache
def has(name: str) -> bool:
    """Tell whether a part of PARTS is on this machine."""
    return PARTS[name].present()


def require(name: str, *, present: bool | None = None) -> None:
    """Skip the test when a part is missing; fail it where CI=true says that nothing may be missing.

    `name` is one of PARTS, or a text for people when `present` says how it stands.
    """
    if has(name) if present is None else present:
        return
    part = PARTS.get(name)
    hint = f" (Debian: {' '.join(part.packages)})" if part else ""
    reason = f"{name} is missing{hint}"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI=true: nothing may be skipped")
    pytest.skip(reason)


def _install(packages: list[str]) -> bool:
    """Install Debian packages (as root), without starting the services that some of them bring."""
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            if subprocess.run(["apt-get", "-qq", *command], check=False, env=quiet, stdout=sys.stderr).returncode:
                return False
    finally:
        if ours:
            policy.unlink()
    return True


def main() -> int:
    """Say which parts are missing; install them when run as root on Debian or Ubuntu."""
    missing = {name: part for name, part in PARTS.items() if not has(name)}
    if not missing:
        return 0
    for name, part in missing.items():
        print(f"missing: {name} ({part.purpose}); Debian: {' '.join(part.packages)}", file=sys.stderr)
    packages = sorted({package for part in missing.values() for package in part.packages})
    if os.geteuid() == 0 and _program("apt-get"):
        print(
            f"installing as root: {' '.join(packages)} (the services that some of them bring are not started now; "
            "`systemctl disable` them if they should not start with the machine)",
            file=sys.stderr,
        )
        if _install(packages):
            return 0
        print("they could not be installed: the tests that need them will be skipped", file=sys.stderr)
    else:
        print(
            "the tests that need them will be skipped; to run them all: apt install " + " ".join(packages),
            file=sys.stderr,
        )
    return 1 if os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.exit(main())
