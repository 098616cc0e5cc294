"""An agent's chain of envelopes as the centre knows it: where it holds, what is missing, where it forks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from monitor.model.envelope import Place
from monitor.model.inventory import Strict
from monitor.model.numbers import PATTERN, Numbers
from monitor.model.report import BootId
from monitor.model.report import Sequence as Number
from monitor.model.span import Millis

MAX_SEGMENTS = 200
"""So many are told apart; what is missing stays known by number."""
STILL_GROWING = 8
"""So many segments that grew last are left as they are: what is missing behind them may be on its way."""
MAX_BOOTS = 64
"""Of so many boots it is known which numbers came in; of older ones how many are missing stays."""
MAX_TOLD_BOOTS = MAX_BOOTS // 2
"""Of so many boots of which nothing is here yet one report may tell what was given up."""
MAX_RANGES = 2000
"""So many ranges of numbers of one boot are told apart."""
MAX_RANGES_IN_ALL = 4000
"""And of all boots together: each report reads and writes them all."""
MOST = 2**53
"""No count is larger: an agent may say that it follows a report of any number."""


class ChainError(ValueError):
    """An envelope that can't have been written where and when it says; `reason` is the word that metrics count."""

    def __init__(self, reason: str, text: str) -> None:
        """Keep the word and the sentence."""
        super().__init__(text)
        self.reason = reason


class Mark(Strict):
    """One end of a segment. Instants are UTC milliseconds."""

    place: Place
    nonce_at: Millis
    """When the collector gave the nonce that it carries."""
    written_at: Millis


class Segment(Strict):
    """Envelopes that follow each other without a hole."""

    after: Place | None
    """What the first one follows, which is not here: it is missing, or has another successor; null: the chain begins."""
    first: Mark
    last: Mark
    count: Annotated[int, Field(ge=1)]
    forked: bool = False
    """The first one follows an envelope that another one follows too."""


Precedes = Callable[[Millis, Millis], bool]
"""Tells whether the collector may have given a nonce of the one moment no later than one of the other."""


def precedes(one: Millis, other: Millis) -> bool:
    """Tell whether a moment is no later than another: so it is by a clock that is never set back."""
    return one <= other


@dataclass(frozen=True)
class Link:
    """One envelope as the chain sees it."""

    after: Place | None
    mark: Mark
    now: Millis | None = None
    """When it came in, by the collector's clock; None: whenever. A moment that lies after it was given by a clock that has
    been set back since: when that was nobody knows, and it puts nothing in order."""
    precedes: Precedes = field(default=precedes, compare=False)
    """By the collector's clock as it was set: what it gave before it was set back may be of a later moment."""

    def known(self, moment: Millis) -> bool:
        """Tell whether a nonce's moment says when that was."""
        return self.now is None or moment <= self.now


@dataclass(frozen=True)
class Gap:
    """Reports that are known to be missing: at least `count`, written between two instants."""

    count: int
    after_at: Millis | None
    before_at: Millis
    dropped: int = 0
    """So many of them the agent itself said that it had to give up."""
    nonce_at: Millis | None = field(default=None, compare=False)
    """The moment of the centre's word that the report after them carries."""


class Told(Strict):
    """Reports of one boot, [first, last], that the agent said it had to give up."""

    boot: BootId
    first: Number
    last: Number


_Ranges = Annotated[str, StringConstraints(pattern=PATTERN)]


