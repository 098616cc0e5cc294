"""A site's devices put together: addresses, logins, drivers, budgets and the way to each stream."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from agents.breaker import Breaker
from agents.pins import Pins
from agents.recorders.base import Recorder, StreamPlayback
from agents.recorders.onvif_beside import OnvifBeside
from agents.recorders.registry import DRIVERS
from agents.recorders.settings import RecorderSettings
from agents.rtsp.address import AddressBook
from agents.rtsp.client import open_stream
from agents.rtsp.errors import StreamError
from agents.rtsp.habit import Habits
from agents.rtsp.request import Deadlines, Login, Playback, StreamRequest, shown
from agents.rtsp.session import Trace
from agents.rtsp.stream import Stream
from agents.scan.memory import ForNow, Keep, Memory
from agents.scan.recorder import Channelled, RecorderScan
from agents.scan.settings import SettingsScan
from agents.secret import Credentials, Password
from agents.site import CameraConfig, RecorderConfig, Site
from agents.watch.budget import Budget, Seat
from agents.watch.failure import Around, meaning
from agents.watch.reach import GATEWAY_PORTS, Endpoint, Reach, tcp_greet, tcp_knock
from agents.watch.track import Sink
from agents.ways import Way, Ways
from monitor.model.clock import Clock
from monitor.model.observation import StreamCause

WATCH_DEADLINES = Deadlines()
PLAYBACK_DEADLINES = Deadlines(total=20.0, answer=10.0, first_frame=10.0)
"""A disk that has to be found and wound back to is slower than a camera."""
HTTP_PORTS = {"http": 80, "https": 443}
CHANNELS_SECONDS = 900.0
"""A channel list this old still tells where streams are."""
_NOT_ASKED = frozenset({StreamCause.UNAUTHORIZED, StreamCause.CREDENTIALS_HELD, StreamCause.NO_STREAM})
"""Causes for which the recorder's word on the channel decides nothing."""
ASKED = "the recorder's ONVIF address"
DAY_SECONDS = 24 * 3600.0
FRAMES_SECONDS = 2.0
"""A recorder through which a frame came this lately answers."""
RTSP_PORTS = {"rtsp": 554, "rtsps": 322}


