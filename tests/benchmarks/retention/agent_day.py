"""The agent's side of a new day: a journal of ninety days folded and judged anew, and by what is kept of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from agents.indexes import JournalIndexes
from agents.journal import Journal
from benchmarks.retention.new_day import told_of
from benchmarks.retention.run import NOON, OTHERS, inventory_of
from monitor.evaluation.judge import judge
from monitor.model.ledger import Facts, fold
from monitor.model.observation import Observation
from support.packs import pack


@dataclass(frozen=True)
class Measured:
    """Seconds of CPU, and bytes kept."""

    whole: float
    """From the journal's file to verdicts, nothing kept."""
    new_day: float
    """The same after one more day, the others kept."""
    kept: int

    @property
    def share(self) -> float:
        """Return what a new day costs of the whole."""
        return self.new_day / self.whole


def measure_agent_day(folder: Path, cameras: int, days: int = 90) -> Measured:
    """Run both sides once over one journal in `folder`. Raises AssertionError when their facts or verdicts differ."""
    inventory = inventory_of(cameras)
    regulation = pack(**dict.fromkeys(OTHERS), retention={"required_days": days})
    journal = Journal(folder / "journal.sqlite")
    newest: list[Observation] = []
    for number in range(cameras):
        read = [Observation.model_validate_json(text) for _, text in told_of(number, days)]
        journal.append(read[:-1])
        newest.append(read[-1])
    kept = JournalIndexes(journal)
    kept.as_of(NOON)
    journal.append(newest)

    def facts_by(indexes: JournalIndexes) -> Facts:
        facts = fold(journal.all(NOON, indexes=False), NOON, inventory=inventory, indexes=indexes.as_of(NOON))
        assert facts is not None
        return facts

    begun = time.process_time()
    after = facts_by(kept)
    by_the_kept = judge(after, regulation)
    new_day = time.process_time() - begun
    begun = time.process_time()
    anew = facts_by(JournalIndexes(journal))
    assert judge(anew, regulation) == by_the_kept
    whole = time.process_time() - begun
    assert len(by_the_kept) == cameras
    journal.close()
    return Measured(whole, new_day, kept.weight)