class Boot(Strict):
    """Which reports of one boot came in, and which are known to have been written."""

    seen: _Ranges = ""
    upto: int = 0
    """The largest number that a report has or follows."""
    since: int = 0
    """Numbers up to this one are told apart no more."""
    told: _Ranges = ""
    """What the agent said it had to give up, whether that is so or not."""
    skipped: _Ranges = ""
    """Numbers that no report had: the next one follows the one before them."""

    @property
    def missing(self) -> Numbers:
        """The numbers that were written and didn't come in."""
        return Numbers.of([(self.since + 1, self.upto)]) - self.no_hole

    @property
    def no_hole(self) -> Numbers:
        """The numbers that are not missing."""
        seen = Numbers.parse(self.seen)
        return seen | Numbers.parse(self.skipped) if self.skipped else seen

    @property
    def dropped(self) -> Numbers:
        """Those of the missing ones that the agent had to give up, by its own word."""
        return self.missing & Numbers.parse(self.told) if self.told else Numbers()

    def has(self, number: int) -> bool:
        """Tell whether a report came in."""
        return Numbers.parse(self.seen).count_in(number, number) == 1

    def saw(self, number: int) -> Boot:
        """Return it with one more that came in."""
        if number <= self.since:
            return self
        seen = str(Numbers.parse(self.seen) | Numbers(((number, number),)))
        return self.model_copy(update={"seen": seen, "upto": max(self.upto, number)})

    def skips(self, first: int, last: int) -> Boot:
        """Return it with numbers between a report and the one that it follows."""
        found = Numbers.of([(max(first, self.since + 1), last)])
        return self.model_copy(update={"skipped": str(Numbers.parse(self.skipped) | found)}) if found.ranges else self

    def knows(self, number: int) -> Boot:
        """Return it with a number that another report follows."""
        return self if number <= self.upto else self.model_copy(update={"upto": number})


Stored = Callable[[str, int], str | None]
"""(boot, sequence) -> the digest of the envelope that is stored there, None when none is."""


class Chain(Strict):
    """Segments, those first that grew longest ago. A whole chain is one."""

    segments: tuple[Segment, ...] = ()
    boots: dict[BootId, Boot] = Field(default_factory=dict)
    """Those first of which something came in longest ago."""
    settled: int = 0
    """Reports that are missing of what is told apart no more."""
    settled_told: int = 0
    """So many of the settled ones the agent had said it had to give up."""
    joined: int = 0
    """So many holes lie within segments."""
    earlier_forks: int = 0
    earlier_beginnings: int = 0
    """So many lie within segments."""

    @property
    def forks(self) -> tuple[Segment, ...]:
        """The segments that continue what had been continued already."""
        return tuple(item for item in self.segments if item.forked)

    @property
    def fork_count(self) -> int:
        """How often the chain forked."""
        return self.earlier_forks + len(self.forks)

    @property
    def beginnings(self) -> int:
        """How often the chain began: once, and again after each loss of the agent's state."""
        return self.earlier_beginnings + sum(item.after is None for item in self.segments)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What is known to be missing between segments."""
        numbers = _Numbers(self)
        found = (_gap(item, self, numbers) for item in self.segments if _is_behind_a_hole(item))
        return tuple(gap for gap in found if gap.count > 0)

    @property
    def missing(self) -> int:
        """How many reports are known to be missing, at least."""
        return min(MOST, self.settled + sum(len(item.missing) for item in self.boots.values()))

    @property
    def dropped(self) -> int:
        """How many of the missing ones the agent itself said that it had to give up."""
        return min(MOST, self.settled_told + sum(len(item.dropped) for item in self.boots.values()))

    def tell(self, told: Iterable[Told]) -> Chain:
        """Return the chain with what the agent says it had to give up; any order and any copies come to the same.

        Of a boot of which nothing came in, and that no report follows, nothing is missing. It may be on its way: what is new
        goes before a backlog, and tells of all of it.
        """
        items = list(told)
        fresh = [name for name in dict.fromkeys(item.boot for item in items) if name not in self.boots]
        boots = dict.fromkeys(fresh[:MAX_TOLD_BOOTS], Boot()) | self.boots
        more: dict[str, list[tuple[int, int]]] = {}
        for item in items:
            if (boot := boots.get(item.boot)) is not None:
                more.setdefault(item.boot, []).append((max(item.first, boot.since + 1), item.last))
        for name, ranges in more.items():  # each boot's at once: a report may tell of tens of thousands
            found = Numbers.parse(boots[name].told) | Numbers.of(ranges)
            boots[name] = boots[name].model_copy(update={"told": str(found)})
        return _bounded(self.model_copy(update={"boots": boots}))

    def check_order(self, link: Link) -> None:
        """Raises ChainError where an envelope can't have its place between those of the chain that it lies beside."""
        before = next(
            (item for item in self.segments if link.after is not None and item.last.place == link.after), None
        )
        behind = _continued(self.segments, link.mark.place)
        _check_order(link, before, None if behind is None else self.segments[behind])

    def add(self, link: Link, stored: Stored, *, taken: bool = False) -> Chain:
        """Return the chain with one more envelope, which is not stored yet. Raises ChainError.

        One that was `taken` in before, and only has to get its place again, isn't refused.
        """
        place, after = link.mark.place, link.after
        segments = list(self.segments)
        tip = next((i for i, item in enumerate(segments) if after is not None and item.last.place == after), None)
        next_one = _continued(segments, place)
        if not taken:
            _check_order(link, None if tip is None else segments[tip], None if next_one is None else segments[next_one])
        forked = False
        if tip is None and next_one is None and after is not None:
            forked = self._is_followed(after, stored) if taken else self._follows_known(link, stored)
        elif tip is None and after is not None:
            forked = self._is_followed(after, stored)
        joined = _joined(link, None if tip is None else segments[tip], None if next_one is None else segments[next_one])
        # Of several that follow what was missing until now one goes on from it; it is no hole before the others.
        kept = [
            item.model_copy(update={"forked": True}) if _is_at(item.after, place) else item
            for i, item in enumerate(segments)
            if i not in {tip, next_one}
        ]
        kept.append(joined.model_copy(update={"forked": forked}) if forked else joined)
        return _bounded(self.model_copy(update={"segments": tuple(kept), "boots": self._grown(place, after)}))

    def _grown(self, place: Place, after: Place | None) -> dict[str, Boot]:
        boots = dict(self.boots)
        if after is not None:
            boots[after.boot] = (boots.get(after.boot) or Boot()).knows(after.sequence)
        boot = (boots.pop(place.boot, None) or Boot()).saw(place.sequence)
        if after is not None and after.boot == place.boot:
            boot = boot.skips(after.sequence + 1, place.sequence - 1)
        boots[place.boot] = boot
        return boots

    def _is_followed(self, after: Place, stored: Stored) -> bool:
        """Tell whether another one follows this place: what is stored and no segment's end, and what is missing before a segment."""
        known = any(_is_at(item.after, after) for item in self.segments)
        return known or stored(after.boot, after.sequence) is not None

    def _follows_known(self, link: Link, stored: Stored) -> bool:
        """Tell whether what it follows was followed by another already. Raises ChainError: linked to nothing."""
        assert link.after is not None  # noqa: S101  (for the type checker: the caller looked)
        if self._is_followed(link.after, stored):
            return True
        at = link.mark.nonce_at
        is_late = any(link.known(end) and not link.precedes(end, at) for end in self._ends())
        if is_late and not self._fits(link):
            raise ChainError("unlinked", "the report is late, and the chain has no hole into which it could belong")
        return False

    def _ends(self) -> Iterator[Millis]:
        return (item.last.nonce_at for item in self.segments)

    def _fits(self, link: Link) -> bool:
        """Tell whether a late envelope may belong into a hole: before a segment whose predecessor is missing."""
        at = link.mark.nonce_at
        ends = [item for item in self.segments if link.known(item.last.nonce_at)]
        for item in self.segments:
            first = item.first.nonce_at
            if item.after is None or item.forked or not link.precedes(at, first):
                continue
            before = [s.last.nonce_at for s in ends if s.last.nonce_at <= first and s is not item]
            if all(link.precedes(end, at) for end in before):
                return True
        return False


