"""When a camera's next look is due: sooner while something is being confirmed, later while its pictures break decoders."""

from __future__ import annotations

FORGIVEN = 2
"""So many looks in a row may fail before the next ones come more seldom: a packet may be lost, twice."""
MOST_SECONDS = 300.0
COSTLY_FIRST_SECONDS = 60.0
COSTLY_MOST_SECONDS = 3600.0
"""For pictures that kept the decoder busy until it was killed: all other cameras waited for that."""
DEAR_SECONDS = 0.5
"""Of the decoder's processor time: a look that takes more is dear."""
DEAR_TIMES = 10.0
"""After a dear look so many times as long passes: a tenth of the decoder's time is one camera's, and the others' the rest."""
JITTER_SECONDS = 0.05
"""By so much a keyframe may come late and still be the one that was reckoned with."""
SOONEST_SHARE = 0.25
"""Of the usual distance passes in any case: keyframes that came seldom in the last minute may come with each frame in this one."""


def rest_after(took: float) -> float:
    """Return for how long a camera leaves the decoder to the others after it had so many seconds of its processor time; 0 where that was little."""
    return DEAR_TIMES * took if took > DEAR_SECONDS else 0.0


def rest_after_kills(kills: int) -> float:
    """Return for how long a camera leaves the decoder to the others after it has cost its life so many times."""
    return min(COSTLY_FIRST_SECONDS * 2.0 ** (kills - 1), COSTLY_MOST_SECONDS)


class Rhythm:
    """One camera's looks. Seconds throughout."""

    def __init__(self, look_every: float, confirm_every: float) -> None:
        """Take the usual distance of two looks, and that while a change is being confirmed."""
        self._look_every = look_every
        self._confirm_every = confirm_every
        self._failed = 0
        self._costly = 0
        self._took = 0.0

    @property
    def failures(self) -> int:
        """How many looks in a row have failed."""
        return self._failed

    @property
    def blind(self) -> bool:
        """Whether looks fail so often that the picture isn't known: one keyframe may come damaged.

        A decoder that has died knows of no look before. Whose pictures kill it again and again between good ones would never be seen to be frozen.
        """
        return self._failed > 1 or self._costly > 1

    def looked(self, took: float = 0.0) -> None:
        """A look worked, and took so many seconds of the decoder's processor time."""
        if not self._failed:  # one good picture between bad ones doesn't buy all others a stop
            self._costly = max(0, self._costly - 1)
        self._failed, self._took = 0, took

    def broke(self, took: float = 0.0, *, costly: bool) -> None:
        """A look failed, after so many seconds of the decoder's processor time; `costly`: after it had used it up."""
        self._failed, self._took = self._failed + 1, took
        self._costly += costly

    def wait(self, *, confirming: bool, keyframe_seconds: float | None = None) -> float:
        """Return how long after the last keyframe that was looked at the next one is looked at.

        Where keyframes come every `keyframe_seconds`, it is the last one within the usual distance of two looks: what begins just after a
        look is seen no later than that.
        """
        if self._failed and self._costly:
            return max(self._look_every, rest_after_kills(self._costly))
        rest = rest_after(self._took)
        if self._failed > FORGIVEN:
            return max(self._look_every, rest, min(self._look_every * 2.0 ** (self._failed - FORGIVEN), MOST_SECONDS))
        usual = self._confirm_every if confirming or self._failed else self._look_every
        if rest:
            return max(usual, rest)
        return max(SOONEST_SHARE * usual, usual - max(0.0, (keyframe_seconds or 0.0) - JITTER_SECONDS))
