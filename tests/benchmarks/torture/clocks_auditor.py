"""What a box whose clock is set has to tell, and whether a centre's database has it, counts it and judges it so.

Nothing here imports the product: what a clock shows, and rows as plain SQL and JSON of the standard library give them.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg

from benchmarks.torture.auditor import Outbox, chain_problems, digest_of, header_of, number_problems

Stretch = tuple[str, int, int]
"""(state, from, until), in milliseconds of whichever clock."""

HOUR = 3_600_000
DRIFT = 2000
"""A clock that is off by more than this since the last look was set."""
BOUND = HOUR
"""So much may an agent's clock be ahead of the centre's, and behind the last word of it; other reports count for nothing."""
EARLIEST = 1_577_836_800_000
"""2020-01-01: before it there was nothing to see."""
ALLOWED = 60_000
"""A longer outage is a case, by the pack of these tests."""
PRESUMED = 60_000
"""So long the last word holds."""
SILENT = 30 * 60_000
WINDOW = 400 * 24 * HOUR
"""Outages that ended before it are not judged, by the pack of these tests."""


@dataclass(frozen=True)
class Said:
    """What one report has to say, by what was done to the box and its clock."""

    boot: str
    number: int
    written: int
    """By the box's clock."""
    nonce_at: int
    """When the centre answered the box last, by the centre's clock."""
    reach: tuple[Stretch, ...]
    steps: tuple[tuple[int, int], ...]
    """What the clock showed once it was set, and what it would have shown."""

    def counts(self, received: int) -> bool:
        """Tell whether all its times can be, by the centre's clock."""
        times = [self.written, *(at for _, *ends in self.reach for at in ends), *(new for new, _ in self.steps)]
        behind = self.nonce_at <= received and self.written < self.nonce_at - BOUND
        return not behind and min(times) >= EARLIEST and max(times) <= received + BOUND


class Story:
    """What one run of a box sees of its recorder, in the time that its clock shows."""

    def __init__(self, wall: int, monotonic: int, state: str) -> None:
        """Begin to see it in a state."""
        self._ahead, self._state, self._since = wall - monotonic, state, wall
        self._reach: list[Stretch] = []
        self._steps: list[tuple[int, int]] = []

    def look(self, wall: int, monotonic: int) -> None:
        """See what the clocks show. Monotonic time can't be set: by it a stretch goes on up to where the clock was set."""
        ahead, before = wall - monotonic, self._ahead
        self._ahead = ahead
        if abs(ahead - before) > DRIFT:
            was = wall - (ahead - before)
            self._cut(was)
            self._since = wall
            self._steps.append((wall, was))

    def turn(self, wall: int, state: str) -> None:
        """See it in another state, or the same, from now on."""
        if state != self._state:
            self._cut(wall)
            self._state = state

    def told(self, wall: int) -> tuple[tuple[Stretch, ...], tuple[tuple[int, int], ...]]:
        """Return what was not told yet."""
        self._cut(wall)
        found = tuple(self._reach), tuple(self._steps)
        self._reach, self._steps = [], []
        return found

    def _cut(self, until: int) -> None:
        if until > self._since:
            self._reach.append((self._state, self._since, until))
            self._since = until


@dataclass(frozen=True)
class Evaluated:
    """What the centre held of the recorder at one evaluation, as it lay in its database."""

    at: int
    state: str
    measured: dict[str, Any]
    stored: frozenset[tuple[str, int]]
    """The reports that it had."""