_CHAIN = TypeAdapter(Chain)


def read_chain(text: str | None) -> Chain:
    """Read a chain as `write_chain` wrote it; None is an empty one."""
    if text is None:
        return Chain()
    try:
        return _CHAIN.validate_json(text)
    except ValidationError:  # bundles of before told what was given up apart from the boots
        found = json.loads(text)
        if not isinstance(found, dict) or found.pop("told", None) is None:
            raise
        return _CHAIN.validate_python(found, strict=False)


def write_chain(chain: Chain) -> str:
    """Return the chain as JSON."""
    return _CHAIN.dump_json(chain).decode()


def chain_of(links: Iterable[tuple[Link, Stored]]) -> Chain:
    """Return the chain of envelopes that came in this order. Raises ChainError."""
    chain = Chain()
    for link, stored in links:
        chain = chain.add(link, stored)
    return chain


def _is_at(after: Place | None, place: Place | tuple[str, int]) -> bool:
    """Tell whether this is the same place, of whatever bytes: two of one number are a fork too."""
    here = place if isinstance(place, tuple) else (place.boot, place.sequence)
    return after is not None and (after.boot, after.sequence) == here


def _continued(segments: Sequence[Segment], place: Place) -> int | None:
    """Return which segment goes on from a place; of several one that no fork began."""
    found = [i for i, item in enumerate(segments) if item.after == place]
    return min(found, key=lambda i: segments[i].forked, default=None)


