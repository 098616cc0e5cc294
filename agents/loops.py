"""What is remembered for months of each camera's stream, over restarts: a recording that is played as live is known by it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import structlog

from agents.identity import keep
from agents.vision.loop import KEPT_BYTES, Loop

FOLDER = "loops"
_SUFFIX = ".loop"

log = structlog.get_logger()


class LoopBook:
    """One file a camera, each as large as any other; a damaged one is none. For a thread that may wait for the disk."""

    def __init__(self, state_dir: Path) -> None:
        """Touch nothing yet."""
        self._folder = state_dir / FOLDER

    def recall(self, loops: Mapping[str, Loop], wall_seconds: float) -> None:
        """Give each camera's loop what was kept of it, before its first frame. Files of other cameras are removed.

        A disk that can't be read keeps nobody from watching: what it holds is then not known.
        """
        for camera, loop in loops.items():
            kept = self._read(camera)
            if kept is not None and not loop.recall(kept, wall_seconds):
                log.warning("what was remembered of a camera's stream is damaged; it begins anew", camera=camera)
        self._forget_others(loops.keys())

    def keep(self, camera: str, kept: bytes) -> None:
        """Write a camera's file, durably, all of it or nothing. Raises OSError."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        keep(self._path(camera), kept)

    def _read(self, camera: str) -> bytes | None:
        try:
            with self._path(camera).open("rb") as stream:
                return stream.read(KEPT_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("what was remembered of a camera's stream can't be read", camera=camera, reason=str(error))
            return None

    def _forget_others(self, cameras: Collection[str]) -> None:
        known = {self._path(camera) for camera in cameras}
        try:
            for path in set(self._folder.glob(f"*{_SUFFIX}*")) - known:
                path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("what was remembered of cameras that are no more can't be removed", reason=str(error))

    def _path(self, camera: str) -> Path:
        return self._folder / f"{camera}{_SUFFIX}"
