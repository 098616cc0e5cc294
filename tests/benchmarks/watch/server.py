"""Many cameras in one process of GStreamer's RTSP server: pre-encoded clips, paced, endless, killed on command.

    /usr/bin/python3 server.py '{"port": 0, "clips": [{"path": P, "sizes": [..], "codec": "h264", "rate": 15}], "cameras": [0, 0, 1]}'

Run by Debian's Python, not by the venv's. A clip is a file of access units (Annex B) one behind the other, and their sizes;
camera N is served at /N and plays the clip that `cameras` names, from a place of its own.
Takes one JSON object a line: {"do": "stall" | "close" | "revive", "camera": N}, {"do": "stats"}; answers each with one line. Ends
with its standard input.
"""

import json
import random
import sys
import threading
import time
from itertools import pairwise
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # type: ignore[import-not-found]  # noqa: E402

LAUNCH = (
    "( appsrc name=source is-live=false format=time max-buffers=2 max-bytes=0"
    " caps=video/x-{codec},stream-format=byte-stream,alignment=au"
    " ! rtp{codec}pay name=pay0 pt=96 config-interval=-1 )"
)


class Clip:
    """Access units that are played again and again; a place to begin is always a keyframe."""

    def __init__(self, spec: dict[str, Any]) -> None:
        """Read the file."""
        with open(spec["path"], "rb") as file:  # noqa: PTH123  (one line is enough)
            data = file.read()
        ends = [0]
        for size in spec["sizes"]:
            ends.append(ends[-1] + size)
        self.units = [Gst.Buffer.new_wrapped(data[start:end]) for start, end in pairwise(ends)]
        self.keyframes = spec["keyframes"]
        self.codec = spec["codec"]
        self.rate = spec["rate"]


class Session:
    """One client's playing of a camera: pushes the next frame whenever the pipeline, paced by its clock, has room."""

    def __init__(self, camera: "Camera", source: Any) -> None:
        """Begin at the camera's place."""
        self.camera = camera
        self.began: float | None = None
        self.pushed = 0
        self.source = source
        source.connect("need-data", self._need)

    def _need(self, source: Any, _: int) -> None:
        camera = self.camera
        if camera.stalled:
            return
        if self.began is None:
            self.began = time.monotonic()
        clip = camera.clip
        unit = clip.units[(camera.begin + self.pushed) % len(clip.units)]
        frame = unit.copy_region(Gst.BufferCopyFlags.MEMORY, 0, unit.get_size())
        frame.pts = frame.dts = self.pushed * Gst.SECOND // clip.rate
        frame.duration = Gst.SECOND // clip.rate
        self.pushed += 1
        source.emit("push-buffer", frame)

    def behind(self) -> float:
        """Return by how many seconds the frames that left are behind the clock; a second may wait in queues."""
        return 0.0 if self.began is None else time.monotonic() - self.began - self.pushed / self.camera.clip.rate


class Camera:
    """One mount."""

    def __init__(self, number: int, clip: Clip) -> None:
        """Play the clip from a keyframe of its own: cameras of a site don't tick together."""
        self.path = f"/{number}"
        self.clip = clip
        self.begin = random.Random(number).choice(clip.keyframes)
        self.stalled = False
        self.sessions: list[Session] = []
        self.factory = GstRtspServer.RTSPMediaFactory()
        self.factory.set_launch(LAUNCH.format(codec=clip.codec))
        self.factory.set_protocols(GstRtsp.RTSPLowerTrans.TCP)
        self.factory.connect("media-configure", self._configure)

    def _configure(self, _: Any, media: Any) -> None:
        session = Session(self, media.get_element().get_by_name_recurse_up("source"))
        self.sessions.append(session)
        media.connect("unprepared", lambda _: self.sessions.remove(session))


class Server:
    """The RTSP server, and what is done to its cameras."""

    def __init__(self, spec: dict[str, Any]) -> None:
        """Make all cameras; listens with `attach`."""
        clips = [Clip(one) for one in spec["clips"]]
        self.cameras = [Camera(number, clips[clip]) for number, clip in enumerate(spec["cameras"])]
        self.rtsp = GstRtspServer.RTSPServer()
        self.rtsp.set_address("127.0.0.1")
        self.rtsp.set_service(str(spec.get("port", 0)))
        self.rtsp.set_backlog(256)
        self.connections: list[float] = []
        self.rtsp.connect("client-connected", lambda *_: self.connections.append(time.time()))
        self.mounts = self.rtsp.get_mount_points()
        for camera in self.cameras:
            self.mounts.add_factory(camera.path, camera.factory)

    def attach(self) -> int:
        """Listen; return the port."""
        if not self.rtsp.attach(None):
            sys.exit("the RTSP server could not listen")
        return int(self.rtsp.get_bound_port())

    def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """Do what a line says, and return its answer."""
        at = time.time()
        if command["do"] == "stats":
            behind = [session.behind() for camera in self.cameras for session in camera.sessions]
            return {"sessions": len(behind), "behind": max(behind, default=0.0), "connections": self.connections}
        camera = self.cameras[command["camera"]]
        if command["do"] == "revive":
            camera.stalled = False
            self.mounts.add_factory(camera.path, camera.factory)
        elif command["do"] == "stall":
            camera.stalled = True
        else:
            self.mounts.remove_factory(camera.path)
            self.rtsp.client_filter(lambda _, client: self._close(client, camera.path))
        return {"at": at}

    @staticmethod
    def _close(client: Any, path: str) -> Any:
        """Close a client that watches `path`."""

        def of_path(_: Any, session: Any) -> Any:
            matched = session.get_media(path)
            media = matched[0] if isinstance(matched, tuple) else matched
            return GstRtspServer.RTSPFilterResult.REF if media is not None else GstRtspServer.RTSPFilterResult.KEEP

        if client.session_filter(of_path):
            return GstRtspServer.RTSPFilterResult.REMOVE
        return GstRtspServer.RTSPFilterResult.KEEP


def serve(server: Server, loop: Any) -> None:
    """Take commands from standard input, each carried out in the main loop."""

    def answer(line: str) -> bool:
        print(json.dumps(server.obey(json.loads(line))), flush=True)
        return False

    for line in sys.stdin:
        GLib.idle_add(answer, line)
    GLib.idle_add(loop.quit)


def main() -> None:
    """Serve what the first argument says."""
    Gst.init(None)
    server = Server(json.loads(sys.argv[1]))
    loop = GLib.MainLoop()
    print(json.dumps({"port": server.attach()}), flush=True)
    threading.Thread(target=serve, args=(server, loop), daemon=True).start()
    loop.run()


if __name__ == "__main__":
    main()
