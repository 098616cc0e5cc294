"""A recorder with ONVIF beside its maker's interface, some of whose streams aren't where its maker has them."""

from __future__ import annotations

from collections.abc import Collection

from agents.simulators.account import Account, Authenticator
from agents.simulators.camera import SUB
from agents.simulators.hikvision import HikvisionSimulator
from agents.simulators.onvif import OnvifQuirks, OnvifSimulator
from agents.simulators.recorder import Channel, RecorderState
from agents.simulators.webserver import Request, Response


class BothWays(HikvisionSimulator):
    """Hikvision's interface and ONVIF on one web port; `moved` channels have no sub-stream but the one that ONVIF tells."""

    def __init__(
        self,
        state: RecorderState,
        moved: Collection[int],
        quirks: OnvifQuirks | None = None,
        *,
        own_users: bool = False,
    ) -> None:
        """`own_users`: its ONVIF knows other accounts than the rest of it."""
        self.moved = moved
        super().__init__(state)
        self.onvif = OnvifSimulator(state, quirks)  # never started: it answers behind this one's web server
        self.onvif.account, self.onvif.door, self.onvif.rtsp = self.account, self.door, self.rtsp
        if own_users:
            self.onvif.account = Account("onvif", "another", lock_after=state.lock_after)
            self.onvif.door = Authenticator(self.onvif.account, "ONVIF", qop=True)

    async def _answer(self, request: Request) -> Response:
        if request.path.startswith("/onvif/"):
            return await self.onvif._answer(request)
        return await super()._answer(request)

    def _publish(self, channel: Channel) -> None:
        super()._publish(channel)
        if channel.id in self.moved:
            gone = self.stream_path(channel.id, "sub").lower()
            found = next(name for name in self.rtsp._streams if name.strip("/") == gone)
            del self.rtsp._streams[found]
            self.rtsp.publish(f"live/{channel.id}/sub", channel.camera.add_stream(SUB))
