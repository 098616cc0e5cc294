"""How what runs beside the reading of a stream ends."""

from __future__ import annotations

import asyncio

from agents.rtsp.errors import StreamError


async def ended(task: asyncio.Task[None]) -> None:
    """Wait for a task's end. Raises what it failed with, unless it was cancelled or that is the stream's own end."""
    # Raised anew here, the stream's end would hold this frame, and this frame the task that holds the error.
    await asyncio.wait({task})
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, StreamError):
        raise error
