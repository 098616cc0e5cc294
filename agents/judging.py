"""What the service judges on site, beside its watching: how long each camera's footage is held, for the metrics and the proofs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from agents.beside import Beside
from agents.indexes import JournalIndexes
from agents.journal import Journal
from monitor.evaluation.judge import judge, of_retention_alone
from monitor.model.calendar import Waiver
from monitor.model.inventory import Inventory
from monitor.model.ledger import Facts, first_seen, fold, with_approvals
from monitor.model.regulation import Regulation
from monitor.model.span import Millis
from monitor.model.verdict import Verdict
from monitor.model.view import Approval


@dataclass(frozen=True)
class Asked:
    """What a judgement goes by beside the journal, as it was when it was asked for."""

    as_of: Millis
    inventory: Inventory
    waivers: Sequence[Waiver]
    approvals: Mapping[str, tuple[Approval, ...]]
    regulation: Regulation


class Judging:
    """Judges what a journal holds in a thread of its own, one judgement after the other, in the order in which they were asked for.

    The event loop that watches the cameras goes on meanwhile: reading ninety days of 64 indexes for the first time takes two
    seconds of a desk's processor, and a small box's is eight times slower. Only retention is judged, for nobody on site asks the
    service for more, and the time in which cameras were up or down isn't read for it: one that flaps leaves hundreds of
    thousands of rows.
    """

    def __init__(self, journal: Journal) -> None:
        """Read nothing yet."""
        self._journal = journal
        self.indexes = JournalIndexes(journal)
        self.facts: Facts | None = None
        self.verdicts: tuple[Verdict, ...] = ()
        """As last judged; both change on the event loop alone."""
        self._beside = Beside("judging")

    async def judge(self, asked: Asked) -> None:
        """Judge; what was known before holds until it is done. Raises DatabaseError."""
        found = await self._beside.do(partial(self._judged, asked))
        if found is not None:
            self.facts, self.verdicts = found

    def close(self) -> None:
        """Begin no further judgement, and don't wait for the one under way: it ends where it next needs the journal, or at its own end."""
        self._beside.close()

    def _judged(self, asked: Asked) -> tuple[Facts, tuple[Verdict, ...]] | None:
        seen = self._journal.all(asked.as_of, indexes=False, spans=False)
        indexes = self.indexes.as_of(asked.as_of)
        facts = fold(seen, asked.as_of, inventory=asked.inventory, waivers=asked.waivers, indexes=indexes)
        if facts is None:
            return None
        facts = first_seen(with_approvals(facts, asked.approvals), self._journal.first_seen())
        return facts, judge(facts, of_retention_alone(asked.regulation))
