"""A collector that is killed at any moment has lost nothing that it acknowledged, and counts nothing twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

from sqlalchemy import select

from monitor.model.report import Report
from monitor.model.span import SECOND
from monitor.store import agents
from monitor.store.engine import open_engine, reading
from monitor.store.reports import payloads
from monitor.store.tables import SpanRow
from support.centre import BOOT, NOW, make_centre
from support.signing import SigningAgent

TESTS = Path(__file__).parents[2]
KILLS = 3


def run_and_kill(url: str, first: int, after: int, sender: SigningAgent) -> list[int]:
    """Run the process from report `first` on; kill it while it works, after `after` answers. Return what it answered."""
    code = f"import sys; sys.path[:0] = [{str(TESTS)!r}]; from support.ingesting import main; main(*sys.argv[1:2], int(sys.argv[2]), *sys.argv[3:])"
    words = [url, str(first), sender.key.pem().decode(), sender.nonce]
    with subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(after)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    whole = [line.split() for line in lines if line.endswith("\n")]
    assert whole, "the process answered nothing"
    assert {status for _, status, *_ in whole} <= {"stored", "already"}
    return [int(number) for number, *_ in whole]


def test_nothing_acknowledged_is_lost(database_url: str) -> None:
    engine = open_engine(database_url)
    sender = make_centre(engine).add()
    chance = random.Random(7)
    answered: set[int] = set()
    first = 1
    for _ in range(KILLS):
        numbers = run_and_kill(database_url, first, chance.randint(1, 12), sender)
        answered.update(numbers)
        first = max(answered)  # the last one is sent again: its answer may have been lost on the way
    with reading(engine) as session:
        stored = [Report.from_bytes(payload).key for payload in payloads(session, "wj-0001")]
        (agent,) = agents.agents_of(session, "wj-0001")
        rows = [(row.start_at, row.end_at) for row in session.scalars(select(SpanRow))]
    assert len(stored) == len(set(stored))
    kept = {key[3] for key in stored}
    assert answered <= kept
    assert {key[:3] for key in stored} == {("wj-0001", "box", BOOT)}
    # What was in the works when it died is there as a whole or not at all: the ledger agrees with the reports.
    assert rows == [(NOW, NOW + max(kept) * SECOND)]
    assert (agent.state, agent.reports) == ("whole", len(kept))
    engine.dispose()
