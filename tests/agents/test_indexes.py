"""The journal's indexes by what is kept: the same to the millisecond as from all readings, whatever comes and is forgotten."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.indexes import JournalIndexes
from agents.journal import Journal
from monitor.model.inventory import Inventory
from monitor.model.ledger import fold
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.recordings import Index
from monitor.model.span import DAY, MINUTE, Millis

NOW: Millis = 1_790_000_000_000
CAMERAS = ("gate", "room")
SITE = Inventory.model_validate(
    {
        "institution": {"id": "a"},
        "zones": [],
        "cameras": [{"id": name, "zones": [], "recorder": "nvr"} for name in CAMERAS],
        "recorders": [{"id": "nvr", "driver": "files"}],
    }
)


def told(at: Millis, facts: dict[str, object] | None, camera: str = "gate") -> Observation:
    """A reading of a camera's index, or a refusal of it."""
    return Observation(
        subject=Subject(kind="camera", id=camera), kind=Kind.RECORDINGS, start=at, end=at,
        state="unknown" if facts is None else "read", expires=at + DAY, facts=facts or {},
    )  # fmt: skip


def reading(at: Millis, low: Millis, high: Millis, *spans: tuple[Millis, Millis], camera: str = "gate") -> Observation:
    return told(at, {"window": [low, high], "spans": [list(span) for span in spans], "locked": []}, camera)


@st.composite
def said(draw: st.DrawFn) -> Observation:
    """Readings that overlap in minutes, with footage beyond their windows, such as can't be read, and refusals."""
    at, camera = NOW + draw(st.integers(0, 12)), draw(st.sampled_from(CAMERAS))
    sort = draw(st.integers(0, 7))
    if sort == 0:
        return told(at, None, camera)
    low = draw(st.sampled_from([0, 0, 3, 9]))
    window = [NOW - DAY + low * MINUTE, NOW - DAY + (low + draw(st.sampled_from([3, 9, 9, 20]))) * MINUTE]
    edges = sorted(draw(st.sets(st.integers(-2, 35), max_size=8)))
    pairs = [[NOW - DAY + a * MINUTE, NOW - DAY + b * MINUTE] for a, b in zip(edges[::2], edges[1::2], strict=False)]
    cut = draw(st.integers(0, len(pairs)))
    spans: object = "none" if sort == 1 else pairs[:cut]  # a reading that says nothing, though it names its window
    return told(at, {"window": window, "spans": spans, "locked": pairs[cut:]}, camera)


def from_all(journal: Journal, as_of: Millis) -> dict[str, Index]:
    """What all readings come to, read anew."""
    items = sorted(journal.all(as_of), key=Observation.sort_key)
    grouped = {camera: [item for item in items if item.subject.id == camera] for camera in CAMERAS}
    return {camera: Index.of(found) for camera, found in grouped.items() if found}


def take_away(path: Path, at: Millis) -> None:
    """Remove what was read at an instant, as a file does that was damaged."""
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("DELETE FROM instant WHERE at = ?", (at,))


steps = st.lists(st.lists(said(), min_size=1, max_size=4), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps, st.data())
def test_whatever_comes_and_goes_an_index_is_that_of_all_readings(
    tmp_path: Path, steps: list[list[Observation]], data: st.DataObject
) -> None:
    """Readings come in any order, are forgotten when they were read again, pruned, and looked at as of any instant."""
    for file in tmp_path.iterdir():
        file.unlink()
    journal = Journal(tmp_path / "journal.sqlite")
    indexes = JournalIndexes(journal, data.draw(st.sampled_from([0, 3_000, 1_000_000])))
    for items in steps:
        journal.append(items)
        if data.draw(st.integers(0, 4)) == 0:
            journal.prune(NOW + data.draw(st.integers(0, 12)), keep=0)
        if data.draw(st.integers(0, 3)) == 0:
            take_away(tmp_path / "journal.sqlite", NOW + data.draw(st.integers(0, 12)))
        as_of = NOW + data.draw(st.sampled_from([3, 7, 12, 12, 12]))
        assert indexes.as_of(as_of) == from_all(journal, as_of)
        found = fold(journal.all(as_of, indexes=False), as_of, inventory=SITE, indexes=indexes.as_of(as_of))
        assert found == fold(journal.all(as_of), as_of, inventory=SITE)
    journal.close()


