"""The driver of a recorder that no program can read: nothing is asked of it, a person says what it holds."""

from __future__ import annotations

from collections import deque
from typing import NoReturn

from agents.recorders.base import Channel, Cost, Disk, Exchange, Footage, Identity, NotOffered, OffersNothing, Progress
from agents.recorders.settings import DriverOptions, RecorderSettings
from monitor.model.span import Millis


class AttestedOptions(DriverOptions):
    """Nothing: a recorder that isn't asked needs no keys of its own."""


class Attested(OffersNothing):
    """A recorder whose storage a person states, with a name and an end (`agent attest storage`). Contacts nothing."""

    cost: Cost = "free"

    def __init__(self, settings: RecorderSettings) -> None:
        """Prepare; no I/O. Raises OptionsError."""
        AttestedOptions.read(settings.id, "attested", settings.options)
        self._id = settings.id
        self.exchanges: deque[Exchange] = deque(maxlen=0)

    async def close(self) -> None:
        """Hold nothing open: there is nothing to let go of."""

    def stream_url(self, channel: str, main: bool) -> str | None:  # noqa: ARG002  (the port's signature)
        """Return None: no stream is known by itself; a camera's `stream` may be written down."""
        return None

    async def identity(self) -> Identity:
        """Raise NotOffered."""
        self._refuse()

    async def channels(self) -> tuple[Channel, ...]:
        """Raise NotOffered."""
        self._refuse()

    async def disks(self) -> tuple[Disk, ...]:
        """Raise NotOffered."""
        self._refuse()

    async def clock_offset(self) -> float:
        """Raise NotOffered."""
        self._refuse()

    async def footage(self, channel: str, start: Millis, end: Millis, progress: Progress | None = None) -> Footage:  # noqa: ARG002  (the port's signature)
        """Raise NotOffered: a statement is no index, and is never turned into one."""
        self._refuse()

    async def earliest(self, channel: str) -> Millis | None:  # noqa: ARG002  (the port's signature)
        """Raise NotOffered."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotOffered(
            f"Recorder {self._id} is read by a person, not by a program: say what it holds with `cradlewatch agent attest "
            f"storage --subject recorder/{self._id} --by NAME`."
        )