def _check_order(link: Link, before: Segment | None, behind: Segment | None) -> None:
    """Along a chain neither the moments that the collector proved nor the numbers of a boot go back."""
    place, after = link.mark.place, link.after
    if after is not None and after.boot == place.boot and after.sequence >= place.sequence:
        raise ChainError("order", "the report's number is not above that of the one before it")
    check_moments(
        link, [] if before is None else [before.last.nonce_at], [] if behind is None else [behind.first.nonce_at]
    )


def check_moments(link: Link, before: Iterable[Millis], behind: Iterable[Millis]) -> None:
    """Raises ChainError where an envelope's nonce is older than one of those before it, or newer than one behind it."""
    at = link.mark.nonce_at
    early = any(link.known(other) and not link.precedes(other, at) for other in before)
    late = link.known(at) and any(not link.precedes(at, other) for other in behind)
    if early or late:
        raise ChainError("nonce", "the report carries an older nonce than the one before it in the chain")


def _joined(link: Link, before: Segment | None, behind: Segment | None) -> Segment:
    """Return the segment that the envelope makes of its neighbours."""
    return Segment(
        after=link.after if before is None else before.after,
        first=link.mark if before is None else before.first,
        last=link.mark if behind is None else behind.last,
        count=1 + (0 if before is None else before.count) + (0 if behind is None else behind.count),
        forked=before is not None and before.forked,
    )


def _is_behind_a_hole(segment: Segment) -> bool:
    return segment.after is not None and not segment.forked


class _Numbers:
    """What is known of a chain's boots, each read once."""

    def __init__(self, chain: Chain) -> None:
        self._boots = chain.boots
        self._read: dict[str, tuple[Numbers, Numbers]] = {}

    def hole(self, boot: str, upto: int) -> tuple[int, int, int]:
        """Return the number before what is missing up to here, how many are missing, and how many of them were given up."""
        if boot not in self._boots:
            return upto, 0, 0
        if boot not in self._read:
            self._read[boot] = self._boots[boot].no_hole, Numbers.parse(self._boots[boot].told)
        seen, told = self._read[boot]
        hole = max(seen.run_to(upto)[0], self._boots[boot].since + 1), upto
        return hole[0] - 1, max(0, hole[1] - hole[0] + 1), told.count_in(*hole)


def _gap(segment: Segment, chain: Chain, numbers: _Numbers) -> Gap:
    """Count what is missing before a segment: numbers of its own boot and of the one that it follows."""
    after, first = segment.after, segment.first
    assert after is not None  # noqa: S101  (for the type checker: the caller looked)
    wanted = {first.place.boot: first.place.sequence - 1} | {after.boot: after.sequence}
    holes = [numbers.hole(boot, upto) for boot, upto in wanted.items()]
    ends = [item.last for item in chain.segments if item is not segment]
    before = max((end.written_at for end in ends if end.nonce_at <= segment.first.nonce_at), default=None)
    count, dropped = sum(item[1] for item in holes), sum(item[2] for item in holes)
    return Gap(count, before, segment.first.written_at, dropped, segment.first.nonce_at)


def _bounded(chain: Chain) -> Chain:
    """Tell apart no more than may be: segments with a hole between them, boots, and the lowest numbers of a boot."""
    if len(chain.segments) > MAX_SEGMENTS:
        chain = _with_fewer_segments(chain)
    while (most := _most_ranges(chain)) is not None:
        chain = _with_fewer_ranges(chain, most)
    return _with_fewer_boots(chain) if len(chain.boots) > MAX_BOOTS else chain


