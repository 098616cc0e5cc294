"""An agent's chain of envelopes as the centre knows it: where it holds, what is missing, where it forks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter

from monitor.model.envelope import Place
from monitor.model.inventory import Strict
from monitor.model.report import BootId
from monitor.model.report import Sequence as Number
from monitor.model.span import Millis

MAX_SEGMENTS = 200
"""So many are told apart; of older ones the count of what is missing stays."""


MAX_TOLD = 1000
"""So many ranges of reports that the agent gave up are told apart."""


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


@dataclass(frozen=True)
class Link:
    """One envelope as the chain sees it."""

    after: Place | None
    mark: Mark
    now: Millis | None = None
    """When it came in, by the collector's clock; None: whenever. A moment that lies after it was given by a clock that has
    been set back since: when that was nobody knows, and it puts nothing in order."""

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


class Told(Strict):
    """Reports of one boot, [first, last], that the agent said it had to give up."""

    boot: BootId
    first: Number
    last: Number


Stored = Callable[[str, int], str | None]
"""(boot, sequence) -> the digest of the envelope that is stored there, None when none is."""


class Chain(Strict):
    """Segments, those first that grew longest ago. A whole chain is one."""

    segments: tuple[Segment, ...] = ()
    settled: int = 0
    """Reports that are missing between segments which are told apart no more."""
    told: tuple[Told, ...] = ()
    """What the agent said it had to give up, in order of boot and number."""
    settled_told: int = 0
    """So many of the settled ones it had told."""

    @property
    def forks(self) -> tuple[Segment, ...]:
        """The segments that continue what had been continued already."""
        return tuple(item for item in self.segments if item.forked)

    @property
    def beginnings(self) -> int:
        """How often the chain began: once, and again after each loss of the agent's state."""
        return sum(item.after is None for item in self.segments)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What is known to be missing."""
        found = (_gap(item, self) for item in self._behind_gaps)
        return tuple(gap for gap in found if gap.count > 0)

    @property
    def _behind_gaps(self) -> list[Segment]:
        return [item for item in self.segments if item.after is not None and not item.forked]

    @property
    def missing(self) -> int:
        """How many reports are known to be missing, at least."""
        return self.settled + sum(gap.count for gap in self.gaps)

    @property
    def dropped(self) -> int:
        """How many of the missing ones the agent itself said that it had to give up."""
        return self.settled_told + sum(gap.dropped for gap in self.gaps)

    def tell(self, told: Iterable[Told]) -> Chain:
        """Return the chain with what the agent says it had to give up; any order and any copies come to the same."""
        joined: list[Told] = []
        for item in sorted([*self.told, *told], key=lambda item: (item.boot, item.first, item.last)):
            if joined and joined[-1].boot == item.boot and item.first <= joined[-1].last + 1:
                joined[-1] = joined[-1].model_copy(update={"last": max(joined[-1].last, item.last)})
            else:
                joined.append(item)
        holes = [hole for item in self._behind_gaps for hole in _holes(item, self)]
        used = [item for item in joined if any(_overlap(item, hole) > 0 for hole in holes)]
        # Of too many the shortest go: what is told no more counts as missing.
        kept = sorted(used, key=lambda item: item.first - item.last)[:MAX_TOLD]
        return self.model_copy(update={"told": tuple(sorted(kept, key=lambda item: (item.boot, item.first)))})

    def add(self, link: Link, stored: Stored) -> Chain:
        """Return the chain with one more envelope, which is not stored yet. Raises ChainError."""
        place, after = link.mark.place, link.after
        segments = list(self.segments)
        tip = next((i for i, item in enumerate(segments) if after is not None and item.last.place == after), None)
        next_one = _continued(segments, place)
        _check_order(link, None if tip is None else segments[tip], None if next_one is None else segments[next_one])
        forked = False
        if tip is None and next_one is None and after is not None:
            forked = self._follows_known(link, stored)
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
        return _bounded(self.model_copy(update={"segments": tuple(kept)}))

    def _is_followed(self, after: Place, stored: Stored) -> bool:
        """Tell whether another one follows this place: what is stored and no segment's end, and what is missing before a segment."""
        known = any(_is_at(item.after, after) for item in self.segments)
        return known or stored(after.boot, after.sequence) is not None

    def _follows_known(self, link: Link, stored: Stored) -> bool:
        """Tell whether what it follows was followed by another already. Raises ChainError: linked to nothing."""
        assert link.after is not None  # noqa: S101  (for the type checker: the caller looked)
        if self._is_followed(link.after, stored):
            return True
        newest = max((at for item in self.segments if link.known(at := item.last.nonce_at)), default=0)
        if link.mark.nonce_at < newest and not self._fits(link):
            raise ChainError("unlinked", "the report is late, and the chain has no hole into which it could belong")
        return False

    def _fits(self, link: Link) -> bool:
        """Tell whether a late envelope may belong into a hole: before a segment whose predecessor is missing."""
        ends = [item for item in self.segments if link.known(item.last.nonce_at)]
        for item in self.segments:
            if item.after is None or item.forked:
                continue
            before = max(
                (s.last.nonce_at for s in ends if s.last.nonce_at <= item.first.nonce_at and s is not item), default=0
            )
            if before <= link.mark.nonce_at <= item.first.nonce_at:
                return True
        return False


