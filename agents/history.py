"""What a collector is told of the time before it knew this agent: the recorders' index is not read again for it."""

from __future__ import annotations

from agents.journal import Journal
from agents.reporter import Reporter
from agents.site import Site
from agents.state import State
from monitor.model.observation import Kind, Subject
from monitor.model.report import EARLIEST
from monitor.model.span import Millis

HISTORY = (Kind.CLOCK, Kind.RECORDINGS, Kind.FOOTAGE_LOST, Kind.WRITTEN, Kind.MAIN_STREAM)
_KEY = "history_told"


def forget_history(state: State) -> None:
    """Let the history be told: to a collector that was told nothing yet."""
    state.put(_KEY, None)


def tell_history(site: Site, journal: Journal, state: State, reporter: Reporter, now: Millis) -> bool:
    """Report once to each collector what the site's recorders held before `now`; return whether that is done. Raises DatabaseError.

    It is still to be done while this machine's clock says that there is nothing to be seen yet. What is dated later than `now`, or
    before there was anything to see, was seen while the clock was ahead or had lost its battery: a report that says it counts
    for nothing, with all that is right in it.
    """
    whom = f"{reporter.identity.institution} {reporter.identity.agent}"
    if state.get(_KEY) == whom:
        return True
    if now < EARLIEST:
        return False
    subjects = [Subject(kind="recorder", id=item.id) for item in site.recorders]
    subjects += [Subject(kind="camera", id=item.id) for item in site.cameras]
    for subject in subjects:
        for kind in HISTORY:
            seen = [item for item in journal.of(subject, kind) if item.start >= EARLIEST and item.end <= now]
            if seen:
                reporter.report(seen)
    state.put(_KEY, whom)
    return True
