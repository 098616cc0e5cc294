"""Plays a captured fixture back: each request gets the answer that the device gave, in the order in which it gave them."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml

from agents.recorders.scrub import Scrubber
from support.recorder_http import Asked, Reply

Key = tuple[str, str, str]


class Replay:
    """A handler of requests; what the device was not asked is answered 404."""

    def __init__(self, folder: Path) -> None:
        self.manifest: dict[str, dict[str, Any]] = yaml.safe_load((folder / "manifest.yaml").read_text())
        self.unknown: list[str] = []
        self._left: dict[Key, list[Reply]] = defaultdict(list)
        for name, entry in self.manifest.items():
            method, _, path = entry["request"].partition(" ")
            key = (method, path, _words(entry.get("content", "")))
            self._left[key].append(Reply(entry["status"], (folder / name).read_bytes()))

    def __call__(self, asked: Asked) -> Reply:
        content = Scrubber([]).scrub(asked.body).decode()
        path = asked.target.replace("%5B", "[").replace("%5D", "]")
        replies = self._left.get((asked.method, path, _words(content)), [])
        if not replies:
            self.unknown.append(f"{asked.method} {path}")
            return Reply(404)
        return replies.pop(0) if len(replies) > 1 else replies[0]


def _words(content: str) -> str:
    """Return a request's body without what differs from one asking to the next: identifiers of searches, dated logins."""
    return re.sub(r"scrubbed-\d+|(?<=<wsu:Created>)[^<]*", "scrubbed", content)
