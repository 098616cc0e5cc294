"""The short form of each torture, and that the auditor sees what it is there for."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from benchmarks.torture import power
from benchmarks.torture.__main__ import TESTS, quiet
from benchmarks.torture.agent_kills import Start, start_problems
from benchmarks.torture.auditor import chain_problems, number_problems
from benchmarks.torture.centre_kills import order_problems
from benchmarks.torture.partitions import ANSWER_SECONDS, Turn, starved
from benchmarks.torture.partitions import order_problems as line_problems
from benchmarks.torture.power_disk import Length, Name, Recorder, Said, Step, Sync, Write, choices, moments
from benchmarks.torture.proxy import Line, Proxy
from support.databases import PostgresServer
from support.parts import require

SHORT = {"F1": 1, "F2": 2, "F3": 40, "F4": 10, "F5": 2, "F6": 40, "F7": 2, "F8": 2, "F9": 4, "F10": 80, "F13": 200}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", TESTS)
def test_the_short_form_finds_nothing_lost_or_false(name: str) -> None:
    if name in {"F3", "F4"}:
        require("strace")
    quiet()
    assert TESTS[name].torture(SHORT[name], 7) == []


def test_a_store_that_syncs_less_is_found_out(tmp_path: Path) -> None:
    """With synchronous=NORMAL a commit in the log is not synced: what was acknowledged may be lost."""
    require("strace")
    (tmp_path / "written").mkdir()
    found = power.record(tmp_path / "written", lives=1, pragma="synchronous=NORMAL")
    moment = next(item for item in found if item.said[-1:] == ("done",))
    assert any("the outbox holds []" in text for text in power.judge(tmp_path / "case", moment.files(()), moment))


def test_a_disk_has_what_was_synced_and_of_the_rest_any_choice() -> None:
    steps: list[Step] = [
        Name("a", 1),
        Write(1, 510, b"wxyz"),
        Sync(1),
        Said("one"),
        Length(1, 2),
        Sync(None),
        Name("a", None),
    ]
    first, word, second, last = moments(steps)
    assert {frozenset(first.files(chosen).items()) for chosen in choices(first, 512)} == {
        frozenset(files.items())
        for files in (
            {}, {"a": b""}, {"a": bytes(510) + b"wx"}, {"a": bytes(512) + b"yz"}, {"a": bytes(510) + b"wxyz"}
        )
    }  # fmt: skip
    assert word.said == ("one",)
    assert word.files(()) == {}  # synced, and without a lasting name
    assert word.files(word.pending) == {"a": bytes(510) + b"wxyz"}
    assert second.files(second.pending) == {"a": b"\0\0"}
    assert last.files(()) == {"a": bytes(510) + b"wxyz"}
    assert last.files(last.pending) == {}


def test_a_trace_that_is_not_understood_is_no_trace(tmp_path: Path) -> None:
    path = "".join(f"\\x{byte:02x}" for byte in str(tmp_path / "file").encode())
    for line in (f'rename("{path}", "{path}") = 0', f'openat(AT_FDCWD, "{path}", O_RDWR|O_CREAT|O_TRUNC, 0600) = 3'):
        with pytest.raises(ValueError, match="not understood"):
            Recorder(tmp_path).read(line)
    opened = f'openat(AT_FDCWD, "{path}", O_RDWR|O_CREAT, 0600) = 3<{path}>'
    with pytest.raises(ValueError, match="cut"):
        Recorder(tmp_path).read(f'{opened}\npwrite64(3<{path}>, "\\x41"..., 2, 0) = 2')


def test_what_may_be_there_follows_from_what_was_said() -> None:
    truth = power.truth_of(["begin put a 1", "done", "begin seen 0", "done", "begin delivered a 1"])
    assert truth.waiting == (frozenset({("a", 1)}), frozenset())
    assert truth.seen == (1, 1)
    assert truth.last == {"a": 1}


def link(number: int, after: int | None, digest: str = "") -> tuple[dict[str, object], str]:
    place = None if after is None else {"boot": "a", "sequence": after, "digest": digest or f"d{after}"}
    return {"boot": "a", "sequence": number, "after": place}, f"d{number}"


def test_the_auditor_sees_what_is_lost_double_exchanged_and_forked() -> None:
    whole = [link(1, None), link(2, 1), link(3, 2)]
    assert chain_problems(whole) == []
    assert chain_problems([whole[0], whole[2]]) == ["('a', 2) is not what 3 of a follows"]
    assert chain_problems([*whole, link(4, 2)]) == ["two reports follow ('a', 2)"]
    assert chain_problems([*whole[:2], link(3, 2, "other")]) == ["('a', 2) is not what 3 of a follows"]
    assert "a number was used for two reports" in chain_problems([*whole, link(3, 2)])
    assert chain_problems([*whole, link(4, None)]) == ["the chain begins 2 times"]
    assert number_problems({"a": 3, "b": 1}, {("a", 1), ("a", 3), ("b", 1)}) == ["report 2 of boot a is lost"]


def test_a_start_is_too_late_by_its_processor_time_and_where_the_machine_was_free_by_the_clock() -> None:
    assert start_problems([]) == []
    assert start_problems([Start(1.4, 0.7, 0.1), Start(1.5, 0.8, 0.1), Start(9.0, 0.7, 7.0)]) == []
    assert start_problems([Start(9.0, 0.7, 7.0)]) == [], "others had the processors"
    assert start_problems([Start(5.6, 0.7, 0.1), Start(9.0, 0.7, 7.0)]) == [
        "the first report lay on the disk 5.6 s after exec"
    ]
    assert start_problems([Start(9.0, 2.3, 6.0)]) == ["the first report took 2.30 s of processor time"]


def test_the_auditor_sees_reports_that_are_missing_or_came_in_another_order(postgres_server: PostgresServer) -> None:
    url = postgres_server.url(postgres_server.copy("template0"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE report (institution_id text, sequence bigint, received_at bigint)")
        connection.execute("INSERT INTO report VALUES ('a', 1, 5), ('a', 2, 5), ('b', 1, 9), ('b', 2, 8), ('c', 2, 1)")
    assert order_problems(url) == ["b: report 2 came before report 1", "c: numbers are double or missing"]


def turn(oldest: int, newest: int, *sent: int, backlog: int = 40) -> Turn:
    return Turn(("a", oldest), ("a", backlog), ("a", newest), tuple(("a", number) for number in sent))


def test_the_auditor_sees_a_backlog_that_does_not_go_oldest_first_and_reports_that_wait_for_it() -> None:
    fair = [turn(1, 40, 1, 2), turn(3, 41, 41), turn(3, 42, 3, 4), turn(5, 43, 42, 43), turn(5, 43, 5, 6)]
    assert list(line_problems(fair)) == []
    assert list(starved(fair)) == []
    assert list(line_problems([turn(1, 40, 39, 40)])) == ["('a', 39) was sent while ('a', 1) waited"]
    assert list(line_problems([turn(1, 40, 2, 1)])) == [
        "out of order: (('a', 2), ('a', 1))", "('a', 2) was sent while ('a', 1) waited"
    ]  # fmt: skip
    assert list(line_problems([turn(1, 41, 41), turn(1, 42, 42)])) == ["new reports went twice while ('a', 1) waited"]
    late = [turn(1, 40, 1, 2), turn(3, 41, 3, 4), turn(5, 41, 5, 6), turn(7, 41, 41)]
    assert list(starved(late)) == ["('a', 41) was written before turn 1 and sent in turn 3"]


async def test_a_lossy_line_brings_bytes_whole_and_in_order_or_resets_the_connection() -> None:
    """Among others late, when who asked has hung up."""
    got: list[bytes] = []
    asked = bytes(range(256)) * 40

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            got.append(await reader.readexactly(len(asked)))
            writer.write(got[-1])
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    ends = Counter[str]()
    async with server, Proxy.before(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as proxy:
        proxy.line, proxy.chance = Line.LOSSY, random.Random(3)
        for _ in range(12):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(proxy.url.rpartition(":")[2]))
            writer.write(asked)
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    assert await reader.readexactly(len(asked)) == asked
                ends["whole"] += 1
            except TimeoutError:
                ends["too late"] += 1
            except (ConnectionResetError, asyncio.IncompleteReadError):
                ends["reset"] += 1
            writer.close()
            await proxy.quiet()
    assert set(got) == {asked}
    assert len(got) > ends["whole"], "some arrived and were not heard of"
    assert set(ends) == {"whole", "too late", "reset"}
