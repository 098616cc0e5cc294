"""That the reader of databases and logs reads what SQLite reads, and that its ways are all that there are."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from benchmarks.torture import power
from benchmarks.torture.power_disk import choices, one_for_each_reading, states
from benchmarks.torture.power_reader import (
    FRAME_BYTES,
    LOG_HEADER_BYTES,
    Piece,
    content_of,
    read_log,
    reading,
    ways,
)
from support.parts import require


def read_by_sqlite(folder: Path, database: bytes, log: bytes) -> bytes:
    folder.mkdir()
    (folder / "a.sqlite").write_bytes(database)
    (folder / "a.sqlite-wal").write_bytes(log)
    with closing(sqlite3.connect(folder / "a.sqlite")) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        return connection.serialize() if pages else b""


def test_it_reads_what_sqlite_reads_of_logs_that_are_cut_and_changed(
    tmp_path: Path, written: tuple[bytes, bytes]
) -> None:
    database, log = written
    seeded = random.Random(1)
    told = set()
    for number in range(120):
        changed = bytearray(log)
        for _ in range(seeded.choice([0, 1, 1, 2])):
            changed[seeded.randrange(len(log))] ^= 1 << seeded.randrange(8)
        cut = bytes(changed[: seeded.choice([len(log), seeded.randrange(len(log))])])
        same = read_by_sqlite(tmp_path / str(number), database, cut) == content_of(database, read_log(cut))
        assert same, f"of the log {cut[:40].hex()}.. of {len(cut)} bytes"
        told.add(read_log(cut).frames)
    assert told == set(range(read_log(log).frames + 1)), "logs that end at each of their frames, and none"
    assert read_by_sqlite(tmp_path / "none", b"", log) == content_of(b"", read_log(log)) == b"", (
        "of no page nothing is read"
    )


def pieces_of(log: bytes, first: int, step: int) -> list[list[tuple[int, Piece]]]:
    """The bytes of a log from one on, in pieces; every fourth place may hold another frame's bytes instead."""
    places = []
    for number, at in enumerate(range(first, len(log), step)):
        options = [(2 * number, Piece(at, log[at : at + step]))]
        if number % 4 == 0 and at >= LOG_HEADER_BYTES + FRAME_BYTES:
            options.append((2 * number + 1, Piece(at, log[at - FRAME_BYTES : at - FRAME_BYTES + step])))
        places.append(options)
    return places


@pytest.mark.parametrize(("frames", "before"), [(5, 0), (4, 1), (5, 5)])
def test_its_ways_are_all_that_can_be_read_of_any_choice(
    written: tuple[bytes, bytes], frames: int, before: int
) -> None:
    """`before` frames of an older log lie there."""
    database, whole = written
    log = whole[: LOG_HEADER_BYTES + frames * FRAME_BYTES]
    assert read_log(log).frames == frames
    assert bytes(FRAME_BYTES // 2) in log, (
        "a page that ends in zeros is whole without them, once the log goes on behind it"
    )
    old = bytearray(log[: LOG_HEADER_BYTES + before * FRAME_BYTES])
    if before == 1:
        old[LOG_HEADER_BYTES + 8 :] = bytes(len(old) - LOG_HEADER_BYTES - 8)
    places = pieces_of(log, LOG_HEADER_BYTES, FRAME_BYTES // 2)

    def with_(chosen: object) -> bytes:
        data = bytearray(old)
        for options in places:
            for tag, piece in options:
                if tag in chosen:  # type: ignore[operator]  # any collection of tags
                    data.extend(bytes(max(0, piece.offset - len(data))))
                    data[piece.offset : piece.offset + len(piece.data)] = piece.data
        return bytes(data)

    every = product(*([(), *((tag,) for tag, _ in options)] for options in places))
    of_all = {reading(database, with_({tag for tags in chosen for tag in tags})) for chosen in every}
    of_ways = [reading(database, with_(chosen)) for chosen in ways(bytes(old), places)]
    assert set(of_ways) == of_all
    assert len(of_ways) <= len(of_all) + 1


def test_zeros_that_are_missing_at_the_log_s_end_are_a_torn_frame(written: tuple[bytes, bytes]) -> None:
    log = written[1][: LOG_HEADER_BYTES + 5 * FRAME_BYTES]
    there, missing = log[: -FRAME_BYTES // 2], log[-FRAME_BYTES // 2 :]
    assert missing == bytes(FRAME_BYTES // 2)
    assert list(ways(there, [[("zeros", Piece(len(there), missing))]])) == [(), ("zeros",)]
    assert [read_log(data).frames for data in (there, log)] == [4, 5]


def test_a_piece_of_two_frames_is_not_understood() -> None:
    with pytest.raises(ValueError, match="not understood"):
        list(ways(b"", [[(0, Piece(LOG_HEADER_BYTES + FRAME_BYTES - 8, bytes(16)))]]))
    with pytest.raises(ValueError, match="too much"):
        list(ways(bytes(LOG_HEADER_BYTES), [[(index, Piece(index, b"x"))] for index in range(15)]))


def test_where_writes_are_not_torn_it_finds_all_that_any_state_is_read_as(tmp_path: Path) -> None:
    """Of such a disk all states can be tried, with the writes that the agent's own files get."""
    require("strace")
    (tmp_path / "written").mkdir()
    whole = 1 << 30
    fewer = 0
    for moment in power.record(tmp_path / "written", lives=1):
        for database in power.DATABASES:
            there = moment.of(database.file)
            if database.file + "-wal" in there.names and states(there, whole) <= 2048:
                every = {power.read(database, there.files(item)) for item in choices(there, whole)}
                few = [power.read(database, there.files(item)) for item in one_for_each_reading(there, whole)]
                same = set(few) == every
                assert same, f"after {there.said[-1:]}"
                fewer += states(there, whole) > len(few)
    assert fewer >= 3
