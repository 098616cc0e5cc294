"""The words of the pages for what the contracts name by codes: requirements, states, causes, rooms, bindingness."""

from __future__ import annotations

from dashboards.web.i18n import mark as _n
from monitor.model.inventory import Room
from monitor.model.regulation import Status, Strength

REQUIREMENTS: dict[str, str] = {
    "uptime": _n("Round the clock"),
    "zone_coverage": _n("Coverage of zones"),
    "view": _n("Picture"),
    "picture_quality": _n("Resolution and frame rate"),
    "forbidden_zone": _n("Forbidden places"),
    "undeclared_channel": _n("Undeclared channels"),
    "retention": _n("Recordings kept"),
    "recording_completeness": _n("Yesterday's recording"),
    "recorder_clock": _n("Recorder's clock"),
    "storage_health": _n("Disks"),
    "measurability": _n("Measurability"),
    "alarm_system": _n("Alarm system"),
    "agent_silence": _n("Reports of the agent"),
}

STATES: dict[str, str] = {
    "up": _n("running"),
    "down": _n("down"),
    "unreachable": _n("unreachable"),
    "site_power": _n("power cut at the site"),
    "unknown": _n("unknown"),
    "recorder_full": _n("recorder full"),
    "ok": _n("in order"),
    "no_camera": _n("no camera"),
    "camera_down": _n("camera down"),
    "view_faulty": _n("picture not usable"),
    "no_zone": _n("zone missing"),
    "camera_present_only": _n("full coverage not confirmed"),
    "black": _n("black"),
    "dark": _n("too dark"),
    "bright": _n("too bright"),
    "frozen": _n("frozen"),
    "blurred": _n("out of focus"),
    "covered": _n("covered"),
    "moved": _n("turned away"),
    "noisy": _n("noisy"),
    "striped": _n("striped"),
    "colour_cast": _n("colour cast"),
    "signal_lost": _n("no signal"),
    "corrupt": _n("corrupt"),
    "looped": _n("looped"),
    "no_baseline": _n("no approved view"),
    "clear": _n("none there"),
    "inside": _n("in a forbidden place"),
    "none": _n("none"),
    "found": _n("found"),
    "maturing": _n("new, filling up"),
    "short": _n("too few days"),
    "gap": _n("days missing"),
    "complete": _n("complete"),
    "incomplete": _n("incomplete"),
    "motion_only": _n("on motion only"),
    "off": _n("wrong"),
    "degraded": _n("degraded"),
    "failed": _n("failed"),
    "missing": _n("missing"),
    "read_only": _n("read-only"),
    "below": _n("below what is required"),
    "unmeasured": _n("cannot be measured"),
    "fault": _n("fault"),
    "untested": _n("test expired"),
    "not_offered": _n("not reported by any device"),
    "reporting": _n("reporting"),
    "silent": _n("silent"),
}

CAUSES: dict[str, str] = {
    "refused": _n("connection refused"),
    "no_connection": _n("no connection"),
    "timeout": _n("no answer in time"),
    "too_slow": _n("too slow"),
    "not_rtsp": _n("the answer is not RTSP"),
    "unauthorized": _n("user name or password refused"),
    "not_permitted": _n("the account lacks the right"),
    "not_found": _n("the stream does not exist"),
    "recorder_full": _n("the recorder serves no further session"),
    "no_video": _n("no video in the stream"),
    "stalled": _n("frames stopped coming"),
    "decode_error": _n("the pictures can't be decoded"),
    "closed": _n("the other side closed the connection"),
    "protocol_error": _n("the answer breaks the protocol"),
    "certificate": _n("the device shows another certificate than the known one"),
    "not_allowed": _n("the address is outside the declared networks"),
    "channel_offline": _n("the recorder lost the camera"),
    "credentials_held": _n("login stopped after a refusal"),
    "recorder_unreachable": _n("the recorder does not answer"),
    "blind": _n("the agent's own line was cut"),
    "clock_set": _n("the agent's clock was set back, and both was told of this time"),
    "no_footage": _n("the recorder has no footage of that time"),
    "site_power": _n("power cut at the site"),
    "no_stream": _n("the camera has no stream"),
    "bit_rate_up": _n("more is written each day than before"),
    "camera_added": _n("a camera was added"),
    "capacity_lost": _n("disks hold less than before"),
    "capacity_too_small": _n("the disks are too small"),
    "storage_reset": _n("the storage was reset"),
    "footage_lost": _n("recordings vanished"),
    "disk_lost": _n("a disk is gone"),
    "disk_swapped": _n("a disk was swapped"),
    "disk_failed": _n("a disk doesn't work"),
    "recorder_exchanged": _n("the recorder was exchanged"),
    "quota": _n("the channel's share of the disks is too small"),
    "expiry_set": _n("the recorder is set to delete too early"),
    "recording_off": _n("recording is switched off for this channel"),
    "schedule_holes": _n("the recording schedule leaves hours out"),
    "sub_stream_recorded": _n("a sub-stream seems to be recorded"),
    "motion_only": _n("the channel is set to record on events"),
    "recorder": _n("the recorder's answer could not be used"),
    "credentials": _n("user name or password refused"),
    "permission": _n("the account lacks the right"),
    "unreachable": _n("the recorder does not answer"),
    "not_offered": _n("the device does not offer it"),
    "not_seen": _n("nothing has been seen of it"),
    "contradiction": _n("what the recorder says contradicts what was seen"),
    "overwritten": _n("overwritten since"),
    "busy": _n("the agent or the recorder was busy"),
    "other_time": _n("the recorder plays another time than was asked for"),
    "no_keyframe": _n("no whole picture came in time"),
}

