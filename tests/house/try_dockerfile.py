"""Try the Dockerfile without Docker: its own instructions, one by one, in fresh Debian file systems.

Usage (root): PYTHONPATH=tests python3 -m house.try_dockerfile [agent] [collector]
It knows the instructions that the Dockerfile uses (FROM on Debian, RUN, COPY, ENV, WORKDIR, USER; the rest only
describes how an image is started) and stops at any other.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from house.room import Room, need_root

PROJECT = Path(__file__).parents[2]
DESCRIPTIVE = {"VOLUME", "EXPOSE", "HEALTHCHECK", "CMD", "ENTRYPOINT"}
NEEDED = {"agent": "cv2, av, numpy", "collector": "fastapi, uvicorn, psycopg, sqlalchemy"}
FOREIGN = {"agent": ("fastapi", "uvicorn", "sqlalchemy"), "collector": ("cv2", "av")}


@dataclass
class Stage:
    """One FROM ... AS ... with its instructions."""

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)


def parse(text: str) -> dict[str, Stage]:
    """Return the stages by name."""
    text = re.sub(r"\\\n\s*", "", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    stages: dict[str, Stage] = {}
    stage = None
    for line in filter(None, map(str.strip, text.splitlines())):
        keyword, _, rest = line.partition(" ")
        if keyword == "FROM":
            base, _, name = rest.partition(" AS ")
            stage = stages[name] = Stage(name, base)
        elif stage is not None:
            stage.steps.append((keyword, rest))
    return stages


class Builder:
    """Builds stages as directories, each from a copy of its base."""

    def __init__(self, stages: dict[str, Stage]) -> None:
        """Start with nothing built."""
        self.stages = stages
        self.built: dict[str, Room] = {}
        self.left: dict[str, tuple[str, int]] = {}
        self.context = self._context()

    def _context(self) -> Path:
        """Return a clean copy of what git tracks: nothing unfinished gets into an image."""
        directory = Room.base("bookworm").root.parent / "context"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        archive = subprocess.run(["git", "-C", PROJECT, "archive", "HEAD"], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", directory], input=archive, check=True)
        return directory

    def build(self, name: str) -> Room:
        """Return the file system of a stage; a stage goes on where its base left off."""
        if name in self.built:
            return self.built[name]
        stage = self.stages[name]
        if stage.base in self.stages:
            parent = self.build(stage.base)
        else:
            match = re.fullmatch(r"debian:(\w+)-slim", stage.base)
            if match is None:
                sys.exit(f"only Debian can be tried, not {stage.base}")
            parent = Room.base(match[1])
        room = parent.copy(f"stage-{name}")
        directory, user = self.left.get(stage.base, ("/", 0))
        for keyword, rest in stage.steps:
            print(f"[{name}] {keyword} {rest}", file=sys.stderr, flush=True)
            if keyword == "RUN":
                room.check(rest, user=user, directory=directory)
            elif keyword == "COPY":
                self._copy(room, rest, directory)
            elif keyword == "ENV":
                room.environment |= dict(word.split("=", 1) for word in shlex.split(rest))
            elif keyword == "WORKDIR":
                directory = rest
                (room.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            elif keyword == "USER":
                user = int(rest.partition(":")[0])
            elif keyword not in DESCRIPTIVE:
                sys.exit(f"the instruction {keyword} can't be tried here")
        self.built[name] = room
        self.left[name] = directory, user
        return room

    def _copy(self, room: Room, rest: str, directory: str) -> None:
        source_root = self.context
        words = shlex.split(rest)
        if words[0].startswith("--from="):
            source_root = self.build(words.pop(0).removeprefix("--from=")).root
        *sources, target = words
        into = room.root / str(Path(directory, target)).lstrip("/")
        for source in sources:
            path = source_root / source.lstrip("/")
            if path.is_dir():
                shutil.copytree(path, into, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copy2(path, into / path.name if target.endswith("/") else into)


def start(room: Room, stage: Stage) -> None:
    """Try what the image would run: as its user, its entry point with --help, and that the other extra is absent."""
    entry = dict(stage.steps)
    (program,) = json.loads(entry["ENTRYPOINT"])
    first = json.loads(entry["CMD"])[:2]
    user = int(entry["USER"].partition(":")[0])
    for arguments in (["version"], [*first, "--help"], ["regulation", "list"]):
        room.check(shlex.join([program, *arguments]), user=user, home="/nonexistent", directory=entry["WORKDIR"])
    room.check(
        "test $(id -u) -ne 0 && touch here && ! touch /opt/cradlewatch/here 2>/dev/null",
        user=user,
        directory=entry["WORKDIR"],
    )
    room.check(f"python -c 'import {NEEDED[stage.name]}'", user=user)  # their own libraries find what they link to
    code = "import importlib.util as u, sys; sys.exit(' '.join(m for m in sys.argv[1:] if u.find_spec(m)) or 0)"
    room.check(shlex.join(["python", "-c", code, *FOREIGN[stage.name]]), user=user)


def main() -> None:
    """Build and start the targets named on the command line, both when none is."""
    need_root()
    builder = Builder(parse((PROJECT / "Dockerfile").read_text(encoding="utf-8")))
    targets = sys.argv[1:] or ["agent", "collector"]
    for target in targets:
        start(builder.build(target), builder.stages[target])
    print(f"the Dockerfile's targets can be built and start: {', '.join(targets)}")
    for room in builder.built.values():
        room.remove()


if __name__ == "__main__":
    main()
