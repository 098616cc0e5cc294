"""Why a request to a recorder found no answer, in words for people."""

from __future__ import annotations

import ssl

import httpx2

from agents.device_tls import hint
from agents.recorders.base import RecorderError
from monitor.model.observation import StreamCause


def failure(error: Exception, host: str, *, old_tls: bool = False) -> RecorderError:
    """Return what a failed request means, and what to do, in one sentence."""
    causes = list(_chain(error))
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        detail = f"{host} refuses connections at this port: check `url`, and that its web service is switched on."
        return RecorderError(StreamCause.REFUSED, detail)
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        detail = f"{host} doesn't speak TLS that can be understood: check `url`{hint(old=old_tls)}."
        return RecorderError(StreamCause.RECORDER, detail)
    if isinstance(error, httpx2.NetworkError | OSError):
        return RecorderError(StreamCause.NO_CONNECTION, f"No connection to {host}: check its address, cable and power.")
    return RecorderError(StreamCause.RECORDER, f"{host} didn't answer in HTTP: check host and port of `url`.")


def _chain(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain
