"""What a driver is given: where its recorder is, by which login, and its own options in site.yaml."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, ValidationError

from monitor.model.clock import Clock
from monitor.regulations.messages import said


class OptionsError(ValueError):
    """A recorder's settings in site.yaml are wrong; the text is one sentence for people."""


class Addresses(Protocol):
    """Where a host may be reached: inside the site's declared networks, pinned."""

    async def resolve(self, host: str, port: int) -> str:
        """Return the IP address to connect to; raise when it may not be contacted."""
        ...


class Attempt(Protocol):
    """One login under the breaker's eye."""

    @property
    def proven(self) -> bool:
        """Whether this process saw the device take the credentials, and nothing has refused them since."""
        ...

    def unused(self) -> None:
        """Say that nothing was sent after all."""
        ...

    def accepted(self) -> None:
        """Say that the credentials were taken."""
        ...

    def refused(self) -> None:
        """Say that the credentials were refused."""
        ...

    def forbidden(self) -> None:
        """Say that the answer was 403 and does not tell whether the credentials or a right were missing."""
        ...

    def unclear(self) -> None:
        """Say that the device answered, but nothing about the credentials."""
        ...


class Breaker(Protocol):
    """One per site: a refused login stops all further ones with the same credentials."""

    def attempt(self, host: str, user: str, password: str) -> AbstractAsyncContextManager[Attempt]:
        """Open one login at a numeric address; raises agents.breaker.LoginHeld when it may not be tried."""
        ...


@dataclass(frozen=True)
class Reply:
    """A whole answer of a device and what was asked, for `agent record-device`: bytes that may hold secrets."""

    method: str
    path: str
    content: bytes | None
    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True)
class RecorderSettings:
    """All that a driver needs to know and to hold; the password never appears in its repr."""

    id: str
    driver: str
    timezone: ZoneInfo
    addresses: Addresses
    breaker: Breaker
    clock: Clock
    url: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    password_now: Callable[[], str] | None = field(default=None, repr=False)
    """What it is by now, where it may be corrected while the agent runs; None: it stays as it is."""
    options: Mapping[str, Any] = field(default_factory=dict)
    rtsp_port: int = 554
    ports: frozenset[int] = frozenset()
    """The ports of its host that site.yaml writes: it may send the agent there, and to the services' own."""
    base_dir: Path = field(default_factory=Path)
    """What relative paths in the options are relative to: the folder of site.yaml."""
    state_dir: Path | None = None
    """Where a driver may keep what it learnt, over restarts; None: nowhere."""
    old_tls: bool = False
    """It may speak TLS 1.0 and 1.1."""
    tls_fingerprint: str | None = None
    """SHA-256 of the recorder's certificate, hex; pinned on first use when None."""
    fingerprint_seen: Callable[[str], None] | None = None
    """Told the fingerprint when it is pinned on first use, so that the caller may keep it."""
    tap: Callable[[Reply], None] | None = None
    """Told each whole answer of the device; nothing else ever keeps one."""


class DriverOptions(BaseModel):
    """A driver's own keys under its recorder in site.yaml; unknown ones are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def read(cls, recorder_id: str, driver: str, options: Mapping[str, Any]) -> Self:
        """Check the options. Raises OptionsError with a sentence naming recorder, driver and key."""
        try:
            return cls.model_validate(dict(options))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"]) or "options"
            known = ", ".join(cls.model_fields)
            sentence = {
                "extra_forbidden": f"unknown key {key!r}; driver {driver} knows: {known}",
                "missing": f"the key {key!r} is missing; driver {driver} needs it",
            }.get(
                first["type"],
                f"key {key!r}: {said(first)}",
            )
            msg = f"recorder {recorder_id}: {sentence}"
            raise OptionsError(msg) from error
