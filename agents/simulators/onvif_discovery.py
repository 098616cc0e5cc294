"""A device that answers WS-Discovery's probes over UDP, honestly or not."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Self
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

_MESSAGE_ID: Final = "{http://schemas.xmlsoap.org/ws/2004/08/addressing}MessageID"
_TYPES: Final = "{http://schemas.xmlsoap.org/ws/2005/04/discovery}Types"
ANSWER: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<S:Envelope xmlns:S="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
    'xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:dn="http://www.onvif.org/ver10/network/wsdl">'
    "<S:Header><a:MessageID>urn:uuid:0</a:MessageID><a:RelatesTo>{relates_to}</a:RelatesTo>"
    "<a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</a:Action></S:Header>"
    "<S:Body><d:ProbeMatches><d:ProbeMatch><a:EndpointReference><a:Address>{endpoint}</a:Address></a:EndpointReference>"
    "<d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>{scopes}</d:Scopes><d:XAddrs>{addresses}</d:XAddrs>"
    "<d:MetadataVersion>1</d:MetadataVersion></d:ProbeMatch></d:ProbeMatches></S:Body></S:Envelope>\n"
)
_OTHER: Final = "<d:ProbeMatch><d:XAddrs>{address}</d:XAddrs></d:ProbeMatch>"


@dataclass
class DiscoverableDevice(asyncio.DatagramProtocol):
    """`async with DiscoverableDevice(...) as device`: answers at `device.place` what it is set to."""

    addresses: tuple[str, ...] = ("http://127.0.0.1/onvif/device_service",)
    name: str = "NVR"
    hardware: str = "NVR302-16S2"
    endpoint: str = "urn:uuid:00000000-0000-1000-8000-000000000001"
    relates_to: str = ""  # instead of the probe's own number
    before: tuple[bytes, ...] = ()  # datagrams that are sent first
    crowd: tuple[str, ...] = ()  # addresses of further devices for which it answers
    host: str = "127.0.0.1"
    probes: Counter[str] = field(default_factory=Counter)
    transport: asyncio.DatagramTransport | None = None

    @property
    def place(self) -> tuple[str, int]:
        """Where it listens."""
        if self.transport is None:
            raise RuntimeError("the device isn't running")
        host, port = self.transport.get_extra_info("sockname")[:2]
        return str(host), int(port)

    async def __aenter__(self) -> Self:
        """Start."""
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self.host, 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        if self.transport is not None:
            self.transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a probe."""
        root = ET.fromstring(data)  # noqa: S314  (a simulator on loopback; expat bounds entity expansion)
        self.probes[root.findtext(f".//{_TYPES}", "")] += 1
        scopes = (
            "onvif://www.onvif.org/Profile/G",
            f"onvif://www.onvif.org/name/{self.name}",
            f"onvif://www.onvif.org/hardware/{self.hardware}",
        )
        answer = ANSWER.format(
            relates_to=escape(self.relates_to or root.findtext(f".//{_MESSAGE_ID}", "")),
            endpoint=escape(self.endpoint),
            scopes=escape(" ".join(scopes)),
            addresses=escape(" ".join(self.addresses)),
        )
        begin = answer.index("<d:ProbeMatch>")
        others = "".join(_OTHER.format(address=escape(one)) for one in self.crowd)
        answer = answer[:begin] + others + answer[begin:]
        if self.transport is not None:
            for datagram in (*self.before, answer.encode()):
                self.transport.sendto(datagram, addr)
