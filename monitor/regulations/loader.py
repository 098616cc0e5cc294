"""Finds and loads packs: a Regulation, or every problem with its file, line and key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

import monitor
from monitor.model.regulation import Regulation
from monitor.regulations.checks import check
from monitor.regulations.document import Document, read_document, shown
from monitor.regulations.messages import problems_of, quoted
from monitor.regulations.problem import PackError, Problem

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SUFFIXES = (".yaml", ".yml")


def packs_directory() -> Path:
    """Return the directory of the packs that come with the installation."""
    return Path(str(monitor.__file__)).resolve().parents[1] / "config" / "regulations"


def load_file(path: Path | str) -> Regulation:
    """Load one file. Raises PackError with all of its problems."""
    return _load(Path(path))[0]


def load(pack_id: str, extra_dirs: Iterable[Path | str] = ()) -> Regulation:
    """Load the pack called `pack_id`: the file of that name, in the installed directory or an extra one.

    Raises PackError when there is none, when there are two, or when it has problems.
    """
    directories = _directories(extra_dirs)
    found = [path for path in _files(directories) if path.stem == pack_id and _ID.fullmatch(pack_id)]
    if not found:
        known = sorted({path.stem for path in _files(directories)})
        place = ", ".join(shown(directory) for directory in directories)
        message = f"there is no regulation pack {quoted(pack_id)}; there are {', '.join(known) or 'none'}"
        raise PackError([Problem(place, 0, "", message)])
    if len(found) > 1:
        raise PackError(_twice(found))
    return _load_named(found[0])


def load_all(extra_dirs: Iterable[Path | str] = ()) -> tuple[Regulation, ...]:
    """Load every pack, in the order of their ids. Raises PackError with the problems of all files."""
    packs: list[Regulation] = []
    problems: list[Problem] = []
    files = _files(_directories(extra_dirs))
    for path in files:
        try:
            packs.append(_load_named(path))
        except PackError as error:
            problems += error.problems
    problems += _twice(files)
    if problems:
        raise PackError(problems)
    return tuple(sorted(packs, key=lambda pack: pack.id))


def pack_files(directory: Path) -> list[Path]:
    """Return the pack files in a directory, by name. Raises PackError when it can't be read."""
    try:
        return sorted(
            path for path in directory.iterdir() if path.suffix in _SUFFIXES and not path.name.startswith(".")
        )
    except OSError as error:
        message = f"the directory of the packs can't be read: {error.strerror}"
        raise PackError([Problem(shown(directory), 0, "", message)]) from error


def _directories(extra_dirs: Iterable[Path | str]) -> list[Path]:
    return [packs_directory(), *map(Path, extra_dirs)]


def _files(directories: Iterable[Path]) -> list[Path]:
    unique = {directory.resolve(): directory for directory in directories}
    return [path for directory in unique.values() for path in pack_files(directory)]


def _twice(files: Iterable[Path]) -> list[Problem]:
    """An id names one pack: a second one would be judged by without anybody noticing."""
    first: dict[str, Path] = {}
    problems = []
    for path in files:
        other = first.setdefault(path.stem, path)
        if other is not path:
            message = f"{path.stem} is also the id of {shown(other)}; give this pack an id of its own"
            problems.append(Problem(shown(path), 0, "", message))
    return problems


def _load_named(path: Path) -> Regulation:
    """Load a file whose name is its id: people find a pack by the id that findings cite."""
    pack, document = _load(path)
    if pack.id != path.stem:
        message = f"{quoted(pack.id)} is not the file's name; call the file {pack.id}.yaml, or the pack {path.stem}"
        raise PackError([document.problem(("id",), message)])
    return pack


def _load(path: Path) -> tuple[Regulation, Document]:
    document = read_document(path)
    pack: Regulation | None = None
    problems = list(document.problems)
    try:
        # By way of JSON, because pydantic's strict mode then takes lists and dates as they are written, and nothing else.
        pack = Regulation.model_validate_json(json.dumps(document.data), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        problems += problems_of(error, Regulation, document)
    else:
        problems += [document.problem(key, message) for key, message in check(pack)]
    if pack is None or problems:
        raise PackError(problems)
    return pack, document