class Station:
    """All that `check` and `run` need to ask a site's devices. Nothing is contacted before it is asked for."""

    def __init__(
        self,
        site: Site,
        clock: Clock,
        sink: Sink,
        *,
        deadlines: Deadlines = WATCH_DEADLINES,
        learnt: Mapping[str, int] | None = None,
        memory: Keep | None = None,
    ) -> None:
        """Build the drivers. `learnt` are session budgets known from earlier runs, by recorder; `memory` holds what was seen.

        Raises SecretError when a password can't be read, OptionsError for a driver's wrong keys.
        """
        self.site = site
        self.clock = clock
        self.addresses = AddressBook(site.networks)
        site.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.breaker = Breaker(site.state_dir / "breaker.sqlite", clock)
        self.pins = Pins(site.state_dir / "pins.sqlite")
        self.habits = Habits()
        self.deadlines = deadlines
        credentials = [*(item.credentials for item in site.recorders), *(item.credentials for item in site.cameras)]
        self._passwords = {item.password: Password(item.password) for item in credentials if item is not None}
        self.drivers: dict[str, Recorder] = {
            item.id: DRIVERS[item.driver](self.settings(item)) for item in site.recorders
        }
        remembering = Memory(memory or ForNow(), sink)
        self.scans = {item.id: self._scan(item, remembering) for item in site.recorders}
        self.settings_scans = {item.id: self._settings_scan(item, remembering) for item in site.recorders}
        self.budgets = {
            item.id: Budget(
                item.max_streams if item.max_streams is not None else (learnt or {}).get(item.id),
                may_rise=item.max_streams is None,
            )
            for item in site.recorders
        }
        self._alone = {item.id: Budget(None) for item in site.cameras if item.recorder is None}
        self._ran: dict[str | None, dict[str, float]] = {None: {}, **{item.id: {} for item in site.recorders}}
        endpoints = {item.id: self._endpoints(item) for item in site.recorders}
        self.reach = Reach(
            tcp_knock(self.addresses),
            clock,
            endpoints,
            self._gateway(),
            self._camera_endpoints(),
            greet=tcp_greet(self.addresses),
        )
        self._main_allowed_at: dict[str, float] = {}
        """By recorder, or by a camera without one: until when no main stream is asked for."""
        self._ways = {item.id: Ways(clock) for item in site.cameras}
        self._beside: dict[str, OnvifBeside] = {}
        """By recorder: its ONVIF, made when a stream isn't where its maker has it."""

    async def close(self) -> None:
        """Let go of the recorders and of the files of breaker and pins."""
        for scan in self.scans.values():
            await scan.close()
        for driver in self.drivers.values():
            await driver.close()
        for beside in self._beside.values():
            await beside.close()
        for file in (self.pins, self.breaker):
            await asyncio.to_thread(file.close)

    def budget(self, camera: CameraConfig) -> Budget:
        """Return the sessions that the camera shares."""
        return self.budgets[camera.recorder] if camera.recorder is not None else self._alone[camera.id]

    def main_url(self, camera: CameraConfig) -> str | None:
        """Return the address of what is recorded: as written, else the recorder's own for the channel."""
        return camera.main_stream or self._makers_url(camera, main=True)

    async def open(self, camera: CameraConfig, trace: Trace | None = None) -> Stream:
        """Open the camera's stream by the best way that leads to one. Raises StreamError."""
        places = self._places(camera)
        if camera.recorder is not None and all(way.url is None for way in places):
            # Some recorders tell their streams' addresses with their channels, and may not have been asked yet.
            await self.scans[camera.recorder].channel_online(camera.channel or camera.id, CHANNELS_SECONDS)
            places = self._places(camera)
        if all(way.url is None for way in places):
            detail = "no stream is known, and the recorder tells of none: write stream in site.yaml"
            raise StreamError(StreamCause.NO_STREAM, "connect", detail)
        known = {way.url for way in places}

        async def try_way(way: Way) -> Stream:
            url = way.url if way.url is not None else await self._asked_url(camera, known, trace)
            if trace is not None:
                trace(f"{way.name}: {shown(url)}")
            return await self._open(camera, StreamRequest(url, self._login(self.site.credentials_of(camera))), trace)

        return await self._ways[camera.id].open(places, try_way)

    async def open_main(self, camera: CameraConfig) -> Stream:
        """Open the stream that is recorded. Raises StreamError."""
        url = self.main_url(camera)
        if url is None:
            raise StreamError(
                StreamCause.NO_STREAM, "connect", "no main stream is known: write main_stream in site.yaml"
            )
        if self.clock.monotonic() < self._main_allowed_at.get(camera.recorder or camera.id, 0.0):
            detail = "a main stream of the same recorder was refused to this login, and isn't asked for again today"
            raise StreamError(StreamCause.CREDENTIALS_HELD, "connect", detail)
        try:
            return await self._open(
                camera, StreamRequest(url, self._login(self.site.credentials_of(camera)), aside=True), None
            )
        except StreamError as error:
            if error.cause is StreamCause.UNAUTHORIZED:
                self._main_allowed_at[camera.recorder or camera.id] = self.clock.monotonic() + DAY_SECONDS
            raise

    async def open_playback(self, recorder_id: str, camera: CameraConfig, wanted: StreamPlayback) -> Stream:
        """Open a recorder's playback, with the recorder's own login. Raises StreamError.

        A refusal means a missing right, for the same login watches: it holds no other one. What doesn't answer in good
        time is not waited for any longer than that.
        """
        replayed = any(value == "onvif-replay" for _, value in wanted.headers)
        playback = Playback(wanted.range, wanted.headers, (("Rate-Control", "yes"),) if replayed else ())
        recorder = self.site.recorder(recorder_id)
        login = self._login(None if recorder is None else recorder.credentials)
        request = StreamRequest(wanted.url, login, aside=True, playback=playback)
        return await self._open(camera, request, None, PLAYBACK_DEADLINES)

    async def _open(
        self, camera: CameraConfig, wanted: StreamRequest, trace: Trace | None, deadlines: Deadlines | None = None
    ) -> Stream:
        """Open a stream whose certificate, if any, is the one that was written down or seen first."""
        place = f"{'rtsps' if wanted.secure else 'rtsp'} {wanted.host}:{wanted.port}"
        pinned = self._fingerprint(camera, wanted.host, place) if wanted.secure else None
        recorder = self.site.recorder(camera.recorder)
        if recorder is not None and wanted.url not in {camera.stream, camera.main_stream}:
            self._check_port(recorder, wanted.url)
        request = replace(wanted, tls_fingerprint=pinned, old_tls=recorder is not None and recorder.old_tls)
        stream = await open_stream(
            request,
            self.addresses,
            deadlines or self.deadlines,
            clock=self.clock,
            breaker=self.breaker,
            habits=self.habits,
            trace=trace,
        )
        if stream.info.tls_fingerprint is not None:
            self.pins.keep(place, stream.info.tls_fingerprint)
        return stream

    def _fingerprint(self, camera: CameraConfig, host: str | None, place: str) -> str | None:
        """Return the fingerprint that site.yaml gives (the camera's, or that of a recorder's host), else the kept one."""
        recorder = self.site.recorder(camera.recorder)
        if camera.tls_fingerprint is not None:
            return camera.tls_fingerprint
        if recorder is not None and recorder.tls_fingerprint and urlsplit(recorder.url or "").hostname == host:
            return recorder.tls_fingerprint
        return self.pins.get(place)

    def _makers_url(self, camera: CameraConfig, *, main: bool) -> str | None:
        recorder = self.site.recorder(camera.recorder)
        if recorder is None or not recorder.serves_streams:
            return None
        return self.drivers[recorder.id].stream_url(camera.channel or camera.id, main=main)

    def _places(self, camera: CameraConfig) -> tuple[Way, ...]:
        """Return a camera's ways to a picture as they are known now, best first."""
        makers = self._makers_url(camera, main=False)
        ways: dict[str, Way] = {}
        for name, url in (("as written", camera.stream), ("the recorder's address", makers)):
            if url is not None:
                ways.setdefault(url, Way(name, url))
        recorder, main = self.site.recorder(camera.recorder), self.main_url(camera)
        asked = () if recorder is None or not self._is_asked(recorder, makers) else (Way(ASKED, None),)
        lowest = () if main is None or main in ways else (Way("the main stream", main),)
        return (*ways.values(), *asked, *lowest)

    @staticmethod
    def _is_asked(recorder: RecorderConfig, makers: str | None) -> bool:
        """Whether a recorder may know a better address than its `makers`: by ONVIF, beside its own interface or as its own."""
        return makers is None if recorder.driver == "onvif" else makers is not None and recorder.url is not None

    async def _asked_url(self, camera: CameraConfig, known: Collection[str | None], trace: Trace | None) -> str:
        """Return where the recorder says by ONVIF that the camera's stream is. Raises StreamError where it says nothing new."""
        recorder = self.site.recorder(camera.recorder)
        assert recorder is not None  # noqa: S101  (for the type checker: only such cameras have this way)
        channel, scan = camera.channel or camera.id, self.scans[recorder.id]
        if recorder.driver == "onvif":
            await scan.channel_online(channel, CHANNELS_SECONDS)
            url, why = self._makers_url(camera, main=False), f"recorder {recorder.id} tells of none"
        else:
            beside = self._beside.setdefault(recorder.id, OnvifBeside(self.settings(recorder)))
            url, why = await beside.sub_stream(channel, lambda: scan.channels_lately(CHANNELS_SECONDS))
        if url is not None and url not in known:
            return url
        detail = "it is the one that was tried" if url is not None else why
        if trace is not None:
            trace(f"{ASKED}: {detail}")
        raise StreamError(StreamCause.NOT_FOUND, "connect", detail)

    def runs(self, camera: CameraConfig) -> None:
        """Take note that the camera's frames arrive now: silence while others run is a full recorder."""
        self._ran[camera.recorder][camera.id] = self.clock.monotonic()

    def frames_arrive(self, recorder_id: str) -> bool:
        """Tell whether frames arrive through the recorder now: then it need not be asked whether it lives."""
        now = self.clock.monotonic()
        return any(now - at < FRAMES_SECONDS for at in self._ran[recorder_id].values())

    def anything_arrives(self, but: str | None = None) -> bool:
        """Tell whether frames of any camera `but` that one arrive now: then the agent is not blind, whoever is silent."""
        now = self.clock.monotonic()
        return any(now - at < FRAMES_SECONDS for ran in self._ran.values() for name, at in ran.items() if name != but)

    async def around(self, camera: CameraConfig, cause: StreamCause, since: float) -> Around:
        """Find out what is known around a stream that failed with `cause`, tried since the monotonic second `since`."""
        if camera.recorder is None or not self.reach.is_device(camera.recorder):
            # A port that is shut answers too: the line is whole, and so is it while another camera's frames arrive.
            whole = cause is StreamCause.REFUSED or self.anything_arrives(but=camera.id)
            return Around(site_answers=whole or await self.reach.site_answers())
        reached = await self.reach.ask(camera.recorder)
        online: bool | None = None
        if reached.state == "up" and cause not in _NOT_ASKED:
            online = await self.scans[camera.recorder].channel_online(camera.channel or camera.id)
        others = any(at >= since for name, at in self._ran[camera.recorder].items() if name != camera.id)
        return Around(reached, online, others)

    async def says_offline(self, camera: CameraConfig, within_seconds: float | None = None) -> bool:
        """Tell whether the camera's recorder lists its channel off line: asked now, or as it said within so many seconds."""
        if camera.recorder is None or not self.reach.is_device(camera.recorder):
            return False
        scan, channel = self.scans[camera.recorder], camera.channel or camera.id
        if within_seconds is not None:
            return scan.said_online(channel, within_seconds) is False
        return await scan.channel_online(channel) is False

    async def meaning_of(
        self, camera: CameraConfig, error: StreamError, since: float, seat: Seat
    ) -> tuple[str, StreamCause]:
        """Return (state, cause) of a camera whose one look failed, tried since `since`; a seat that was refused learns of it."""
        found = await self.around(camera, error.cause, since)
        found = replace(found, was_playing=seat.is_playing, inconclusive=error.inconclusive)
        state, cause = meaning(error.cause, found)
        if cause is StreamCause.RECORDER_FULL:
            seat.refused()
        return state, cause

    def settings(self, item: RecorderConfig) -> RecorderSettings:
        """Return all that a recorder's driver needs."""
        login = self._login(item.credentials)
        password = None if item.credentials is None else self._passwords[item.credentials.password]
        place = f"{item.id} {item.url}"
        return RecorderSettings(
            id=item.id,
            driver=item.driver,
            timezone=self.site.timezone,
            addresses=self.addresses,
            breaker=self.breaker,
            clock=self.clock,
            url=item.url or "",
            username=login.username if login else "",
            password=login.password if login else "",
            password_now=None if password is None else password.now,
            options=item.options,
            base_dir=self.site.base_dir,
            state_dir=self.site.state_dir,
            rtsp_port=self._rtsp_port(item),
            ports=self._written_ports(item),
            tls_fingerprint=item.tls_fingerprint or self.pins.get(place),
            old_tls=item.old_tls,
            fingerprint_seen=lambda seen: self.pins.keep(place, seen),
        )

    def _scan(self, item: RecorderConfig, sink: Sink) -> RecorderScan:
        return RecorderScan(item.id, self.drivers[item.id], self._channelled(item), self.clock, sink)

    def _settings_scan(self, item: RecorderConfig, sink: Sink) -> SettingsScan:
        declared = {camera.id: camera.identity for camera in self.site.cameras_of(item.id) if camera.identity}
        driver, lately = self.drivers[item.id], self.scans[item.id].channels_lately
        return SettingsScan(item.id, driver, self._channelled(item), self.clock, sink, declared, lately)

    def _channelled(self, item: RecorderConfig) -> list[Channelled]:
        return [Channelled(camera.id, camera.channel or camera.id) for camera in self.site.cameras_of(item.id)]

    def _rtsp_port(self, item: RecorderConfig) -> int:
        """Return the port of the recorder's streams: that of a camera's written stream on the same host, else 554."""
        host = urlsplit(item.url or "").hostname
        for camera in self.site.cameras_of(item.id):
            parts = urlsplit(camera.stream or "")
            if camera.stream is not None and parts.hostname == host:
                return parts.port or RTSP_PORTS.get(parts.scheme, 554)
        return 554

    def _written_ports(self, item: RecorderConfig) -> frozenset[int]:
        """Return the ports of the recorder's host that site.yaml writes for it."""
        host, cameras = urlsplit(item.url or "").hostname, self.site.cameras_of(item.id)
        written = [url for camera in cameras for url in (camera.stream, camera.main_stream) if url is not None]
        return frozenset(item.ports) | {
            parts.port or (HTTP_PORTS | RTSP_PORTS)[parts.scheme]
            for parts in map(urlsplit, (*written, item.url or ""))
            if parts.hostname == host and parts.scheme
        }

    def _check_port(self, item: RecorderConfig, url: str) -> None:
        """Raise StreamError for an address that a recorder told, at a port that is neither a stream's own nor written."""
        parts = urlsplit(url)
        port = parts.port or RTSP_PORTS.get(parts.scheme, 554)
        if port not in self._written_ports(item) | set(RTSP_PORTS.values()):
            detail = (
                f"the recorder says that its stream is at port {port}, which {self.site.path.name} doesn't write:"
                f" if that is so, write `ports: [{port}]` at recorder {item.id}"
            )
            raise StreamError(StreamCause.NOT_ALLOWED, "connect", detail)

    def _endpoints(self, item: RecorderConfig) -> Sequence[Endpoint]:
        """Return where the recorder's services listen: its web port, and its stream port where one is written down."""
        parts = urlsplit(item.url or "")
        if parts.hostname is None:
            return ()
        places = [(parts.hostname, parts.port or HTTP_PORTS.get(parts.scheme, 80))]
        for camera in self.site.cameras_of(item.id):
            stream = urlsplit(camera.stream or "")
            if stream.hostname == parts.hostname:
                places.append((stream.hostname, stream.port or RTSP_PORTS.get(stream.scheme, 554)))
        return tuple(dict.fromkeys(places))

    def _camera_endpoints(self) -> Sequence[Endpoint]:
        """Return where streams listen that are written down."""
        parts = [urlsplit(camera.stream) for camera in self.site.cameras if camera.stream is not None]
        places = [(one.hostname, one.port or RTSP_PORTS.get(one.scheme, 554)) for one in parts if one.hostname]
        return tuple(dict.fromkeys(places))

    async def gateway_trouble(self) -> str | None:
        """Return why the declared gateway can't be asked, in one sentence; None where it can, or none is declared."""
        gateway = self.site.gateway
        if gateway is None:
            return None
        try:
            await self.addresses.resolve(gateway.host, gateway.port or GATEWAY_PORTS[0])
        except StreamError as error:
            meant = "until then a silent recorder can't be told from a cut line"
            return f"gateway: {error.detail}; correct gateway in {self.site.path}, {meant}"
        return None

    def _gateway(self) -> Sequence[Endpoint]:
        gateway = self.site.gateway
        if gateway is not None:
            ports = (gateway.port,) if gateway.port is not None else GATEWAY_PORTS
            return tuple((gateway.host, port) for port in ports)
        host = default_gateway()
        return () if host is None or not self.addresses.allows(host) else tuple((host, p) for p in GATEWAY_PORTS)

    def refresh_passwords(self) -> bool:
        """Read all passwords anew, and tell whether one is another one now. Waits for the disk."""
        corrected = [password.refresh() for password in self._passwords.values()]
        if any(corrected):
            self._main_allowed_at.clear()
            for beside in self._beside.values():
                beside.forget()
        return any(corrected)

    def _login(self, credentials: Credentials | None) -> Login | None:
        """Return the login as it is by now."""
        return None if credentials is None else Login(credentials.username, self._passwords[credentials.password].now())


def default_gateway(routes: Path = Path("/proc/net/route")) -> str | None:
    """Return the IPv4 address of this machine's default route, as Linux lists it; None without one."""
    try:
        lines = routes.read_text("ascii").splitlines()[1:]
    except (OSError, UnicodeDecodeError):
        return None
    for line in lines:
        fields = line.split()
        if len(fields) > 3 and fields[1] == "00000000" and int(fields[3], 16) & 2:
            return socket.inet_ntoa(struct.pack("<I", int(fields[2], 16)))
    return None
