"""The files of an index with their sizes: a row each, for there may be a hundred thousand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from monitor.model.span import Int64Array, Millis

UNTOLD = -1
"""In place of the bytes of a file whose size isn't told."""


class FileSize(NamedTuple):
    """One file of the index, whole, whatever the window: UTC milliseconds by the recorder's own clock, and its bytes."""

    start: Millis
    end: Millis
    bytes: int | None
    """None where it isn't told; an index that says 0 tells nothing."""


@dataclass(frozen=True, eq=False)
class FileSizes:
    """Files in order of time: `rows` has shape (n, 3), int64: start, end, bytes or UNTOLD."""

    rows: Int64Array

    @classmethod
    def of(cls, listed: Iterable[tuple[Millis, Millis, int | None]]) -> FileSizes:
        """Take each file of (start, end, bytes) once.

        Windows that meet list a file twice, and so does some firmware: what begins at the same instant on one track is
        one file, and the larger size the newer one.
        """
        rows = np.array([(start, end, size or UNTOLD) for start, end, size in listed], dtype=np.int64).reshape(-1, 3)
        if not len(rows):
            return cls(rows)
        rows = rows[np.argsort(rows[:, 0], kind="stable")]
        starts, firsts = np.unique(rows[:, 0], return_index=True)
        return cls(np.column_stack((starts, *(np.maximum.reduceat(rows[:, column], firsts) for column in (1, 2)))))

    def __iter__(self) -> Iterator[FileSize]:
        """Yield the files."""
        return (FileSize(start, end, None if size == UNTOLD else size) for start, end, size in self.rows.tolist())

    def __len__(self) -> int:
        """Return how many files there are."""
        return len(self.rows)

    def __eq__(self, other: object) -> bool:
        """Two are equal when they list the same files."""
        return isinstance(other, FileSizes) and np.array_equal(self.rows, other.rows)

    def __hash__(self) -> int:
        """Hash by the files listed."""
        return hash(self.rows.tobytes())
