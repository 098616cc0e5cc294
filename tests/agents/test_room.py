"""What goes when the outbox is full or too old: samples first, and every report that went is told of by number and digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.database import Database
from agents.outbox import Outbox, Slot
from agents.room import RANGE_REPORTS, Worth
from monitor.model.span import DAY, HOUR, Millis

BOOT, OTHER = "0" * 32, "1" * 32
NOW: Millis = 1_790_000_000_000


class Writer:
    """Puts reports of 100 bytes in and remembers what each slot had to tell."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.told: list[tuple[str, int, str, str]] = []
        self.written: dict[tuple[str, int], bytes] = {}

    def put(self, worth: Worth = Worth.SAMPLE, boot: str = BOOT, at: Millis | None = None, size: int = 100) -> int:
        def write(slot: Slot) -> bytes:
            for item in slot.gone:
                numbers = range(item.first, item.last + 1)
                self.told += [(item.boot, n, item.why, digest) for n, digest in zip(numbers, item.digests, strict=True)]
            self.written[boot, slot.sequence] = f"{boot}/{slot.sequence}/".encode().ljust(size, b".")
            return self.written[boot, slot.sequence]

        return self.outbox.put(boot, write, worth=worth, at=at)

    def digest(self, boot: str, sequence: int) -> str:
        return f"sha256:{hashlib.sha256(self.written[boot, sequence]).hexdigest()}"


def waiting(outbox: Outbox) -> list[int]:
    return [entry.sequence for entry in outbox.take(10**6, 10**9)]


def unsynced(path: Path, max_bytes: int) -> Outbox:
    """Open an outbox whose disk is not waited for: many reports in little time."""
    outbox = Outbox(path, max_bytes=max_bytes)
    outbox._database._live().execute("PRAGMA synchronous=OFF")
    return outbox


def test_samples_go_before_what_lasts_and_the_one_just_written_stays(tmp_path: Path) -> None:
    writer = Writer(outbox := Outbox(tmp_path / "outbox.db", max_bytes=400))
    for worth in (Worth.LASTING, Worth.SAMPLE, Worth.LASTING, Worth.SAMPLE, Worth.SAMPLE, Worth.LASTING):
        writer.put(worth)
    assert waiting(outbox) == [1, 3, 5, 6]
    writer.put(Worth.LASTING)
    assert waiting(outbox) == [1, 3, 6, 7]
    writer.put(Worth.SAMPLE)
    assert waiting(outbox) == [3, 6, 7, 8], (
        "no sample is left but the newest word, so what lasts goes, the oldest first"
    )


def test_what_went_is_told_once_the_collector_is_back_and_again_until_it_has_it(tmp_path: Path) -> None:
    writer = Writer(outbox := Outbox(tmp_path / "outbox.db", max_bytes=300))
    for _ in range(8):
        writer.put()
    assert writer.told == [], "nobody listens: the report that tells would be given up itself"
    outbox.delivered(outbox.take(10, 10**6))
    writer.put()
    told = [(BOOT, n, "full", writer.digest(BOOT, n)) for n in range(1, 6)]
    assert writer.told == told
    writer.put()
    assert writer.told == told, "not twice in a row"
    for _ in range(4):
        writer.put(Worth.LASTING, size=140)  # it stays away again, until the report that told is given up
    assert 9 not in waiting(outbox)
    outbox.delivered(outbox.take(10, 10**6))
    writer.told.clear()
    writer.put()
    assert set(told) <= set(writer.told)
    outbox.delivered(outbox.take(10, 10**6))
    writer.told.clear()
    writer.put()
    assert (writer.told, outbox.gone()) == ([], [])


def test_what_is_too_old_goes_by_the_time_that_the_agent_ran(tmp_path: Path) -> None:
    writer = Writer(outbox := Outbox(tmp_path / "outbox.db", max_days=2))
    for hour in range(24 * 4):
        writer.put(Worth.LASTING, at=NOW + hour * HOUR)
    kept = waiting(outbox)
    assert 48 <= len(kept) <= 72, "two days and what has begun of a third"
    assert kept == list(range(97 - len(kept), 97))
    assert {item.why for item in outbox.gone()} == {"old"}