@dataclass
class Audit:
    """Holds a database against what was said."""

    url: str
    outbox: Outbox
    """As it lies at the end."""
    said: list[Said] = field(default_factory=list)
    answered: set[int] = field(default_factory=set)
    """When the box was answered, by the centre's clock."""
    enrolled_at: int = 0
    evaluations: list[Evaluated] = field(default_factory=list)
    counted: int = 0
    """How many reports count."""

    def look(self, at: int) -> None:
        """Keep what the centre has just judged."""
        sql = "SELECT state, body FROM verdict WHERE requirement = 'uptime' AND subject_id = 'nvr' AND institution_id = 'wj-0001'"
        stored = frozenset(self.stored())
        for state, body in rows(self.url, sql):
            self.evaluations.append(Evaluated(at, state, json.loads(body)["measured"], stored))

    def took(self, at: int) -> None:
        """Note that the centre answered at an instant of its clock."""
        self.answered.add(at)

    def tells_clock(self) -> None:
        """Note that the box has told of its recorder's clock."""

    def stored(self) -> list[tuple[Any, ...]]:
        """Return (boot, number) of the reports that the centre has."""
        return rows(self.url, "SELECT boot, sequence FROM report WHERE institution_id = 'wj-0001'")

    def counts(self, item: Said, received: int, doubt: str | None) -> bool:
        """Tell whether a report counts that is stored as received then, and marked so."""
        return item.counts(received)

    def problems(self) -> Iterator[str]:
        """Say what is wrong."""
        sql = (
            "SELECT boot, sequence, envelope, written_at, received_at, nonce_at, doubt FROM report"
            " WHERE institution_id = 'wj-0001'"
        )
        stored = {(row[0], row[1]): row for row in rows(self.url, sql)}
        yield from number_problems(self.outbox.last, set(stored))
        if self.outbox.waiting or self.outbox.gone:
            yield f"{len(self.outbox.waiting)} reports still wait, {len(self.outbox.gone)} were given up"
        envelopes = [bytes(row[2]) for row in stored.values()]
        yield from chain_problems((header_of(item), digest_of(item)) for item in envelopes)
        if set(stored) != {(item.boot, item.number) for item in self.said}:
            yield "other reports are stored than were written"
            return
        received: dict[int, int] = {}
        for number, item in enumerate(self.said):
            _, _, envelope, written, received[number], nonce_at, doubt = stored[item.boot, item.number]
            yield from self._report(item, bytes(envelope), (written, received[number], nonce_at, doubt))
        ours = [
            item
            for number, item in enumerate(self.said)
            if self.counts(item, received[number], stored[item.boot, item.number][6])
        ]
        self.counted = len(ours)
        yield from self._ledger(ours)
        cases = []
        for evaluated in self.evaluations:
            told = [item for item in ours if (item.boot, item.number) in evaluated.stored]
            line = line_of(told, evaluated.at)
            yield from _judged(evaluated, line)
            cases += _cases(line)
        yield from self._found(cases, _cases(line) if self.evaluations else [])
        yield from self._silence(sorted(received.values()))

    def _report(self, item: Said, envelope: bytes, row: tuple[int, int, int, str | None]) -> Iterator[str]:
        name, (written, received, nonce_at, doubt) = f"report {item.number} of boot {item.boot[:4]}", row
        told = json.loads(envelope.partition(b"\n")[2])["observations"]
        reach = Counter((o["state"], o["start"], o["end"]) for o in told if o["kind"] == "reach")
        steps = Counter((o["start"], o["facts"]["was_at"]) for o in told if o.get("cause") == "clock_set")
        if reach != Counter(item.reach) or steps != Counter(item.steps):
            yield f"{name} tells {reach} and {steps}, and {item.reach} and {item.steps} were so"
        if any(end <= start for _, start, end in reach):
            yield f"{name} tells of no time, or less"
        if (written, nonce_at) != (item.written, item.nonce_at) or received not in self.answered:
            yield f"{name} is stored with other times: {written}, {nonce_at}, {received}"
        if (doubt is None) != self.counts(item, received, doubt):
            yield f"{name}, written at {item.written} after {nonce_at}, in at {received}, is marked {doubt}"

    def _ledger(self, ours: Sequence[Said]) -> Iterator[str]:
        """The ledger's rows are what was told, no more and no less, each stretch once."""
        sql = "SELECT lane, start_at, end_at FROM span WHERE institution_id = 'wj-0001' AND kind = 'reach'"
        found: dict[str, list[tuple[int, int]]] = {}
        for lane, start, end in rows(self.url, sql):
            found.setdefault(lane.partition("|")[0], []).append((start, end))
        wanted: dict[str, list[tuple[int, int]]] = {}
        for item in ours:
            for state, start, end in item.reach:
                wanted.setdefault(state, []).append((start, end))
        for state in sorted({*found, *wanted}):
            held, told = sorted(found.get(state, [])), joined(wanted.get(state, []))
            if held != told:
                yield f"the ledger has {state} in {held}, and told was {told}"

    def _found(self, ever: Sequence[tuple[int, int | None]], last: Sequence[tuple[int, int | None]]) -> Iterator[str]:
        """What is longer than allowed is a case, once, and nothing else is."""
        sql = (
            "SELECT began_at, ended_at FROM finding WHERE institution_id = 'wj-0001' AND requirement = 'uptime'"
            " AND subject_id = 'nvr'"
        )
        found = sorted((began, ended) for began, ended in rows(self.url, sql))
        yield from (f"a case from {began} to {ended}" for began, ended in found if ended is not None and ended < began)
        every, found = found, [(began, ended) for began, ended in found if ended != began]
        for at in {began for began, ended in every if ended == began}:
            if not any(began <= at and (ended is None or at <= ended) for began, ended in found):
                yield f"the case at {at} has no time, and is part of no other: there are {found}"
        for one, other in pairwise(found):
            if one[1] is None or one[1] > other[0]:
                yield f"two cases of one time: {one} and {other}"
        for case in last:
            if found.count(case) != 1:
                yield f"the outage {case} is a case {found.count(case)} times; there are {found}"
        for case in every:
            if not any(_meet(case, other) for other in ever):
                yield f"the case {case} is none: nothing so long was ever told"

    def _silence(self, received: Sequence[int]) -> Iterator[str]:
        """Who was heard every half hour was not silent."""
        times = sorted({self.enrolled_at, *received, *(item.at for item in self.evaluations)})
        sql = (
            "SELECT began_at, ended_at FROM finding WHERE institution_id = 'wj-0001' AND requirement = 'agent_silence'"
        )
        found = rows(self.url, sql)
        if found and all(b - a < SILENT for a, b in pairwise(times)):
            yield f"the box was never silent for half an hour, and a case says so: {found}"


