"""F6: outboxes with flipped bits, zeroed pages, cuts and missing or damaged logs: the agent starts, goes on, says nothing false."""

from __future__ import annotations

import random
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from agents.outbox import Outbox
from support.damage import damage

BOOT, OTHER = "0" * 32, "1" * 32
REPORTS = 30


def _text(boot: str, number: int) -> bytes:
    return f"{boot}/{number}/".encode().ljust(500, b".")


def prepare(folder: Path) -> None:
    """Make an outbox as a killed process leaves it: some in the file, some in its log."""
    outbox = Outbox(folder / "outbox.sqlite")
    for number in range(1, REPORTS + 1):
        outbox.put(BOOT, lambda slot: _text(BOOT, slot.sequence))
        if number == REPORTS // 2:
            outbox._database._live().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for name in ("outbox.sqlite", "outbox.sqlite-wal"):
        shutil.copy(folder / name, folder / f"kept-{name}")
    outbox.close()


def mutate(folder: Path, seeded: random.Random) -> str:
    """Lay a damaged copy in place; return what was done to it."""
    for file in folder.glob("outbox.sqlite*"):
        file.unlink()
    main, log = ((folder / f"kept-outbox.sqlite{end}").read_bytes() for end in ("", "-wal"))
    way = seeded.choice(["file", "log", "both", "no log", "no file", "a stranger's log", "empty"])
    if way in {"file", "both"}:
        main = damage(main, seeded)
    if way in {"log", "both"}:
        log = damage(log, seeded)
    if way == "a stranger's log":
        log = seeded.randbytes(len(log))
    if way != "no file":
        (folder / "outbox.sqlite").write_bytes(b"" if way == "empty" else main)
    if way != "no log":
        (folder / "outbox.sqlite-wal").write_bytes(log)
    return way


def torture(runs: int, seed: int) -> list[str]:
    """Return what went wrong with `runs` mutants."""
    seeded, problems, whole = random.Random(seed), [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        for number in range(runs):
            way = mutate(folder, seeded)
            try:
                found, wrong = _use(folder / "outbox.sqlite")
            except Exception as error:  # noqa: BLE001  (whatever it is, it is a failure)
                found, wrong = 0, [repr(error)]
            whole += found
            problems += [f"mutant {number} ({way}): {text}" for text in wrong]
    print(f"F6: {runs} damaged outboxes, {whole / max(1, runs) / REPORTS:.0%} of their reports still there")
    return problems


def _use(path: Path) -> tuple[int, list[str]]:
    outbox = Outbox(path)
    new = [outbox.put(OTHER, lambda slot: _text(OTHER, slot.sequence)) for _ in range(3)]
    taken = outbox.take(100, 10**9)
    outbox.delivered(taken)
    left = outbox.status().waiting
    outbox.close()
    problems = list(_false(taken_texts := [entry.payload for entry in taken], new))
    if left:
        problems.append(f"{left} reports can't be got rid of")
    with closing(sqlite3.connect(path)) as connection:
        if connection.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            problems.append("the file is still damaged")
    return len(taken_texts) - 3, problems


def _false(texts: list[bytes], new: list[int]) -> Iterator[str]:
    true = {_text(BOOT, number) for number in range(1, REPORTS + 1)} | {_text(OTHER, number) for number in new}
    if new != [1, 2, 3]:
        yield f"numbers {new}"
    if len(set(texts)) != len(texts):
        yield "a report comes twice"
    if not set(texts) <= true:
        yield "a report that nobody wrote"
    if not {_text(OTHER, number) for number in new} <= set(texts):
        yield "what was put in afterwards is lost"