def counted(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count how many readings are read at each asking of a camera."""
    reads: list[int] = []
    asked = journal.readings

    def readings(camera: str, names: list[tuple[Millis, str]]) -> list[Observation]:
        reads.append(len(names))
        return asked(camera, names)

    monkeypatch.setattr(journal, "readings", readings)
    return reads


def test_each_hour_and_over_midnight_only_what_is_new_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a recorder is read: parts at first, the news of each hour, and once a day yesterday and today anew."""
    journal = Journal(tmp_path / "journal.sqlite")
    hour, start = 60 * MINUTE, NOW - 20 * DAY
    journal.append([reading(NOW + part, start + part * DAY, start + (part + 1) * DAY) for part in range(20)])
    indexes, reads = JournalIndexes(journal), counted(journal, monkeypatch)
    assert indexes.as_of(NOW + DAY) == from_all(journal, NOW + DAY)
    assert reads == [20]
    for number in range(1, 50):
        at = NOW + number * hour
        low = at - 26 * hour if number % 24 == 0 else at - 3 * hour
        journal.append([reading(at, low, at - 3 * MINUTE, (low, at - MINUTE * (number % 7)))])
        reads.clear()
        assert indexes.as_of(at) == from_all(journal, at)
        assert reads == [1]
    assert len(journal.index_names(at)["gate"]) < 45, "readings were forgotten in between"
    reads.clear()
    indexes.as_of(at)
    assert reads == []


def test_what_was_taken_away_and_not_told_again_is_missed(tmp_path: Path) -> None:
    """A reading that is gone without another in its place takes its footage with it: nothing kept hides the hole."""
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    journal.append([reading(NOW + day, NOW + day * DAY, NOW + (day + 1) * DAY, (NOW + day * DAY, NOW + (day + 1) * DAY)) for day in range(3)])  # fmt: skip
    indexes = JournalIndexes(journal)
    assert len(indexes.as_of(NOW + DAY)["gate"].footage) == 1
    take_away(path, NOW + 1)
    journal.append([reading(NOW + 9, NOW + 3 * DAY, NOW + 4 * DAY, (NOW + 3 * DAY, NOW + 4 * DAY))])
    assert indexes.as_of(NOW + DAY) == from_all(journal, NOW + DAY)
    assert len(indexes.as_of(NOW + DAY)["gate"].footage) == 2


def test_footage_that_followed_a_forgotten_reading_goes_with_it(tmp_path: Path) -> None:
    """The same window was read again, and tells nothing any more of the minutes after it."""
    journal = Journal(tmp_path / "journal.sqlite")
    journal.append([reading(NOW, 0, DAY, (0, DAY + 4 * MINUTE)), reading(NOW + 1, 2 * DAY, 3 * DAY)])
    indexes = JournalIndexes(journal)
    assert indexes.as_of(NOW + 9)["gate"].footage.end == DAY + 4 * MINUTE
    journal.append([reading(NOW + 2, 0, DAY, (0, DAY))])
    assert indexes.as_of(NOW + 9) == from_all(journal, NOW + 9)
    assert indexes.as_of(NOW + 9)["gate"].footage.end == DAY


def test_what_an_older_reading_tells_stands_in_for_no_newer_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    journal.append([reading(NOW, 0, DAY, (0, DAY)), reading(NOW + 1, DAY // 2, DAY // 2 + MINUTE)])
    journal.append([reading(NOW + 2, 2 * DAY, 3 * DAY)])
    indexes = JournalIndexes(journal)
    assert len(indexes.as_of(NOW + 9)["gate"].footage) == 2
    take_away(path, NOW + 1)
    assert indexes.as_of(NOW + 9) == from_all(journal, NOW + 9)


def test_of_a_refusal_nothing_is_left_before_it_came(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.append([reading(NOW, 0, DAY), told(NOW + 1, None)])
    indexes = JournalIndexes(journal)
    assert indexes.as_of(NOW + 1)["gate"].refusal is not None
    assert indexes.as_of(NOW)["gate"].refusal is None


def test_what_can_not_be_read_is_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    journal.append([reading(NOW + day, NOW + day * DAY, NOW + (day + 1) * DAY) for day in range(3)])
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE instant SET said = 'garbled' WHERE at = ?", (NOW + 1,))
    indexes = JournalIndexes(journal)
    for _ in range(2):
        assert indexes.as_of(NOW + DAY) == from_all(journal, NOW + DAY)
        assert (indexes.unreadable, journal.unreadable) == (1, 1)
    assert indexes.weight == 0


def test_a_camera_that_is_forgotten_has_no_index(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.append([reading(NOW, 0, 5), reading(NOW, 0, 5, camera="room")])
    indexes = JournalIndexes(journal)
    assert set(indexes.as_of(NOW)) == {"gate", "room"}
    assert indexes.as_of(NOW - 1) == {}


def test_no_more_is_kept_than_may_be(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    spans = [(NOW + n * MINUTE, NOW + n * MINUTE + 1) for n in range(100)]
    journal.append([reading(NOW, NOW, NOW + DAY, *spans, camera=f"c{number}") for number in range(9)])
    indexes = JournalIndexes(journal, most_bytes=100_000)
    assert len(indexes.as_of(NOW)) == 9
    assert 0 < indexes.weight <= 100_000
