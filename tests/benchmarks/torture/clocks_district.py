"""The centre of a seed of F7 and its other agents: what they send, what is due, and how its own clock is set."""

from __future__ import annotations

import random
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.torture.clocks_centre_auditor import CentreAudit
from monitor.collector.ingest import ingest
from monitor.collector.jobs import bring_back, evaluate_due, note_clocks, note_listening, wake_silent
from monitor.model.clock import ManualClock
from monitor.model.report import Report
from support.centre import Centre
from support.signing import digest

SETS = 3
"""One seed in so many sets the centre's own clock."""
STEPS_SECONDS = (1, 30, 300, 600, 3600, 3 * 3600, 86_400, 30 * 86_400, 3653 * 86_400)
EARLIEST_YEAR = 2000
LATEST_YEAR = 2100
"""The store's years, wherever the steps lead."""
LOOKS_A_ROUND = 12
"""Looks of five seconds: so often other agents report, and evaluations are due."""
SHOWN_AT_MOST = 2
"""So often the alarm is read where an operator's Prometheus reads it: that is slow."""


@dataclass
class District:
    """A centre with other agents beside the box, whose clocks are right."""

    centre: Centre
    url: str
    seeded: random.Random
    truth: ManualClock
    audit: CentreAudit
    set: int = 0
    """How often the centre's clock was set."""
    _waiting: dict[str, list[Report]] = field(default_factory=dict)
    _shown: int = 0

    def __post_init__(self) -> None:
        for number in range(self.audit.others + self.audit.silent):
            self.centre.add(f"wj-{number + 1001}")

    @property
    def off_seconds(self) -> float:
        """By how much the centre's clock is ahead."""
        return (self.centre.clock.now() - self.truth.now()).total_seconds()

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        self.truth.advance(seconds)
        self.centre.clock.advance(seconds)
        self.audit.true_at = round(self.truth.now().timestamp() * 1000)

    def set_clock(self, chance: float) -> None:
        """Set the centre's clock, sometimes; half of the time it is set right."""
        if self.seeded.random() >= chance:
            return
        year = self.centre.clock.now().year
        ways = [-1] * (year > EARLIEST_YEAR) + [1] * (year < LATEST_YEAR)
        wild = self.seeded.choice(STEPS_SECONDS) * self.seeded.choice(ways) + self.seeded.randrange(-999, 1000) / 1000
        self._step(-self.off_seconds if self.seeded.random() < 0.5 else wild)

    def set_right(self) -> None:
        """Set the centre's clock right."""
        self._step(-self.off_seconds)

    def _step(self, seconds: float) -> None:
        self.centre.clock.step(seconds)
        self.set += 1
        self.audit.centre_is_set(round(self.off_seconds * 1000))

    def hear_others(self) -> None:
        """Let the other agents report, and send again what the centre left for later."""
        for number in range(self.audit.others):
            name = f"wj-{number + 1001}"
            report = self.centre.report(institution=name).model_copy(update={"written_at": self.truth.now()})
            waiting = self._waiting.setdefault(name, [])
            waiting.append(report)
            agent = self.centre.agents[name]
            receipts = ingest(self.centre.context, [agent.envelope(item.to_bytes()) for item in waiting])
            agent.hear(receipts)
            done = {item.digest for item in receipts.receipts}
            self._waiting[name] = [item for item in waiting if digest(agent.envelope(item.to_bytes())) not in done]

    def work(self, look: int, now: int) -> Iterator[str]:
        """Do what is due, as the collector's jobs do; say what is wrong with what became of it."""
        context = self.centre.context
        note_listening(context)
        if look % (LOOKS_A_ROUND // 2) == 0:
            note_clocks(context)
            bring_back(context)
        if look % LOOKS_A_ROUND == 0:
            wake_silent(context)
            evaluate_due(context)
            self.audit.look_where_new(now)
        yield from self.audit.standing(now)
        if self.audit.must_be_known and self._shown < SHOWN_AT_MOST:
            self._shown += 1
            yield from self.audit.alarm(self._metrics())

    def _metrics(self) -> str:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=30) as answer:
            text: str = answer.read().decode()
        return text
