"""The bundle's form: a zip of plain files, with an index of their digests."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

SCHEMA = "cradlewatch.evidence/1"
INDEX = "index.json"
MAX_FILES = 1000
MAX_BYTES = 4 * 1024**3
"""Of all files, expanded."""
MAX_JSON_BYTES = 256 * 1024**2
"""Of one that is JSON: five years of a report a minute take so much to say when each came in."""
_PIECE_BYTES = 1024 * 1024
_EXPANDABLE = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""Of the others Python expands all that is there, whatever a file says of its size."""
_UNREADABLE = (
    KeyError, ValueError, OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error
)  # fmt: skip
"""What Python raises of a zip in which anything may stand."""


class BundleError(Exception):
    """A file that is no bundle, or can't be read; the text is one sentence."""


def write_bundle(path: Path, files: Mapping[str, bytes], about: Mapping[str, Any]) -> None:
    """Write the files with their index; `about` goes into the index. Raises BundleError."""
    digests = {name: f"sha256:{hashlib.sha256(data).hexdigest()}" for name, data in sorted(files.items())}
    index = {"schema": SCHEMA, **about, "files": digests}
    try:
        file = path.open("xb")
    except FileExistsError:
        raise BundleError(f"{path} is there already: give another --output") from None
    except OSError as error:
        raise BundleError(f"{path} can't be written: {error.strerror}") from None
    try:
        with file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in ((INDEX, as_json(index)), *((name, files[name]) for name in digests)):
                archive.writestr(_entry(name), data, zipfile.ZIP_DEFLATED)
    except BaseException as error:
        with suppress(OSError):
            path.unlink()  # half a bundle would only be in the way, also where somebody breaks off
        if not isinstance(error, OSError):
            raise
        raise BundleError(f"{path} can't be written: {error.strerror}") from None


def _entry(name: str) -> zipfile.ZipInfo:
    """Return a file's entry without the machine's time, which says nothing here: the index has when it was made."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o644 << 16
    return entry


def as_json(value: object) -> bytes:
    """Return a value as readable JSON."""
    return (json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


class Bundle:
    """A bundle that is open for reading."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises BundleError."""
        try:
            self._archive = zipfile.ZipFile(path)
        except _UNREADABLE as error:
            why = (isinstance(error, OSError) and error.strerror) or "it is no zip"
            raise BundleError(f"{path} can't be read: {why}") from None
        entries = self._archive.infolist()
        if len(entries) > MAX_FILES or sum(item.file_size for item in entries) > MAX_BYTES:
            raise BundleError(f"{path} is too large for an evidence bundle")
        # Programs disagree on which of two files of one name they show: one could be checked and the other read.
        if len({item.filename for item in entries}) != len(entries):
            raise BundleError(f"{path} is no evidence bundle: it holds two files of one name")
        if not all(item.compress_type in _EXPANDABLE for item in entries):
            raise BundleError(f"{path} is no evidence bundle: its files are compressed in another way than by deflate")
        index = self.json(INDEX) if INDEX in self._archive.namelist() else None
        if not isinstance(index, dict) or index.get("schema") != SCHEMA or not isinstance(index.get("files"), dict):
            raise BundleError(f"{path} is no evidence bundle: it has no {INDEX} of {SCHEMA}")
        self.index: dict[str, Any] = index

    def names(self) -> list[str]:
        """Return the names of the files, the index left out."""
        return [name for name in self._archive.namelist() if name != INDEX]

    def read(self, name: str) -> bytes:
        """Return a file's bytes. Raises BundleError."""
        return b"".join(self._pieces(name))

    def json(self, name: str) -> Any:
        """Return a file's JSON. Raises BundleError, also where it says one thing twice: readers disagree on which of both counts."""
        if name in self._archive.namelist() and self._archive.getinfo(name).file_size > MAX_JSON_BYTES:
            raise BundleError(f"{name} is longer than {MAX_JSON_BYTES} bytes")
        try:
            return json.loads(self.read(name), object_pairs_hook=_once)
        except (ValueError, RecursionError):
            raise BundleError(f"{name} is no JSON") from None

    def altered(self) -> list[str]:
        """Return the names of files that aren't as the index says, or that it doesn't name."""
        listed = self.index["files"]
        gone = [name for name in listed if name not in self._archive.namelist()]
        return sorted([*gone, *(name for name in self.names() if listed.get(name) != self._digest(name))])

    def beyond(self, known: Collection[str]) -> list[str]:
        """Return the names of files that are none of these: nothing of them is checked but that they are what the index names."""
        return sorted(set(self.names()) - set(known))

    def _digest(self, name: str) -> str:
        """Return the digest of a file; an empty text where it can't be read."""
        found = hashlib.sha256()
        try:
            for piece in self._pieces(name):
                found.update(piece)
        except BundleError:
            return ""
        return f"sha256:{found.hexdigest()}"

    def _pieces(self, name: str) -> Iterator[bytes]:
        """Give a file's bytes, a piece at a time: read at once, all is expanded that is there, whatever it says of its size."""
        try:
            with self._archive.open(name) as file:
                while piece := file.read(_PIECE_BYTES):
                    yield piece
        except _UNREADABLE:
            raise BundleError(f"{name} is missing or damaged in the bundle") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found
