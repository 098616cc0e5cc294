"""An agent's envelopes as a series: what is not there, told by what follows it, whatever else is said of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from monitor.model.chain import Boot, Chain
from monitor.model.counted import counted
from monitor.model.envelope import Envelope, Place


@dataclass(frozen=True)
class Series:
    """What the signed links of some envelopes say of those that are not among them."""

    holes: tuple[tuple[Place, Place], ...]
    """(what is not there, what follows it)."""
    forks: int
    """So many are followed by more than one."""
    beginnings: int

    @classmethod
    def of(cls, envelopes: Sequence[Envelope]) -> Series:
        """Read the links."""
        places = {item.place for item in envelopes}
        links = list({item.place: (item.protected.after, item.place) for item in envelopes}.values())
        followed = Counter(after for after, _ in links if after is not None)
        holes = tuple((after, here) for after, here in links if after is not None and after not in places)
        forks = sum(count > 1 for count in followed.values())
        return cls(holes, forks, sum(after is None for after, _ in links))

    def wrong(self, chain: Chain, missing: int) -> Iterator[str]:
        """Say what is not there, unless it was missing when the reports came in, by the collector's word."""
        known = {item.after for item in chain.segments}
        for after, here in self.holes:
            came = chain.boots.get(after.boot, Boot()).has(after.sequence)
            if after not in known and (came or not chain.joined):
                yield f"{_name(after)}, which {_name(here)} follows, is not there"
        if chain.boots and missing != chain.missing:  # a bundle of before says it of segments alone
            yield f"{counted(missing, 'report')} said to be missing, and its chain says {chain.missing}"

    def notes(self, missing: int) -> Iterator[str]:
        """Say what speaks neither for nor against it."""
        if missing:
            yield f"known to be missing: {counted(missing, 'report')}"
        if self.holes:
            named = ", ".join(_name(after) for after, _ in self.holes[:3])
            more = "" if len(self.holes) <= 3 else " and others"
            yield f"reports follow what is not there at {counted(len(self.holes), 'place')}: {named}{more}"
        if self.forks:
            yield "its reports fork, a backup was restored or a copy of it ran"
        if self.beginnings > 1:
            yield f"its series begins {self.beginnings} times: what it had kept was lost, or it was enrolled at another address"


def _name(place: Place) -> str:
    return f"report {place.sequence} of boot {place.boot}"
