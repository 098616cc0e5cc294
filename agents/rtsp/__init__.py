"""The project's own RTSP client: from a socket to frame events and keyframe bytes, with a deadline on everything."""

from agents.rtsp.address import AddressBook
from agents.rtsp.client import open_stream
from agents.rtsp.errors import Stage, StreamError
from agents.rtsp.request import Deadlines, Login, StreamRequest
from agents.rtsp.rtp import FrameEvent
from agents.rtsp.stream import Stream, StreamInfo

__all__ = [
    "AddressBook",
    "Deadlines",
    "FrameEvent",
    "Login",
    "Stage",
    "Stream",
    "StreamError",
    "StreamInfo",
    "StreamRequest",
    "open_stream",
]
