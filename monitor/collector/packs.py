"""The regulation packs that institutions are judged by, read once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from threading import Lock

from monitor.model.regulation import Regulation, pack_digest, pack_json
from monitor.model.span import Millis
from monitor.regulations.loader import load
from monitor.regulations.problem import PackError, Problem


class Packs:
    """Packs by id, from the installation and further directories; each is read when it is first asked for."""

    def __init__(self, extra_dirs: Iterable[Path] = ()) -> None:
        """Look into `extra_dirs` (pack_dirs in collector.yaml) beside the installed packs."""
        self._dirs = tuple(extra_dirs)
        self._loaded: dict[str, Regulation] = {}
        self._digests: dict[str, str] = {}
        self._lock = Lock()

    @classmethod
    def of(cls, *packs: Regulation) -> Packs:
        """Return the given packs, as if they had been read."""
        made = cls()
        made._loaded = {pack.id: pack for pack in packs}
        return made

    def get(self, pack_id: str) -> Regulation:
        """Return the pack. Raises PackError when there is none, or when it has problems."""
        with self._lock:
            if pack_id not in self._loaded:
                self._loaded[pack_id] = self._read(pack_id)
            return self._loaded[pack_id]

    def digest(self, pack_id: str) -> str:
        """Return the digest of the pack that `get` returns. Raises PackError as that does."""
        pack = self.get(pack_id)
        if pack_id not in self._digests:
            self._digests[pack_id] = pack_digest(pack_json(pack))
        return self._digests[pack_id]

    def silent_due(self, pack_id: str | None, now: Millis) -> Millis | None:
        """Return when an agent counts as silent unless it reports after `now`; None when nobody asks."""
        try:
            requirement = None if pack_id is None else self.get(pack_id).requirements.agent_silence
        except PackError:
            return None  # a pack that can't be read must not lose a report; the evaluation says what is wrong with it
        return None if requirement is None else now + requirement.silent_after + 1

    def unreadable(self, pack_ids: Iterable[str]) -> set[str]:
        """Return those of the packs that can't be read now."""
        return {pack_id for pack_id in pack_ids if not self._is_readable(pack_id)}

    def _is_readable(self, pack_id: str) -> bool:
        try:
            self.get(pack_id)
        except PackError:
            return False
        return True

    def _read(self, pack_id: str) -> Regulation:
        """A directory that vanished takes away the packs in it, and no others."""
        lost = {directory: why for directory in self._dirs if (why := unreadable_directory(directory)) is not None}
        try:
            return load(pack_id, [directory for directory in self._dirs if directory not in lost])
        except PackError as error:
            gone = (Problem(str(directory), 0, "pack_dirs", why) for directory, why in lost.items())
            raise PackError([*error.problems, *gone]) from None


def unreadable_directory(directory: Path) -> str | None:
    """Return why a directory of packs can't be read and what to do, None when it can."""
    try:
        next(directory.iterdir(), None)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return f"this directory of packs can't be read: {why}; make it readable, or take it out of pack_dirs"
    return None


def digest_of_json(value: object) -> str:
    """Return the SHA-256 of a JSON value in hexadecimal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
