"""What one device wants: how it is told that its session is still watched, and that a login by digest works there."""

from __future__ import annotations

from typing import Literal

KeepAlive = Literal["GET_PARAMETER", "OPTIONS"]

NOT_UNDERSTOOD = frozenset({400, 405, 451, 455, 501, 551})
"""Answers that mean that the method, and not the session, is what the device doesn't like."""
CLOSED_SECONDS = 3.0
"""A device that ends the connection so soon after a sign of life may have ended it because of that."""
HANG_UPS = 2
"""So often in a row is no chance."""


def offered(public: str) -> KeepAlive:
    """Return the method to begin with, by the Public header of OPTIONS."""
    methods = {method.strip().upper() for method in public.split(",")}
    return "GET_PARAMETER" if "GET_PARAMETER" in methods else "OPTIONS"


class Habit:
    """What one device bears; shared by all connections to it."""

    def __init__(self) -> None:
        """Know nothing."""
        self._learnt: KeepAlive | None = None
        self._hang_ups = 0
        self.knows_digest = False
        """A login by digest has worked: who asks for the password itself thereafter may be somebody in between."""

    def method(self, public: str) -> KeepAlive:
        """Return the method as learnt, else as the device offers."""
        return self._learnt or offered(public)

    def borne(self) -> None:
        """A sign of life was answered, and the connection went on."""
        self._hang_ups = 0

    def hung_up(self, method: KeepAlive) -> None:
        """The device ended the connection right after a sign of life, or without having answered one."""
        self._hang_ups += 1
        if self._hang_ups >= HANG_UPS:
            self.refused(method)

    def refused(self, method: KeepAlive) -> KeepAlive:
        """The device doesn't know the method; return the other one, which is taken from now on."""
        self._hang_ups = 0
        self._learnt = "OPTIONS" if method == "GET_PARAMETER" else "GET_PARAMETER"
        return self._learnt


class Habits:
    """What was learnt of devices, by address and port; forgotten at a restart."""

    def __init__(self) -> None:
        """Know nothing."""
        self._habits: dict[str, Habit] = {}

    def of(self, place: str) -> Habit:
        """Return the habit of the device at HOST:PORT."""
        return self._habits.setdefault(place, Habit())
