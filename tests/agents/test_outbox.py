"""The outbox: what was put in comes out once, in order, whatever is done to the process or to the file."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from structlog.testing import capture_logs

from agents.database import KEEP_DAMAGED, DatabaseError
from agents.outbox import Outbox, Slot
from support.damage import damage

BOOT = "0" * 32
OTHER = "1" * 32


def put(outbox: Outbox, boot: str = BOOT, size: int = 10) -> int:
    return outbox.put(boot, lambda slot: f"{boot}/{slot.sequence}/".encode().ljust(size, b"."))


def waiting(outbox: Outbox) -> list[tuple[str, int]]:
    return [(entry.boot, entry.sequence) for entry in outbox.take(10**6, 10**9)]


def test_numbers_count_from_one_for_each_boot_and_go_on_after_delivery(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    assert [put(outbox), put(outbox), put(outbox, OTHER)] == [1, 2, 1]
    outbox.delivered(outbox.take(10, 10**6))
    assert (put(outbox), put(outbox, OTHER)) == (3, 2)
    assert waiting(outbox) == [(BOOT, 3), (OTHER, 2)]


def test_take_is_oldest_first_bounded_and_leaves_the_reports(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    for _ in range(5):
        put(outbox, size=100)
    assert [entry.sequence for entry in outbox.take(3, 10**6)] == [1, 2, 3]
    assert [entry.sequence for entry in outbox.take(9, 250)] == [1, 2]
    assert [entry.sequence for entry in outbox.take(9, 1)] == [1]
    assert len(waiting(outbox)) == 5


def test_a_refused_report_is_kept_with_its_reason_and_blocks_nothing(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    put(outbox)
    put(outbox)
    first = outbox.take(1, 10**6)[0]
    outbox.reject(first, "differs")
    outbox.reject(first, "differs")
    assert outbox.rejected() == [(BOOT, 1, "differs")]
    assert waiting(outbox) == [(BOOT, 2)]
    assert outbox.status().rejected == 1
    assert [(item.boot, item.first, item.last, item.why) for item in outbox.gone()] == [(BOOT, 1, 1, "refused")]


def test_what_tells_of_a_refused_report_outlives_samples(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db", max_bytes=400)
    put(outbox)
    outbox.reject(outbox.take(1, 10)[0], "differs")
    for _ in range(5):
        put(outbox, size=100)
    assert [sequence for _, sequence in waiting(outbox)] == [2, 4, 5, 6]
    assert [(item.first, item.last, item.why) for item in outbox.gone()] == [(3, 3, "full")]


def test_a_full_queue_drops_the_oldest_and_says_which(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db", max_bytes=400)
    for _ in range(6):
        put(outbox, size=100)
    assert [sequence for _, sequence in waiting(outbox)] == [3, 4, 5, 6]
    put(outbox, OTHER, size=300)
    assert [(item.boot, item.first, item.last, item.why) for item in outbox.gone()] == [(BOOT, 1, 5, "full")]
    assert (outbox.status().dropped, outbox.status().bytes) == (5, 400)
    with pytest.raises(ValueError, match="larger than the queue may be"):
        put(outbox, size=401)
    assert put(outbox) == 7, "a refused payload uses no number"


def test_what_the_queue_holds_is_counted_anew_when_the_file_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    for harm in (
        "DELETE FROM counter WHERE name = 'bytes'",
        "UPDATE counter SET value = 1 << 60 WHERE name = 'bytes'",
    ):
        outbox = Outbox(path, max_bytes=400)
        put(outbox, size=100)
        outbox.close()
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(harm)
    assert Outbox(path, max_bytes=400).status().bytes == 200


def test_a_report_whose_size_is_damaged_takes_no_other_with_it(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    outbox = Outbox(path, max_bytes=400)
    for _ in range(3):
        put(outbox, size=100)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE report SET size = 1 << 60 WHERE sequence = 1")
    outbox.close()
    outbox = Outbox(path, max_bytes=400)
    put(outbox, size=100)
    assert [sequence for _, sequence in waiting(outbox)] == [2, 3, 4]
    assert outbox.status().bytes == 300


def test_a_payload_that_cannot_be_written_leaves_no_trace(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    with pytest.raises(ZeroDivisionError):
        outbox.put(BOOT, lambda slot: bytes(slot.sequence // 0))
    assert put(outbox) == 1


def test_the_file_is_only_for_its_owner(tmp_path: Path) -> None:
    Outbox(tmp_path / "outbox.db")
    assert (tmp_path / "outbox.db").stat().st_mode & 0o777 == 0o600


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"nowhere/outbox\.db can't be made: No such file or directory"):
        Outbox(tmp_path / "nowhere" / "outbox.db")


def test_a_file_that_cannot_be_opened_leaves_no_handle(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").mkdir()
    for _ in range(3):
        with pytest.raises(DatabaseError):
            Outbox(tmp_path / "outbox.db")
    held = [item.readlink() for item in Path("/proc/self/fd").iterdir() if item.is_symlink()]
    assert [item for item in held if item.is_relative_to(tmp_path)] == []


class Queue(RuleBasedStateMachine):
    """Any order of putting, taking, delivering, refusing and reopening, against a plain list."""

    folder: Path
    names = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.path = self.folder / f"{next(self.names)}.db"
        self.outbox = Outbox(self.path, max_bytes=500)
        self.model: list[tuple[str, int, int, bool]] = []
        """Boot, number, size, and whether it tells of others, which outlives those that don't."""
        self.last = {BOOT: 0, OTHER: 0}

    @rule(boot=st.sampled_from([BOOT, OTHER]), size=st.integers(60, 200))
    def put(self, boot: str, size: int) -> None:
        self.last[boot] += 1
        tells: list[bool] = []

        def write(slot: Slot) -> bytes:
            tells.append(bool(slot.gone))
            return f"{boot}/{slot.sequence}/".encode().ljust(size, b".")

        assert self.outbox.put(boot, write) == self.last[boot]
        self.model.append((boot, self.last[boot], size, tells[-1]))
        while sum(item[2] for item in self.model) > 500:
            self.model.remove(min(self.model[:-1], key=lambda item: item[3]))

    @rule(count=st.integers(1, 4), done=st.integers(0, 4))
    def deliver(self, count: int, done: int) -> None:
        taken = self.outbox.take(count, 10**6)
        assert [(entry.boot, entry.sequence) for entry in taken] == [item[:2] for item in self.model[:count]]
        self.outbox.delivered(taken[:done])
        self.outbox.delivered(taken[:done])
        del self.model[: min(done, count)]

    @rule()
    def refuse(self) -> None:
        for entry in self.outbox.take(1, 1):
            self.outbox.reject(entry, "no")
            self.model.pop(0)

    @rule()
    def reopen(self) -> None:
        self.outbox.close()
        self.outbox = Outbox(self.path, max_bytes=500)

    @invariant()
    def holds_what_it_should(self) -> None:
        assert waiting(self.outbox) == [item[:2] for item in self.model]
        assert self.outbox.status().bytes == sum(item[2] for item in self.model)

    def teardown(self) -> None:
        status = self.outbox.status()
        assert sum(self.last.values()) == status.waiting + status.delivered + status.rejected + status.dropped
        self.outbox.close()


