"""Cameras' indexes as of an instant: of what is kept already only the names are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import ColumnElement, bindparam, func, select
from sqlalchemy.orm import Session

from monitor.model.kept import KeptIndexes, Name
from monitor.model.observation import Kind, Observation
from monitor.model.recordings import Index
from monitor.model.span import Millis
from monitor.store.instants import named_within, read_together
from monitor.store.stored import PLACE, read_instants
from monitor.store.tables import FootageRow, InstantRow
from monitor.store.upsert import table_of

_FOOTAGE, _INSTANT = table_of(FootageRow), table_of(InstantRow)
_HEADS = select(_FOOTAGE.c.camera_id, _FOOTAGE.c.upto_at, _FOOTAGE.c.digest).where(
    _FOOTAGE.c.institution_id == bindparam("who"), _FOOTAGE.c.since_at <= bindparam("until")
)
_OLDEST = (
    select(_INSTANT.c.subject_id, func.min(_INSTANT.c.at))
    .where(
        _INSTANT.c.institution_id == bindparam("who"), _INSTANT.c.kind == Kind.RECORDINGS.value,
        _INSTANT.c.subject_kind == "camera", _INSTANT.c.at <= bindparam("until"),
    )
    .group_by(_INSTANT.c.subject_id)
    .order_by(_INSTANT.c.subject_id)
)  # fmt: skip

_BODIES = 200
"""Readings at a time: memory holds the content of so many."""


def load_indexes(session: Session, institution_id: str, until: Millis, kept: KeptIndexes) -> dict[str, Index]:
    """Return, by camera, what the readings of its index up to `until` come to; the refusals to read it are in it."""
    here = {"who": institution_id, "until": until}
    done = {camera_id: (upto, digest) for camera_id, upto, digest in session.execute(_HEADS, here).all()}
    oldest: dict[str, Millis] = dict(session.execute(_OLDEST, here).all())
    named = _names(session, institution_id, until, oldest, done)
    return {
        camera_id: _Camera(session, institution_id, camera_id, until, done.get(camera_id)).index(names, kept)
        for camera_id, names in named.items()
    }


def _names(
    session: Session, institution_id: str, until: Millis, oldest: Mapping[str, Millis], done: Mapping[str, Name]
) -> dict[str, list[Name]]:
    """Name all that has to be read of each camera, in order: the oldest reading tells when it was first seen."""
    named: dict[str, list[Name]] = {camera_id: [done[camera_id]] if camera_id in done else [] for camera_id in oldest}
    cameras = {camera_id: (at, done.get(camera_id, (at, ""))[0]) for camera_id, at in oldest.items()}
    for camera_id, at, digest in named_within(session, institution_id, cameras, until):
        named[camera_id].append((at, digest))
    return {camera_id: sorted(names) for camera_id, names in named.items()}


def _readings(institution_id: str) -> tuple[ColumnElement[bool], ...]:
    row = InstantRow
    return row.institution_id == institution_id, row.kind == Kind.RECORDINGS.value, row.subject_kind == "camera"


class _Camera:
    """The readings of one camera's index."""

    def __init__(
        self, session: Session, institution_id: str, camera_id: str, until: Millis, together: Name | None
    ) -> None:
        """Take what names the camera's readings that were put together, as they stood before anything else was read."""
        self._session, self._together, self._key = session, together, (institution_id, camera_id)
        self._here = (*_readings(institution_id), InstantRow.subject_id == camera_id, InstantRow.at <= until)

    def index(self, names: list[Name], kept: KeptIndexes) -> Index:
        """Return what the readings of these names come to, by way of what is kept; some readings at a time."""
        index, left = kept.known(self._key, names)
        if not left and index is not None:
            return index
        items: list[Observation] = []
        if self._together in left:  # it stands for readings from its instant back: nothing may be laid under it
            index, left = None, names
            items = list(self._together_again())
            if not items:  # put together anew meanwhile: the readings themselves tell the same
                return Index.of(_sorted(self._read(self._every_name())))
        index = self._fold(index, items, [name for name in left if name != self._together])
        kept.keep(self._key, names, index)
        return index

    def _fold(self, index: Index | None, items: list[Observation], names: Sequence[Name]) -> Index:
        """Return what is known with further readings, the first of them beside `items`."""
        first = Index.of(_sorted([*items, *self._read(names[:_BODIES])]))
        index = first if index is None else index.then(first)
        for start in range(_BODIES, len(names), _BODIES):
            index = index.then(Index.of(_sorted(self._read(names[start : start + _BODIES]))))
        return index

    def _every_name(self) -> list[Name]:
        named = self._session.execute(select(InstantRow.at, InstantRow.digest).where(*self._here))
        return sorted((at, digest) for at, digest in named)

    def _together_again(self) -> Iterator[Observation]:
        institution_id, camera_id = self._key
        query = select(FootageRow).where(
            FootageRow.institution_id == institution_id, FootageRow.camera_id == camera_id,
            FootageRow.digest == (self._together or (0, ""))[1],
        )  # fmt: skip
        for row in self._session.scalars(query):
            yield from read_together(row)

    def _read(self, names: Sequence[Name]) -> list[Observation]:
        digests = [digest for _, digest in names]
        items: list[Observation] = []
        for index in range(0, len(digests), _BODIES):
            some = InstantRow.digest.in_(digests[index : index + _BODIES])
            rows = self._session.execute(select(*PLACE).where(*self._here, some))
            items += read_instants(self._session, rows)
        return items


def _sorted(items: Sequence[Observation]) -> list[Observation]:
    return sorted(items, key=Observation.sort_key)
