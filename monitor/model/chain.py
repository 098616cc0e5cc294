"""An agent's chain of envelopes as the centre knows it: where it holds, what is missing, where it forks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter

from monitor.model.envelope import Place
from monitor.model.inventory import Strict
from monitor.model.span import Millis

MAX_SEGMENTS = 200
"""So many are told apart; of older ones the count of what is missing stays."""


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


@dataclass(frozen=True)
class Gap:
    """Reports that are known to be missing: at least `count`, written between two instants."""

    count: int
    after_at: Millis | None
    before_at: Millis


Stored = Callable[[str, int], str | None]
"""(boot, sequence) -> the digest of the envelope that is stored there, None when none is."""


class Chain(Strict):
    """Segments, those first that grew longest ago. A whole chain is one."""

    segments: tuple[Segment, ...] = ()
    settled: int = 0
    """Reports that are missing between segments which are told apart no more."""

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
        found = (_gap(item, self.segments) for item in self.segments if item.after is not None and not item.forked)
        return tuple(gap for gap in found if gap.count > 0)

    @property
    def missing(self) -> int:
        """How many reports are known to be missing, at least."""
        return self.settled + sum(gap.count for gap in self.gaps)

    @property
    def newest(self) -> Millis:
        """The newest moment that any envelope proved; 0 before the first."""
        return max((item.last.nonce_at for item in self.segments), default=0)

    def add(self, link: Link, stored: Stored) -> Chain:
        """Return the chain with one more envelope, which is not stored yet. Raises ChainError."""
        place, after = link.mark.place, link.after
        segments = list(self.segments)
        tip = next((i for i, item in enumerate(segments) if after is not None and item.last.place == after), None)
        next_one = next((i for i, item in enumerate(segments) if item.after == place), None)
        _check_order(link, None if tip is None else segments[tip], None if next_one is None else segments[next_one])
        forked = False
        if tip is None and next_one is None and after is not None:
            forked = self._follows_known(link, stored)
        elif tip is None and after is not None:
            forked = stored(after.boot, after.sequence) is not None
        joined = _joined(link, None if tip is None else segments[tip], None if next_one is None else segments[next_one])
        kept = [item for i, item in enumerate(segments) if i not in {tip, next_one}]
        kept.append(joined.model_copy(update={"forked": forked}) if forked else joined)
        return _bounded(Chain(segments=tuple(kept), settled=self.settled))

    def _follows_known(self, link: Link, stored: Stored) -> bool:
        """Tell whether what it follows is stored (and so was followed by another). Raises ChainError: linked to nothing."""
        assert link.after is not None  # noqa: S101  (for the type checker: the caller looked)
        if stored(link.after.boot, link.after.sequence) is not None:
            return True
        if link.mark.nonce_at < self.newest and not self._fits(link.mark.nonce_at):
            raise ChainError("unlinked", "the report is late, and the chain has no hole into which it could belong")
        return False

    def _fits(self, nonce_at: Millis) -> bool:
        """Tell whether a late envelope may belong into a hole: before a segment whose predecessor is missing."""
        for item in self.segments:
            if item.after is None or item.forked:
                continue
            before = max(
                (s.last.nonce_at for s in self.segments if s.last.nonce_at <= item.first.nonce_at and s is not item),
                default=0,
            )
            if before <= nonce_at <= item.first.nonce_at:
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


def _check_order(link: Link, before: Segment | None, behind: Segment | None) -> None:
    """Along a chain neither the moments that the collector proved nor the numbers of a boot go back."""
    place, after = link.mark.place, link.after
    if after is not None and after.boot == place.boot and after.sequence >= place.sequence:
        raise ChainError("order", "the report's number is not above that of the one before it")
    early = before is not None and link.mark.nonce_at < before.last.nonce_at
    late = behind is not None and link.mark.nonce_at > behind.first.nonce_at
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


def _gap(segment: Segment, segments: tuple[Segment, ...]) -> Gap:
    """Count what is missing before a segment: the numbers of its own boot and of the one that it follows."""
    after, first = segment.after, segment.first
    assert after is not None  # noqa: S101  (for the type checker: the caller looked)
    ends = [item.last for item in segments if item is not segment]
    wanted = {after.boot: after.sequence} | (
        {first.place.boot: first.place.sequence - 1} if first.place.boot != after.boot else {}
    )
    count = 0
    for boot, upto in wanted.items():
        known = [end.place.sequence for end in ends if end.place.boot == boot and end.place.sequence <= upto]
        count += upto - max(known, default=0)
    before = max((end.written_at for end in ends if end.nonce_at <= first.nonce_at), default=None)
    return Gap(count, before, first.written_at)


def _bounded(chain: Chain) -> Chain:
    """Tell the two oldest of too many segments apart no more; what is missing between them stays counted."""
    if len(chain.segments) <= MAX_SEGMENTS:
        return chain
    oldest, second, *rest = chain.segments
    lost = _gap(second, chain.segments).count if second.after is not None and not second.forked else 0
    both = oldest.model_copy(
        update={
            "last": second.last,
            "count": oldest.count + second.count,
            "forked": oldest.forked or second.forked,
        }
    )
    return Chain(segments=(both, *rest), settled=chain.settled + lost)
