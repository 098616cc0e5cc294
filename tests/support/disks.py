"""Disks that refuse: a small one of the test's own that fills up and turns read-only. Needs root, as the kernel does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.parts import require


@dataclass(frozen=True)
class SmallDisk:
    """A mounted tmpfs."""

    path: Path

    def fill(self) -> None:
        """Leave no byte free."""
        with (self.path / "filler").open("ab", buffering=0) as stream:
            for size in (65_536, 4096, 1):
                try:
                    while stream.write(b"x" * size):
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        """Undo `fill`."""
        (self.path / "filler").unlink()

    def read_only(self, *, on: bool) -> None:
        """Refuse every write, as a file system does that found an error; or take them again."""
        subprocess.run(["mount", "-o", f"remount,{'ro' if on else 'rw'}", self.path], check=True)


@contextmanager
def small_disk(path: Path, kib: int = 1024) -> Iterator[SmallDisk]:
    """Mount a disk of so many KiB at `path`. Skips where nobody may mount."""
    path.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k,mode=0700", "cradlewatch-test", str(path)]
    may = os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0
    require("permission to mount a file system (root)", present=may)
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)