def test_a_clock_set_years_ahead_or_back_throws_nothing_away(tmp_path: Path) -> None:
    writer = Writer(outbox := Outbox(tmp_path / "outbox.db", max_days=2))
    for step in (0, 3650 * DAY, -7300 * DAY, 0, 3650 * DAY, 1):
        for minute in range(10):
            writer.put(at=NOW + step + minute * 60_000)
    assert len(waiting(outbox)) == 60


def test_long_ranges_are_told_in_parts(tmp_path: Path) -> None:
    writer = Writer(outbox := unsynced(tmp_path / "outbox.db", 200))
    for _ in range(2 * RANGE_REPORTS + 300):
        writer.put()
    outbox.delivered(outbox.take(10, 10**6))
    writer.put()
    assert len(writer.told) == 2 * RANGE_REPORTS
    writer.put()
    assert [item[1] for item in writer.told] == list(range(1, 2 * RANGE_REPORTS + 299))


def test_a_report_that_the_disk_garbled_is_told_too(tmp_path: Path) -> None:
    writer = Writer(outbox := Outbox(tmp_path / "outbox.db"))
    writer.put()
    writer.put()
    outbox._database._live().execute("UPDATE report SET payload = x'00' WHERE sequence = 1")
    assert waiting(outbox) == [2]
    outbox.delivered(outbox.take(10, 10**6))
    writer.put()
    assert writer.told == [(BOOT, 1, "damaged", writer.digest(BOOT, 1))]
    assert outbox.status().damaged == 1


def test_a_file_of_before_is_used_as_it_is(tmp_path: Path) -> None:
    """Its reports count as lasting, for nobody knows better, and its chain goes on."""
    path = tmp_path / "outbox.db"
    writer = Writer(outbox := Outbox(path, max_bytes=300))
    writer.put()
    for table in ("sample", "day", "gone"):
        outbox._database._live().execute(f"DROP TABLE {table}")
    outbox.close()
    writer.outbox = outbox = Outbox(path, max_bytes=300)
    for _ in range(3):
        writer.put()
    assert (waiting(outbox), outbox.set_aside) == ([1, 3, 4], [])


STEPS = st.lists(
    st.tuples(st.sampled_from(["sample", "lasting", "other", "deliver", "reopen"]), st.integers(1, 4)), max_size=25
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_each_report_waits_was_delivered_or_is_told_of(tmp_path: Path, steps: list[tuple[str, int]]) -> None:
    for file in tmp_path.iterdir():
        file.unlink()
    path = tmp_path / "outbox.db"
    outbox = unsynced(path, 500)
    writer, delivered = Writer(outbox), set[tuple[str, int]]()
    for step, times in steps:
        if step == "reopen":
            outbox.close()
            writer.outbox = outbox = unsynced(path, 500)
        elif step == "deliver":
            entries = outbox.take(times, 10**6)
            outbox.delivered(entries)
            delivered |= {(entry.boot, entry.sequence) for entry in entries}
        else:
            for _ in range(times):
                writer.put(Worth.SAMPLE if step == "sample" else Worth.LASTING, OTHER if step == "other" else BOOT)
    left = {(entry.boot, entry.sequence) for entry in outbox.take(10**6, 10**9)}
    gone = {(boot, n) for boot, n, *_ in writer.told} | {
        (item.boot, n) for item in outbox.gone() for n in range(item.first, item.last + 1)
    }
    assert set(writer.written) == left | delivered | gone
    assert not left & (delivered | gone)
    assert all(digest == writer.digest(boot, n) for boot, n, _, digest in writer.told)
    outbox.close()


def test_what_is_to_be_told_outlives_damage(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    writer = Writer(outbox := Outbox(path, max_bytes=300))
    for _ in range(5):
        writer.put()
    outbox.close()
    database = Database(path, "SELECT 1")
    database.run(lambda connection: connection.execute("DROP TABLE counter"))
    database.close()
    writer.outbox = outbox = Outbox(path, max_bytes=300)
    outbox.status()
    writer.put()
    assert [item[1] for item in writer.told] == [1, 2]