_CHAIN = TypeAdapter(Chain)


def read_chain(text: str | None) -> Chain:
    """Read a chain as `write_chain` wrote it; None is an empty one."""
    return Chain() if text is None else _CHAIN.validate_json(text)


def write_chain(chain: Chain) -> str:
    """Return the chain as JSON."""
    return _CHAIN.dump_json(chain).decode()


def chain_of(links: Iterable[tuple[Link, Stored]]) -> Chain:
    """Return the chain of envelopes that came in this order. Raises ChainError."""
    chain = Chain()
    for link, stored in links:
        chain = chain.add(link, stored)
    return chain


def _is_at(after: Place | None, place: Place) -> bool:
    """Tell whether this is the same place, of whatever bytes: two of one number are a fork too."""
    return after is not None and (after.boot, after.sequence) == (place.boot, place.sequence)


def _continued(segments: Sequence[Segment], place: Place) -> int | None:
    """Return which segment goes on from a place; of several one that no fork began."""
    found = [i for i, item in enumerate(segments) if item.after == place]
    return min(found, key=lambda i: segments[i].forked, default=None)


def _check_order(link: Link, before: Segment | None, behind: Segment | None) -> None:
    """Along a chain neither the moments that the collector proved nor the numbers of a boot go back."""
    place, after = link.mark.place, link.after
    if after is not None and after.boot == place.boot and after.sequence >= place.sequence:
        raise ChainError("order", "the report's number is not above that of the one before it")
    at = link.mark.nonce_at
    early = before is not None and link.known(before.last.nonce_at) and at < before.last.nonce_at
    late = behind is not None and link.known(at) and at > behind.first.nonce_at
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


Hole = tuple[str, int, int]
"""(boot, last known number, last missing number)."""


def _holes(segment: Segment, chain: Chain) -> Iterator[Hole]:
    """Give what is missing before a segment: numbers of its own boot and of the one that it follows."""
    after, first = segment.after, segment.first
    assert after is not None  # noqa: S101  (for the type checker: the caller looked)
    ends = [item.last.place for item in chain.segments if item is not segment]
    wanted = {after.boot: after.sequence} | (
        {first.place.boot: first.place.sequence - 1} if first.place.boot != after.boot else {}
    )
    for boot, upto in wanted.items():
        yield boot, max((end.sequence for end in ends if end.boot == boot and end.sequence <= upto), default=0), upto


def _overlap(told: Told, hole: Hole) -> int:
    boot, known, upto = hole
    return max(0, min(told.last, upto) - max(told.first - 1, known)) if told.boot == boot else 0


def _gap(segment: Segment, chain: Chain) -> Gap:
    """Count what is missing before a segment."""
    holes = list(_holes(segment, chain))
    count = sum(upto - known for _, known, upto in holes)
    dropped = sum(_overlap(told, hole) for told in chain.told for hole in holes)
    ends = [item.last for item in chain.segments if item is not segment]
    before = max((end.written_at for end in ends if end.nonce_at <= segment.first.nonce_at), default=None)
    return Gap(count, before, segment.first.written_at, dropped)


def _bounded(chain: Chain) -> Chain:
    """Tell the two oldest of too many segments apart no more; what is missing between them stays counted."""
    if len(chain.segments) <= MAX_SEGMENTS:
        return chain
    oldest, second, *rest = chain.segments
    lost = _gap(second, chain) if second.after is not None and not second.forked else None
    both = oldest.model_copy(
        update={
            "last": second.last,
            "count": oldest.count + second.count,
            "forked": oldest.forked or second.forked,
        }
    )
    changes: dict[str, object] = {"segments": (both, *rest)}
    if lost is not None:
        changes |= {"settled": chain.settled + lost.count, "settled_told": chain.settled_told + lost.dropped}
    return chain.model_copy(update=changes)
