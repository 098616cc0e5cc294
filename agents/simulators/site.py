"""A set of simulated devices that runs by a script: starts them, does to them what the timeline says, and says when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Self

from agents.simulators.account import Account
from agents.simulators.camera import Camera, Fault, Now
from agents.simulators.dahua import DahuaSimulator
from agents.simulators.device import RecorderDevice
from agents.simulators.hikvision import HikvisionSimulator
from agents.simulators.onvif import OnvifSimulator
from agents.simulators.recorder import Unplayable
from agents.simulators.rtsp import RtspServer
from agents.simulators.script import (
    CameraSpec,
    Json,
    RecorderSpec,
    Script,
    ScriptError,
    address,
    build_channel,
    build_recorder,
    channel_spec,
    footage_from,
    holes_of,
    span_spec,
)
from agents.simulators.uniview import UniviewSimulator
from agents.simulators.webserver import Request, Response, WebServer

Tell = Callable[[Json], None]

_SECRET: Final = {"password"}
_HEALED: Final = {"heal", "revive", Fault.NONE.value}


def utc_text(at: float) -> str:
    """Return an epoch second as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class CameraDevice:
    """A camera that stands alone: one RTSP server with one stream."""

    def __init__(self, spec: CameraSpec, now: Now) -> None:
        """Make the camera; nothing listens yet."""
        recorder = RecorderSpec(spec.id, timezone=spec.timezone)
        self.spec = spec
        self.camera = Camera(
            spec.seed or spec.id, name=spec.osd or spec.id, zone=recorder.zone, figures=spec.figures, now=now
        )
        if spec.fault is not Fault.NONE:
            self.camera.set_fault(spec.fault)
        self.account = Account(spec.username, spec.password) if spec.username else None
        host, port = address(spec.rtsp, f"{spec.id}.rtsp")
        self.server = RtspServer(self.account, host=host, port=port)
        self.server.publish(spec.path, self.camera.add_stream(spec.format))

    @property
    def url(self) -> str:
        """Return the stream's address, without credentials."""
        return self.server.url(self.spec.path)

    def stats(self) -> dict[str, int]:
        """Return the counters."""
        return {**(self.account.stats() if self.account else {}), **self.server.stats()}


async def _gateway_page(_: Request) -> Response:
    return Response(200, b"<html><title>Router</title></html>\n", content_type="text/html")


