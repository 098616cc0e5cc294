"""A driver and a simulated recorder without sockets between them: the requests and the replies alone."""

from typing import Any

import httpx2

from agents.recorders.http import Answer
from agents.simulators.account import Authenticator
from agents.simulators.webserver import Request
from monitor.model.clock import Clock


def at_the_level_of_replies(driver: Any, simulator: Any, clock: Clock, *, login: bool = False) -> None:
    """Let a driver's requests go to the simulator without a socket and, unless told otherwise, without a login."""
    if not login:
        simulator.door = Authenticator(None, "")

    async def send(message: Any, auth: Any = None) -> Answer:
        target = message.path.replace(" ", "%20")
        headers = {"content-type": message.content_type}
        if auth is not None:
            request = httpx2.Request(message.method, f"{simulator.url}{target}")
            headers["authorization"] = next(auth.sync_auth_flow(request)).headers["authorization"]
        response = await simulator.web.handler(Request(message.method, target, headers, message.content or b""))
        return Answer(response.status, response.body, clock.now(), httpx2.Headers(response.headers))

    driver._http._send = send
