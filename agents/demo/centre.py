"""The demo's collector: its configuration, the entries in its register, and what its API tells."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httpx2

from agents.demo.institution import Json
from agents.demo.processes import DemoError
from monitor.model.clock import Clock

HOST: Final = "127.0.0.1"
USUAL_PORT: Final = 8420
USER: Final = "inspector"
READY_SECONDS: Final = 60.0
ASK_SECONDS: Final = 30.0
EASY_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""None that looks like another one: a person types the password."""

COLLECTOR_YAML: Final = """\
# A minute has to show what a day shows elsewhere.
database_url: sqlite:///collector.sqlite
evaluate_every: 2s
"""


def new_password() -> str:
    """Return a password of 60 bits that can be read out."""
    return "-".join("".join(secrets.choice(EASY_LETTERS) for _ in range(4)) for _ in range(3))


def hold_port(wanted: int | None) -> socket.socket:
    """Return a socket on the port for the pages: the one asked for, else the usual one, else any. Raises DemoError.

    It listens, so that nobody else takes the port, and is handed down to the collector.
    """
    for port in (wanted,) if wanted else (USUAL_PORT, 0):
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((HOST, port))
            held.listen()
        except OSError:
            held.close()
            continue
        return held
    raise DemoError(f"--port {wanted}: {HOST}:{wanted} is in use or not allowed; give another one, or none")


@dataclass(frozen=True)
class Access:
    """How people and scripts come in."""

    url: str
    user: str
    password: str
    token: str


class Centre:
    """Asks the collector's API, as any script could."""

    def __init__(self, url: str, clock: Clock) -> None:
        """Know where it listens."""
        self.url = url
        self._clock = clock
        self._client = httpx2.AsyncClient(base_url=url, timeout=ASK_SECONDS, trust_env=False)

    def sign_in(self, token: str) -> None:
        """Use an API token from now on."""
        self._client.headers["Authorization"] = f"Bearer {token}"

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def wait_until_ready(self, check: Callable[[], None]) -> None:
        """Wait until it serves those who are signed in: another demo's collector doesn't know us. Raises DemoError when it doesn't in time, and what `check`, asked meanwhile, raises."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                while not await self._is_ready():
                    check()
                    await self._clock.sleep(0.1)
        except TimeoutError:
            raise DemoError(f"the collector did not answer within {READY_SECONDS:g} s") from None

    async def _is_ready(self) -> bool:
        try:
            answer = await self._client.get("/api/v1/institutions", params={"limit": "1"})
        except httpx2.HTTPError:
            return False
        return answer.status_code == httpx2.codes.OK

    async def findings(self) -> list[Json]:
        """Return all findings, the oldest opened first."""
        items = await self._list("/api/v1/findings")
        return sorted(items, key=lambda item: (item["opened_at"], item["institution"], item["requirement"]))

    async def institutions(self) -> list[Json]:
        """Return all institutions, the worst first."""
        return await self._list("/api/v1/institutions")

    async def _list(self, path: str) -> list[Json]:
        items: list[Json] = []
        after: str | None = None
        while True:
            parameters = {"limit": "100"} | ({"after": after} if after else {})
            page = await self._get(path, parameters)
            items += page["items"]
            after = page["next"]
            if after is None:
                return items

    async def _get(self, path: str, parameters: dict[str, str]) -> Json:
        try:
            answer = await self._client.get(path, params=parameters)
            answer.raise_for_status()
            value: Json = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise DemoError(f"the collector did not answer {path}: {error}") from None
        return value