class Site:
    """All devices of a script."""

    def __init__(self, script: Script, *, tell: Tell = lambda _: None, now: Now = time.time) -> None:
        """Make every device; nothing listens yet. `tell` is given each event as it happens. Raises ScriptError."""
        self.script, self._tell, self._now = script, tell, now
        self._made_at = float(int(now()))
        self.recorders = {spec.id: self._recorder(spec) for spec in script.recorders}
        self.cameras = {spec.id: CameraDevice(spec, now) for spec in script.cameras}
        self.gateways = {spec.id: self._gateway(spec.listen, spec.id) for spec in script.gateways}
        self._specs = {spec.id: spec for spec in script.recorders}
        for event in script.timeline:
            self._device(event)

    def _recorder(self, spec: RecorderSpec) -> RecorderDevice:
        state = build_recorder(spec, self._now)
        http, rtsp = address(spec.http, f"{spec.id}.http"), address(spec.rtsp, f"{spec.id}.rtsp")
        simulator: RecorderDevice
        match spec.make:
            case "dahua":
                simulator = DahuaSimulator(state, spec.quirks, http=http, rtsp=rtsp, main=spec.main, sub=spec.sub)
            case "uniview":
                simulator = UniviewSimulator(state, spec.quirks, http=http, rtsp=rtsp, main=spec.main, sub=spec.sub)
            case "onvif":
                simulator = OnvifSimulator(state, spec.quirks, http=http, rtsp=rtsp, main=spec.main, sub=spec.sub)
            case _:
                simulator = HikvisionSimulator(state, http=http, rtsp=rtsp, main=spec.main, sub=spec.sub)
        simulator.rtsp.seats.people_come(spec.people)
        return simulator

    @staticmethod
    def _gateway(listen: str, where: str) -> WebServer:
        host, port = address(listen, where)
        return WebServer(_gateway_page, host=host, port=port)

    async def __aenter__(self) -> Self:
        """Start all."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop all."""
        await self.close()

    async def start(self) -> None:
        """Listen everywhere. Raises OSError when an address can't be had."""
        for recorder in self.recorders.values():
            await recorder.start()
        for camera in self.cameras.values():
            await camera.server.start()
        for gateway in self.gateways.values():
            await gateway.start()

    async def close(self) -> None:
        """Stop everything."""
        for recorder in self.recorders.values():
            await recorder.close()
        for camera in self.cameras.values():
            await camera.server.close()
        for gateway in self.gateways.values():
            await gateway.die()

    def ready(self) -> Json:
        """Return where everything listens, and what the history was made to be."""
        return {
            "event": "ready",
            "at": utc_text(self._now()),
            "recorders": {spec.id: self._describe(spec) for spec in self.script.recorders},
            "cameras": {key: {"url": camera.url} for key, camera in self.cameras.items()},
            "gateways": {key: gateway.address for key, gateway in self.gateways.items()},
        }

    def _describe(self, spec: RecorderSpec) -> Json:
        simulator, made = self.recorders[spec.id], self._made_at
        return {
            "url": simulator.url,
            "rtsp": simulator.rtsp.address,
            "timezone": spec.timezone,
            "clock_offset_seconds": spec.clock_offset_seconds,
            "channels": {
                str(channel.id): {
                    "name": channel.name,
                    "main": simulator.rtsp_url(channel.id, "main"),
                    "sub": simulator.rtsp_url(channel.id, "sub"),
                    "footage_from": utc_text(footage_from(spec, channel, made)),
                    "holes": [
                        {"start_at": utc_text(start), "end_at": utc_text(end)}
                        for start, end in holes_of(spec, channel, made)
                    ],
                }
                for channel in spec.channels
            },
        }

    def stats(self) -> Json:
        """Return every device's counters."""
        return {
            "event": "stats",
            "at": utc_text(self._now()),
            "recorders": {key: recorder.stats() for key, recorder in self.recorders.items()},
            "cameras": {key: camera.stats() for key, camera in self.cameras.items()},
        }

    async def play(self) -> None:
        """Play the timeline from now on; an event that can't be done is told as an error and skipped."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        self._tell({"event": "go", "at": utc_text(self._now())})
        for event in sorted(self.script.timeline, key=lambda one: float(one["at_seconds"])):
            await asyncio.sleep(start + float(event["at_seconds"]) - loop.time())
            await self.try_do(event)
        self._tell({"event": "timeline_done", "at": utc_text(self._now())})

    async def try_do(self, event: Json) -> None:
        """Do one event and tell it, or tell why it can't be done."""
        try:
            await self.do(event)
        except (ScriptError, OSError) as error:
            self._tell({"event": "error", "at": utc_text(self._now()), "error": str(error), "do": event.get("do")})

    async def do(self, event: Json) -> None:
        """Do one event to a device and tell when it happened. Raises ScriptError when there is no such thing to do."""
        device, at = self._device(event), self._now()
        try:
            if isinstance(device, RecorderDevice):
                await self._to_recorder(device, event)
            elif isinstance(device, CameraDevice):
                await self._to_camera(device, event)
            else:
                await self._to_gateway(device, event)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, ScriptError):
                raise
            raise ScriptError(f"{event.get('do')}: {type(error).__name__} {error}") from error
        told = {key: value for key, value in event.items() if key not in _SECRET}
        self._tell({**told, "event": "done", "at": utc_text(at)})

    def _device(self, event: Json) -> RecorderDevice | CameraDevice | WebServer:
        for kind, devices in (("recorder", self.recorders), ("camera", self.cameras), ("gateway", self.gateways)):
            if kind not in event:
                continue
            device = devices.get(event[kind])
            if not isinstance(device, RecorderDevice | CameraDevice | WebServer):
                raise ScriptError(f"{event.get('do')}: the script has no {kind} {event[kind]!r}")
            return device
        raise ScriptError(f"{event.get('do')}: an event needs a recorder, a camera or a gateway")

    async def _to_recorder(self, recorder: RecorderDevice, event: Json) -> None:
        if "channel" in event and event["do"] != "add_channel":
            self._to_channel(recorder, int(event["channel"]), event)
            return
        match event["do"]:
            case "die":
                await recorder.die()
            case "disconnect":
                await recorder.disconnect()
            case "revive":
                await recorder.revive()
            case "change_password":
                recorder.change_password(str(event["password"]))
            case "clock_offset":
                recorder.set_clock_offset(float(event["seconds"]))
            case "disk":
                recorder.set_disk(int(event["disk"]), str(event["status"]))
            case "people_come" | "people_go" as moves:
                getattr(recorder.rtsp.seats, moves)(int(event["count"]))
            case "expire_nonces":
                recorder.door.expire_nonces()
                recorder.rtsp.authenticator.expire_nonces()
            case "renew_certificate":
                recorder.renew_certificate()
            case "add_channel":
                spec = channel_spec(event["channel"], "add_channel.channel")
                recorder.add_channel(build_channel(self._specs[event["recorder"]], spec, self._now))
            case other:
                raise ScriptError(f"nothing called {other!r} can be done to a recorder")

    def _to_channel(self, recorder: RecorderDevice, channel: int, event: Json) -> None:
        match event["do"]:
            case "offline" | "online" as line:
                recorder.set_online(channel, online=line == "online")
            case "schedule_off" | "schedule_on" as schedule:
                recorder.set_schedule(channel, enabled=schedule == "schedule_on")
            case "erase":
                spec = self._specs[event["recorder"]]
                span = span_spec(event["span"], "erase.span").resolve(self._now(), spec.zone)
                recorder.erase(channel, *span)
            case "unplayable":
                spec = self._specs[event["recorder"]]
                span = span_spec(event["span"], "unplayable.span").resolve(self._now(), spec.zone)
                recorder.set_unplayable(channel, *span, how=Unplayable(event.get("how", Unplayable.MISSING)))
            case "wrong_camera":
                recorder.state.channel(channel).recorded_camera = self._camera(event)
            case other:
                recorder.set_fault(channel, _fault(other))

    def _camera(self, event: Json) -> Camera | None:
        """Return the camera whose picture a channel's recordings show from now on: another one's scene, or its own."""
        seed = event.get("camera_seed")
        zone = self._specs[event["recorder"]].zone
        return None if seed is None else Camera(str(seed), name=str(event.get("osd", "")), zone=zone, now=self._now)

    @staticmethod
    async def _to_camera(device: CameraDevice, event: Json) -> None:
        match event["do"]:
            case "die":
                await device.server.die()
            case "change_password" if device.account is not None:
                device.account.change_password(str(event["password"]))
            case "revive":
                await device.server.start()
                device.camera.set_fault(Fault.NONE)
            case other:
                device.camera.set_fault(_fault(other))

    @staticmethod
    async def _to_gateway(gateway: WebServer, event: Json) -> None:
        match event["do"]:
            case "die":
                await gateway.die()
            case "revive":
                await gateway.start()
            case other:
                raise ScriptError(f"nothing called {other!r} can be done to a gateway")


def _fault(name: Any) -> Fault:
    if name in _HEALED:
        return Fault.NONE
    try:
        return Fault(name)
    except ValueError as error:
        raise ScriptError(f"nothing called {name!r} can be done to a camera") from error