def test_any_order_of_steps_agrees_with_a_plain_list(tmp_path: Path) -> None:
    Queue.folder = tmp_path
    limits = settings(
        max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    run_state_machine_as_test(Queue, settings=limits)


WRITER = """
import sys
from pathlib import Path
from agents.outbox import Outbox
outbox, boot = Outbox(Path(sys.argv[1])), sys.argv[2]
while True:
    sequence = outbox.put(boot, lambda slot: f"{boot}/{slot.sequence}".encode())
    sys.stdout.write(f"{sequence}\\n")
    sys.stdout.flush()
"""


def kill_a_writer(path: Path, boot: str, lines: int) -> int:
    """Start a writer, kill -9 it after it has acknowledged some reports; return how many it did acknowledge."""
    command = [sys.executable, "-c", WRITER, str(path), boot]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as writer:
        assert writer.stdout is not None
        for _ in range(lines):
            writer.stdout.readline()
        os.kill(writer.pid, signal.SIGKILL)
        rest = [line for line in writer.stdout.read().split(b"\n")[:-1] if line]
    return lines + len(rest)


def test_nothing_acknowledged_is_lost_and_nothing_comes_twice_when_the_writer_is_killed(tmp_path: Path) -> None:
    """Ten kills at random points, two writers at a time: as many reports as were acknowledged, or one more."""
    path = tmp_path / "outbox.db"
    seeded = random.Random(7)
    outbox = Outbox(path)
    for kill in range(10):
        boot = f"{kill:032x}"
        acknowledged = kill_a_writer(path, boot, seeded.randrange(1, 12))
        found = [sequence for name, sequence in waiting(outbox) if name == boot]
        assert found in (list(range(1, acknowledged + 1)), list(range(1, acknowledged + 2)))
        outbox.delivered(outbox.take(10_000, 10**9))
    assert outbox.status().waiting == 0
    assert not outbox.set_aside


def test_a_log_that_is_gone_after_a_kill_is_noticed_and_the_chain_begins_anew(tmp_path: Path) -> None:
    """SQLite takes it for a file that was closed, and the agent would follow a report that others have followed already."""
    path = tmp_path / "outbox.db"
    outbox = Outbox(path)
    put(outbox)
    outbox.close()
    kill_a_writer(path, OTHER, 5)
    path.with_name("outbox.db-wal").unlink()
    with capture_logs() as said:
        outbox = Outbox(path)
    assert [(line["kept"], line["reason"]) for line in said] == [("outbox.db.damaged-1", "the latest commits are gone")]
    assert [file.name for file in outbox.set_aside] == ["outbox.db.damaged-1"]
    assert waiting(outbox) == [(BOOT, 1)], "what the file itself held is taken over"
    assert after(outbox) is None
    outbox.close()
    assert not Outbox(path).set_aside


def test_an_older_copy_in_its_place_is_noticed_too(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    outbox = Outbox(path)
    put(outbox)
    outbox.close()
    older = path.read_bytes()
    outbox = Outbox(path)
    put(outbox)
    outbox.close()
    path.write_bytes(older)
    assert len(Outbox(path).set_aside) == 1


@pytest.mark.parametrize("said", [b"", b"nonsense", b"-5", b"9" * 5000, None])
def test_a_count_that_says_nothing_accuses_nobody(tmp_path: Path, said: bytes | None) -> None:
    path = tmp_path / "outbox.db"
    outbox = Outbox(path)
    put(outbox)
    outbox.close()
    beside = path.with_name("outbox.db-commits")
    beside.unlink() if said is None else beside.write_bytes(said)
    outbox = Outbox(path)
    assert not outbox.set_aside
    assert after(outbox) == (BOOT, 1, f"sha256:{hashlib.sha256(b'%b/1/' % BOOT.encode()).hexdigest()}")


def test_a_person_who_looks_into_the_file_with_sqlite_changes_nothing(tmp_path: Path) -> None:
    """Whoever closes it last takes the log along, and puts what is in it into the file."""
    path = tmp_path / "outbox.db"
    kill_a_writer(path, OTHER, 5)
    with closing(sqlite3.connect(path)) as other:
        other.execute("SELECT count(*) FROM report").fetchone()
    assert not path.with_name("outbox.db-wal").exists()
    assert not Outbox(path).set_aside


def after(outbox: Outbox) -> tuple[str, int, str] | None:
    """Return what the next report follows; it is put in."""
    slots: list[Slot] = []

    def sealed(slot: Slot) -> bytes:
        slots.append(slot)
        return b"report"

    outbox.put(BOOT, sealed)
    return slots[0].after


def test_two_processes_may_put_at_once(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    outbox = Outbox(path)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), OTHER], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        numbers = [put(outbox) for _ in range(20)]
        writer.kill()
    found = waiting(outbox)
    assert [sequence for boot, sequence in found if boot == BOOT] == numbers == list(range(1, 21))
    assert len(set(found)) == len(found)


def filled(path: Path) -> bytes:
    outbox = Outbox(path)
    for _ in range(30):
        put(outbox, size=500)
    outbox.reject(outbox.take(1, 1)[0], "no")
    outbox.close()
    return path.read_bytes()


def test_a_damaged_file_never_stops_the_agent_and_yields_nothing_false(tmp_path: Path) -> None:
    """Bit flips, lost pages and cuts: the queue goes on, and what it still gives is what was put in, most of it."""
    path = tmp_path / "outbox.db"
    content = filled(path)
    seeded = random.Random(11)
    rescued = []
    for _ in range(40):
        for file in tmp_path.iterdir():
            file.unlink()
        path.write_bytes(damage(content, seeded))
        outbox = Outbox(path)
        assert [put(outbox, OTHER) for _ in range(3)] == [1, 2, 3]
        taken = outbox.take(100, 10**9)
        texts = [entry.payload.rstrip(b".").decode() for entry in taken]
        assert len(set(texts)) == len(texts)
        assert set(texts) <= {f"{BOOT}/{number}/" for number in range(1, 31)} | {
            f"{OTHER}/{number}/" for number in (1, 2, 3)
        }
        rescued.append(len(taken) / 32)
        outbox.reject(taken[0], "no")
        outbox.delivered(taken)
        assert outbox.status().waiting == 0
        outbox.close()
    assert sum(rescued) / len(rescued) > 0.5


def test_a_file_damaged_while_it_is_open_is_set_aside_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    outbox = Outbox(path)
    put(outbox)
    with sqlite3.connect(path) as other:
        other.execute("DROP TABLE report")
    assert put(outbox) == 2, "the numbers go on: the collector may have the first one"
    assert [file.name for file in outbox.set_aside] == ["outbox.db.damaged-1"]
    assert outbox.status().waiting == 1


def test_what_is_still_whole_is_taken_over_from_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    outbox = Outbox(path)
    for _ in range(3):
        put(outbox)
    with sqlite3.connect(path) as other:
        other.execute("DROP TABLE counter")
    outbox.delivered(outbox.take(1, 1))
    assert len(outbox.set_aside) == 1
    assert waiting(outbox) == [(BOOT, 2), (BOOT, 3)]
    assert put(outbox) == 4


def test_a_file_that_another_process_put_away_is_not_written_to_any_more(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    outbox = Outbox(path)
    put(outbox)
    path.rename(tmp_path / "elsewhere")
    assert put(outbox) == 2
    assert waiting(Outbox(path)) == [(BOOT, 2)]


def test_a_closed_outbox_says_so(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    outbox.close()
    with pytest.raises(DatabaseError, match=r"outbox\.db is closed"):
        put(outbox)


def test_only_a_few_damaged_files_are_kept(tmp_path: Path) -> None:
    for _ in range(KEEP_DAMAGED + 3):
        (tmp_path / "outbox.db").write_bytes(b"no database" * 100)
        Outbox(tmp_path / "outbox.db").close()
    assert len(list(tmp_path.glob("*.damaged-?"))) == KEEP_DAMAGED


def test_a_full_disk_is_told_and_changes_nothing(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    put(outbox)
    pages = outbox._database._live().execute("PRAGMA page_count").fetchone()[0]
    outbox._database._live().execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DatabaseError, match="database or disk is full"):
        put(outbox, size=50_000)
    outbox._database._live().execute("PRAGMA max_page_count = 100000")
    assert put(outbox, size=50_000) == 2
    assert not outbox.set_aside


def test_that_it_can_be_read_does_not_say_that_it_can_be_written(tmp_path: Path) -> None:
    """The sender looks into it every fifteen seconds, and a full disk is read as before."""
    outbox = Outbox(tmp_path / "outbox.db")
    put(outbox)
    connection = outbox._database._live()
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(DatabaseError, match="database or disk is full"):
        put(outbox, size=50_000)
    assert waiting(outbox) == [(BOOT, 1)]
    assert (outbox.newest(), outbox.status().waiting, outbox.gone(), outbox.rejected(), outbox.nonce()) == (
        1, 1, [], [], None
    )  # fmt: skip
    assert "full" in str(outbox.problem)
    outbox.try_again()
    assert outbox.problem is None
