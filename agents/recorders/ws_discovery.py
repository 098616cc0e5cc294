"""Finding ONVIF devices on the site's networks: WS-Discovery's probe by multicast, and its answers with care."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from agents.recorders import xml

GROUP = ("239.255.255.250", 3702)
"""Where WS-Discovery (April 2005) listens; probes go one hop far."""

PROBED_VERSION = 4
"""Of IP: the group above is an IPv4 one."""

MAX_DEVICES = 256
MAX_DEVICES_EACH = 16
"""So many devices are believed of one address: it may answer for others, and must not take the room of all."""
MAX_DATAGRAMS = 8
"""So many answers of one address are looked at: an honest device sends one a probe."""

MAX_BYTES = 32 * 1024
PROBES_APART_SECONDS = 0.25

_TYPES = ("dn:NetworkVideoTransmitter", "tds:Device")
_SCOPE = "onvif://www.onvif.org/"
_PROBE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
    'xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" '
    'xmlns:dn="http://www.onvif.org/ver10/network/wsdl" xmlns:tds="http://www.onvif.org/ver10/device/wsdl">'
    "<e:Header><w:MessageID>{message_id}</w:MessageID>"
    '<w:To e:mustUnderstand="true">urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>'
    '<w:Action e:mustUnderstand="true">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>'
    "<e:Body><d:Probe><d:Types>{types}</d:Types></d:Probe></e:Body></e:Envelope>"
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Place = tuple[str, int]


@dataclass(frozen=True)
class Device:
    """An ONVIF device that answered, as it describes itself; texts are empty where it says nothing."""

    url: str
    """Its device service, inside the site's networks."""
    name: str
    hardware: str
    endpoint: str
    """What it calls itself for good: usually a UUID."""

    @property
    def address(self) -> str:
        """The numeric address in `url`."""
        return urlsplit(self.url).hostname or ""


async def discover(
    networks: Sequence[Network], *, seconds: float = 3.0, group: Place = GROUP, most: int = MAX_DEVICES
) -> tuple[Device, ...]:
    """Return the devices that answer a probe within `seconds`, by address; the first `most` of them.

    Answers from outside `networks`, and addresses outside them in any answer, are left out: names are never looked up.
    `group` may be a single device. Raises OSError when this machine has no socket for it.
    """
    messages = {f"urn:uuid:{uuid.uuid4()}": types for types in _TYPES}
    probes = [_PROBE.format(message_id=name, types=types).encode() for name, types in messages.items()]
    listener = _Listener(networks, frozenset(messages), most)
    loop = asyncio.get_running_loop()
    transports = []
    try:
        for local in _local_addresses(networks, group):
            transport, _ = await loop.create_datagram_endpoint(lambda: listener, sock=_socket(local))
            transports.append(transport)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await _probe(transports, probes, group)
                await listener.enough.wait()
    finally:
        for transport in transports:
            transport.close()
    return tuple(sorted(listener.devices, key=lambda one: (int(ipaddress.ip_address(one.address)), one.url)))


async def _probe(transports: list[asyncio.DatagramTransport], probes: list[bytes], group: Place) -> None:
    """Send each probe twice, as the protocol asks of what may be lost."""
    for again in range(2):
        if again:
            await asyncio.sleep(PROBES_APART_SECONDS)
        for transport in transports:
            for probe in probes:
                transport.sendto(probe, group)


def _local_addresses(networks: Iterable[Network], group: Place) -> list[str]:
    """Return the addresses of this machine from which the networks (or a single device) are reached, without sending."""
    target = ipaddress.ip_address(group[0])
    wanted = [one.network_address + 1 for one in networks if one.version == target.version and one.num_addresses > 1]
    wanted += [one.network_address for one in networks if one.version == target.version and one.num_addresses == 1]
    found: dict[str, None] = {}
    for address in wanted if target.is_multicast else [target]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
            probe.connect((str(address), group[1]))
            found[probe.getsockname()[0]] = None
    return list(found)


def _socket(local: str) -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        one.setblocking(False)
        one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(local))
        one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        one.bind((local, 0))
    except OSError:
        one.close()
        raise
    return one


class _Listener(asyncio.DatagramProtocol):
    """Collects answers to our probes, so many of each address and so many in all."""

    def __init__(self, networks: Sequence[Network], message_ids: frozenset[str], most: int) -> None:
        self.devices: dict[Device, None] = {}
        self.enough = asyncio.Event()
        self._networks = networks
        self._message_ids = message_ids
        self._most = most
        self._datagrams: Counter[str] = Counter()
        self._told: Counter[str] = Counter()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        source = addr[0]
        if self.enough.is_set() or not _is_inside(source, self._networks):
            return
        self._datagrams[source] += 1
        if self._datagrams[source] > MAX_DATAGRAMS:
            return
        for device in matches(data, self._message_ids, self._networks):
            if device in self.devices or self._told[source] >= MAX_DEVICES_EACH:
                continue
            self._told[source] += 1
            self.devices[device] = None
            if len(self.devices) >= self._most:
                self.enough.set()
                return

    def error_received(self, exc: Exception) -> None:
        """A port that refuses answers for one device; the others may still come."""


def matches(data: bytes, message_ids: frozenset[str], networks: Sequence[Network]) -> tuple[Device, ...]:
    """Read one datagram: the devices in it that answer one of our probes and lie inside `networks`. Never raises."""
    if len(data) > MAX_BYTES:
        return ()
    try:
        root = xml.parse(data)
    except xml.XmlError:
        return ()
    if (root.value("Header", "RelatesTo") or "") not in message_ids:
        return ()
    told = root.find("Body", "ProbeMatches")
    found = (_device(node, networks) for node in (told.all("ProbeMatch") if told is not None else []))
    return tuple(device for device in found if device is not None)


def _device(node: xml.Node, networks: Sequence[Network]) -> Device | None:
    urls = [url for url in (node.value("XAddrs") or "").split() if _is_usable(url, networks)]
    if not urls:
        return None
    scopes = (node.value("Scopes") or "").split()
    return Device(urls[0], _scope(scopes, "name"), _scope(scopes, "hardware"), _endpoint(node))


def _endpoint(node: xml.Node) -> str:
    return "".join(sign for sign in node.value("EndpointReference", "Address") or "" if sign.isprintable())[:100]


def _scope(scopes: list[str], what: str) -> str:
    """Return what a device's scopes say of its name or hardware."""
    start = f"{_SCOPE}{what}/"
    text = next((unquote(one[len(start) :]) for one in scopes if one.startswith(start)), "")
    return "".join(sign for sign in text if sign.isprintable()).strip()[:100]


def _is_usable(url: str, networks: Sequence[Network]) -> bool:
    """Whether a device service's address is plain http(s), numeric, and inside the site's networks."""
    try:
        parts = urlsplit(url)
        plain = parts.scheme in {"http", "https"} and parts.username is None and parts.port != 0
    except ValueError:
        return False
    fits = len(url) <= 300 and url.isascii() and url.isprintable()
    return plain and fits and _is_inside(parts.hostname or "", networks)


def _is_inside(address: str, networks: Iterable[Network]) -> bool:
    try:
        numeric = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(numeric in network for network in networks)