SUBJECTS: dict[str, str] = {
    "institution": _n("Institution"),
    "zone": _n("Zone"),
    "camera": _n("Camera"),
    "recorder": _n("Recorder"),
    "agent": _n("Agent"),
}

ROOMS: dict[Room, str] = {
    Room.ENTRANCE: _n("entrance"),
    Room.CORRIDOR: _n("corridor"),
    Room.PLAY: _n("play room"),
    Room.NAP: _n("nap room"),
    Room.DINING: _n("dining area"),
    Room.WASH: _n("wash area"),
    Room.CHANGING: _n("changing room"),
    Room.TOILET: _n("toilet"),
    Room.NURSING: _n("nursing room"),
    Room.KITCHEN: _n("kitchen"),
    Room.RECEPTION: _n("reception"),
    Room.OUTDOOR_PLAY: _n("outdoor play area"),
    Room.OFFICE: _n("office"),
    Room.STAFF_REST: _n("staff rest room"),
    Room.OTHER: _n("other room"),
}

STRENGTHS: dict[Strength, str] = {
    Strength.LAW: _n("law"),
    Strength.NORMATIVE_DOCUMENT: _n("normative document"),
    Strength.LOCAL_STANDARD: _n("local standard"),
    Strength.RECOMMENDED: _n("recommended"),
    Strength.INTERNAL: _n("internal setting"),
}

STATUSES: dict[Status, str] = {
    Status.PRIMARY: _n("read in the original text"),
    Status.SECONDARY: _n("from a secondary source"),
    Status.UNVERIFIED: _n("not verified"),
}

STATUS_HINTS: dict[Status, str] = {
    Status.PRIMARY: _n("The wording was read in the original text."),
    Status.SECONDARY: _n("The wording was read in a secondary source: compare the original before an order is issued."),
    Status.UNVERIFIED: _n("The wording is not verified: no order may rest on it alone."),
}

MODES: dict[str, str] = {
    "continuous": _n("round the clock"),
    "motion": _n("on events only"),
    "mixed": _n("round the clock and on events in turns"),
    "none": _n("switched off"),
}

DAYS: dict[str, str] = {
    "held": _n("held"),
    "gap": _n("gap"),
    "not_yet": _n("not there"),
    "unknown": _n("unknown"),
    "closed": _n("closed"),
}

EVIDENCE: dict[str, str] = {
    "recording_spans": _n("recorder's index of recordings"),
    "stream": _n("stream watched"),
    "reach": _n("reach of the recorder"),
    "view": _n("picture looked at"),
    "agent": _n("run of the agent"),
    "main_stream": _n("main stream looked at"),
    "proof": _n("recordings played and decoded"),
    "channels": _n("recorder's list of channels"),
    "disks": _n("recorder's list of disks"),
    "clock": _n("recorder's clock read"),
    "identity": _n("identity of the device"),
    "recording_mode": _n("recording mode of the channel"),
    "expiry": _n("expiry set on the recorder"),
    "time_sync": _n("recorder's time server"),
    "alarm_inputs": _n("recorder's alarm inputs"),
    "fault_notices": _n("faults that the recorder tells of"),
    "storage_mode": _n("how the disks are shared out"),
    "footage_lost": _n("recordings that vanished"),
    "inventory": _n("declaration of the institution"),
    "baseline": _n("view proposed"),
    "attestation": _n("attested by a person"),
}

SOURCES: dict[str, str] = {"probe": _n("probe"), "recorder": _n("recorder"), "person": _n("person")}
STAGES: dict[str, str] = {"lead": _n("lead")}
