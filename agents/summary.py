"""The summary of a day: what held in it as few spans, which outlives the day's many reports when not all can be kept."""

from __future__ import annotations

from agents.journal import Journal
from agents.reporter import Reporter
from agents.state import State
from monitor.model.span import DAY, Millis

MOST_DAYS = 31
"""So many days that ended while the agent was off are summed up afterwards."""
_KEY = "summed_up"


def sum_up(journal: Journal, state: State, reporter: Reporter, now: Millis) -> int:
    """Report each day (UTC) that ended and was not summed up yet; return how many. Raises DatabaseError.

    It says nothing that the day's reports don't: at the centre both are one.
    """
    today, kept = now // DAY, state.get(_KEY)
    last = kept if isinstance(kept, int) and kept < today else today - 2
    days = range(max(last + 1, today - MOST_DAYS), today)
    for day in days:
        spans = journal.spans_between(day * DAY, (day + 1) * DAY)
        if spans:
            reporter.report(spans, lasting=True)
        state.put(_KEY, day)
    return len(days)
