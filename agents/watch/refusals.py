"""Whose refusals say that a recorder is full: one that refuses a single camera, and serves others in its place, is not."""

from __future__ import annotations

from collections import Counter

SURE = 2
"""So often must others be served in a camera's place: once, the recorder may have started, or people on site have gone away."""


class Refusals:
    """A recorder's refusals since the last lesson, and the cameras that are known to be refused for their own sake.

    A channel without a picture may be answered as a full recorder answers (500, 503, or not at all). Two refusals in a row are
    believed, whoever they meet. Whether they were the cameras' own is seen afterwards: where, twice, somebody else is served
    though no fewer run than when they were refused.
    """

    def __init__(self) -> None:
        """Know of none."""
        self._pending: set[str] = set()
        self._in_a_row = 0
        self._at: dict[str, int] = {}
        """How many ran when a camera was last refused, by camera."""
        self._passed: Counter[str] = Counter()
        """How often others were served in a camera's place since it was served itself."""

    @property
    def pending(self) -> bool:
        """Whether a refusal is to be learnt from."""
        return bool(self._pending)

    @property
    def own(self) -> frozenset[str]:
        """The cameras whose refusals are their own: the recorder served others in their place."""
        return frozenset(name for name, times in self._passed.items() if times >= SURE)

    def refused(self, who: str) -> None:
        """A camera was refused."""
        if self._passed[who] < SURE:
            self._pending.add(who)

    def take(self, playing: int) -> tuple[frozenset[str], bool]:
        """Return who was refused since the last time, while so many others run, and whether it came again.

        One refusal alone may be a moment's, or one camera's.
        """
        who = frozenset(self._pending)
        self._pending.clear()
        self._at.update(dict.fromkeys(who, playing))
        self._in_a_row += len(who)
        again = self._in_a_row > 1
        if again:
            self._in_a_row = 0
        return who, again

    def served(self, who: str, playing: int) -> None:
        """A camera is served now, and `playing` run with it."""
        self._in_a_row = 0
        self._passed.pop(who, None)
        self._at.pop(who, None)
        for other in [name for name, ran in self._at.items() if playing > ran]:
            self._passed[other] += 1
            del self._at[other]