def line_of(told: Iterable[Said], now: int) -> list[Stretch]:
    """Lay what was told over each other: what a box saw up and down in time that it went through twice, nobody knows."""
    items = list(told)
    reach = [(state, start, min(end, now)) for item in items for state, start, end in item.reach if start < now]
    twice = [(new, was) for item in items for new, was in item.steps if new < was and new <= now]
    edges = sorted({at for _, *ends in reach for at in ends} | {min(at, now) for pair in twice for at in pair})
    line: list[Stretch] = []
    for start, end in pairwise(edges):
        words = {state for state, a, b in reach if a <= start < b}
        known = words - {"unknown"}
        if not words:
            continue
        if len(known) == 2:
            state = "unknown" if any(a <= start < b for a, b in twice) else "up"
        else:
            state = next(iter(known or words))
        if line and line[-1][0] == state and line[-1][2] == start:
            line[-1] = (state, line[-1][1], end)
        else:
            line.append((state, start, end))
    return line


def within(line: Iterable[Stretch], since: int) -> list[Stretch]:
    """Return what of a line lies after an instant."""
    return [(state, max(start, since), end) for state, start, end in line if end > since]


def outages_of(line: Iterable[Stretch]) -> list[tuple[int, int | None, int]]:
    """Return (from, until, how long it was seen to be down) of each: only being up ends one."""
    found: list[tuple[int, int | None, int]] = []
    began: int | None = None
    down = 0
    for state, start, end in line:
        if state == "down":
            began = start if began is None else began
            down += end - start
        elif state == "up" and began is not None:
            found.append((began, start, down))
            began, down = None, 0
    return found if began is None else [*found, (began, None, down)]


def _cases(line: Iterable[Stretch]) -> list[tuple[int, int | None]]:
    return [(began, ended) for began, ended, down in outages_of(line) if down > ALLOWED]


def _judged(evaluated: Evaluated, line: Sequence[Stretch]) -> Iterator[str]:
    """The verdict has the figures of the line, and says of the present what was last told, as long as that holds."""
    since = evaluated.at - WINDOW
    inside = within(line, since)
    up, down = (sum(end - start for word, start, end in inside if word == state) for state in ("up", "down"))
    measured = evaluated.measured
    if (measured["up_seconds"], measured["down_seconds"]) != (up // 1000, down // 1000):
        yield f"at {evaluated.at}: {measured['up_seconds']} s up, {measured['down_seconds']} s down, and it was {up} and {down} ms"
    found = [(item["start_at"], item["end_at"]) for item in measured["outages"]]
    outages = [(began, ended) for began, ended, _ in outages_of(line) if ended is None or ended > since]
    wanted = [(_text(began), _text(ended)) for began, ended in outages][-20:]
    if found != wanted:
        yield f"at {evaluated.at}: outages {found}, and {wanted} were told"
    last = line[-1] if line else ("unknown", 0, 0)
    present = last[0] if evaluated.at <= last[2] + PRESUMED else "unknown"
    if evaluated.state != {"up": "up", "down": "unreachable", "unknown": "unknown"}[present]:
        yield f"at {evaluated.at} it is {evaluated.state}, and {last} was told last"


def _text(at: int | None) -> str | None:
    """Return an instant as the API writes it."""
    if at is None:
        return None
    text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00").removesuffix(".000") + "Z"


def _meet(one: tuple[int, int | None], other: tuple[int, int | None]) -> bool:
    return (one[1] is None or one[1] >= other[0]) and (other[1] is None or other[1] >= one[0])


def joined(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return stretches in order, those that touch or overlap as one."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(pairs):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    """Read a database as it lies."""
    kind, _, place = url.partition(":///")
    if kind == "sqlite":
        with closing(sqlite3.connect(place)) as connection:
            return connection.execute(sql).fetchall()
    with psycopg.connect(url) as other:
        return other.execute(sql.encode()).fetchall()
