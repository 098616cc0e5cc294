"""Which addresses the agent may contact: those in the site's declared networks, each name resolved once and pinned."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Iterable
from functools import partial

from agents.rtsp.errors import StreamError
from monitor.model.observation import StreamCause

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_BROADCAST = ipaddress.ip_address("255.255.255.255")


class AddressBook:
    """Names to addresses, inside the declared networks only.

    A name keeps the address of its first resolution for as long as the agent runs, so that a changed DNS answer can't lead
    the agent (and its credentials) elsewhere, not to another device of the same network either; `forget` lets it be
    resolved anew.
    """

    def __init__(self, networks: Iterable[Network], resolve_seconds: float = 5.0) -> None:
        """Allow the addresses inside `networks`; a name's resolution may take `resolve_seconds`."""
        self._networks = tuple(networks)
        self._resolve_seconds = resolve_seconds
        self._pinned: dict[str, str] = {}
        self._since: dict[str, float] = {}
        """When each was pinned, by the event loop's time."""
        self._asking: dict[str, asyncio.Future[list[str]]] = {}
        """Look-ups under way; one that hangs serves all later attempts until it ends."""

    def allows(self, address: str) -> bool:
        """Tell whether the numeric address may be contacted; a text that is no address may not."""
        parsed = _parse(address)
        if (
            parsed is None
            or parsed.is_multicast
            or parsed.is_link_local
            or parsed.is_unspecified
            or parsed == _BROADCAST
        ):
            return False
        inside = [network for network in self._networks if parsed.version == network.version and parsed in network]
        if parsed.is_loopback:
            # 0.0.0.0/0 is no permission to talk to this very machine: loopback must be meant.
            return any(_is_loopback_network(network) for network in inside)
        return bool(inside)

    async def resolve(self, host: str, port: int) -> str:
        """Return the numeric address of `host`, the same one each time.

        Raises StreamError: not_allowed outside the declared networks, no_connection when the name has no address or
        isn't answered in time.
        """
        if host in self._pinned:
            return self._pinned[host]
        candidates = [host] if _parse(host) is not None else await self._look_up(host, port)
        if (address := self._pin(host, candidates)) is not None:
            return address
        shown = host if candidates == [host] else f"{host} ({', '.join(candidates[:3])})"
        detail = (
            f"{shown} lies outside the site's declared networks: add its network to `networks` or correct the address"
        )
        raise StreamError(StreamCause.NOT_ALLOWED, "connect", detail)

    def forget(self, host: str) -> None:
        """Let the name be resolved anew, as after a person changed the site's addresses."""
        self._pinned.pop(host, None)
        self._since.pop(host, None)

    def kept_seconds(self, host: str) -> float:
        """Return for how long the address of a name has been kept; 0 for an address."""
        if host not in self._since or _parse(host) is not None:
            return 0.0
        return asyncio.get_running_loop().time() - self._since[host]

    async def _look_up(self, host: str, port: int) -> list[str]:
        if host not in self._asking:
            self._asking[host] = _in_a_thread(host, port)
            self._asking[host].add_done_callback(partial(self._answered, host))
        try:
            async with asyncio.timeout(self._resolve_seconds):
                found = await asyncio.shield(self._asking[host])
        except TimeoutError:
            detail = f"the name {host} was not resolved within {self._resolve_seconds:g} s"
            raise StreamError(StreamCause.NO_CONNECTION, "connect", detail, inconclusive=True) from None
        if not found:
            detail = f"the name {host} could not be resolved"
            raise StreamError(StreamCause.NO_CONNECTION, "connect", detail, inconclusive=True)
        return found

    def _answered(self, host: str, answer: asyncio.Future[list[str]]) -> None:
        """Keep an answer that came when nobody waited any more: where the first of two name servers is gone, each takes that long."""
        self._asking.pop(host, None)
        if not answer.cancelled():
            self._pin(host, answer.result())

    def _pin(self, host: str, candidates: Iterable[str]) -> str | None:
        """Keep the first address that may be contacted, and return it; None where there is none."""
        for candidate in candidates:
            if self.allows(candidate):
                # Another look-up of the same name may have been quicker: the first pin stays.
                self._since.setdefault(host, asyncio.get_running_loop().time())
                return self._pinned.setdefault(host, str(_parse(candidate)))
        return None


def _in_a_thread(host: str, port: int) -> asyncio.Future[list[str]]:
    """Look a name up in a thread of its own; without an address the answer is empty.

    The system's resolver hangs for half a minute where the site's name server is gone. Among the event loop's own few threads
    such look-ups would keep all else waiting that needs one, and a stop, too.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def tell(found: list[str]) -> None:
        if not answer.done():
            answer.set_result(found)

    def ask() -> None:
        found: list[str] = []
        with contextlib.suppress(OSError, UnicodeError):
            found = [str(place[0]) for *_, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell, found)

    threading.Thread(target=ask, name=f"name {host}", daemon=True).start()
    return answer


def _parse(text: str) -> Address | None:
    """Return the address, an IPv4 one where it is wrapped in IPv6; None when it is a name."""
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(parsed, "ipv4_mapped", None)
    return mapped if mapped is not None else parsed


def _is_loopback_network(network: Network) -> bool:
    return any(
        isinstance(network, type(loopback)) and network.subnet_of(loopback)  # type: ignore[arg-type]
        for loopback in _LOOPBACK
    )
