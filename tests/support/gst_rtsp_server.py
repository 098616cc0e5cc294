"""GStreamer's RTSP server as a script: an implementation that is not ours. Run by Debian's Python, not by the venv's.

    /usr/bin/python3 gst_rtsp_server.py '{"mounts": {"/cam": {"test": "h264"}}, "auth": "digest", "user": "u", "password": "p"}'

A mount is {"test": "h264" | "refresh" (H.264 by intra refresh, one IDR picture at its start) | "h265" | "mjpeg" | "audio"} for a
moving test picture (or a tone; "width" and "height" where it is to be another size), or {"file": PATH, "codec": "h264" | "h265"} for
an MP4 file, which each client sees from its beginning, once. `auth` is "basic" or "digest".
Prints {"port": N} in one line when it listens, and serves until its standard input ends.
"""

import json
import sys
import threading
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # type: ignore[import-not-found]  # noqa: E402

_SOURCE = (
    "videotestsrc is-live=true pattern={pattern} ! video/x-raw,width={width},height={height},framerate={framerate}/1"
)
_TESTS = {
    "h264": _SOURCE
    + " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 pt=96 config-interval=-1",
    "refresh": _SOURCE + " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 intra-refresh=true"
    " ! rtph264pay name=pay0 pt=96 config-interval=-1",
    "mjpeg": _SOURCE + ",format=I420 ! jpegenc quality=60 ! rtpjpegpay name=pay0 pt=26",
    "h265": _SOURCE
    + " ! x265enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! h265parse ! rtph265pay name=pay0 pt=96"
    " config-interval=-1",
    "audio": "audiotestsrc is-live=true ! alawenc ! rtppcmapay name=pay0 pt=8",
}
_FILE = "filesrc location={file} ! qtdemux ! {codec}parse ! rtp{codec}pay name=pay0 pt=96 config-interval=-1"


def pipeline(mount: dict[str, Any]) -> str:
    """Return the launch line of a mount."""
    if "test" in mount:
        form = {"pattern": "ball", "width": 320, "height": 240, "framerate": 15} | mount
        return "( " + _TESTS[mount["test"]].format_map(form) + " )"
    return "( " + _FILE.format(file=mount["file"], codec=mount.get("codec", "h264")) + " )"


def protect(server: Any, factories: list[Any], spec: dict[str, Any]) -> None:
    """Ask for a login at every mount."""
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if spec["auth"] == "basic":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(spec["user"], spec["password"]), token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(spec["user"], spec["password"], token)
    server.set_auth(auth)
    for factory in factories:
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("viewer", "media.factory.access", True)
        permissions.add_permission_for_role("viewer", "media.factory.construct", True)
        factory.set_permissions(permissions)


def main() -> None:
    """Serve what the first argument says."""
    spec = json.loads(sys.argv[1])
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    factories = []
    for path, mount in spec["mounts"].items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(pipeline(mount))
        factory.set_shared("test" in mount)
        server.get_mount_points().add_factory(path, factory)
        factories.append(factory)
    if spec.get("auth"):
        protect(server, factories, spec)
    loop = GLib.MainLoop()
    if not server.attach(None):
        sys.exit("the RTSP server could not listen")
    print(json.dumps({"port": server.get_bound_port()}), flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), loop.quit()), daemon=True).start()
    loop.run()


if __name__ == "__main__":
    main()
