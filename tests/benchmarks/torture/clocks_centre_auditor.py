"""What has to hold of a centre whose own clock is set, by what was done to it and by its database and its metrics.

Nothing here imports the product. Where enough agents are heard theirs is the time; where they are too few, the centre's is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from benchmarks.torture.clocks_auditor import BOUND, EARLIEST, HOUR, SILENT, Audit, Said, rows

ENOUGH = 3
"""So many agents decide."""
SURELY = 5 * 60_000
"""A centre that is off by more is known to be, and one that is off by less than AGREES isn't."""
AGREES = 50_000
KNOWN_AFTER = 4 * 60_000
"""Each agent has reported twice by then, and a job has looked."""
CALM_AFTER = 6 * 60_000
"""The same, and what was noted of the time before has lapsed."""
NOTED = 2 * 60_000
BELIEVED_AFTER = 20 * 60_000
"""Where nobody can tell, the centre's clock is believed after so long."""
APART = 60_000
DAY = 24 * HOUR


@dataclass
class CentreAudit(Audit):
    """Holds a database against what was said, of a centre whose clock is set."""

    others: int = 0
    """So many other agents report, by clocks that are right."""
    silent: int = 0
    """So many are enrolled and never do."""
    box_is_set: bool = False
    """The box's own clock is set, too."""
    recorder_off_seconds: float = 0.0
    """What the box says of its recorder's clock."""
    true_at: int = 0
    """What time it is, whatever the clocks show."""
    _arrived: dict[tuple[str, int], int] = field(default_factory=dict)
    """When each report was taken in, by the centre's clock."""
    _heard: dict[str, list[int]] = field(default_factory=dict)
    """When something new of each institution was there, by true time."""
    _counts: dict[str, int] = field(default_factory=dict)
    _off: int = 0
    _set_at: int = 0
    """When the centre's clock was set last, by true time."""
    _behind_since: int | None = None
    """Since when it lies behind what it had shown before."""
    _believed_behind: bool = False
    """It lay behind for so long that it may have been believed, though nobody could tell."""
    _judged_upto: int = 0
    _told_clock: bool = False

    @property
    def agents_decide(self) -> bool:
        """Tell whether the median of those heard can tell that the centre's clock is wrong."""
        return self.others >= ENOUGH

    def centre_is_set(self, off: int) -> None:
        """Note that the centre's clock is ahead by so much from now on."""
        self._note_behind()
        self._off, self._set_at = off, self.true_at

    def _note_behind(self) -> None:
        if self._off < -APART:
            self._behind_since = self._set_at if self._behind_since is None else self._behind_since
            self._believed_behind |= self.true_at - self._behind_since >= BELIEVED_AFTER - APART
        else:
            self._behind_since = None

    @property
    def must_be_known(self) -> bool:
        """Tell whether it has to be known by now that the centre's clock is wrong."""
        long = self.true_at - self._set_at >= KNOWN_AFTER
        return self.agents_decide and abs(self._off) >= SURELY and long

    @property
    def must_be_calm(self) -> bool:
        """Tell whether nothing may be said against the centre's clock by now."""
        if not self.agents_decide:
            return not self.box_is_set
        return abs(self._off) <= AGREES and self.true_at - self._set_at >= CALM_AFTER

    def took(self, at: int) -> None:
        """Note what the centre has taken in by now; `at` is by its clock."""
        super().took(at)
        for place in self.stored():
            self._arrived.setdefault((place[0], place[1]), at)

    def tells_clock(self) -> None:
        """Note that the box has told of its recorder's clock."""
        self._told_clock = True

    def look_where_new(self, at: int) -> None:
        """Keep what the centre has judged, where it has judged anew."""
        ((number,),) = rows(self.url, "SELECT evaluation FROM institution WHERE id = 'wj-0001'")
        if number != self._judged_upto:
            self._judged_upto = number
            self.look(at)

    def standing(self, at: int) -> Iterator[str]:
        """Say what is wrong with what the centre knows of its own clock, and with who is said to be silent."""
        self._note_behind()
        noted = any(
            since <= at <= until + NOTED
            for since, until in rows(self.url, "SELECT since_at, until_at FROM clock_dispute")
        )
        if self.must_be_known and not noted:
            yield f"at {at} the centre is off by {self._off} ms since {self.true_at - self._set_at} ms, and doesn't know it"
        if self.must_be_calm and noted:
            yield f"at {at} the centre is off by {self._off} ms, and says that the clocks disagree"
        yield from self._recorder_clock(at)
        for institution, count in rows(self.url, "SELECT institution_id, COUNT(*) FROM report GROUP BY institution_id"):
            if self._counts.get(institution) != count:
                self._counts[institution] = count
                self._heard.setdefault(institution, []).append(self.true_at)

    def _recorder_clock(self, at: int) -> Iterator[str]:
        """Nobody's clock is judged while the centre's is known to be wrong, and each is when it isn't."""
        sql = (
            "SELECT v.state, i.evaluated_at FROM verdict v, institution i WHERE v.requirement = 'recorder_clock'"
            " AND v.institution_id = 'wj-0001' AND i.id = 'wj-0001'"
        )
        for state, evaluated in rows(self.url, sql):
            # One of before says nothing of now.
            if evaluated != at:
                continue
            right = "off" if abs(self.recorder_off_seconds) > 60 else "ok"
            if self.must_be_known and state != "unknown":
                yield f"at {at} a recorder's clock is {state}, and the centre's own is off by {self._off} ms"
            if (
                self.must_be_calm
                and self._told_clock
                and not self.box_is_set
                and abs(self._off) <= AGREES
                and state != right
            ):
                yield f"at {at} a recorder's clock is {state}, and it is {right}"

    def alarm(self, metrics: str) -> Iterator[str]:
        """Say what is wrong with the figure at which an operator is woken."""
        found = re.search(r"^cradlewatch_collector_clock_offset_seconds (\S+)$", metrics, re.MULTILINE)
        shown = None if found is None else float(found[1])
        off = self._off / 1000
        # By a clock that is ahead at least: less the time between two reports.
        if shown is None or not off - 125 <= shown <= off + 125 or abs(shown) <= 60:
            yield f"the centre's clock is off by {off} s, and the alarm is told {shown}"

    def counts(self, item: Said, received: int, doubt: str | None) -> bool:
        """Tell whether a report has to count: by the agents' clocks where they decide, by the centre's where they can't."""
        if self.agents_decide and not self.box_is_set:
            return True
        by_centre = _counts_by_centre(item, self._arrived[item.boot, item.number])
        if self.agents_decide:  # its own clock may be the wrong one: what can be by the centre's counts, the rest may
            return by_centre or doubt is None
        return by_centre

    def problems(self) -> Iterator[str]:
        """Say what is wrong."""
        self._note_behind()
        yield from super().problems()
        sql = "SELECT COUNT(*) FROM finding WHERE requirement = 'recorder_clock' AND institution_id = 'wj-0001'"
        ((found,),) = rows(self.url, sql)
        if found > (abs(self.recorder_off_seconds) > 60):
            yield f"{found} cases of a recorder's clock that is off by {self.recorder_off_seconds} s"
        if self.agents_decide and not self.box_is_set:
            sql = "SELECT SUM(misdated) FROM agent"
            ((misdated,),) = rows(self.url, sql)
            if misdated:
                yield f"{misdated} reports of clocks that are right are said to be misdated"
        ((ended,),) = rows(self.url, "SELECT COUNT(*) FROM finding WHERE ended_at < began_at")
        ((runs,),) = rows(self.url, "SELECT COUNT(*) FROM run WHERE last_at < first_at")
        if ended or runs:
            yield f"{ended} findings and {runs} runs of looks end before they begin"

    def _found(self, ever: Sequence[tuple[int, int | None]], last: Sequence[tuple[int, int | None]]) -> Iterator[str]:
        """Where a clock that was set back wrongly had to be believed, cases of that time were moved with it: they can't be told."""
        if self.agents_decide or not self._believed_behind:
            yield from super()._found(ever, last)

    def _silence(self, received: Sequence[int]) -> Iterator[str]:
        """Who was heard every half hour was not silent, whatever the centre's clock showed."""
        for institution, times in self._heard.items():
            sql = (
                "SELECT began_at, ended_at FROM finding WHERE requirement = 'agent_silence'"
                f" AND institution_id = '{institution}'"
            )
            found: list[tuple[Any, ...]] = rows(self.url, sql)
            if found and all(b - a < SILENT for a, b in pairwise([*times, self.true_at])):
                yield f"{institution} was never silent for half an hour, and a case says so: {found}"


def _counts_by_centre(item: Said, arrived: int) -> bool:
    """Tell whether all its times can be, by the centre's clock of when it came in.

    A word that the centre gave at a moment to come says that its clock was set back since: it dates nothing, and what lies
    ahead of that clock by up to a day can be.
    """
    to_come = item.nonce_at > arrived
    times = [item.written, *(at for _, *ends in item.reach for at in ends), *(new for new, _ in item.steps)]
    behind = not to_come and item.written < item.nonce_at - BOUND
    return not behind and min(times) >= EARLIEST and max(times) <= arrived + (DAY if to_come else BOUND)
