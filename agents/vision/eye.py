"""One camera's looks put in order: what is kept between them, and the conditions that each one shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from agents.vision import approved as rules
from agents.vision.diagnose import Conditions, Evidence, conditions, hides_noise, may_be_frozen
from agents.vision.film import FilmFrame
from agents.vision.fingerprint import Fingerprint
from agents.vision.imprint import Imprint
from agents.vision.light import Light
from agents.vision.loop import Frame, Loop
from agents.vision.match import Match, best_of, match, surely
from agents.vision.measure import Measures, Scores
from agents.vision.pair import Mask, Pair
from agents.vision.recurrence import MOVES_RATIO, Recurrence
from agents.vision.replay import Replay, Window
from agents.vision.settling import Settling
from agents.vision.thresholds import Thresholds
from agents.vision.turns import Turns
from agents.vision.usual import Usual

NOTHING = frozenset({"black", "signal_lost"})
"""States in which there is nothing to be seen that could be played again."""

BY_ITSELF = frozenset({"mjpeg"})
"""Codecs in which each block of each picture is coded by itself: what comes again to the bit may do so by chance, in noise that the encoder left out."""

NOT_LIVE = NOTHING | {"frozen", "looped"}
"""States in which a look tells nothing of what is usual of live ones. Whatever else is wrong, the noise is new."""

MOST_WAITING = 256
"""So many frames wait for a look at the most: nothing is asked of them before, and those of ten seconds cost less together than one second's after the other."""

STILL_LOOKS = 2
"""So many looks in a row that show an earlier picture are frozen time."""


@dataclass(frozen=True)
class Taken:
    """The frame that a look shows."""

    at_seconds: float
    """By the clock of `Eye.frame`."""
    imprint: Imprint | None


@dataclass(frozen=True)
class Judged:
    """What one look shows, and what says so."""

    conditions: Conditions
    evidence: Evidence
    thresholds: Thresholds
    """By which it was judged."""
    undecided: bool = False
    """It may be frozen, and isn't called so yet: worth looking again sooner."""
    looped_since: float | None = None
    """Since when the stream has run as it ran before, by the clock of `Eye.frame`: known only once it has for a while."""

    @property
    def matched(self) -> Match | None:
        """The look beside the approved view; None without one."""
        return self.evidence.match

    @cached_property
    def scores(self) -> Scores:
        """The numbers that say so, by name, rounded: made when they are asked for, which they are of one look in six."""
        seen = self.evidence
        scores = (
            seen.measures.as_scores()
            | {"looped": float("looped" in self.conditions.entering), "copied": float(seen.copied)}
            | {"alike": None if seen.alike is None else round(seen.alike, 4)}
            | {name: None if value is None else round(value, 4) for name, value in vars(seen.beside).items()}
        )
        if seen.match is None:
            return scores
        scores |= seen.match.as_scores()
        seen.match.let_go()
        return scores


