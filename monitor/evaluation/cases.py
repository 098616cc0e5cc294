"""From verdicts and what is known to what is to be done with the findings: pure, no database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from monitor.model.finding import Change, Known, Run, episodes_of_runs, overlap, reconcile, shares
from monitor.model.regulation import Uptime
from monitor.model.span import Millis, isoformat
from monitor.model.verdict import Episode, Outcome, Verdict


@dataclass(frozen=True)
class Move:
    """What happens to one finding: it opens (`known` is None), or its state and times move."""

    verdict: Verdict
    known: Known | None
    episode: Episode

    @property
    def retells(self) -> bool:
        """Tell whether the verdict speaks of this very episode, so that its reason and figures are the finding's."""
        same = self.verdict.outcome is Outcome.BREACHED and self.verdict.state == self.episode.state
        return same and self.episode.ended is None

    @property
    def reason(self) -> str:
        """One sentence: the verdict's own where it speaks of this episode, else what the episode tells."""
        if self.retells:
            return self.verdict.reason
        episode = self.episode
        if self.known is not None and episode.ended == episode.began:
            return "Later evidence left it no time of its own: it is part of another finding, or was over at once."
        cause = "" if episode.cause in (None, episode.state) else f": {episode.cause.replace('_', ' ')}"
        until = "" if episode.ended is None else f" until {isoformat(episode.ended)}"
        return f"{episode.state.replace('_', ' ').capitalize()} from {isoformat(episode.began)}{until}{cause}."


def moves(verdict: Verdict, runs: Sequence[Run], known: Sequence[Known], as_of: Millis) -> list[Move]:
    """Return what is to be done with the findings of one requirement and subject, after this verdict.

    `runs` has the verdict's look already. Where spans tell every breach (`verdict.episodes`), they decide; else the
    runs do, with the requirement's confirmation. What is explained by a cause opens no finding of its own.
    """
    if verdict.episodes is None:
        found = _outside(episodes_of_runs(runs, verdict.requirement.confirm_after), verdict, as_of)
        changes = list(reconcile(known, found))
    else:
        changes = _by_spans(verdict, _outside(verdict.episodes, verdict, as_of), known, as_of)
    own = (item for item in changes if item.known is not None or item.episode.because_of is None)
    return [Move(verdict, item.known, item.episode) for item in own]


def _outside(episodes: Iterable[Episode], verdict: Verdict, as_of: Millis) -> list[Episode]:
    """Return the episodes that are cases beside waivers: what begins in waived time and outlasts it begins at its end."""
    found = []
    for item in episodes:
        free = next((end for start, end in verdict.waived if start <= item.began < end), None)
        if free is None:
            found.append(item)
        elif free <= (as_of if item.ended is None else item.ended - 1):
            found.append(replace(item, began=free))
    return found


def _by_spans(verdict: Verdict, episodes: Sequence[Episode], known: Sequence[Known], as_of: Millis) -> list[Change]:
    start = as_of - verdict.requirement.window if isinstance(verdict.requirement, Uptime) else None
    whole = [_uncut(item, known, start) for item in episodes]
    free = [item for item in known if not any(_same(item, episode) for episode in whole)]
    changes = []
    for change in reconcile(known, whole):
        # Later evidence may give an outage another name (site_power, once the index was read): it is the same finding.
        match = next((item for item in free if shares(item, change.episode)), None) if change.known is None else None
        if match is not None:
            free.remove(match)
        changes.append(change if match is None else Change(match, change.episode))
    if verdict.outcome is Outcome.MET:
        changes += [_closed_by(verdict, item) for item in free if item.ended is None]
    return changes


def _uncut(episode: Episode, known: Iterable[Known], start: Millis | None) -> Episode:
    """Give an episode at the edge of the evidence's window the beginning that is known of it: it only looks cut."""
    if start is None or episode.began > start:
        return episode
    return replace(episode, began=min([episode.began, *(item.began for item in known if _same(item, episode))]))


def _closed_by(verdict: Verdict, known: Known) -> Change:
    """Close a finding that no span tells of any more, at the look that shows the requirement met."""
    return Change(known, Episode(known.state, known.began, max(known.began, verdict.looked)))


def _same(known: Known, episode: Episode) -> bool:
    return known.state == episode.state and overlap(known, episode)
