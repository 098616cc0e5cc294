"""Stand-ins for a site's devices over real sockets: cameras by RTSP, recorders by ISAPI, for the demo and the tests."""