class Eye:
    """What is remembered of one camera from look to look. No I/O and no clock: time comes with each look."""

    def __init__(
        self,
        thresholds: Thresholds,
        approved: Sequence[Fingerprint] = (),
        *,
        by_light: Callable[[Light], Thresholds] | None = None,
    ) -> None:
        """Remember nothing yet. `by_light` gives the thresholds of a look's light, where they differ."""
        self._settling = [Settling(view) for view in approved]
        self._thresholds = by_light or (lambda _: thresholds)
        self._usual = Usual()
        self._before: Fingerprint | None = None
        self._covered: Mask | None = None
        """What of the view was covered in the newest look."""
        self._sound: dict[bool, Fingerprint] = {}
        """The last look that surely showed the approved view, without colour (infrared) and with."""
        self._waiting = list[Frame]()
        """Frames that nothing has been asked of yet."""
        self._loop = Loop()
        self._recurrence = Recurrence()
        self._replay = Replay()
        self._turns = Turns()
        self._still_looks = 0
        """So many looks in a row show the picture of a look before."""

    @property
    def approved(self) -> tuple[Fingerprint, ...]:
        """The approved views, one or more for each light; they may be set anew at any time."""
        return tuple(item.approved for item in self._settling)

    @approved.setter
    def approved(self, views: Sequence[Fingerprint]) -> None:
        known = {id(item.approved): item for item in self._settling}
        self._settling = [known.get(id(view)) or Settling(view) for view in views]

    @property
    def loop(self) -> Loop:
        """What is remembered of the stream's frames."""
        self._take_in()
        return self._loop

    @property
    def view(self) -> Fingerprint | None:
        """The newest look."""
        return self._before

    def frame(self, at_seconds: float, size: int, *, keyframe: bool) -> None:
        """Take note of one coded frame, looked at or not: its time on any steady clock, its size in bytes."""
        self.frames([(at_seconds, size, keyframe)])

    def frames(self, frames: Sequence[Frame]) -> None:
        """Take note of coded frames in their order, looked at or not."""
        self._waiting += frames
        if len(self._waiting) >= MOST_WAITING:
            self._take_in()

    def _take_in(self) -> None:
        """Let the frames so far tell of the stream."""
        self._loop.frames(self._waiting)
        self._recurrence.frames(self._waiting)
        self._waiting.clear()

    def want(self, after: float) -> Window | None:
        """Return which frames after a time would tell whether an earlier one is shown again, by the clock of `Eye.frame`; each is asked for once."""
        return self._replay.want(after)

    def filmed(self, times: Sequence[float], frames: Sequence[FilmFrame]) -> None:
        """Take what those frames left, and when each was sent."""
        self._replay.filmed(times, frames)

    def look(self, measures: Measures, view: Fingerprint, taken: Taken | None = None, *, codec: str = "") -> Judged:
        """Judge one look, whose picture came in a `codec`. Where it isn't known when its frame was `taken` nothing tells whether its noise comes again."""
        self._take_in()
        beside = self._usual.beside(measures, view.light)
        colourless = view.light == "infrared"
        settled = [item.view for item in self._settling]
        before, sound = self._before, self._sound.get(colourless)
        matched = match(view, settled, before, sound, self._covered) if settled else None
        self._before, self._covered = view, None if matched is None else matched.region
        thresholds = self._thresholds(view.light)
        changed = measures.repeat.changed_ratio
        self._recurrence.looked(moved=changed is None or changed >= MOVES_RATIO)
        copied = self._loop.looping
        seen = Evidence(measures, beside, matched, copied=copied, by_itself=codec in BY_ITSELF)
        alike = None if copied else self._alike(taken, changed, hidden=hides_noise(seen, thresholds))
        seen = replace(seen, alike=alike)
        found = conditions(seen, thresholds)
        same = "frozen" in (found.staying if self._still_looks else found.entering)
        self._stood(same=same, nothing=not NOTHING.isdisjoint(found.staying))
        if NOT_LIVE.isdisjoint(found.staying):
            self._turns.learn()
        if not found.entering:
            self._usual.learn(measures, view.light)
            if matched is not None and surely(matched):
                self._sound[colourless] = view
                for item in self._settling:
                    if item.approved.light == view.light and item.wants():
                        _learn(item, view, before, sound, thresholds)
        if matched is not None:
            matched.let_go()
        since = self._loop.since if copied else None
        return Judged(found, seen, thresholds, undecided=may_be_frozen(seen, thresholds), looped_since=since)

    def _alike(self, taken: Taken | None, changed: float | None, *, hidden: bool) -> float | None:
        """Return how far the stream is that of earlier times, encoded anew, by its rhythm or by its pictures' noise; None where it is none.

        Noise that is `hidden` tells nothing of earlier pictures: stripes over a picture come again whoever stands behind them.
        """
        rhythm, replay = self._recurrence, self._replay
        looping = rhythm.looping
        if taken is None:
            self._turns.look(None, ())
            return rhythm.alike if looping else None
        replay.look(taken.at_seconds, taken.imprint, changed or 0.0)
        self._turns.look(None if hidden else taken.imprint, replay.earlier)
        found = [self._turns.alike]
        if replay.shows(rhythm.again if looping else [], rhythm.maybe, rhythm.within):
            found += [rhythm.alike if looping else 0.0, replay.alike]
        return max((item for item in found if item is not None), default=None)

    def _stood(self, *, same: bool, nothing: bool) -> None:
        """Leave time out of what a loop is known by in which the picture was frozen, or showed nothing: what an encoder makes of that comes again, too.

        A single look that is the same again may be that of a loop whose length is that of some looks.
        """
        self._still_looks = self._still_looks + 1 if same else 0
        still = nothing or self._still_looks >= STILL_LOOKS
        self._recurrence.stood(still=still)
        if still:
            self._loop.still()


def _learn(
    item: Settling, seen: Fingerprint, before: Fingerprint | None, sound: Fingerprint | None, t: Thresholds
) -> None:
    """Let a view take in a look, unless it is covered or moved beside the view as it was approved, though not beside what counts of it now.

    Such a look must not be learnt from: a cover that grows by a little each few minutes would be learnt away.
    """
    pair = Pair(seen, item.approved)
    if item.view is not item.approved:
        matched = best_of([pair], before, sound)
        if rules.covered(matched, t) or rules.moved(matched, t):
            return
    item.learn(pair)
