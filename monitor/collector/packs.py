"""The regulation packs that institutions are judged by, read once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from threading import Lock

from monitor.model.regulation import Regulation
from monitor.regulations.loader import load


class Packs:
    """Packs by id, from the installation and further directories; each is read when it is first asked for."""

    def __init__(self, extra_dirs: Iterable[Path] = ()) -> None:
        """Look into `extra_dirs` beside the installed packs."""
        self._dirs = tuple(extra_dirs)
        self._loaded: dict[str, Regulation] = {}
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
                self._loaded[pack_id] = load(pack_id, self._dirs)
            return self._loaded[pack_id]


def pack_json(pack: Regulation) -> dict[str, object]:
    """Return the pack as it travels: by alias, as JSON values."""
    return pack.model_dump(mode="json", by_alias=True)


def digest_of_json(value: object) -> str:
    """Return the SHA-256 of a JSON value in hexadecimal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
