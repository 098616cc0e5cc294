"""Live streams by ONVIF: the profiles of a device's media service, and the address of one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from agents.recorders import onvif_parse as parse
from agents.recorders.base import NOT_OFFERED, NotOffered, RecorderError
from agents.recorders.http import DeviceHttp
from agents.recorders.onvif_soap import MEDIA, MEDIA2, Service, Soap, element
from agents.recorders.settings import RecorderSettings
from monitor.model.observation import StreamCause

NO_STREAM = frozenset({NOT_OFFERED, StreamCause.NOT_PERMITTED, StreamCause.NOT_FOUND, StreamCause.RECORDER})
"""Answers by which a device has no stream to tell of."""
STREAM_SETUP = (
    "<tns:StreamSetup><tt:Stream>RTP-Unicast</tt:Stream>"
    "<tt:Transport><tt:Protocol>RTSP</tt:Protocol></tt:Transport></tns:StreamSetup>"
)
_RTSP = 554
_LAST_NUMBER = re.compile(r"([0-9]{1,6})[^0-9]*$")


class LiveStreams:
    """One device's live streams."""

    def __init__(self, settings: RecorderSettings, http: DeviceHttp, soap: Soap) -> None:
        """Prepare; no I/O."""
        self._settings = settings
        self._http = http
        self._soap = soap

    async def profiles(self) -> tuple[Service, tuple[parse.Profile, ...]]:
        """Return the live profiles, and the media service that knows them: the older one where there are both.

        Raises RecorderError.
        """
        try:
            return MEDIA, await self._soap.ask(MEDIA, "GetProfiles", parse.profiles)
        except NotOffered:
            inner = "".join(element("Type", kind) for kind in ("VideoSource", "VideoEncoder"))
            return MEDIA2, await self._soap.ask(MEDIA2, "GetProfiles", parse.profiles, inner)

    async def url_of(self, service: Service, profile: parse.Profile) -> str | None:
        """Return a profile's address on the device's own host; None where it has none to tell. Raises RecorderError."""
        how = STREAM_SETUP if service is MEDIA else element("Protocol", "RTSP")
        inner = f"{how}{element('ProfileToken', profile.token)}"
        try:
            place = await self._soap.ask(service, "GetStreamUri", parse.rtsp_place, inner, f"profile {profile.token}")
        except RecorderError as error:
            if error.cause not in NO_STREAM:
                raise
            return None
        return self.url(place)

    def url(self, place: parse.RtspPlace) -> str:
        """Return where an address that the device told is, on the device's own host."""
        # A port in site.yaml that is not RTSP's own was set on purpose, for a device behind a router.
        port = place.port if place.port and self._settings.rtsp_port == _RTSP else self._settings.rtsp_port
        return f"rtsp://{self._http.shown_host}:{port}{place.path}"


def own_profiles(profiles: Iterable[parse.Profile], source: str | None) -> list[parse.Profile]:
    """Return the profiles of one video source, the largest picture first: the main stream, and last the sub-stream."""
    return sorted((one for one in profiles if one.source == source), key=lambda one: -one.pixels)


def source_of(channel: str, sources: Collection[str], listed: Collection[str]) -> str | None:
    """Return which video source is a numbered channel's, by the number that its token ends in; None where that isn't sure.

    `listed` are the channels as the maker's own interface numbers them, from 1. Makes count sources from 1 or from 0:
    which one it is must follow from the two lists, for another room's picture would be worse than none. Pure.
    """
    if len(sources) == 1 and list(listed) == [channel]:
        return next(iter(sources))
    found = {source: _LAST_NUMBER.search(source) for source in sources}
    numbered = {int(match[1]): source for source, match in found.items() if match is not None}
    channels = {int(one) for one in listed if one.isdecimal()}
    if len(numbered) != len(sources) or not numbered or not channels or not channel.isdecimal():
        return None
    from_zero = {number + 1 for number in numbered}
    counts_from_one = 0 not in numbered and _is_part(set(numbered), channels)
    if counts_from_one == _is_part(from_zero, channels):
        return None
    return numbered.get(int(channel) - (0 if counts_from_one else 1))


def _is_part(one: set[int], other: set[int]) -> bool:
    """Whether one list holds the other: devices leave out what is off line, or list what isn't set up."""
    return one <= other or other <= one
