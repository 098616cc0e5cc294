"""Holds what is kept of an agent's chain against its reports: the one is a row like any other, the others are signed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from monitor.collector.opening import given_up
from monitor.model.chain import Mark, Segment
from monitor.model.envelope import Envelope
from monitor.model.numbers import Numbers
from monitor.model.report import Report
from monitor.model.span import isoformat
from monitor.store.agents import AgentSummary
from monitor.store.keys import AgentKey
from monitor.store.rebuilt import BootKnown, Rebuilt, moment
from monitor.store.reports import Position, StoredReport


@dataclass
class ChainBeside:
    """What an agent's proved reports say of its chain, beside what is kept of it."""

    agent: AgentSummary
    problems: list[str] = field(default_factory=list)
    """One sentence each."""
    _given_up: dict[str, Numbers] = field(default_factory=dict)
    _firsts: dict[Position, Segment] = field(default_factory=dict)
    _lasts: dict[Position, Segment] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Note which reports are ends of the chain's segments."""
        for segment in self.agent.chain.segments:
            self._firsts[_position(segment.first)] = segment
            self._lasts[_position(segment.last)] = segment

    def link(self, row: StoredReport, envelope: Envelope) -> None:
        """Take a report as it is signed."""
        mark = Mark(place=envelope.place, nonce_at=row.nonce_at or 0, written_at=row.written_at)
        first, last = self._firsts.get(row.position), self._lasts.get(row.position)
        if (first is not None and (first.first, first.after) != (mark, envelope.protected.after)) or (
            last is not None and last.last != mark
        ):
            self.problems.append(f"the agent's chain says something else of {_name(row.position)} than is signed")
        forked = first is not None and first.forked and row.received_at > self.agent.enrolled_at
        if forked and self.agent.forked_at is None:
            at = isoformat(row.received_at)
            self.problems.append(
                f"its chain forked by {at} at the latest, since it was enrolled, and that is not noted"
            )

    def read(self, report: Report) -> None:
        """Take what a report says that the agent had to give up."""
        ranges = defaultdict(list)
        for item in given_up(report):
            ranges[item.boot].append((item.first, item.last))
        for boot, items in ranges.items():
            self._given_up[boot] = Numbers.of(items) | self._given_up.get(boot, Numbers())

    def compare(self, rebuilt: Rebuilt, keys: Iterable[AgentKey]) -> Iterator[str]:
        """Say where what is kept is not what the reports come to. Nothing else may be wrong with them."""
        agent, chain = self.agent, self.agent.chain
        known = {boot: rebuilt.known(agent.id, boot) for boot in rebuilt.boots(agent.id)}
        missing = sum(len(item.missing) for item in known.values())
        if chain.missing < missing:
            yield f"{missing} reports are missing by what is stored, and the agent's chain says {chain.missing}"
        elif (
            chain.settled
            and not any(boot.since for boot in chain.boots.values())
            and known.keys() <= chain.boots.keys()
        ):
            yield f"the agent's chain says that {chain.settled} more reports are missing, of which nothing tells"
        yield from self._boots(known)
        forks, beginnings = rebuilt.forks(agent.id), rebuilt.beginnings(agent.id)
        if chain.joined == 0 and chain.earlier_forks == 0 and chain.fork_count != forks:
            yield f"the stored reports fork {forks} times, and the agent's chain says {chain.fork_count} times"
        if chain.beginnings != beginnings:
            yield f"the stored reports begin a chain {beginnings} times, and the agent's chain says {chain.beginnings} times"
        registered = {key.registered for key in keys}
        if registered and agent.enrolled_at not in registered:
            yield f"it is said to have been enrolled at {moment(agent.enrolled_at)}, and no key of it was registered then"

    def _boots(self, known: Mapping[str, BootKnown]) -> Iterator[str]:
        for name, boot in self.agent.chain.boots.items():
            tells = known.get(name, BootKnown())
            if boot.upto > max(boot.since, tells.upto):
                yield f"the agent's chain says that boot {name} had {boot.upto} reports, and {tells.upto} are told of"
            never = Numbers.parse(boot.skipped) - tells.skipped
            if never.ranges:
                yield f"the agent's chain says that there never were reports {never} of boot {name}, and nothing tells so"
            told = Numbers.parse(boot.told) - self._given_up.get(name, Numbers())
            if told.ranges:
                yield f"the agent's chain says that it gave up reports {told} of boot {name}, and no stored report says so"


def _position(mark: Mark) -> Position:
    return mark.place.boot, mark.place.sequence


def _name(position: Position) -> str:
    return f"report {position[1]} of boot {position[0]}"
