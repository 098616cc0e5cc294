"""uvicorn's server as the collector uses it: its event loop's turns are counted, and a gate lets connections in."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from functools import partial
from socket import socket

import uvicorn

from dashboards.door import Door
from dashboards.gate import Gate
from dashboards.refusals import make_ready
from monitor.api.load import Load

LOOK_SECONDS = 0.1
"""How often a server that ends looks for connections that came in meanwhile, as uvicorn does for those that have gone."""


class CollectorServer(uvicorn.Server):
    """A server that counts the turns of its event loop, ten a second, and has a gate before its door."""

    turns = 0

    def __init__(self, config: uvicorn.Config, on_hangup: Callable[[], None] | None = None) -> None:
        """Serve as `config` says; `on_hangup` is called between two turns when SIGHUP comes, which else has its usual meaning."""
        super().__init__(config)
        self._on_hangup = on_hangup

    async def on_tick(self, counter: int) -> bool:
        """Count a turn."""
        self.turns += 1
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Let nobody in any more, wait for those who are inside, and let out those who were still on their way in.

        uvicorn tells the connections that there are at this moment. One whose handshake ends after it, or that the gate has
        just let in, would be kept and answered until the time of grace is over, and then be broken off in the middle.
        """
        letting_out = asyncio.create_task(self._let_out())
        try:
            await super().shutdown(sockets)
        finally:
            letting_out.cancel()

    async def _let_out(self) -> None:
        """End connections as they become idle, whenever they came; the others' answers say that they are the last."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for connection in list(self.server_state.connections):
                connection.shutdown()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Begin to answer at these sockets. What comes by TLS can't be read from before the door: there is no gate."""
        if self._on_hangup is not None and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._on_hangup)
        refusals = await make_ready()
        door = partial(Door, refusals)
        self.config.http_protocol_class = door  # type: ignore[assignment]  # called alike
        if self.config.ssl is not None or sockets is None:
            await super().startup(sockets)
            return
        await super().startup([])
        make = partial(
            door,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=asyncio.get_running_loop(),
        )
        load = self.lifespan.state.get("load") or Load()
        processes = self.config.workers
        self.servers = [Gate(one, make, load, refusals, processes) for one in sockets]  # type: ignore[misc]  # closed alike
