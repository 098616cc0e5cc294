"""A fresh Debian in a directory: for trying what a person, or an image, would meet. Needs root and debootstrap.

Standard library only: it runs before anything is installed. Commands run in namespaces of their own, so that no mount
and no process outlives them. What the machine's pip is configured to use (an index, a certificate) is handed in; the
scripts themselves name none.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

CACHE = Path(os.environ.get("CRADLEWATCH_ROOMS", "/var/tmp/cradlewatch-rooms"))
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def need_root() -> None:
    """Leave with a sentence when a room can't be built here."""
    if os.geteuid() != 0:
        sys.exit("a fresh Debian is built by debootstrap and chroot: run this as root")
    if shutil.which("debootstrap") is None:
        sys.exit("debootstrap is missing: apt install debootstrap")


def pip_settings() -> dict[str, str]:
    """Return what this machine's pip is told by files and variables, as variables."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    settings = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        if name.startswith(("global.", "install.", ":env:.")):
            key = name.removeprefix(":env:").partition(".")[2]
            settings["PIP_" + key.upper().replace("-", "_")] = value[1:-1].replace("\\n", "\n")
    return settings


HOST = "/.host"
"""Where a room sees the files of this machine that pip's settings name: never in the place of a file of its own."""


def local_paths(settings: dict[str, str]) -> list[Path]:
    """Return the directories and files of this machine that pip's settings name."""
    words = re.findall(r"(?:^|\s|file://)(/[^\s,]+)", "\n".join(settings.values()))
    found = {Path(word) for word in words if Path(word).exists()}
    return sorted({path.parent if path.name == "simple" else path for path in found})


def moved(settings: dict[str, str], paths: list[Path]) -> dict[str, str]:
    """Return the settings with `paths` as a room sees them."""
    if not paths:
        return settings
    names = "|".join(re.escape(str(path)) for path in sorted(paths, reverse=True))
    pattern = re.compile(rf"(^|\s|file://)({names})(?=$|[\s/,])")
    return {name: pattern.sub(rf"\1{HOST}\2", value) for name, value in settings.items()}


@dataclass
class Room:
    """A root file system, and how to run something in it."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def base(cls, release: str) -> Room:
        """Return a minimal Debian, downloaded once."""
        root = CACHE / f"base-{release}"
        if not (root / ".complete").exists():
            shutil.rmtree(root, ignore_errors=True)
            root.parent.mkdir(parents=True, exist_ok=True)
            print(f"room: debootstrap {release}", file=sys.stderr, flush=True)
            subprocess.run(["debootstrap", "--variant=minbase", release, root], check=True, stdout=subprocess.DEVNULL)
            (root / ".complete").touch()
        return cls(root)

    def copy(self, name: str) -> Room:
        """Return a copy that may be changed."""
        root = CACHE / name
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run(["cp", "-a", "--reflink=auto", self.root, root], check=True)
        return Room(root, dict(self.environment))

    def remove(self) -> None:
        """Delete the file system."""
        shutil.rmtree(self.root)

    def run(
        self, command: str, *, user: int = 0, home: str = "/root", directory: str = "/", stdout: int | None = None
    ) -> subprocess.Popen[str]:
        """Start `command` by the room's /bin/sh, with nothing of this machine's environment but pip's settings."""
        pip = pip_settings()
        mounts = [f"mount --rbind /dev {self.root}/dev", f"mount -t proc proc {self.root}/proc"]
        mounts.append(f"mount -t tmpfs -o mode=1777 tmpfs {self.root}/dev/shm")
        paths = local_paths(pip)
        shown = [(path, f"{HOST}{path}") for path in paths] + [(Path("/etc/resolv.conf"), "/etc/resolv.conf")]
        for path, name in shown:
            target = self.root / name.lstrip("/")
            if path.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.touch()
            mounts.append(f"mount --bind -o ro {shlex.quote(str(path))} {shlex.quote(str(target))}")
        env = {"PATH": PATH, "HOME": home, "DEBIAN_FRONTEND": "noninteractive", **moved(pip, paths), **self.environment}
        inside = ["env", "-i", *(f"{name}={value}" for name, value in env.items())]
        inside += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        inside += ["sh", "-c", f"cd {shlex.quote(directory)} && {command}"]
        # The shell stays as the first process, for one that becomes another user is no longer killed with its parent.
        script = " && ".join([*mounts, f"chroot {self.root} {shlex.join(inside)}"]) + "; exit $?"
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        return subprocess.Popen([*unshare, "sh", "-c", script], text=True, stdout=stdout, stdin=subprocess.DEVNULL)

    def check(self, command: str, *, user: int = 0, home: str = "/root", directory: str = "/") -> None:
        """Run `command` to its end. Leaves with a sentence when it fails."""
        print(f"room: {command}", file=sys.stderr, flush=True)
        code = self.run(command, user=user, home=home, directory=directory).wait()
        if code != 0:
            sys.exit(f"room: exit code {code} of: {command}")
