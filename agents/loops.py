"""What is remembered for months of each camera's stream, over restarts: a recording that is played as live is known by it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import structlog

from agents.identity import keep
from agents.vision.loop import KEPT_BYTES, Loop

FOLDER = "loops"
_SUFFIX = ".loop"

log = structlog.get_logger()


def recall(camera: str, loop: Loop, kept: bytes, wall_seconds: float) -> None:
    """Give a camera's loop what was kept of it; `wall_seconds` is when the watching began.

    The disk may be slow, and nobody waits for it, so that frames may have come already. They are counted from another
    beginning than what comes now: what has come again among them is told anew.
    """
    if loop.recall(kept, wall_seconds):
        loop.still()
    else:
        log.warning("what was remembered of a camera's stream is damaged; it begins anew", camera=camera)


class LoopBook:
    """One file a camera, each as large as any other; a damaged one is none. For a thread that may wait for the disk."""

    def __init__(self, state_dir: Path) -> None:
        """Touch nothing yet."""
        self._folder = state_dir / FOLDER

    def keep(self, camera: str, kept: bytes) -> None:
        """Write a camera's file, durably, all of it or nothing. Raises OSError."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        keep(self._path(camera), kept)

    def read(self, camera: str) -> bytes | None:
        """Return what was kept of a camera; None where there is nothing, or a disk that can't be read."""
        try:
            with self._path(camera).open("rb") as stream:
                return stream.read(KEPT_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("what was remembered of a camera's stream can't be read", camera=camera, reason=str(error))
            return None

    def forget_others(self, cameras: Collection[str]) -> None:
        """Remove the files of cameras that are no more."""
        known = {self._path(camera) for camera in cameras}
        try:
            for path in set(self._folder.glob(f"*{_SUFFIX}*")) - known:
                path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("what was remembered of cameras that are no more can't be removed", reason=str(error))

    def _path(self, camera: str) -> Path:
        return self._folder / f"{camera}{_SUFFIX}"