def _with_fewer_segments(chain: Chain) -> Chain:
    """Join a quarter of the segments: first where all that is missing between two was given up, then where the least is missing.

    What the first of two ended with is then no end any more. So it is none that grew lately: what comes next may follow it.
    """
    numbers = _Numbers(chain)
    holes: list[tuple[bool, int, tuple[str, int], Place]] = []
    for item in filter(_is_behind_a_hole, chain.segments):
        assert item.after is not None  # noqa: S101  (for the type checker: it was looked for)
        before, count, dropped = numbers.hole(item.after.boot, item.after.sequence)
        holes.append((dropped < count, count, (item.after.boot, before), item.last.place))
    segments = list(chain.segments)
    growing = [(item.last.place.boot, item.last.place.sequence) for item in segments[-STILL_GROWING:]]
    joined = 0
    for *_, end, behind in sorted(holes, key=lambda hole: hole[:2]):
        if joined == MAX_SEGMENTS // 4:
            break
        i = next((i for i, item in enumerate(segments) if _is_at(item.last.place, end)), None)
        j = next((j for j, item in enumerate(segments) if item.last.place == behind), None)
        if i is not None and j is not None and i != j and end not in growing:
            segments = _with_joined(segments, i, j)
            joined += 1
    found = chain.model_copy(update={"segments": tuple(segments), "joined": chain.joined + joined})
    return found if joined else _with_oldest_joined(found)


def _with_oldest_joined(chain: Chain) -> Chain:
    """Join the two segments that grew longest ago, whatever lies between them."""
    behind = chain.segments[1]
    changes = {
        "segments": tuple(_with_joined(list(chain.segments), 0, 1)),
        "joined": chain.joined + _is_behind_a_hole(behind),
        "earlier_forks": chain.earlier_forks + behind.forked,
        "earlier_beginnings": chain.earlier_beginnings + (behind.after is None),
    }
    return chain.model_copy(update=changes)


def _with_joined(segments: list[Segment], i: int, j: int) -> list[Segment]:
    """Return segments with two of them joined: it grew when the later one did."""
    before, behind = segments[i], segments[j]
    both = before.model_copy(update={"last": behind.last, "count": before.count + behind.count})
    return [both if k == max(i, j) else item for k, item in enumerate(segments) if k != min(i, j)]


def _ranges(boot: Boot) -> int:
    return boot.seen.count(",") + boot.told.count(",") + boot.skipped.count(",")


def _most_ranges(chain: Chain) -> int | None:
    """Return how many ranges a boot may keep where there are too many; None where there aren't."""
    counts = [_ranges(item) for item in chain.boots.values()]
    largest = max(counts, default=0)
    if largest > MAX_RANGES:
        return MAX_RANGES
    return largest - 1 if sum(counts) > MAX_RANGES_IN_ALL else None


def _with_fewer_ranges(chain: Chain, most: int) -> Chain:
    """Count what is missing among the lower half of a boot's ranges where it has more than `most`, and tell it apart no more."""
    boots, settled, settled_told = dict(chain.boots), chain.settled, chain.settled_told
    for name, boot in chain.boots.items():
        if _ranges(boot) <= most:
            continue
        ranges = Numbers.parse(max(boot.seen, boot.told, boot.skipped, key=lambda text: text.count(","))).ranges
        low = Numbers.of([(1, ranges[len(ranges) // 2][0])])
        settled += len(boot.missing & low)
        settled_told += len(boot.dropped & low)
        changes: dict[str, object] = {
            column: str(Numbers.parse(text) - low)
            for column, text in [("seen", boot.seen), ("told", boot.told), ("skipped", boot.skipped)]
        }
        changes["since"] = low.ranges[-1][1]
        boots[name] = boot.model_copy(update=changes)
    return chain.model_copy(update={"boots": boots, "settled": settled, "settled_told": settled_told})


def _with_fewer_boots(chain: Chain) -> Chain:
    """Forget boots that are too many: those of which everything came in, then those only told of, then those of which something came in longest ago."""
    names = list(chain.boots)[:-STILL_GROWING]
    whole = {name: not len(chain.boots[name].missing) for name in names}
    names.sort(key=lambda name: (not whole[name], not chain.boots[name].upto))
    forgotten = [chain.boots[name] for name in names[: len(chain.boots) - MAX_BOOTS]]
    gone = set(names[: len(forgotten)])
    return chain.model_copy(
        update={
            "boots": {name: item for name, item in chain.boots.items() if name not in gone},
            "settled": chain.settled + sum(len(boot.missing) for boot in forgotten),
            "settled_told": chain.settled_told + sum(len(boot.dropped) for boot in forgotten),
        }
    )
